"""What a hostile or hasty program costs: itself. Others are served meanwhile (wire protocol §1.1)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omni.gateway.client.parsing import FRAMES
from tests.client.program import Program
from tests.client.stage import Stage, reply
from tests.server.shop import until


async def flood(program: Program, frame: dict[str, Any]) -> None:
    """Send as fast as the server takes it, until it has had enough."""
    data = json.dumps(frame)
    with contextlib.suppress(ConnectionError, aiohttp.ClientError, RuntimeError):
        while program.closed is None:
            await program.ws.send_str(data)


@pytest.mark.parametrize(
    "frame",
    [
        {"event": "ping"},
        {"event": "no such command"},
        {"event": "history.get", "call_id": "wa-000000000000", "request_id": "r"},
        {"event": "agent.create", "agent_id": "flood"},
        {"event": "bot.reply.stream", "call_id": "c", "message_id": "m", "action": "chunk", "token": "x"},
    ],
    ids=lambda frame: frame["event"],
)
async def test_a_flooding_program_is_slowed_then_closed_and_a_quiet_one_is_served(
    stage: Stage, frame: dict[str, Any]
) -> None:
    await stage.open(limits={"rate": 200, "burst": 400, "patience": 1.0})
    quiet = await stage.desk()
    noisy = await stage.program()
    flooding = asyncio.create_task(flood(noisy, frame))
    for number in range(20):
        cue = await stage.asked(quiet, f"question {number}")
        await quiet.send(reply(cue, f"answer {number}", f"m{number}"))
        await quiet.expect("bot.finished", message_id=f"m{number}")
    assert quiet.closed is None
    await noisy.is_closed()
    await flooding
    await stage.asked(quiet, "still there?")


async def test_a_program_that_does_not_read_is_cut_off_and_others_are_told(stage: Stage) -> None:
    await stage.open(limits={"unsent": 20})
    deaf = await stage.desk()
    cue = await stage.asked(deaf)
    long = [{"role": "user", "content": "x" * 400_000}]
    await deaf.send({"event": "history.add", "call_id": cue["call_id"], "messages": long})
    await deaf.expect("history.updated")
    transport = deaf.ws._writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    for _ in range(50):
        await deaf.send({"event": "history.get", "call_id": cue["call_id"]})
    quiet = await stage.program()
    await quiet.create("other")
    await quiet.send({"event": "llm.chat", "agent_id": "other", "session_id": "s", "text": "hello"})
    asked = await quiet.expect("turn.end")
    await quiet.send(reply(asked, "hi"))
    await quiet.expect("llm.chat.done", text="hi")
    await until(lambda: _is_free(stage))
    transport.resume_reading()
    await deaf.is_closed()


async def _is_free(stage: Stage) -> bool:
    """The name of the program that was cut off."""
    return not await stage.shop.engines.store.leases("program:default/desk", now=0)


async def test_a_reply_without_end_is_given_up(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    stream = {"event": "bot.reply.stream", "call_id": cue["call_id"], "message_id": "s1"}
    await program.send({**stream, "action": "start", "in_reply_to": cue["message_id"]})
    for _ in range(12):
        await program.send({**stream, "action": "chunk", "token": "x" * 100_000})
    await program.expect("message.aborted", message_id="s1", reason="too_long")
    await program.send({**stream, "action": "end"}, reply(cue, "short"))
    assert await stage.shop.answers() == ["short"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(["desk", "CALL"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "agent_id", "call_id", "session_id", "message_id", "msg_id", "request_id", "text", "token", "action", "type",
        "ref", "messages", "vars", "prompt", "results", "callers", "llm", "tools", "voice", "config", "greeting",
        "metadata", "key", "value", "in_reply_to", "turn", "contact", "number", "to", "target", "preparing",
    ]
)  # fmt: skip
FRAME = st.builds(
    lambda event, rest: {**rest, "event": event},
    st.sampled_from(sorted(set(FRAMES) - {"connect"})) | st.text(max_size=10),
    st.dictionaries(KEYS | st.text(max_size=4), JSON, max_size=7),
)
HOSTILE = (
    FRAME.map(json.dumps)
    | st.text(max_size=60)
    | st.binary(max_size=60)
    | JSON.map(json.dumps)
    | st.sampled_from(["[" * 20_000, '{"event":"ping"', "\ud800", '{"event":"\\ud800"}', '{"event":"ping"}' * 2])
)


async def test_hostile_frames_harm_nobody(stage: Stage) -> None:
    """Whatever a program sends, its socket stays, and so does everybody else's."""
    program = await stage.desk()
    cue = await stage.asked(program)
    victim = await stage.program(await stage.org_key("acme"))
    await victim.create("desk")
    frames: list[str | bytes] = []

    @settings(max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(HOSTILE)
    def collect(frame: str | bytes) -> None:
        frames.append(frame)

    await asyncio.to_thread(collect)
    for frame in frames:
        if isinstance(frame, bytes):
            await program.ws.send_bytes(frame)
        else:
            text = frame.replace("CALL", cue["call_id"]).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
            await program.ws.send_str(text)
    await program.settled()
    assert program.all("error", code="INTERNAL_ERROR") == []
    assert victim.events() == ["connected", "agent.created"]
    await victim.settled()
    await program.create("desk")
    stage.shop.say("are you still there?", "12025550199")
    again = await program.until(lambda f: f["event"] == "turn.end" and "still there" in f["text"])
    await program.send(reply(again, "yes", "fresh"))
    await program.expect("bot.finished", message_id="fresh")
