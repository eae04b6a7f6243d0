"""Traces as OpenTelemetry tells them: its SDK behind `omni.telemetry.tracing`, sending OTLP over HTTP.

Everything is set by the field's own variables (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, …),
which the SDK reads itself. Spans wait in a bounded list and are sent by a thread: a collector that is away, slow or
odd costs the spans that do not fit, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from omni.telemetry import tracing
from omni.telemetry.tracing import Attributes, Kind, Recorder, Value

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, SpanContext, Tracer

log = logging.getLogger("omni.traces")

GOODBYE_SECONDS: Final = 2.0
"""How long the last spans may take to leave a process that ends."""


def is_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the variables ask for traces to be sent."""
    named = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    is_disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporters = environment.get("OTEL_TRACES_EXPORTER", "otlp")
    return bool(named) and not is_disabled and "otlp" in exporters.split(",")


@asynccontextmanager
async def traces(role: str) -> AsyncIterator[None]:
    """While it is open, this process tells of its spans, if that is wanted. The first that opens it is the one."""
    if not is_wanted() or tracing.is_on():
        yield
        return
    opened = await asyncio.to_thread(_open, role)  # the imports take a second
    if opened is None:
        yield
        return
    provider, exporter = opened
    tracing.install(OtelTracer(provider.get_tracer("omni")))
    try:
        yield
    finally:
        tracing.install(None)
        await _say_goodbye(provider, exporter)


def _open(role: str) -> tuple[TracerProvider, SpanExporter] | None:
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in (None, "", "http/protobuf"):
        log.warning(
            "no traces: OTEL_EXPORTER_OTLP_PROTOCOL is %r, and omni speaks http/protobuf (port 4318 of a collector)",
            protocol,
        )
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning(
            "no traces: OTEL_EXPORTER_OTLP_ENDPOINT is set, but %s is not installed: "
            "pip install 'omni-server[otel]', or set OTEL_SDK_DISABLED=true",
            error.name,
        )
        return None
    try:
        own = {"service.instance.id": f"{os.uname().nodename}:{os.getpid()}", "omni.role": role}
        if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in os.environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        ):
            own["service.name"] = "omni"
        provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
        exporter = OTLPSpanExporter()
        provider.add_span_processor(BatchSpanProcessor(exporter))
    except (ValueError, TypeError) as error:
        log.warning("no traces: one of the OTEL_… variables cannot be read: %s", error)
        return None
    return provider, exporter


async def _say_goodbye(provider: TracerProvider, exporter: SpanExporter) -> None:
    """In a thread that nobody has to wait for: a collector that hangs must not keep the process."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def shut_down() -> None:
        provider.shutdown()
        if not loop.is_closed():
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=shut_down, name="send the last spans", daemon=True).start()
    try:
        async with asyncio.timeout(GOODBYE_SECONDS):
            await done.wait()
    except TimeoutError:
        exporter.shutdown()  # it tries no more
        log.warning("the last spans were not taken within %g s", GOODBYE_SECONDS)


class OtelTracer:
    def __init__(self, tracer: Tracer) -> None:
        from opentelemetry import trace

        self._tracer = tracer
        self._trace = trace
        self._kinds: dict[Kind, trace.SpanKind] = {
            "internal": trace.SpanKind.INTERNAL,
            "server": trace.SpanKind.SERVER,
            "client": trace.SpanKind.CLIENT,
            "producer": trace.SpanKind.PRODUCER,
            "consumer": trace.SpanKind.CONSUMER,
        }

    def begin(
        self, name: str, kind: Kind, parent: str | None, attributes: Attributes, links: Iterable[str], at: float | None
    ) -> Recorder:
        from opentelemetry.context import Context

        trace = self._trace
        context = Context()
        if parent is not None:
            context = trace.set_span_in_context(trace.NonRecordingSpan(self._place(parent)), context)
        span = self._tracer.start_span(
            name,
            context,
            self._kinds[kind],
            {name: value for name, value in attributes.items() if value is not None},
            [trace.Link(self._place(link)) for link in links],
            start_time=_nanoseconds(at),
        )
        return _Recorder(span)

    def _place(self, traceparent: str) -> SpanContext:
        trace = self._trace
        _, trace_id, span_id, flags = traceparent.split("-")
        place: SpanContext = trace.SpanContext(
            int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=trace.TraceFlags(int(flags, 16))
        )
        return place


class _Recorder:
    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Span) -> None:
        self._span = span
        place = span.get_span_context()
        self.traceparent = f"00-{place.trace_id:032x}-{place.span_id:016x}-{int(place.trace_flags) & 1:02x}"

    def put(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def fail(self, reason: str) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attribute("error.type", reason)
        self._span.set_status(StatusCode.ERROR)

    def end(self, at: float | None) -> None:
        self._span.end(_nanoseconds(at))


def _nanoseconds(at: float | None) -> int | None:
    return None if at is None else int(at * 1e9)
