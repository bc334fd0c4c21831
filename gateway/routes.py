"""The one table of what both listeners serve: their routers and the OpenAPI document are made from it."""

from collections.abc import Iterable, Iterator, Sequence

from aiohttp import web

from gateway.api_shapes import (
    ActList,
    ActRequest,
    ActResult,
    AuditPage,
    BodyList,
    BulkActRequest,
    BulkResult,
    CallbackProblem,
    CallbackReceipt,
    Decision,
    DestinationList,
    FailureCauses,
    HoldList,
    HoldRequest,
    HoldStory,
    LocationList,
    Me,
    ProblemDocument,
    QuarantinePage,
    QuarantineResult,
    QuarantineStory,
    Receipt,
    Reloaded,
    Replay,
    RequestPage,
    RequestStory,
    Summary,
    Trends,
)
from gateway.domain.acts import ACTS
from gateway.intake.callbacks import call_back
from gateway.intake.newstore import receive
from gateway.ledger.read.listing import FILTERS
from gateway.newstore.webhook import FulfillmentRequest
from gateway.operations import openapi
from gateway.operations.acts import act_on_many, act_on_one, list_acts
from gateway.operations.audited import list_audit
from gateway.operations.bodies import reveal, show_bodies
from gateway.operations.context import CONTEXT
from gateway.operations.health import readyz, show_metrics
from gateway.operations.holds import list_holds, place_hold, release_hold
from gateway.operations.overview import (
    list_destinations,
    list_failures,
    list_locations,
    show_me,
    show_trends,
    summarize,
)
from gateway.operations.quarantine import discard, list_quarantine, replay, reveal_quarantined, show_quarantine
from gateway.operations.reloading import reload_settings
from gateway.operations.requests import list_requests, show_request
from gateway.providers import ADAPTERS
from gateway.providers.port import Adapter, Place, Use
from gateway.web.answers import json_answer, livez
from gateway.web.routing import Route


def _no(*statuses: int) -> dict[int, type | None]:
    return dict.fromkeys(statuses, ProblemDocument)


async def show_openapi(request: web.Request) -> web.Response:
    used = request.app[CONTEXT].adapters.values()
    return json_answer(openapi.document(described((*ADAPTERS.values(), *map(type, used)))))


_BODY = (400, 401, 408, 413, 415, 503)
_ACT = (*_BODY, 403)
_TO_A_CALLBACK = {
    200: CallbackReceipt, 202: CallbackReceipt, 403: CallbackProblem, 422: CallbackProblem, **_no(*_BODY, 404),
}  # fmt: skip
_LIVEZ = Route("get", "/livez", livez, None, "Is the process alive?", {200: None})

PUBLIC = (
    Route(
        "post", "/newstore/{location}/fulfillment_requests", receive, "location",
        "NewStore asks a location to fulfill a request", {200: Receipt, **_no(*_BODY, 404)},
        takes=(FulfillmentRequest,),
    ),
    Route("*", "/providers/{provider}/{place:.+}", call_back, "provider", "What a provider's adapter serves", {}),
    _LIVEZ,
)  # fmt: skip
INTERNAL = (
    Route(
        "get", "/v1/requests", list_requests, "viewer", "List requests, newest first",
        {200: RequestPage, **_no(400, 401, 503)}, query=(*FILTERS, "after", "limit"),
    ),
    Route(
        "get", "/v1/requests/{id}", show_request, "viewer", "One request's story",
        {200: RequestStory, **_no(401, 404, 503)},
    ),
    Route(
        "get", "/v1/requests/{id}/bodies", show_bodies, "viewer",
        "What was sent and answered, with personal data masked", {200: BodyList, **_no(401, 404, 503)},
    ),
    Route(
        "post", "/v1/requests/{id}/reveal", reveal, "admin",
        "The same as it came; an admin says why, and it is audited",
        {200: BodyList, **_no(*_ACT, 404)}, takes=(Decision,),
    ),
    Route(
        "post", f"/v1/requests/{{id}}/{{action:{'|'.join(ACTS)}}}", act_on_one, "operator",
        f"Do something about a request: {', '.join(ACTS)}",
        {200: ActResult, 409: ActResult, **_no(*_ACT, 404)}, takes=(ActRequest,),
    ),
    *(
        Route(
            "post", f"/v1/{act.many}", act_on_many(act), "operator",
            f"{act.action.capitalize()} what a filter finds; dry_run counts first",
            {200: BulkResult, **_no(*_ACT)}, takes=(BulkActRequest,),
        )
        for act in ACTS.values()
        if act.many
    ),
    Route(
        "get", "/v1/acts", list_acts, "viewer", "What may be done about requests, by whom, and what follows from it",
        {200: ActList, **_no(401, 503)},
    ),
    Route(
        "get", "/v1/holds", list_holds, "viewer", "List what is held back", {200: HoldList, **_no(401, 503)},
    ),
    Route(
        "post", "/v1/holds", place_hold, "operator", "Hold something back", {201: HoldStory, **_no(*_ACT)},
        takes=(HoldRequest,),
    ),
    Route(
        "post", "/v1/holds/{id}/release", release_hold, "operator", "Release a hold",
        {200: HoldStory, **_no(*_ACT, 404)}, takes=(Decision,),
    ),
    Route(
        "get", "/v1/quarantine", list_quarantine, "viewer", "List messages that wait for a decision",
        {200: QuarantinePage, **_no(400, 401, 503)}, query=("after", "limit"),
    ),
    Route(
        "get", "/v1/quarantine/{id}", show_quarantine, "viewer",
        "One quarantined message, with personal data masked", {200: QuarantineStory, **_no(400, 401, 404, 503)},
    ),
    Route(
        "post", "/v1/quarantine/{id}/reveal", reveal_quarantined, "admin",
        "Its body as it came; an admin says why, and it is audited",
        {200: BodyList, **_no(*_ACT, 404)}, takes=(Decision,),
    ),
    Route(
        "post", "/v1/quarantine/{id}/replay", replay, "operator", "Read a message again and apply it",
        {200: QuarantineResult, **_no(*_ACT, 404, 409)}, takes=(Replay,),
    ),
    Route(
        "post", "/v1/quarantine/{id}/discard", discard, "operator", "Let a message go",
        {200: QuarantineResult, **_no(*_ACT, 404, 409)}, takes=(Decision,),
    ),
    Route(
        "get", "/v1/audit", list_audit, "viewer", "Who did what and why, newest first",
        {200: AuditPage, **_no(400, 401, 503)}, query=("before", "limit", "subject", "who", "action"),
    ),
    Route(
        "post", "/v1/reload", reload_settings, "admin",
        "Read the settings and the files of secrets anew; an admin says why, and it is audited",
        {200: Reloaded, 409: Reloaded, **_no(*_ACT, 404)}, takes=(Decision,),
    ),
    Route("get", "/v1/me", show_me, "viewer", "Whose token is this?", {200: Me, **_no(401)}),
    Route(
        "get", "/v1/summary", summarize, "viewer",
        "Count what is open, and what failed since a time (else within 8 hours)",
        {200: Summary, **_no(400, 401, 503)}, query=("since",),
    ),
    Route(
        "get", "/v1/failures", list_failures, "viewer", "What failed, by its cause",
        {200: FailureCauses, **_no(401, 503)},
    ),
    Route(
        "get", "/v1/trends", show_trends, "viewer", "How fast the newest requests went",
        {200: Trends, **_no(401, 503)},
    ),
    Route(
        "get", "/v1/locations", list_locations, "viewer", "The DCs, and what is held back there",
        {200: LocationList, **_no(401, 503)},
    ),
    Route(
        "get", "/v1/destinations", list_destinations, "viewer",
        "NewStore and the providers: breaker, budget, and what waits", {200: DestinationList, **_no(401, 503)},
    ),
    _LIVEZ,
    Route("get", "/readyz", readyz, None, "Can the process store anything?", {200: None, **_no(503)}),
    Route("get", "/metrics", show_metrics, None, "Metrics for Prometheus", {200: None}),
    Route("get", "/openapi.json", show_openapi, None, "This document", {200: dict}),
)  # fmt: skip


def described(adapters: Iterable[type[Adapter]]) -> tuple[Route, ...]:
    """Give the routes of both listeners, and in the place of the providers' door what these adapters serve there."""
    behind = tuple(_behind(list(dict.fromkeys(adapters))))
    return tuple(each for route in (*PUBLIC, *INTERNAL) for each in (behind if route.method == "*" else (route,)))


def _behind(adapters: Sequence[type[Adapter]]) -> Iterator[Route]:
    """Give a route for each place; where several adapters serve one, it takes what any of them understands."""
    served: dict[tuple[str, str], list[tuple[type[Adapter], Place]]] = {}
    for adapter in adapters:
        for place in adapter.places:
            served.setdefault((place.method.lower(), place.path), []).append((adapter, place))
    for (method, path), by in served.items():
        first, is_callback = by[0][1], not any(place.takes or place.answers for _, place in by)
        understood = [each.understood for each, _ in by] if is_callback else [one for _, at in by for one in at.takes]
        yield Route(
            method,
            f"/providers/{{provider}}/{path}",
            call_back,
            None if first.use in {Use.SIGNS_IN, Use.GREETS} else "provider",
            first.summary,
            dict(_TO_A_CALLBACK if is_callback else first.answers),
            takes=tuple(each for each in understood if each and openapi.is_describable(each)),
            examples={name: example for each, _ in by for name, example in each.examples.items()}
            if is_callback
            else {},
            is_form=first.is_form,
        )


ROUTES = described(ADAPTERS.values())
"""All that can be asked of a gateway, as far as its own adapters go."""
