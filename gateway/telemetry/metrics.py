"""Every metric of the gateway, declared once. Labels are bounded: nothing a sender can invent becomes one."""

from prometheus_client import CollectorRegistry, Counter, Histogram

UNKNOWN = "unknown"
"""The label of a location or provider that the settings do not name."""

REGISTRY = CollectorRegistry()

INGEST_ANSWERS = Counter(
    "gateway_ingest_answers", "Answers to NewStore's fulfillment requests", ("location", "code"), registry=REGISTRY
)
CALLBACK_ANSWERS = Counter(
    "gateway_callback_answers", "Answers to providers' callbacks", ("provider", "code"), registry=REGISTRY
)
ACK_SECONDS = Histogram(
    "gateway_ack_seconds",
    "From the head of a fulfillment request to its committed 200",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    registry=REGISTRY,
)
