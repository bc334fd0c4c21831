"""The OpenAPI document, and whether an answer or a body is what it says."""

import json
import re
from typing import Any

from aiohttp import ClientResponse
from openapi_schema_validator import OAS31Validator

from gateway.operations import openapi
from gateway.routes import ROUTES

DOCUMENT = openapi.document(ROUTES)
PATHS = {re.compile(re.sub(r"\{\w+\}", "[^/]+", path)): path for path in DOCUMENT["paths"]}


def faults(body: Any, schema: Any) -> list[str]:
    """Name what of a body is not as a schema of the document has it."""
    whole = {**schema, "components": DOCUMENT["components"]}
    return [f"{fault.json_path}: {fault.message}" for fault in OAS31Validator(whole).iter_errors(body)]


def message(path: str) -> Any:
    """Give the schema of what may be posted here."""
    return DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]


def _operations(answer: ClientResponse) -> list[Any]:
    """Find what was asked for; `/reveal` is a route of its own, and could be an action by its path."""
    methods = [DOCUMENT["paths"][path] for each, path in PATHS.items() if each.fullmatch(answer.url.raw_path)]
    return [each[answer.method.lower()] for each in methods[:1] if answer.method.lower() in each]


async def as_documented(answer: ClientResponse) -> ClientResponse:
    """Check an answer of a route, and give it back."""
    for operation in _operations(answer):
        where = f"{answer.method} {answer.url.path}: {answer.status}"
        documented = operation["responses"].get(str(answer.status))
        assert documented, f"{where} is not in the document"
        ((media, content),) = documented["content"].items()
        assert answer.content_type == media, where
        assert faults(json.loads(await answer.read()), content["schema"]) == [], where
    return answer
