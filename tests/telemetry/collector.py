"""A collector that takes OTLP over HTTP and keeps what really arrived."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.listening import listening


@dataclass(frozen=True, slots=True)
class Arrived:
    """One span as it was decoded; ids in hex, a link as (trace id, span id)."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    links: list[tuple[str, str]]
    facts: dict[str, Any]
    is_error: bool
    seconds: float


@dataclass(slots=True)
class Collector:
    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    spans: list[Arrived] = field(default_factory=list)

    def named(self, name: str, **facts: object) -> list[Arrived]:
        return [each for each in self.spans if each.name == name and facts.items() <= each.facts.items()]

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        told = ExportTraceServiceRequest.FromString(body)
        self.spans += [
            _decoded(span) for resource in told.resource_spans for scope in resource.scope_spans for span in scope.spans
        ]
        return web.Response(content_type="application/x-protobuf")


def _decoded(span: Any) -> Arrived:
    return Arrived(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        [(each.trace_id.hex(), each.span_id.hex()) for each in span.links],
        {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes},
        span.status.code == 2,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    there = Collector()
    async with listening(web.post("/v1/traces", there.take)) as there.url:
        yield there
