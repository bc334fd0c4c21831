"""The OpenAPI document of both listeners, made from the table of their routes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from gateway.api_shapes import ProblemDocument
from gateway.ledger.read.listing import STATUSES
from gateway.web.routing import Role, Route

from .masking import MASK

_WHO_READS = (
    f"Where a viewer reads {MASK}, somebody else wrote a text that an operator may read: the query of a tracking link, "
    "a name that looks like no id, a word that is quoted. In bodies it may also be personal data, which admins may see."
)
_ANSWERS = {
    200: "Done: what it says is committed",
    201: "Done: it is stored, and holds from now on",
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
    500: "The gateway has a fault and logged it; send the same again later",
    503: "Nothing is stored; send the same again after Retry-After",
}
_FAULT: dict[int, type | None] = {500: ProblemDocument}
"""What every route may answer."""
_KEYS: Mapping[Role, str] = {
    "location": "location_key",
    "provider": "callback_key",
    "viewer": "operator_token",
    "operator": "operator_token",
    "admin": "operator_token",
}
_WHO: Mapping[Role, str] = {"operator": "For operators and admins", "admin": "For admins alone"}
_PARAMETER = re.compile(r"\{(\w+)(?::([^}]+))?\}")
_Schema = dict[str, Any]


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Make the document."""
    schemas, components = _schemas(routes)
    paths: dict[str, _Schema] = {}
    for route in routes:
        paths.setdefault(_PARAMETER.sub(r"{\1}", route.path), {})[route.method] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fulfillment gateway", "version": _version(), "description": _WHO_READS},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {key: {"type": "http", "scheme": "bearer"} for key in _KEYS.values()},
        },
    }


def is_describable(shape: Any) -> bool:
    """Tell whether a type has a schema: that of a plug-in's messages may be anything."""
    try:
        msgspec.json.schema_components([shape])
    except TypeError:
        return False
    return True


def _schemas(routes: Iterable[Route]) -> tuple[dict[Any, _Schema], _Schema]:
    """Give the schema of every shape, and what those refer to."""
    shapes = list(dict.fromkeys(shape for each in routes for shape in (*each.answers.values(), *each.takes)))
    typed = [shape for shape in shapes if shape not in {None, dict}]
    schemas, components = msgspec.json.schema_components(typed, ref_template="#/components/schemas/{name}")
    return {None: {"type": "string"}, dict: {"type": "object"}, **dict(zip(typed, schemas, strict=True))}, components


def _operation(route: Route, schemas: Mapping[Any, _Schema]) -> _Schema:
    operation: _Schema = {
        "summary": route.summary,
        "responses": {
            str(status): {"description": _ANSWERS[status], "content": {_media(shape): {"schema": schemas[shape]}}}
            for status, shape in sorted((_FAULT | route.answers).items())
        },
    }
    if parameters := [*_path_parameters(route.path), *map(_query_parameter, route.query)]:
        operation["parameters"] = parameters
    if route.role:
        operation["security"] = [{_KEYS[route.role]: []}]
    if who := _WHO.get(route.role) if route.role else None:
        operation["description"] = who
    if route.takes:
        media = "application/x-www-form-urlencoded" if route.is_form else "application/json"
        operation["requestBody"] = {"required": True, "content": {media: _body(route, schemas)}}
    return operation


def _media(shape: type | None) -> str:
    if shape is None:
        return "text/plain"
    return "application/problem+json" if issubclass(shape, ProblemDocument) else "application/json"


def _body(route: Route, schemas: Mapping[Any, _Schema]) -> _Schema:
    first, *others = (schemas[shape] for shape in route.takes)
    body: _Schema = {"schema": {"anyOf": [first, *others]} if others else first}
    if route.examples:
        body["examples"] = {name: {"value": example} for name, example in route.examples.items()}
    return body


def _path_parameters(path: str) -> list[_Schema]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"} | _one_of(words)}
        for name, words in _PARAMETER.findall(path)
    ]


def _one_of(words: str) -> _Schema:
    return {"enum": words.split("|")} if words else {}


def _query_parameter(name: str) -> _Schema:
    schema: _Schema = {"type": "string"}
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
