"""How requests pass: throughput, clocks, backlog and age of each step."""

from grafana import pages
from grafana.drawing import Page, Panel, Query, Row

_OF = 'location=~"$location",provider=~"$provider"'
_AT = 'location=~"$location"'
_REJECTED = f"sum by (location) (rate(gateway_rejected_units_total{{{_OF}}}[15m]))"
_SHIPPED = f"sum by (location) (rate(gateway_shipped_units_total{{{_OF}}}[15m]))"
_UNITS = ("accepted", "backordered", "shipped", "rejected", "cancelled", "proved", "refused")


def _clock(share: float) -> str:
    buckets = f"sum by (le, step) (rate(gateway_step_seconds_bucket{{{_AT}}}[$__rate_interval]))"
    return f"histogram_quantile({share}, {buckets})"


def _slowest(step: str) -> str:
    of = f'{_AT},step="{step}"'
    return (
        f"histogram_quantile(0.95, sum by (le, location) (rate(gateway_step_seconds_bucket{{{of}}}[$__rate_interval])))"
    )


THROUGHPUT = Row(
    "Throughput",
    (
        Panel(
            "Requests received and settled",
            "Both lines together: the road keeps up. Settled below received for long: the backlog grows.",
            "reqps",
            (
                Query(f"sum(rate(gateway_received_requests_total{{{_AT}}}[$__rate_interval]))", "received"),
                Query(f"sum(rate(gateway_settled_requests_total{{{_AT}}}[$__rate_interval]))", "settled"),
            ),
            "NoRequestsAtAll",
            page=pages.ALL,
        ),
        Panel(
            "Received, by DC",
            "Look for a DC that falls to zero while the others go on.",
            "reqps",
            (
                Query(
                    f"sum by (location) (rate(gateway_received_requests_total{{{_AT}}}[$__rate_interval]))",
                    "{{location}}",
                ),
            ),
            "NoRequests",
            "stacked",
            page=pages.ALL,
        ),
        Panel(
            "Last hour beside the same hour of last week",
            "Requests in an hour; the alert compares these two.",
            "short",
            (
                Query(f"location:gateway_received_requests:increase1h{{{_AT}}}", "{{location}}"),
                Query(f"location:gateway_received_requests:increase1h{{{_AT}}} offset 1w", "{{location}} last week"),
            ),
            "NoRequests",
            page=pages.LAST_HOUR,
        ),
        Panel(
            "Units, by what became of them",
            "Per second: what providers said of units, and what NewStore's read-back showed.",
            "ops",
            tuple(Query(f"sum(rate(gateway_{word}_units_total{{{_OF}}}[$__rate_interval]))", word) for word in _UNITS),
            "/d/gateway-operations",
            page=pages.ALL,
        ),
        Panel(
            "Share of units rejected",
            "Of all units rejected or shipped. A brake trips when it is high for a quarter of an hour.",
            "percentunit",
            (Query(f"{_REJECTED} / ({_REJECTED} + {_SHIPPED})", "{{location}}"),),
            "BrakeTripped",
            bad_from=0.3,
            page=pages.REJECTED,
        ),
        Panel(
            "Duplicates",
            "Messages per second that came again and changed nothing.",
            "ops",
            (
                Query(
                    f"sum by (location, kind) (rate(gateway_duplicates_total{{{_AT}}}[$__rate_interval]))",
                    "{{location}} {{kind}}",
                ),
            ),
            "/d/gateway-gateway",
        ),
    ),
)
CLOCKS = Row(
    "Clocks",
    (
        Panel(
            "Each step, half of the requests",
            "From one step to the next: received, submitted, accepted, shipped, proved.",
            "s",
            (Query(_clock(0.5), "{{step}}", exemplar=True),),
            "/d/gateway-destinations",
            page=pages.PENDING,
        ),
        Panel(
            "Each step, 95 of 100 requests",
            "From one step to the next: received, submitted, accepted, shipped, proved.",
            "s",
            (Query(_clock(0.95), "{{step}}", exemplar=True),),
            "/d/gateway-destinations",
            page=pages.PENDING,
        ),
        Panel(
            "Shipped to proved, 95 of 100, by DC",
            "How long NewStore does not know of a parcel that has left.",
            "s",
            (Query(_slowest("proved"), "{{location}}", exemplar=True),),
            "Unverified",
            page=pages.PENDING,
        ),
        Panel(
            "Received to submitted, 95 of 100, by DC",
            "How long a provider does not know of an order.",
            "s",
            (Query(_slowest("submitted"), "{{location}}", exemplar=True),),
            "DeliveriesStuck",
            page=pages.PENDING,
        ),
        Panel(
            "Submitted to accepted, 95 of 100, by DC",
            "How long a provider takes to say that it will do it.",
            "s",
            (Query(_slowest("accepted"), "{{location}}", exemplar=True),),
            "UnacceptedTooLong",
            page=pages.PENDING,
        ),
        Panel(
            "Accepted to shipped, 95 of 100, by DC",
            "How long a provider works on an order.",
            "s",
            (Query(_slowest("shipped"), "{{location}}", exemplar=True),),
            "PendingTooOld",
            page=pages.PENDING,
        ),
    ),
)
BACKLOG = Row(
    "Backlog and age",
    (
        Panel(
            "Pending",
            "Open requests, by DC.",
            "short",
            (
                Query(
                    f"sum by (location) (max by (location, provider) (pending_shipments{{{_OF}}}))",
                    "{{location}}",
                ),
            ),
            "PendingTooOld",
            "stacked",
            page=pages.PENDING,
        ),
        Panel(
            "Oldest pending",
            "Since the oldest open request was received.",
            "s",
            (Query(f"max by (location) (gateway_oldest_pending_seconds{{{_AT}}})", "{{location}}"),),
            "PendingTooOld",
            bad_from=259_200,
            page=pages.PENDING_LONG,
        ),
        Panel(
            "Oldest unaccepted",
            "Since the oldest request was received of which its provider has said nothing.",
            "s",
            (Query(f"max by (location) (gateway_oldest_unaccepted_seconds{{{_AT}}})", "{{location}}"),),
            "UnacceptedTooLong",
            bad_from=14_400,
            page=pages.PENDING_LONG,
        ),
        Panel(
            "Not taken or accepted in time",
            "Requests that their provider did not take within its `acknowledge_within`, or of which it accepted "
            "nothing within its `accept_within`.",
            "short",
            (
                Query(
                    f"sum by (location, provider, kind) (increase(gateway_overdue_total{{{_AT}}}[$__rate_interval]))",
                    "{{location}} {{provider}}: {{kind}}",
                ),
            ),
            "ShipmentsFailed",
            "stacked",
            page=pages.FAILED,
        ),
    ),
)
PAGE = Page(
    "gateway-road",
    "Road",
    "How requests pass: throughput, clocks, backlog and age of each step.",
    'pending_shipments{location=~"$location"}, provider',
    (THROUGHPUT, CLOCKS, BACKLOG),
)
