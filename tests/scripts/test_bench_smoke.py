"""The bench runs, prints its tables and ends; how fast anything is belongs to no test."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from servers import chromium

ROOT = Path(__file__).resolve().parents[2]


async def bench(*arguments: str) -> tuple[int | None, str]:
    """The exit status and all that was printed. A bench that is not done when the test is gets ended."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "scripts" / "bench.py"), *arguments, cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        printed, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.terminate()
            await child.wait()
    return child.returncode, printed.decode()


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_bench_prints_the_acknowledgement_beside_its_floor(tmp_path: Path) -> None:
    status, printed = await bench("--tiny", "--only", "ack", "--json", str(tmp_path / "figures.json"))
    assert status == 0, printed
    for words in ("Acknowledgement", "floor: + commits to SQLite", "omni, gateway", "Targets"):
        assert words in printed
    sections = json.loads((tmp_path / "figures.json").read_text())["sections"]
    rates = [one["rate"] for server in sections[0]["figures"]["servers"] for one in server["rounds"]]
    assert len(rates) >= 4
    assert min(rates) > 0


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_bench_answers_end_to_end() -> None:
    status, printed = await bench("--tiny", "--only", "e2e")
    assert status == 0, printed
    assert "256, with statuses" in printed


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_bench_puts_an_sdk_program_beside_the_script_brain_and_counts_its_events(tmp_path: Path) -> None:
    status, printed = await bench("--tiny", "--only", "program,events", "--json", str(tmp_path / "figures.json"))
    assert status == 0, printed
    program, events = json.loads((tmp_path / "figures.json").read_text())["sections"]
    levels = program["figures"]["levels"]
    assert [(one["name"], one["conversations"]) for one in levels] == [
        ("the script brain", 1), ("an SDK program", 1), ("the script brain", 64), ("an SDK program", 64),
    ]  # fmt: skip
    assert min(one["answers_per_second"] for one in levels) > 0
    assert min(one["events_per_second"] for one in events["figures"]["levels"]) > 0
    assert events["figures"]["sdk_events_per_second"] > 0


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_bench_opens_sockets_and_floods_one(tmp_path: Path) -> None:
    status, printed = await bench("--tiny", "--only", "sockets,flood", "--json", str(tmp_path / "figures.json"))
    assert status == 0, printed
    sockets, flood = json.loads((tmp_path / "figures.json").read_text())["sections"]
    assert sockets["figures"]["closed"] == 0
    assert sockets["figures"]["kb_per_idle_chat_socket"] > 0
    assert len(sockets["figures"]["chats"]) == 3
    rows = flood["figures"]["rows"]
    assert rows["a flood of history.add"]["taken_per_second"] > 0
    assert min(row["turn_p50_ms"] for row in rows.values()) > 0


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_bench_streams_a_webhooks_answers(tmp_path: Path) -> None:
    status, printed = await bench("--tiny", "--only", "webhook", "--json", str(tmp_path / "figures.json"))
    assert status == 0, printed
    (section,) = json.loads((tmp_path / "figures.json").read_text())["sections"]
    assert [one["failures"] for one in section["figures"]["levels"]] == [0, 0, 0]
    assert min(one["lines"] for one in section["figures"]["levels"]) > 0
    assert section["figures"]["server"]["unanswered"] == 0


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.xdist_group("browser")
@pytest.mark.timeout(120)
async def test_bench_opens_an_inbox_and_sees_every_message_in_it(tmp_path: Path) -> None:
    if chromium.find() is None:
        pytest.skip("Chromium is missing; `make services` says more")
    status, printed = await bench("--tiny", "--only", "inbox", "--json", str(tmp_path / "figures.json"))
    assert status == 0, printed
    (section,) = json.loads((tmp_path / "figures.json").read_text())["sections"]
    figures = section["figures"]
    assert len(figures["lists"]["SQLite, 30"]) == 8
    assert all(len(one["seen"]) == len(one["told"]) == 5 for one in figures["visible_ms"].values())
    assert min(ms for one in figures["visible_ms"].values() for ms in one["seen"]) > 0
    assert figures["memory"]["when it has come"][0] > 0


async def test_bench_names_a_part_it_does_not_have() -> None:
    status, printed = await bench("--only", "acks")
    assert status == 2
    assert "known are ack, e2e" in printed
