"""Every metric of the gateway, declared once. Labels are bounded: nothing a sender can invent becomes one.

What is `of` the database is the same on every process and is read at a scrape (see `numbers.py`); use `max` over
processes. What is `of` a process is its own; use `sum`.
"""

from dataclasses import dataclass
from typing import Final, TypeVar, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

UNKNOWN: Final = "unknown"
"""The label of a location or provider that the settings do not name."""
NO_PROVIDER: Final = "none"
"""The provider of a request that no provider serves."""

REGISTRY = CollectorRegistry()
disable_created_metrics()  # type: ignore[no-untyped-call]

T = TypeVar("T", bound=MetricWrapperBase)


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric as `grafana/README.md` lists it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    of: str
    text: str


DECLARED: list[Declared] = []
COUNTERS: dict[str, tuple[Counter, tuple[str, ...]]] = {}
"""The counters by name, with their labels."""
NUMBERS: dict[str, Gauge] = {}
"""The gauges of the database, by name."""

_children: dict[tuple[MetricWrapperBase, tuple[str, ...]], MetricWrapperBase] = {}


def of(metric: T, *labels: str) -> T:
    """Give the child of a metric with these labels, by one look-up."""
    key = (metric, labels)
    if key not in _children:
        _children[key] = metric.labels(*labels)
    return cast("T", _children[key])


def _counter(name: str, text: str, *labels: str) -> Counter:
    DECLARED.append(Declared(name, "counter", labels, "process", text))
    counter = Counter(name, text, labels, registry=REGISTRY)
    COUNTERS[name] = counter, labels
    return counter


def _histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
    DECLARED.append(Declared(name, "histogram", labels, "process", text))
    return Histogram(name, text, labels, buckets=buckets, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    DECLARED.append(Declared(name, "gauge", labels, "process", text))
    return Gauge(name, text, labels, registry=REGISTRY)


def _number(name: str, text: str, *labels: str) -> None:
    DECLARED.append(Declared(name, "gauge", labels, "database", text))
    NUMBERS[name] = Gauge(name, text, labels, registry=REGISTRY)


_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_CALL = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0, 300.0)
_LONG = (0.1, 1.0, 5.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 259_200.0, 604_800.0)

# What needs attention now. These three names are the users' own.
_number("pending_shipments", "Requests with a unit not said final, or said and not yet proved", "location", "provider")
_number("failed_shipments", "Requests that wait for a person, by why", "location", "provider", "reason")
_number(
    "rejected_shipments", "Requests with rejected units not yet proved, or waiting for siblings", "location", "provider"
)
_number(
    "gateway_unroutable_requests",
    "Open requests without a provider, or of one that the settings do not name",
    "location",
)
_number(
    "gateway_restored_requests",
    "Requests that the last restore left open, by whether they are compared with NewStore",
    "state",
)
_number("gateway_oldest_pending_seconds", "Since the oldest pending request was received", "location")
_number(
    "gateway_oldest_failed_seconds", "Since the last change of the request that waits longest for a person", "location"
)
_number(
    "gateway_oldest_unaccepted_seconds",
    "Since the oldest request was received of which its provider has said nothing",
    "location",
)
_number(
    "gateway_sibling_wait_seconds",
    "Since the last word on the request whose rejected units wait longest for their siblings",
    "location",
)
_number("gateway_unverified", "Units that NewStore took and never showed within the time-box", "operation")
_number("gateway_quarantined", "Messages in quarantine", "source")
_number("gateway_oldest_quarantined_seconds", "Since the oldest of them came", "source")

_number(
    "gateway_unmapped_waiting",
    "Orders and messages that wait until somebody maps a word of theirs",
    "provider",
    "what",
)

# Units, as they become so.
ACCEPTED_UNITS = _counter("gateway_accepted_units_total", "Units that a provider accepted", "location", "provider")
BACKORDERED_UNITS = _counter(
    "gateway_backordered_units_total",
    "Units that a provider lacked when it said so, and may get",
    "location",
    "provider",
)
SHIPPED_UNITS = _counter("gateway_shipped_units_total", "Units that a provider shipped", "location", "provider")
REJECTED_UNITS = _counter(
    "gateway_rejected_units_total", "Units that a provider or a person rejected", "location", "provider"
)
CANCELLED_UNITS = _counter("gateway_cancelled_units_total", "Units that were cancelled", "location", "provider")
PROVED_UNITS = _counter("gateway_proved_units_total", "Units that NewStore's read-back proved", "location", "provider")
REFUSED_UNITS = _counter(
    "gateway_refused_units_total", "Units whose report NewStore refused, at once or later", "location", "provider"
)

# Requests, as they pass.
RECEIVED = _counter("gateway_received_requests_total", "New fulfillment requests stored", "location")
SETTLED = _counter(
    "gateway_settled_requests_total", "Requests of which every unit is proved, or that a person closed", "location"
)
STEP_SECONDS = _histogram(
    "gateway_step_seconds",
    "From one step of a request to the next: submitted, accepted, shipped, proved",
    "location",
    "step",
    buckets=_LONG,
)
DUPLICATES = _counter("gateway_duplicates_total", "Messages that came again and changed nothing", "location", "kind")
CONFLICTS = _counter(
    "gateway_conflicts_total", "Messages that contradict what was stored under the same id", "location", "kind"
)
CALLBACKS_REFUSED = _counter(
    "gateway_callbacks_refused_total", "Callbacks that were stored, can't be followed, and need a person", "provider"
)
OVERDUE = _counter(
    "gateway_overdue_total",
    "Requests whose provider missed a deadline: to take them (`acknowledge`), to accept them (`accept`), to get units "
    "of them (`backorder`)",
    "location",
    "provider",
    "kind",
)

# Ingest and the writer.
INGEST_ANSWERS = _counter(
    "gateway_ingest_answers_total", "Answers to NewStore's fulfillment requests", "location", "code"
)
CALLBACK_ANSWERS = _counter("gateway_callback_answers_total", "Answers to providers' callbacks", "provider", "code")
KEYS_USED = _counter(
    "gateway_keys_used_total", "Times that somebody was let in, by the first or the second of their keys",
    "door", "name", "key",
)  # fmt: skip
CREDENTIALS_REFUSED = _counter(
    "gateway_credentials_refused_total", "Wrong keys, signatures and tokens that somebody gave", "door"
)
CONNECTIONS_DROPPED = _counter(
    "gateway_connections_dropped_total",
    "Connections that ended because all places were taken, no head of a request came, or it was not HTTP",
    "listener", "why",
)  # fmt: skip
ACK_SECONDS = _histogram(
    "gateway_ack_seconds", "From the head of a fulfillment request to its committed 200", buckets=_QUICK
)
BATCH_COMMANDS = _histogram(
    "gateway_batch_commands",
    "Commands in one batch of the writer",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
COMMIT_SECONDS = _histogram("gateway_commit_seconds", "To read, decide and commit one batch", buckets=_QUICK)
COMMITS_FAILING = _gauge(
    "gateway_commits_failing", "1 while the last commit of a process, or its heartbeat, failed, by why", "reason"
)
WRITER_WAITING = _gauge("gateway_writer_waiting", "Commands that wait for the writer")

# Dispatch.
ATTEMPTS = _counter(
    "gateway_attempts_total", "Tries of owed calls, by how they ended", "destination", "operation", "class"
)
ATTEMPT_SECONDS = _histogram(
    "gateway_attempt_seconds", "How long one try took", "destination", "operation", buckets=_CALL
)
NEWSTORE_CALLS = _counter("gateway_newstore_calls_total", "HTTP requests made to NewStore, with tokens", "operation")
TOKEN_EXPIRES = _gauge(
    "gateway_newstore_token_expiry_timestamp_seconds", "When the present token ends, as Unix time; 0 before the first"
)
SUNSET = _gauge(
    "gateway_newstore_sunset_timestamp_seconds",
    "When NewStore drops an operation, as Unix time; 0 where it says that it will and not when",
    "operation",
)
READ_BACK_MISSING = _gauge(
    "gateway_read_back_missing", "1 while NewStore seems to show nowhere what became of such a report", "operation"
)
TAKEOVERS = _counter("gateway_takeovers_total", "Claims taken over from a process that died or lost sight of them")
_number(
    "gateway_waiting_deliveries",
    "Owed calls that are due and that nobody has claimed, counted up to 5000 for each DC and urgency",
    "destination",
)
_number("gateway_oldest_waiting_seconds", "Since the call was due that waits longest", "destination")
_number("gateway_claimed_deliveries", "Owed calls that a process is making", "destination")
_number(
    "gateway_dead_deliveries", "Owed calls that ended without being taken and wait for a person",
    "destination", "operation",
)  # fmt: skip
_number("gateway_breaker_open", "1 while the circuit breaker of a destination is open", "destination")
_number(
    "gateway_budget_left", "Calls that may start now, of the budget of one second and of five minutes",
    "destination", "budget",
)  # fmt: skip
_number(
    "gateway_poll_age_seconds", "Since a provider that is polled was last asked for news, and gave them", "provider"
)
_number("gateway_poll_interval_seconds", "Between two polls of a provider, as its settings have it", "provider")
_number("gateway_holds_active", "Holds in force; those on single requests have no name", "scope", "name")
_number("gateway_oldest_hold_seconds", "Since the oldest of them was placed that only a person ends", "scope", "name")
_number(
    "gateway_brake_tripped",
    "1 while the gateway itself holds a location's rejections back: its brake has tripped, or it is new",
    "location",
)
_number(
    "gateway_own_holds",
    "1 while the gateway itself holds back a destination or operation, as an answer was one for a person, or, after a "
    "restore, everything",
    "scope",
    "name",
)

# The process and its database.
SPANS = _counter(
    "gateway_spans_total", "Spans made, and those of them that the collector took or that were lost", "end"
)
DATABASE_UP = _gauge(
    "gateway_database_up", "0 when the last look at the database failed: what is of the database is then older"
)
NUMBERS_AGE = _gauge("gateway_numbers_age_seconds", "Since what is of the database was read")
NUMBERS_SECONDS = _gauge("gateway_numbers_seconds", "How long the database took to tell it")
_number("gateway_default_partition_rows", "Rows that no month's partition took, counted up to 1000", "table")
_number("gateway_processes", "Living gateway processes")
STATE_UNWRITTEN = _gauge("gateway_state_unwritten", "1 while a process can't write to its state_dir")
INCARNATION = _gauge("gateway_incarnation", "Of the database: raised by each restore that is noticed")
_number("gateway_database_bytes", "What the database takes of its disk, without its log")
_number(
    "gateway_connections_left",
    "Connections that the server of the database would still give to a role without privileges",
)
FREE_DISK = _gauge(
    "gateway_free_disk_bytes", "Room left on the disk of our own Postgres; absent with a database of yours", "folder"
)
POOL_CONNECTIONS = _gauge("gateway_pool_connections", "Database connections of the pool", "state")
POOL_WAIT = _gauge("gateway_pool_wait_seconds", "How long the last look at the database waited for a connection")
LOOP_LAG = _histogram(
    "gateway_event_loop_lag_seconds", "How much later than asked the event loop woke a timer", buckets=_QUICK
)
BUILD = _gauge("gateway_build_info", "1; the labels say what runs", "version", "program", "python")

# These come from prometheus-client, under the names that every Prometheus knows.
ProcessCollector(registry=REGISTRY)
DECLARED += [
    Declared(f"process_{name}", kind, (), "process", text)
    for name, kind, text in (
        ("cpu_seconds_total", "counter", "Processor time, of the system too"),
        ("resident_memory_bytes", "gauge", "Memory in use"),
        ("virtual_memory_bytes", "gauge", "Memory asked for"),
        ("open_fds", "gauge", "Open files and sockets"),
        ("max_fds", "gauge", "As many may be open"),
        ("start_time_seconds", "gauge", "When the process began, as Unix time"),
    )
]
