"""A spoken turn as one trace, told by a voice worker that is a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.server.exchange import exchange
from tests.server.shop import until
from tests.telemetry.collector import ask_for_traces, collecting

pytestmark = [pytest.mark.long, pytest.mark.timeout(240), pytest.mark.xdist_group("voices")]

ADA = "+12025550171"
STAGES = {"recognise", "end of turn", "first words", "first sound", "first audio out"}


async def test_a_phone_turn_is_one_trace_with_its_stages(
    tmp_path: Path, services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with collecting() as collector:
        ask_for_traces(monkeypatch, collector.url)
        async with exchange(tmp_path, services, "voice-1") as town:
            line = await town.talks(ADA)
            await line.says("Where are you?")
            await until(lambda: collector.named("voice turn") and collector.named("first audio out"))
            trace = collector.trace_of("first audio out")
            await until(lambda: any("invoke_agent" in name for name in collector.tree(trace)))
            whole, *parts = sorted(
                (span for span in collector.spans if span.trace == trace), key=lambda span: (span.parent, span.begins)
            )
            assert whole.name == "voice turn"
            assert {span.name for span in parts} >= STAGES
            assert all(span.parent == whole.id for span in parts if span.name in STAGES)
            assert whole.attributes["omni.transport"] == "phone"
            assert whole.attributes["omni.outcome"] == "heard"
            assert whole.resource["omni.role"] == "voice"
            told = str([(span.name, span.attributes) for span in collector.spans])
            assert ADA not in told
            assert ADA.removeprefix("+") not in told
            assert "Where are you" not in told
            await line.leaves()
