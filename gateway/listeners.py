"""The two listeners: what each works with, and the routes that it serves."""

import asyncio
from collections.abc import Mapping

import asyncpg
from aiohttp import web

from gateway.intake.context import CONTEXT as INTAKE
from gateway.intake.context import IntakeContext
from gateway.intake.counting import count
from gateway.intake.hearing import Hearing
from gateway.ledger.database.readiness import Readiness
from gateway.ledger.read.database_metrics import Numbers
from gateway.ledger.write.writer import Writer
from gateway.operations.access import operators_only
from gateway.operations.context import CONTEXT as OPERATIONS
from gateway.operations.context import OperationsContext, Reload
from gateway.operations.health import NUMBERS, READINESS
from gateway.providers.port import Adapter
from gateway.routes import INTERNAL, PUBLIC
from gateway.settings import Settings
from gateway.web.answers import name_no_version, problems
from gateway.web.guessing import Guesses
from gateway.web.listening import MOST
from gateway.web.routing import add_routes


def public_app(
    settings: Settings,
    writer: Writer,
    pool: asyncpg.Pool,
    hearing: Hearing,
    body_seconds: float = 10.0,
    *,
    draining: asyncio.Event | None = None,
) -> web.Application:
    """Build the public listener."""
    app = web.Application(middlewares=[count, problems], client_max_size=settings.body_limit)
    app.on_response_prepare.append(name_no_version)
    draining = draining or asyncio.Event()
    guesses = Guesses(MOST["public"] // 2, draining)
    app[INTAKE] = IntakeContext(settings, writer, pool, hearing, body_seconds, draining, guesses)
    add_routes(app, PUBLIC)
    return app


def internal_app(
    settings: Settings,
    pool: asyncpg.Pool,
    writer: Writer,
    adapters: Mapping[str, Adapter],
    draining: asyncio.Event | None = None,
    *,
    readiness: Readiness | None = None,
    reload: Reload | None = None,
    body_seconds: float = 10.0,
) -> web.Application:
    """Build the internal listener."""
    app = web.Application(middlewares=[problems, operators_only])
    app.on_response_prepare.append(name_no_version)
    draining = draining or asyncio.Event()
    guesses = Guesses(MOST["internal"] // 2, draining)
    app[OPERATIONS] = OperationsContext(settings, pool, writer, adapters, draining, guesses, reload, body_seconds)
    app[READINESS] = readiness or Readiness()
    app[NUMBERS] = numbers = Numbers(pool, settings)
    app.on_cleanup.append(lambda _: numbers.close())
    add_routes(app, INTERNAL)
    return app
