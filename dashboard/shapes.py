"""What the operations API answers; `make shapes` writes this from its OpenAPI document."""

from datetime import datetime
from typing import Any

import msgspec


class WaitingFor(msgspec.Struct, frozen=True, kw_only=True):
    """Who has to move next, since when, and what comes next."""

    who: str
    since: datetime
    next: str


class RequestSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One fulfillment request in a list."""

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


class RequestPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of requests; `next_page` is the `after` of the next one."""

    requests: list[RequestSummary]
    next_page: str | None


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An error, as RFC 9457 writes it."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"


class UnitStory(msgspec.Struct, frozen=True, kw_only=True):
    """One unit: what the provider said of it, and what NewStore confirmed."""

    product_id: str
    said: str
    confirmed: str
    accepted_at: datetime | None
    backordered: bool
    reported_by: int | None


class ParcelStory(msgspec.Struct, frozen=True, kw_only=True):
    """One parcel; units with the same `reported_by` are in it."""

    reported_by: int
    carrier: str
    tracking_code: str
    tracking_url: str | None
    carrier_said: str | None
    code_said: str | None


class EventStory(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the log; `hands_to` tells who has to move then, None where it stays with whoever had to."""

    version: int
    kind: str
    at: datetime
    cause: str
    hands_to: str | None
    fact: dict[str, Any]


class AttemptStory(msgspec.Struct, frozen=True, kw_only=True):
    """One try of an owed call."""

    operation: str
    seq: int
    attempt: int
    destination: str
    at: datetime
    seconds: float
    outcome: str
    status: int | None
    detail: str
    mappings: int | None
    trace_id: str | None
    is_late: bool


class OwedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that is still owed.

    `waits_for` names the call to the same destination that goes before it, `hold` the hold that keeps it back.
    """

    operation: str
    seq: int
    destination: str
    waits_for: str | None
    hold: int | None


class RequestStory(RequestSummary, frozen=True, kw_only=True):
    """One request whole; `trace_id` names the trace in which it began, None where nobody traced it."""

    units: list[UnitStory]
    parcels: list[ParcelStory]
    events: list[EventStory]
    attempts: list[AttemptStory]
    owed: list[OwedCall]
    trace_id: str | None


class BodyStory(msgspec.Struct, frozen=True, kw_only=True):
    """One body as it came, or masked; `text` is None where it is masked and no JSON.

    `about` is the event that it led to, why it is in quarantine, or the call and try that it answers. What an adapter
    wrote has the sender `gateway`, and `about` is the call and try in which a provider was sent it.
    """

    sender: str
    is_answer: bool
    about: str
    at: datetime
    bytes: int
    text: str | None


class BodyList(msgspec.Struct, frozen=True, kw_only=True):
    """NewStore's request, and then the newest of what else was said of it."""

    masked: bool
    bodies: list[BodyStory]


class ActResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an act on one request, or would become of it."""

    id: str
    done: bool
    outcome: str
    consequence: str = ""


class BulkResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one page of requests; `matching` counts all that the filter finds from here on."""

    dry_run: bool
    matching: int
    done: int
    results: list[ActResult]
    consequence: str
    next_page: str | None


class ChoiceStory(msgspec.Struct, frozen=True, kw_only=True):
    """One of the words that a parameter may be, what it means, and what follows from it."""

    value: str
    means: str
    consequence: str


class AsideStory(msgspec.Struct, frozen=True, kw_only=True):
    """Some parameters are told of one request alone, and seldom: the question whether there is anything to tell."""

    question: str
    hint: str


class AskedStory(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter of an act: a text of at most so many characters, one of the choices, or a name of the settings."""

    name: str
    question: str
    hint: str
    is_required: bool
    most: int | None
    choices: list[ChoiceStory]
    names: str | None
    aside: AsideStory | None


class ActStory(msgspec.Struct, frozen=True, kw_only=True):
    """What may be done about a request, and what people read of it.

    `many` is the path for all that a filter finds, None where it is done to one alone, and `among` the status that is
    most often meant. `content` names its reason, where that is all that it says.
    """

    action: str
    label: str
    help: str
    asks: list[AskedStory]
    many: str | None
    among: str | None
    consequence: str
    is_final: bool
    content: str | None
    default_reason: str | None


class ActList(msgspec.Struct, frozen=True, kw_only=True):
    """Every act on requests, in the order in which people are offered them, and the roles that may act."""

    acts: list[ActStory]
    roles: list[str]


class HoldStory(msgspec.Struct, frozen=True, kw_only=True):
    """Something is held back."""

    id: int
    scope: str
    name: str
    reason: str
    who: str
    at: datetime
    expires_at: datetime | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests that a restore left open are compared with NewStore, of how many; the release begins that."""

    compared: int
    of: int


class HoldList(msgspec.Struct, frozen=True, kw_only=True):
    """All that is held back now."""

    holds: list[HoldStory]
    comparison: Comparison | None


class QuarantineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One message that waits for a decision."""

    id: int
    source: str
    event_id: str
    request_id: str | None
    reason: str
    detail: str
    at: datetime


class QuarantinePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of them, oldest first; `next_page` is the `after` of the next one."""

    quarantine: list[QuarantineEntry]
    next_page: str | None


class QuarantineStory(QuarantineEntry, frozen=True, kw_only=True):
    """One message: what was read of it, and its body, masked; `text` is None where it is no JSON."""

    resolved_at: datetime | None
    bytes: int
    said: dict[str, Any] | None
    text: str | None


class QuarantineResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message.

    `result` is the word its sender would hear, or "discarded". `done` is false where it has no effect; `why` says why.
    """

    id: int
    request_id: str | None
    outcome: str
    result: str
    done: bool
    why: str


class MappingStory(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider calls something; without an id it is the file that says so."""

    id: int | None
    provider: str
    kind: str
    ours: str
    theirs: str
    who: str | None
    at: datetime | None


class UnmappedStory(msgspec.Struct, frozen=True, kw_only=True):
    """A word that nobody has mapped: NewStore's, or the provider's own; and how many orders and messages wait."""

    provider: str
    kind: str
    unmapped: str
    side: str
    orders: int
    messages: int


class MappingList(msgspec.Struct, frozen=True, kw_only=True):
    """All that is mapped, the version of the last change by a person, and what waits, most first."""

    version: int
    mappings: list[MappingStory]
    unmapped: list[UnmappedStory]


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to which subject, why, and what followed."""

    id: int
    at: datetime
    who: str
    action: str
    subject: str
    reason: str
    outcome: str


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of them, newest first; `next_page` is the `before` of the next one."""

    audit: list[AuditEntry]
    next_page: str | None


class Reloaded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of reading the settings anew; where there are faults the old ones stay, all of them."""

    changed: list[str]
    needs_restart: list[str]
    faults: list[str]


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Whose token it is, and what they may do."""

    name: str
    role: str


class LocationSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What is open at one location with one provider; `failures` counts the failed ones by cause."""

    location: str
    provider: str | None
    pending: int
    failed: int
    rejected: int
    unroutable: int
    oldest_pending: datetime | None
    failures: dict[str, int]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of what is open, and what else may need a person; `newly_failed` since `since`."""

    locations: list[LocationSummary]
    quarantined: int
    dead_deliveries: int
    newly_failed: int
    since: datetime
    taken: dict[str, int]
    shut: list[str]
    holds: list[HoldStory]
    comparison: Comparison | None


class FailureCause(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests failed in one way at one place; `said` is what one of them was answered."""

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


class FailureCauses(msgspec.Struct, frozen=True, kw_only=True):
    """What failed, by its cause; the most frequent first."""

    failures: list[FailureCause]


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """How fast the newest requests of a location went, in seconds from their receipt; None where none got so far."""

    location: str
    received: int
    accepted: int
    shipped: int
    accept_p50: float | None
    accept_p90: float | None
    ship_p50: float | None
    ship_p90: float | None


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests came, and how many shipped first, in one span of time."""

    at: datetime
    location: str
    received: int
    shipped: int


class Trends(msgspec.Struct, frozen=True, kw_only=True):
    """The newest 5,000 requests of the last day; `since` is None where there are none."""

    since: datetime | None
    bucket_seconds: int
    speeds: list[Speed]
    flow: list[Flow]


class LocationStory(msgspec.Struct, frozen=True, kw_only=True):
    """One DC of the settings, and what is held back there."""

    id: str
    provider: str | None
    adapter: str | None
    time_zone: str
    accept_when: str
    on_provider_cancel: str
    backorder: str
    backorder_grace: float
    after_backorder_grace: str
    holds: list[HoldStory]


class LocationList(msgspec.Struct, frozen=True, kw_only=True):
    """All DCs of the settings."""

    locations: list[LocationStory]


class PollStory(msgspec.Struct, frozen=True, kw_only=True):
    """How a provider is asked for news: `polled_at` is when that last went well, `detail` why it fails since then."""

    every_seconds: float
    due_at: datetime
    polled_at: datetime | None
    failing_since: datetime | None
    detail: str


class DestinationStory(msgspec.Struct, frozen=True, kw_only=True):
    """NewStore or one provider: its breaker, its budget, and what waits for it.

    `more_waiting`: there are more than `waiting`, which counts no further than 5,000 for each DC and urgency.
    `calls` and `failures` are those of the breaker's present window. `calls_left` of the five-minute budget is None
    until a first call. `poll` is None of one that is not asked for news. `can` names what a provider can do.
    """

    name: str
    adapter: str | None
    can: list[str]
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
    poll: PollStory | None


class DestinationList(msgspec.Struct, frozen=True, kw_only=True):
    """NewStore and all providers of the settings."""

    destinations: list[DestinationStory]
