"""Whether this process can store anything, and its metrics; nobody needs a token for these."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from gateway.ledger.database.connections import DATABASE_AWAY
from gateway.ledger.database.readiness import Readiness, sentence
from gateway.ledger.read.database_metrics import Numbers
from gateway.telemetry import metrics
from gateway.web.answers import not_ready
from gateway.web.timeouts import within

from .context import CONTEXT

NUMBERS = web.AppKey("numbers", Numbers)
READINESS = web.AppKey("readiness", Readiness)

_OPENMETRICS = "application/openmetrics-text"
_READY_SECONDS = 2.0
_ANSWERS = "SELECT"


async def readyz(request: web.Request) -> web.Response:
    """Say whether this process can store anything, and means to go on doing so."""
    context = request.app[CONTEXT]
    if context.draining.is_set():
        raise not_ready("this process is about to stop; send to another one")
    if reason := request.app[READINESS].reason:
        raise not_ready(reason)
    try:
        await within(_READY_SECONDS, context.pool.execute(_ANSWERS))
    except DATABASE_AWAY as error:
        raise not_ready(sentence(error)) from error
    return web.Response(text="ready\n")


async def show_metrics(request: web.Request) -> web.Response:
    """Tell this process' numbers and, as far as the database answers, those of all; with exemplars if asked for."""
    await request.app[NUMBERS].refresh()
    metrics.WRITER_WAITING.set(request.app[CONTEXT].writer.waiting)
    if _OPENMETRICS in request.headers.get("Accept", ""):
        body: bytes = openmetrics.generate_latest(metrics.REGISTRY)  # type: ignore[no-untyped-call]
        return web.Response(body=body, headers={"Content-Type": openmetrics.CONTENT_TYPE_LATEST})
    return web.Response(body=generate_latest(metrics.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})
