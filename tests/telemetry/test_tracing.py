"""Traces are off until somebody asks for them: no import, one shared object, and nothing that is remembered."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from omni.telemetry import tracing
from omni.telemetry.otel import is_wanted, traces

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_off_a_span_is_one_shared_object() -> None:
    assert not tracing.is_on()
    with tracing.begin("one", attributes={"a": 1}) as one, tracing.goes_on("two") as two:
        assert one is two
        assert tracing.here() is None
        one.put("b", 2)
        one.fail("nothing")
    assert tracing.taken("three", TRACE) is one
    assert tracing.exemplar() is None


def test_the_server_starts_without_opentelemetry() -> None:
    code = (
        "import omni.app.server, omni.cli.serve, sys; "
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google.protobuf', 'requests'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_SERVICE_NAME": "omni"}, False),
    ],
)
def test_traces_are_told_where_the_fields_own_variables_ask_for_it(variables: dict[str, str], wanted: bool) -> None:
    assert is_wanted(variables) is wanted


@pytest.mark.parametrize("protocol", ["grpc", "http/json"])
async def test_what_cannot_be_is_a_sentence_and_the_server_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    async with traces("all"):
        assert not tracing.is_on()
    assert f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}" in caplog.text


@pytest.mark.parametrize(
    "text", ["", "00-0-0-0", TRACE.upper(), TRACE + "-x", "00-" + "0" * 32 + TRACE[35:], None, 7, b"x"]
)
def test_a_traceparent_that_is_none_counts_for_nothing(text: object) -> None:
    assert tracing.known(text) is None
    assert tracing.known(TRACE) == TRACE


async def test_work_that_was_begun_elsewhere_belongs_to_its_own_trace() -> None:
    seen: list[str | None] = []

    async def work(trace: str | None) -> None:
        with tracing.Within(trace):
            await asyncio.sleep(0)
            seen.append(tracing.trace_id())

    other = TRACE.replace("0af", "1af")
    with tracing.Within(TRACE):
        await asyncio.gather(work(other), work(None))
        assert tracing.here() == TRACE
    assert sorted(seen, key=str) == ["1af7651916cd43dd8448eb211c80319c", None]
