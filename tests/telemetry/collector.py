"""A collector that speaks OTLP over HTTP on a real socket, and what it was told, span by span.

Source: the OpenTelemetry Protocol, "OTLP/HTTP": POST /v1/traces, a protobuf, maybe gzipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class Told:
    """A span as it came. `begins` and `ends` are nanoseconds."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    begins: int
    ends: int
    is_error: bool
    attributes: dict[str, Any]
    links: tuple[str, ...]
    resource: dict[str, Any]


@dataclass(slots=True)
class Collector:
    """`manner` is how it answers: well, with a refusal, with rubbish, or not at all."""

    url: str = ""
    manner: Literal["well", "refuses", "rubbish", "hangs"] = "well"
    spans: list[Told] = field(default_factory=list)
    asked: int = 0
    leaves: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.asked += 1
        body = await request.read()  # aiohttp undoes gzip
        if self.manner == "hangs":
            await self.leaves.wait()
        if self.manner == "refuses":
            return web.Response(status=503)
        if self.manner == "rubbish":
            return web.Response(status=200, body=b"\xff\x00 this is no protobuf", content_type="text/html")
        told = ExportTraceServiceRequest.FromString(body)
        for resource in told.resource_spans:
            about = _values(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans += [_told(span, about) for span in scope.spans]
        return web.Response(body=b"", content_type="application/x-protobuf")

    def named(self, name: str) -> list[Told]:
        return [span for span in self.spans if span.name == name]

    def trace_of(self, name: str) -> str:
        """The only trace that has a span of this name."""
        (trace,) = {span.trace for span in self.named(name)}
        return trace

    def tree(self, trace: str) -> list[str]:
        """A trace as indented names: children below their parents, in the order of their beginnings."""
        spans = sorted((span for span in self.spans if span.trace == trace), key=lambda span: span.begins)
        known = {span.id for span in spans}

        def below(parent: str, depth: int) -> Iterable[str]:
            for span in spans:
                if (span.parent if span.parent in known else "") == parent:
                    yield "  " * depth + span.name
                    yield from below(span.id, depth + 1)

        return list(below("", 0))


def _told(span: Any, resource: dict[str, Any]) -> Told:
    return Told(
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=span.kind,
        begins=span.start_time_unix_nano,
        ends=span.end_time_unix_nano,
        is_error=span.status.code == 2,
        attributes=_values(span.attributes),
        links=tuple(link.trace_id.hex() for link in span.links),
        resource=resource,
    )


def _values(attributes: Iterable[Any]) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        collector.leaves.set()
        await runner.cleanup()


def ask_for_traces(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The variables as somebody sets them who wants traces, and soon."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "omni-under-test")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
