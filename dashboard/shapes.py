"""What the operations API answers, as far as the dashboard reads it."""

from datetime import datetime
from typing import Any

import msgspec


class Me(msgspec.Struct, frozen=True):
    name: str
    role: str


class WaitingFor(msgspec.Struct, frozen=True):
    who: str
    since: datetime
    next: str


class RequestSummary(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    order_id: str | None
    location: str
    provider: str | None
    reference: str
    service_level: str | None
    status: str
    pending: bool
    failure: str | None
    rejected: bool
    conflicts: int
    taken_by: str | None
    closed: bool
    received_at: datetime
    submitted_at: datetime | None
    accepted_at: datetime | None
    shipped_at: datetime | None
    settled_at: datetime | None
    waiting_for: WaitingFor | None


class RequestPage(msgspec.Struct, frozen=True):
    requests: list[RequestSummary]
    next_page: str | None


class Unit(msgspec.Struct, frozen=True):
    product_id: str
    said: str
    confirmed: str
    accepted_at: datetime | None
    reported_by: int | None


class Parcel(msgspec.Struct, frozen=True):
    reported_by: int
    carrier: str
    tracking_code: str
    tracking_url: str | None
    carrier_said: str | None
    code_said: str | None


class Event(msgspec.Struct, frozen=True):
    version: int
    kind: str
    at: datetime
    cause: str
    hands_to: str | None
    fact: dict[str, Any]


class Attempt(msgspec.Struct, frozen=True):
    operation: str
    seq: int
    attempt: int
    destination: str
    at: datetime
    seconds: float
    outcome: str
    status: int | None
    detail: str
    trace_id: str | None
    is_late: bool


class Owed(msgspec.Struct, frozen=True):
    operation: str
    seq: int
    destination: str
    waits_for: str | None
    hold: int | None


class RequestStory(RequestSummary, frozen=True, kw_only=True):
    units: list[Unit]
    parcels: list[Parcel]
    events: list[Event]
    attempts: list[Attempt]
    owed: list[Owed]
    trace_id: str | None


class Body(msgspec.Struct, frozen=True):
    sender: str
    is_answer: bool
    about: str
    at: datetime
    bytes: int
    text: str | None


class BodyList(msgspec.Struct, frozen=True):
    masked: bool
    bodies: list[Body]


class Hold(msgspec.Struct, frozen=True):
    id: int
    scope: str
    name: str
    reason: str
    who: str
    at: datetime
    expires_at: datetime | None


class Comparison(msgspec.Struct, frozen=True):
    compared: int
    of: int


class LocationSummary(msgspec.Struct, frozen=True):
    location: str
    provider: str | None
    pending: int
    failed: int
    rejected: int
    unroutable: int
    oldest_pending: datetime | None
    failures: dict[str, int]


class Summary(msgspec.Struct, frozen=True):
    locations: list[LocationSummary]
    quarantined: int
    dead_deliveries: int
    newly_failed: int
    since: datetime
    taken: dict[str, int]
    shut: list[str]
    holds: list[Hold]
    comparison: Comparison | None = None


class FailureCause(msgspec.Struct, frozen=True):
    failure: str
    location: str
    provider: str | None
    operation: str | None
    why: str | None
    requests: int
    untaken: int
    oldest: datetime
    newest: datetime
    said: str | None


class FailureCauses(msgspec.Struct, frozen=True):
    failures: list[FailureCause]


class Speed(msgspec.Struct, frozen=True):
    location: str
    received: int
    accepted: int
    shipped: int
    accept_p50: float | None
    accept_p90: float | None
    ship_p50: float | None
    ship_p90: float | None


class Flow(msgspec.Struct, frozen=True):
    at: datetime
    location: str
    received: int
    shipped: int


class Trends(msgspec.Struct, frozen=True):
    since: datetime | None
    bucket_seconds: int
    speeds: list[Speed]
    flow: list[Flow]


class Location(msgspec.Struct, frozen=True):
    id: str
    provider: str | None
    adapter: str | None
    time_zone: str
    on_provider_cancel: str
    holds: list[Hold]


class LocationList(msgspec.Struct, frozen=True):
    locations: list[Location]


class Destination(msgspec.Struct, frozen=True):
    name: str
    adapter: str | None
    concurrency: int
    calls_per_second: float
    calls_per_five_minutes: float | None
    waiting: int
    more_waiting: bool
    oldest_due: datetime | None
    flying: int
    breaker: str
    shut_at: datetime | None
    probe_at: datetime | None
    not_before: datetime | None
    calls: int
    failures: int
    calls_left: int | None


class DestinationList(msgspec.Struct, frozen=True):
    destinations: list[Destination]


class Quarantined(msgspec.Struct, frozen=True):
    id: int
    source: str
    event_id: str
    request_id: str | None
    reason: str
    detail: str
    at: datetime


class QuarantinePage(msgspec.Struct, frozen=True):
    quarantine: list[Quarantined]
    next_page: str | None


class QuarantineStory(Quarantined, frozen=True, kw_only=True):
    resolved_at: datetime | None
    bytes: int
    text: str | None


class QuarantineResult(msgspec.Struct, frozen=True):
    id: int
    request_id: str | None
    outcome: str
    done: bool
    why: str


class AuditEntry(msgspec.Struct, frozen=True):
    id: int
    at: datetime
    who: str
    action: str
    subject: str
    reason: str
    outcome: str


class AuditPage(msgspec.Struct, frozen=True):
    audit: list[AuditEntry]
    next_page: str | None


class ActResult(msgspec.Struct, frozen=True):
    id: str
    done: bool
    outcome: str
    consequence: str


class BulkResult(msgspec.Struct, frozen=True):
    dry_run: bool
    matching: int
    done: int
    results: list[ActResult]
    consequence: str
    next_page: str | None


class Problem(msgspec.Struct, frozen=True):
    title: str = ""
    detail: str = ""
