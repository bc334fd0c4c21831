"""What a listener can be asked, as a row of a table, and the router that its rows make."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from aiohttp.typedefs import Handler

Role = Literal["location", "provider", "viewer", "operator", "admin"]
"""Whose key it takes; of an operator the least that may do it."""


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that can be asked: by whom, with which body and query, and the shape of each answer by its status.

    A path is written as aiohttp reads it. The shape None is plain text, and `takes` names the shapes of a body.
    """

    method: str
    path: str
    handler: Handler
    role: Role | None
    summary: str
    answers: dict[int, type | None]
    takes: tuple[Any, ...] = ()
    query: tuple[str, ...] = ()
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_form: bool = False


ROLES = web.AppKey("roles", dict[web.AbstractRoute, Role | None])


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    """Have the application serve these routes and no others."""
    app[ROLES] = {app.router.add_route(each.method, each.path, each.handler): each.role for each in routes}


def role_for(request: web.Request) -> Role | None:
    """Tell who may ask this; None also for what no route takes."""
    return request.app[ROLES].get(request.match_info.route)
