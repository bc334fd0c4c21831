"""Read what operators ask: filters, page sizes, and the JSON of what they want done."""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from aiohttp import web

from gateway.api_shapes import Decision
from gateway.ledger.read import listing
from gateway.web.answers import ECHO, Problem

T = TypeVar("T", bound=msgspec.Struct)

_MOST = 200
_TIMES = frozenset({"since", "until", "changed_since"})


def read_as(kind: type[T], body: bytes) -> T:
    """Read a JSON body as this type; what is wrong is a 400 that says where."""
    try:
        read = msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Problem(400, f"{error}; compare the body with /openapi.json") from error
    if any("\0" in text for text in _texts(read)):
        raise Problem(400, "the body holds a NUL character; remove it")
    return read


def reason_in(body: bytes, what: str) -> str:
    """Read why somebody wants `what`; nothing is done without it."""
    return given(read_as(Decision, body), what)


def given(decision: Decision, what: str) -> str:
    """Give the reason of a decision, which none may lack."""
    reason = decision.reason.strip()
    if not reason:
        raise Problem(400, f"{what} needs a reason; it goes into the audit")
    return reason


def _texts(read: msgspec.Struct) -> Iterator[str]:
    for value in msgspec.structs.astuple(read):
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from value.values()


def filters_of(asked: Mapping[str, str]) -> dict[str, str]:
    """Check a filter for requests, and write its times as Postgres reads them."""
    if unknown := asked.keys() - set(listing.FILTERS):
        raise Problem(400, f"no filter {', '.join(sorted(unknown))[:ECHO]}; choose from {', '.join(listing.FILTERS)}")
    if asked.get("status", "pending") not in listing.STATUSES:
        raise Problem(400, f"no such status; choose one of {', '.join(listing.STATUSES)}")
    if any("\0" in value for value in asked.values()):
        raise Problem(400, "a filter holds a NUL character; remove it")
    if {"changed_since", "taken_by", "failure"} & asked.keys() and asked.get("status") not in listing.OPEN_STATUSES:
        raise Problem(400, "changed_since, taken_by and failure need a status: pending, failed, rejected or unroutable")
    return {**asked, **{name: moment_of(name, asked[name]).isoformat() for name in _TIMES & asked.keys()}}


def check_named(kind: str, name: str, named: Collection[str]) -> None:
    """Check that the settings name this location or provider."""
    if name not in named:
        raise Problem(400, f"no {kind} {name[:ECHO]!r} in the settings; choose one of {', '.join(named)}")


def id_of(request: web.Request) -> str:
    """Give the id of a request in a path; one that no request can have is answered at once."""
    request_id = request.match_info["id"]
    if "\0" in request_id:
        raise no_such_request()
    return request_id


def no_such_request() -> Problem:
    return Problem(404, "no request has this id; look it up by order or reference in /v1/requests")


def moment_of(name: str, text: str) -> datetime:
    """Read a time."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise Problem(400, f"{name} has no time zone; add one, Z for UTC")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Problem(400, f"{name} is no time; write it as 2026-03-05T09:00:00Z") from error


def place_of(cursor: str | None) -> None:
    """Check a cursor of a list of requests."""
    if cursor and "\0" in cursor:
        raise Problem(400, "after holds a NUL character; use the next_page of the page before")
    try:
        listing.position_of(cursor)
    except (ValueError, OverflowError, OSError) as error:
        raise Problem(400, "after is no cursor; use the next_page of the page before") from error


def limit_of(text: str) -> int:
    """Read a page size."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MOST)) and 1 <= int(text) <= _MOST):
        raise Problem(400, f"limit is no page size; choose a whole number from 1 to {_MOST}")
    return int(text)


def number_of(name: str, text: str | None) -> int | None:
    """Read an id of ours."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Problem(400, f"{name} is no number; use one from the list")
    return int(text)
