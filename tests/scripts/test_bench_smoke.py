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
@pytest.mark.timeout(180)
async def test_bench_asks_the_rest_api_and_every_message_is_sent(tmp_path: Path) -> None:
    status, printed = await bench("--tiny", "--only", "rest", "--json", str(tmp_path / "figures.json"))
    assert status == 0, printed
    (section,) = json.loads((tmp_path / "figures.json").read_text())["sections"]
    assert "SQLite" in section["figures"]["engines"]
    for engine in section["figures"]["engines"].values():
        assert len(engine["rows"]) == 7
        assert min(row["requests"] for rows in engine["rows"].values() for row in rows) > 0
        assert engine["sent"] > 0


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


async def test_bench_stores_no_fewer_calls_than_a_deep_page_needs() -> None:
    status, printed = await bench("--only", "rest", "--rest-calls", "100")
    assert status == 2
    assert "a deep page needs at least 2000" in printed


async def test_bench_names_a_part_it_does_not_have() -> None:
    status, printed = await bench("--only", "acks")
    assert status == 2
    assert "known are ack, e2e" in printed


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_bench_holds_calls_with_sound_and_refuses_the_next(tmp_path: Path) -> None:
    status, printed = await bench("--tiny", "--only", "voice", "--json", str(tmp_path / "figures.json"))
    assert status == 0, printed
    figures = json.loads((tmp_path / "figures.json").read_text())["sections"][0]["figures"]
    for one in (figures["omni"][0], figures["floor"][0]):
        assert one["turns"] > 0
        assert one["unanswered"] == 0
    assert figures["omni"][0]["refused"] == figures["omni"][0]["asked_beyond"] > 0


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_bench_holds_calls_by_every_door_and_leaves_nothing_open(tmp_path: Path) -> None:
    status, printed = await bench("--tiny", "--only", "legs", "--json", str(tmp_path / "figures.json"))
    assert status == 0, printed
    figures = json.loads((tmp_path / "figures.json").read_text())["sections"][0]["figures"]
    for kind in ("twilio", "sip", "webrtc"):
        (level,), soak = figures["levels"][kind], figures["soaks"][kind]
        assert level["turns"] > 0
        assert level["unanswered"] == 0
        assert soak["calls"] == 6
        assert min(soak["memory_mb"]) > 0


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_bench_asks_the_models_of_this_machine_and_draws_where_the_time_goes(tmp_path: Path) -> None:
    pytest.importorskip("piper")
    pytest.importorskip("faster_whisper")
    picture, figures = tmp_path / "answer.svg", tmp_path / "figures.json"
    status, printed = await bench(
        "--tiny", "--only", "speech", "--speech-picture", str(picture), "--json", str(figures)
    )
    assert status == 0, printed
    level = json.loads(figures.read_text())["sections"][0]["figures"]["levels"][0]
    assert level["turns"] == 1
    assert {"eou", "asr", "tts_ttfb", "e2e"} <= set(level["stages"])
    assert "1 caller<" in picture.read_text()


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_bench_sends_sentences_over_bad_lines(tmp_path: Path) -> None:
    pytest.importorskip("piper")
    pytest.importorskip("faster_whisper")
    status, printed = await bench("--tiny", "--only", "line", "--json", str(tmp_path / "figures.json"))
    assert status == 0, printed
    figures = json.loads((tmp_path / "figures.json").read_text())["sections"][0]["figures"]
    for lines in figures.values():
        assert lines[0]["lost"] == 0
        assert lines[0]["waited_worst_ms"] == 0
        assert all(one["lost"] > 0 for one in lines if one["loss"])
        assert all(one["made"] > 0 for one in lines if one["loss"])
