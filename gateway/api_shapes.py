"""The types of what both listeners answer and the operations API takes; the server and its clients read them here."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar, cast, get_type_hints

import msgspec

from gateway.domain.acts import ACTS
from gateway.domain.acts.act import Asked

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Result = Literal["received", "duplicate", "conflicting_body", "conflicting_location", "unroutable"]
CallbackResult = Literal[
    "applied", "duplicate", "quarantined", "callback_refused", "conflicting_callback", "several"
]  # fmt: skip
Reason = Annotated[str, msgspec.Meta(max_length=1_000)]
"""Why somebody acts; it goes into the audit, and whoever comes next reads it."""
MOST_AT_ONCE = 500
ASKED: dict[str, Asked] = {name: asked for act in ACTS.values() for name, asked in act.asks.items()}
"""The parameters of all acts, by their fields."""
T = TypeVar("T", bound=msgspec.Struct)


class ProblemDocument(msgspec.Struct, rename={"kind": "type"}):
    """An error, as RFC 9457 writes it."""

    title: str
    status: int
    detail: str
    kind: str = "about:blank"


class CallbackProblem(ProblemDocument, kw_only=True):
    """A provider's message can never be right for its request; `result` and `reason` tell it to a program."""

    result: CallbackResult
    reason: str


class Receipt(msgspec.Struct):
    """NewStore's fulfillment request is stored; `result` tells as what."""

    result: Result
    id: str
    reference: str


class CallbackReceipt(msgspec.Struct, omit_defaults=True):
    """A provider's message is stored; `reason` and `detail` tell why it was not applied.

    Of a message that says several things `results` has what came of each, in their order.
    """

    result: CallbackResult
    id: str
    reason: str = ""
    detail: str = ""
    results: "list[CallbackReceipt]" = []


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """Why somebody decides so."""

    reason: Reason


class Replay(Decision):
    """Why a message is read again, and where it may be about several requests about which it is."""

    request: Annotated[str, msgspec.Meta(max_length=255)] = ""


def _with_parameters(kind: type[T]) -> type[T]:
    """Add what acts ask for: a text, or one of its choices or none."""
    types = {name: get_type_hints(act)[name] for act in ACTS.values() for name in act.asks}
    fields = [
        (name, types[name] | None, None)
        if asked.choices
        else (name, Annotated[str, msgspec.Meta(max_length=asked.most)] if asked.most else str, "")
        for name, asked in ASKED.items()
    ]
    made = msgspec.defstruct(
        kind.__name__,
        fields,
        bases=(kind,),
        module=kind.__module__,
        namespace={"__doc__": kind.__doc__},
        forbid_unknown_fields=True,
        kw_only=True,
    )
    return cast("type[T]", made)


@_with_parameters
class ActRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What a person wants done; every act needs a reason."""

    reason: Reason
    dry_run: bool = False
    action_id: Annotated[str, msgspec.Meta(max_length=100)] = ""  # a part of an index entry

    def told(self, name: str) -> str | None:
        """Give a parameter without the blanks around it; None where it is left out."""
        value: str | None = getattr(self, name)
        return value.strip() or None if value is not None and not ASKED[name].choices else value


class BulkActRequest(ActRequest, forbid_unknown_fields=True, kw_only=True):
    """The same for every request that a filter finds, a page at a time."""

    filter: dict[str, str]
    after: str | None = None
    limit: int = MOST_AT_ONCE


class ChoiceStory(msgspec.Struct, forbid_unknown_fields=True):
    """One of the words that a parameter may be, what it means, and what follows from it."""

    value: str
    means: str
    consequence: str


class AsideStory(msgspec.Struct, forbid_unknown_fields=True):
    """Some parameters are told of one request alone, and seldom: the question whether there is anything to tell."""

    question: str
    hint: str


class AskedStory(msgspec.Struct, forbid_unknown_fields=True):
    """A parameter of an act: a text of at most so many characters, one of the choices, or a name of the settings."""

    name: str
    question: str
    hint: str
    is_required: bool
    most: int | None
    choices: list[ChoiceStory]
    names: Literal["provider"] | None
    aside: AsideStory | None


class ActStory(msgspec.Struct, forbid_unknown_fields=True):
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


class ActList(msgspec.Struct, forbid_unknown_fields=True):
    """Every act on requests, in the order in which people are offered them, and the roles that may act."""

    acts: list[ActStory]
    roles: list[str]


class ActResult(msgspec.Struct):
    """What became of an act on one request, or would become of it."""

    id: str
    done: bool
    outcome: str
    consequence: str = ""


class BulkResult(msgspec.Struct):
    """What became of one page of requests; `matching` counts all that the filter finds from here on."""

    dry_run: bool
    matching: int
    done: int
    results: list[ActResult]
    consequence: str
    next_page: str | None


class HoldRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to hold back: everything, newstore, or by name a provider, location, request, rejections or an operation."""

    scope: str
    reason: Reason
    name: Annotated[str, msgspec.Meta(max_length=255)] = ""  # no id of a request is longer
    minutes: float | None = None


class MappingRequest(Decision):
    """What a provider calls something: a service_level, product or carrier by NewStore's word and by its own."""

    provider: Annotated[str, msgspec.Meta(max_length=255)]
    kind: Annotated[str, msgspec.Meta(max_length=64)]
    ours: Annotated[str, msgspec.Meta(max_length=500)]
    theirs: Annotated[str, msgspec.Meta(max_length=500)]


class MappingStory(msgspec.Struct, forbid_unknown_fields=True):
    """What a provider calls something; without an id it is the file that says so."""

    id: int | None
    provider: str
    kind: str
    ours: str
    theirs: str
    who: str | None
    at: Moment | None


class UnmappedStory(msgspec.Struct, forbid_unknown_fields=True):
    """A word that nobody has mapped: NewStore's, or the provider's own; and how many orders and messages wait."""

    provider: str
    kind: str
    unmapped: str
    side: Literal["ours", "theirs"]
    orders: int
    messages: int


class MappingList(msgspec.Struct, forbid_unknown_fields=True):
    """All that is mapped, the version of the last change by a person, and what waits, most first."""

    version: int
    mappings: list[MappingStory]
    unmapped: list[UnmappedStory]


class WaitingFor(msgspec.Struct, forbid_unknown_fields=True):
    """Who has to move next, since when, and what comes next."""

    who: str
    since: Moment
    next: str


class RequestSummary(msgspec.Struct, forbid_unknown_fields=True):
    """One fulfillment request in a list."""

    id: str
    order_id: str | None
    location: str
    provider: str | None
    reference: str
    service_level: str | None
    status: Literal["dispatched", "acknowledged", "partially_completed", "completed"]
    pending: bool
    failure: str | None
    rejected: bool
    conflicts: int
    taken_by: str | None
    closed: bool
    received_at: Moment
    submitted_at: Moment | None
    accepted_at: Moment | None
    shipped_at: Moment | None
    settled_at: Moment | None
    waiting_for: WaitingFor | None


class RequestPage(msgspec.Struct, forbid_unknown_fields=True):
    """A page of requests; `next_page` is the `after` of the next one."""

    requests: list[RequestSummary]
    next_page: str | None


class UnitStory(msgspec.Struct, forbid_unknown_fields=True):
    """One unit: what the provider said of it, and what NewStore confirmed."""

    product_id: str
    said: str
    confirmed: str
    accepted_at: Moment | None
    backordered: bool
    reported_by: int | None


class ParcelStory(msgspec.Struct, forbid_unknown_fields=True):
    """One parcel; units with the same `reported_by` are in it."""

    reported_by: int
    carrier: str
    tracking_code: str
    tracking_url: str | None
    carrier_said: str | None
    code_said: str | None


class EventStory(msgspec.Struct, forbid_unknown_fields=True):
    """One entry of the log; `hands_to` tells who has to move then, None where it stays with whoever had to."""

    version: int
    kind: str
    at: Moment
    cause: str
    hands_to: Literal["gateway", "provider", "newstore", "operations"] | None
    fact: dict[str, Any]


class AttemptStory(msgspec.Struct, forbid_unknown_fields=True):
    """One try of an owed call."""

    operation: str
    seq: int
    attempt: int
    destination: str
    at: Moment
    seconds: float
    outcome: str
    status: int | None
    detail: str
    mappings: int | None
    trace_id: str | None
    is_late: bool


class OwedCall(msgspec.Struct, forbid_unknown_fields=True):
    """A call that is still owed.

    `waits_for` names the call to the same destination that goes before it, `hold` the hold that keeps it back.
    """

    operation: str
    seq: int
    destination: str
    waits_for: str | None
    hold: int | None


class RequestStory(RequestSummary, forbid_unknown_fields=True, kw_only=True):
    """One request whole; `trace_id` names the trace in which it began, None where nobody traced it."""

    units: list[UnitStory]
    parcels: list[ParcelStory]
    events: list[EventStory]
    attempts: list[AttemptStory]
    owed: list[OwedCall]
    trace_id: str | None


class BodyStory(msgspec.Struct, forbid_unknown_fields=True):
    """One body as it came, or masked; `text` is None where it is masked and no JSON.

    `about` is the event that it led to, why it is in quarantine, or the call and try that it answers. What an adapter
    wrote has the sender `gateway`, and `about` is the call and try in which a provider was sent it.
    """

    sender: str
    is_answer: bool
    about: str
    at: Moment
    bytes: int
    text: str | None


class BodyList(msgspec.Struct, forbid_unknown_fields=True):
    """NewStore's request, and then the newest of what else was said of it."""

    masked: bool
    bodies: list[BodyStory]


class HoldStory(msgspec.Struct, forbid_unknown_fields=True):
    """Something is held back."""

    id: int
    scope: Literal["everything", "newstore", "provider", "location", "request", "rejections", "operation"]
    name: str
    reason: str
    who: str
    at: Moment
    expires_at: Moment | None


class Comparison(msgspec.Struct, forbid_unknown_fields=True):
    """How many requests that a restore left open are compared with NewStore, of how many; the release begins that."""

    compared: int
    of: int


class LocationSummary(msgspec.Struct, forbid_unknown_fields=True):
    """What is open at one location with one provider; `failures` counts the failed ones by cause."""

    location: str
    provider: str | None
    pending: int
    failed: int
    rejected: int
    unroutable: int
    oldest_pending: Moment | None
    failures: dict[str, int]


class Summary(msgspec.Struct, forbid_unknown_fields=True):
    """The counts of what is open, and what else may need a person; `newly_failed` since `since`."""

    locations: list[LocationSummary]
    quarantined: int
    dead_deliveries: int
    newly_failed: int
    since: Moment
    taken: dict[str, int]
    shut: list[str]
    holds: list[HoldStory]
    comparison: Comparison | None


class Reloaded(msgspec.Struct):
    """What came of reading the settings anew; where there are faults the old ones stay, all of them."""

    changed: list[str]
    needs_restart: list[str]
    faults: list[str]


class Me(msgspec.Struct, forbid_unknown_fields=True):
    """Whose token it is, and what they may do."""

    name: str
    role: Literal["viewer", "operator", "admin"]


class FailureCause(msgspec.Struct, forbid_unknown_fields=True):
    """How many requests failed in one way at one place; `said` is what one of them was answered."""

    failure: str
    location: str
    provider: str | None
    operation: str | None
    why: str | None
    requests: int
    untaken: int
    oldest: Moment
    newest: Moment
    said: str | None


class FailureCauses(msgspec.Struct, forbid_unknown_fields=True):
    """What failed, by its cause; the most frequent first."""

    failures: list[FailureCause]


class Speed(msgspec.Struct, forbid_unknown_fields=True):
    """How fast the newest requests of a location went, in seconds from their receipt; None where none got so far."""

    location: str
    received: int
    accepted: int
    shipped: int
    accept_p50: float | None
    accept_p90: float | None
    ship_p50: float | None
    ship_p90: float | None


class Flow(msgspec.Struct, forbid_unknown_fields=True):
    """How many requests came, and how many shipped first, in one span of time."""

    at: Moment
    location: str
    received: int
    shipped: int


class Trends(msgspec.Struct, forbid_unknown_fields=True):
    """The newest 5,000 requests of the last day; `since` is None where there are none."""

    since: Moment | None
    bucket_seconds: int
    speeds: list[Speed]
    flow: list[Flow]


class LocationStory(msgspec.Struct, forbid_unknown_fields=True):
    """One DC of the settings, and what is held back there."""

    id: str
    provider: str | None
    adapter: str | None
    time_zone: str
    accept_when: Literal["said", "taken"]
    on_provider_cancel: Literal["quarantine", "reject", "cancel"]
    backorder: Literal["wait", "reject"]
    backorder_grace: float
    after_backorder_grace: Literal["person", "reject"]
    holds: list[HoldStory]


class LocationList(msgspec.Struct, forbid_unknown_fields=True):
    """All DCs of the settings."""

    locations: list[LocationStory]


class PollStory(msgspec.Struct, forbid_unknown_fields=True):
    """How a provider is asked for news: `polled_at` is when that last went well, `detail` why it fails since then."""

    every_seconds: float
    due_at: Moment
    polled_at: Moment | None
    failing_since: Moment | None
    detail: str


class DestinationStory(msgspec.Struct, forbid_unknown_fields=True):
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
    oldest_due: Moment | None
    flying: int
    breaker: Literal["closed", "open"]
    shut_at: Moment | None
    probe_at: Moment | None
    not_before: Moment | None
    calls: int
    failures: int
    calls_left: int | None
    poll: PollStory | None


class DestinationList(msgspec.Struct, forbid_unknown_fields=True):
    """NewStore and all providers of the settings."""

    destinations: list[DestinationStory]


class HoldList(msgspec.Struct, forbid_unknown_fields=True):
    """All that is held back now."""

    holds: list[HoldStory]
    comparison: Comparison | None


class QuarantineEntry(msgspec.Struct, forbid_unknown_fields=True):
    """One message that waits for a decision."""

    id: int
    source: str
    event_id: str
    request_id: str | None
    reason: str
    detail: str
    at: Moment


class QuarantinePage(msgspec.Struct, forbid_unknown_fields=True):
    """A page of them, oldest first; `next_page` is the `after` of the next one."""

    quarantine: list[QuarantineEntry]
    next_page: str | None


class QuarantineStory(QuarantineEntry, forbid_unknown_fields=True, kw_only=True):
    """One message: what was read of it, and its body, masked; `text` is None where it is no JSON."""

    resolved_at: Moment | None
    bytes: int
    said: dict[str, Any] | None
    text: str | None


class QuarantineResult(msgspec.Struct, forbid_unknown_fields=True):
    """What became of a message.

    `result` is the word its sender would hear, or "discarded". `done` is false where it has no effect; `why` says why.
    """

    id: int
    request_id: str | None
    outcome: str
    result: str
    done: bool
    why: str


class AuditEntry(msgspec.Struct, forbid_unknown_fields=True):
    """Who did what to which subject, why, and what followed."""

    id: int
    at: Moment
    who: str
    action: str
    subject: str
    reason: str
    outcome: str


class AuditPage(msgspec.Struct, forbid_unknown_fields=True):
    """A page of them, newest first; `next_page` is the `before` of the next one."""

    audit: list[AuditEntry]
    next_page: str | None
