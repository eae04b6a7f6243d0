"""The connection: handshake, keys, keep-alive, closing, and what a socket survives (wire protocol §1)."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.client.program import KEY
from tests.client.stage import Row, Rows, Stage, reply

rows = Rows()


@rows("1.1-both-paths")
async def _(stage: Stage) -> None:
    await stage.open()
    for path in ("/client", "/client/"):
        program = await stage.socket(path)
        await program.send({"event": "connect", "api_key": KEY})
        await program.expect("connected")


@rows("1.1-unknown-frames-are-ignored")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    await program.ws.send_str("not json")
    await program.ws.send_str("[1, 2]")
    await program.ws.send_str('{"no": "event"}')
    await program.ws.send_str('{"event": "call.teleport", "call_id": "x"}')
    await program.ws.send_bytes(b"\x00\x01")
    await program.settled()
    assert program.events() == ["connected", "agent.created", "pong"]


@rows("1.1-a-frame-of-8-MiB-is-taken")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    frame = {"event": "agent.configure", "agent_id": "desk", "prompt": ""}
    room = 8 * 1024 * 1024 - len(json.dumps(frame))
    await program.send({**frame, "prompt": "p" * room})
    await program.expect("agent.configured")
    assert len((await stage.agent()).prompt) == room


@rows("1.1-a-longer-frame-is-refused-and-the-socket-stays")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    await program.send({"event": "agent.configure", "agent_id": "desk", "prompt": "p" * (9 * 1024 * 1024)})
    refused = await program.expect("error")
    assert refused["code"] == "FRAME_TOO_LONG"
    assert "8 MiB" in refused["error"]
    await program.settled()


@rows("1.1-frames-act-in-order")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    prompts = [str(number) for number in range(20)]
    await program.send(*({"event": "agent.configure", "agent_id": "desk", "prompt": prompt} for prompt in prompts))
    await program.settled()
    assert (await stage.agent()).prompt == prompts[-1]
    assert len(program.all("agent.configured")) == 20


@rows("1.2-connected-only-after-connect-and-once")
async def _(stage: Stage) -> None:
    await stage.open()
    program = await stage.socket()
    await program.settled()
    assert program.events() == ["pong"]
    await program.send(*[{"event": "connect", "api_key": KEY}] * 3)
    connected = await program.expect("connected")
    assert connected["org_id"] == "default"
    assert connected["protocol_version"] == "2"
    assert connected["connection_id"]
    await program.settled()
    assert program.events().count("connected") == 1


@rows("1.2-frames-before-connect-are-ignored")
async def _(stage: Stage) -> None:
    await stage.open()
    program = await stage.socket()
    await program.send({"event": "agent.create", "agent_id": "early"}, {"event": "authenticated"})
    await program.send({"event": "connect", "api_key": KEY})
    await program.expect("connected")
    await program.settled()
    assert program.events() == ["connected", "pong"]


@rows("1.3-no-connect")
async def _(stage: Stage) -> None:
    await stage.open(timing={"connect": 0.2})
    program = await stage.socket()
    code, _ = await program.is_closed()
    assert code == 1008


@rows("1.3-INVALID_KEY")
async def _(stage: Stage) -> None:
    await stage.open()
    for key in ("pk_wrong", "", None, 7, {"a": 1}, "x" * 100_000):
        program = await stage.socket()
        await program.send({"event": "connect", "api_key": key})
        refused = await program.expect("error", code="INVALID_KEY")
        assert refused["error"]
        code, reason = await program.is_closed()
        assert code == 1008
        assert "isplaced" not in reason


@rows("1.3-a-revoked-key-closes-its-socket")
async def _(stage: Stage) -> None:
    from omni.access.keys import Keys

    await stage.open(timing={"suspect": 0.4})
    keys = Keys(stage.shop.engines.store)
    key, secret = await keys.create("acme", "test")
    program = await stage.program(secret)
    await keys.revoke("acme", key.id)
    await program.expect("error", code="INVALID_KEY")
    assert (await program.is_closed())[0] == 1008


@rows("1.4-ping-pong")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    await program.send({"event": "ping"})
    pong = await program.expect("pong")
    assert pong["timestamp"] > 1_700_000_000
    await program.send({"event": "pong"})
    await program.settled()


@rows("1.4-a-silent-socket-that-answers-stays")
async def _(stage: Stage) -> None:
    await stage.open(timing={"suspect": 0.2, "probe": 5})
    program = await stage.program()
    for _ in range(3):
        await program.expect("ping")
    await program.settled()


@rows("1.4-a-silent-socket-that-does-not-answer-goes")
async def _(stage: Stage) -> None:
    await stage.open(timing={"suspect": 0.2, "probe": 0.2})
    program = await stage.program()
    program.answers_pings = False
    await program.is_closed()


@rows("1.5-the-names-of-a-closed-socket-are-free-at-once")
async def _(stage: Stage) -> None:
    first = await stage.desk()
    await first.close()
    second = await stage.desk()
    assert second.all("error") == []


@rows("1.5-a-call-is-not-told-again-to-the-next-socket")
async def _(stage: Stage) -> None:
    first = await stage.desk()
    cue = await stage.asked(first)
    await first.send(reply(cue, "hi"))
    await first.expect("bot.finished")
    await first.close()
    second = await stage.desk()
    stage.shop.say("next")
    await second.expect("turn.end", text="next")
    assert [event for event in second.events() if event == "whatsapp.session_started"] == ["whatsapp.session_started"]
    assert second.all("whatsapp.message")[0]["text"] == "next"
    assert not second.all("user.message", text="hello")


@rows("1.5-an-unanswered-message-is-offered-to-the-next-socket")
async def _(stage: Stage) -> None:
    first = await stage.desk()
    cue = await stage.asked(first)
    await first.drop()
    second = await stage.desk()
    again = await second.expect("turn.end")
    assert (again["message_id"], again["text"], again["call_id"]) == (cue["message_id"], "hello", cue["call_id"])
    kinds = second.events()
    assert kinds.index("whatsapp.session_started") < kinds.index("user.message") < kinds.index("turn.end")
    await second.send(reply(again, "at last"))
    assert await stage.shop.answers() == ["at last"]


@rows("1.5-closing-for-a-restart-is-neutral")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    await stage.shop.server.stop()
    code, reason = await program.is_closed()
    assert (code, reason) == (1012, "the server restarts")


@rows("1.5-what-was-asked-before-the-close-still-happens")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(reply(cue, "and goodbye"))
    await program.close()
    assert await stage.shop.answers() == ["and goodbye"]


@pytest.mark.parametrize("row", rows.all())
async def test_row(row: Row, stage: Stage) -> None:
    async with asyncio.timeout(50):
        await row(stage)
