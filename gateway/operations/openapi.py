"""The OpenAPI document of both listeners, made from the types of the answers and one line for each route."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from gateway.ledger.read.listing import FILTERS, STATUSES
from gateway.web.answers import ProblemDocument
from gateway.web.receipts import CallbackReceipt, Receipt

from .acts import ACTIONS, BULK, ActRequest, ActResult, BulkActRequest, BulkResult
from .holds import HoldRequest
from .masking import MASK
from .queries import Decision
from .shapes import (
    AuditPage,
    BodyList,
    DestinationList,
    FailureCauses,
    HoldList,
    HoldStory,
    LocationList,
    Me,
    QuarantinePage,
    QuarantineResult,
    QuarantineStory,
    Reloaded,
    RequestPage,
    RequestStory,
    Summary,
    Trends,
)

_TEXT = "text/plain"
_WHO_READS = (
    f"Where a viewer reads {MASK}, somebody else wrote a text that an operator may read: the query of a tracking link, "
    "a name that looks like no id, a word that is quoted. In bodies it may also be personal data, which admins may see."
)
_ANSWERS = {
    200: "Done: what it says is committed",
    201: "Done: it holds from now on",
    202: "Stored and not applied; `result` and `reason` say why",
    400: "It can't be read; the bytes are kept",
    401: "A wrong or missing key",
    403: "Not yours to do",
    404: "No such thing",
    409: "Not done, and nothing is changed; it says why",
    408: "The body came too slowly",
    413: "The body is too large",
    415: "The body has a Content-Encoding that is not understood",
    422: "It can never be right for this request",
    503: "Nothing is stored; send the same again after Retry-After",
}


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    path: str
    summary: str
    good: dict[int, type | None]
    bad: tuple[int, ...] = ()
    security: str | None = None
    takes_json: bool = False
    query: tuple[str, ...] = ()
    takes: type | None = None


ROUTES = (
    _Route(
        "post", "/newstore/{location}/fulfillment_requests", "NewStore asks a location to fulfill a request",
        {200: Receipt}, (400, 401, 404, 408, 413, 415, 503), "location_key", takes_json=True,
    ),
    _Route(
        "post", "/providers/{provider}/callbacks", "A provider says what became of units",
        {200: CallbackReceipt, 202: CallbackReceipt}, (400, 401, 403, 404, 408, 413, 415, 422, 503), "callback_key",
        takes_json=True,
    ),
    _Route(
        "get", "/v1/requests", "List requests, newest first", {200: RequestPage}, (400, 401, 503), "operator_token",
        query=(*FILTERS, "after", "limit"),
    ),
    _Route("get", "/v1/requests/{id}", "One request's story", {200: RequestStory}, (401, 404, 503), "operator_token"),
    _Route(
        "get", "/v1/requests/{id}/bodies", "What was sent and answered, with personal data masked", {200: BodyList},
        (401, 404, 503), "operator_token",
    ),
    _Route(
        "post", "/v1/requests/{id}/reveal", "The same as it came; an admin says why, and it is audited",
        {200: BodyList}, (400, 401, 403, 404, 503), "operator_token", takes=Decision,
    ),
    _Route(
        "post", "/v1/requests/{id}/{action}", f"Do something about a request: {', '.join(ACTIONS)}",
        {200: ActResult, 409: ActResult}, (400, 401, 403, 404, 503), "operator_token", takes=ActRequest,
    ),
    *(
        _Route(
            "post", f"/v1/{path}", f"{action.capitalize()} what a filter finds; dry_run counts first",
            {200: BulkResult}, (400, 401, 403, 503), "operator_token", takes=BulkActRequest,
        )
        for path, action in BULK.items()
    ),
    _Route("get", "/v1/holds", "List what is held back", {200: HoldList}, (401, 503), "operator_token"),
    _Route(
        "post", "/v1/holds", "Hold something back", {201: HoldStory}, (400, 401, 403, 503), "operator_token",
        takes=HoldRequest,
    ),
    _Route(
        "post", "/v1/holds/{id}/release", "Release a hold", {200: HoldStory}, (400, 401, 403, 404, 503),
        "operator_token", takes=Decision,
    ),
    _Route(
        "get", "/v1/quarantine", "List messages that wait for a decision", {200: QuarantinePage}, (400, 401, 503),
        "operator_token", query=("after", "limit"),
    ),
    _Route(
        "get", "/v1/quarantine/{id}", "One quarantined message, with personal data masked", {200: QuarantineStory},
        (400, 401, 404, 503), "operator_token",
    ),
    _Route(
        "post", "/v1/quarantine/{id}/reveal", "Its body as it came; an admin says why, and it is audited",
        {200: BodyList}, (400, 401, 403, 404, 503), "operator_token", takes=Decision,
    ),
    *(
        _Route(
            "post", f"/v1/quarantine/{{id}}/{way}", summary, {200: QuarantineResult}, (400, 401, 403, 404, 409, 503),
            "operator_token", takes=Decision,
        )
        for way, summary in (("replay", "Read a message again and apply it"), ("discard", "Let a message go"))
    ),
    _Route(
        "get", "/v1/audit", "Who did what and why, newest first", {200: AuditPage}, (400, 401, 503),
        "operator_token", query=("before", "limit", "subject", "who", "action"),
    ),
    _Route(
        "post", "/v1/reload", "Read the settings and the files of secrets anew; an admin says why, and it is audited",
        {200: Reloaded, 409: Reloaded}, (400, 401, 403, 503), "operator_token", takes=Decision,
    ),
    _Route("get", "/v1/me", "Whose token is this?", {200: Me}, (401,), "operator_token"),
    _Route(
        "get", "/v1/summary", "Count what is open, and what failed since a time (else within 8 hours)", {200: Summary},
        (400, 401, 503), "operator_token", query=("since",),
    ),
    *(
        _Route("get", f"/v1/{path}", summary, {200: kind}, (401, 503), "operator_token")
        for path, summary, kind in (
            ("failures", "What failed, by its cause", FailureCauses),
            ("trends", "How fast the newest requests went", Trends),
            ("locations", "The DCs, and what is held back there", LocationList),
            ("destinations", "NewStore and the providers: breaker, budget, and what waits", DestinationList),
        )
    ),
    _Route("get", "/livez", "Is the process alive?", {200: None}),
    _Route("get", "/readyz", "Can the process store anything?", {200: None}, (503,)),
    _Route("get", "/metrics", "Metrics for Prometheus", {200: None}),
    _Route("get", "/openapi.json", "This document", {200: dict}),
)  # fmt: skip


def document() -> dict[str, Any]:
    """Make the document."""
    types = [kind for route in ROUTES for kind in (*route.good.values(), route.takes) if kind not in {None, dict}]
    _, schemas = msgspec.json.schema_components(
        [*dict.fromkeys(types), ProblemDocument], ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method] = _operation(route)
    bearer = {"type": "http", "scheme": "bearer"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fulfillment gateway", "version": _version(), "description": _WHO_READS},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {name: bearer for name in ("location_key", "callback_key", "operator_token")},  # noqa: C420 - each its own
        },
    }


def _operation(route: _Route) -> dict[str, Any]:
    answers = {status: _content(kind) for status, kind in route.good.items()}
    answers |= {status: {"application/problem+json": {"schema": _ref(ProblemDocument)}} for status in route.bad}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "responses": {str(s): {"description": _ANSWERS[s], "content": content} for s, content in answers.items()},
    }
    if parameters := [*_path_parameters(route.path), *map(_query_parameter, route.query)]:
        operation["parameters"] = parameters
    if route.security:
        operation["security"] = [{route.security: []}]
    if route.takes is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(route.takes)}}}
    if route.takes_json:
        schema = {"type": "object", "description": "The sender's own JSON; unknown fields are kept and passed on"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _content(kind: type | None) -> dict[str, Any]:
    if kind is None:
        return {_TEXT: {"schema": {"type": "string"}}}
    return {"application/json": {"schema": {"type": "object"} if kind is dict else _ref(kind)}}


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameter(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if name == "status":
        schema["enum"] = list(STATUSES)
    elif name == "limit":
        schema = {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    return {"name": name, "in": "query", "schema": schema}


def _version() -> str:
    try:
        return version("newstore-fulfillment-gateway")
    except PackageNotFoundError:
        return "0"
