"""A spoken turn as its trace tells it: stages that add up to what the caller waited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from omni.model.entry import BotFinished
from omni.telemetry import tracing
from omni.telemetry.otel import OtelTracer
from tests.voice.call.clock import played
from tests.voice.call.stage import open_stage


@pytest.fixture
def told() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.install(OtelTracer(provider.get_tracer("test")))
    yield exporter
    tracing.install(None)
    provider.shutdown()


def named(told: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in told.get_finished_spans() if span.name.startswith(name)]


def took(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


@played
async def test_the_stages_of_a_turn_add_up(tmp_path: Path, told: InMemorySpanExporter) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call(greets="")
        await show.says("book a table")
        await show.until_fact(BotFinished)
        show.phone.leave()
        await show.over()
        times = show.call.times.of(1)
    (turn,) = named(told, "voice turn")
    assert took(turn) == pytest.approx(times["e2e"], abs=0.005)
    (silence,) = named(told, "end of turn")
    assert took(silence) == pytest.approx(times["eou"], abs=0.005)
    for name in ("end of turn", "first words", "first sound", "first audio out", "invoke_agent "):
        (span,) = named(told, name)
        assert span.parent is not None
        assert span.parent.span_id == turn.get_span_context().span_id, name
        assert span.context.trace_id == turn.context.trace_id


@played
async def test_every_turn_has_a_trace_of_its_own(tmp_path: Path, told: InMemorySpanExporter) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call(greets="")
        for number, words in enumerate(("book a table", "for four people"), 1):
            await show.says(words)
            await show.until_fact(BotFinished, number)
        show.phone.leave()
        await show.over()
    turns = named(told, "voice turn")
    assert len(turns) == 2
    assert len({span.context.trace_id for span in turns}) == 2
    assert tracing.here() is None
