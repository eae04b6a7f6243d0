"""Agents: registered, configured, fought for, kicked and removed (wire protocol §1.6, §2.1, §3.1-3.5, §3.8)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from pydantic import JsonValue

from omni.live.presence import program_lease
from omni.model.access import Lease
from tests.client.program import KEY
from tests.client.stage import Row, Rows, Stage, reply
from tests.server.shop import agent_of, until

rows = Rows()


async def is_online(stage: Stage, slug: str = "desk") -> bool:
    return bool(await stage.shop.engines.store.leases(program_lease("default", slug), now=0))


@rows("2.1-the-id-comes-back-byte-identical")
async def _(stage: Stage) -> None:
    program = await stage.desk(" DeSk__")
    cue = await stage.asked(program)
    await program.send(reply(cue, "hi"))
    await program.expect("bot.finished")
    events = [frame for frame in program.heard if frame["event"] not in ("connected", "pong")]
    assert len(events) > 6
    assert {frame["agent_id"] for frame in events} == {" DeSk__"}


@rows("2.1-an-id-without-letters")
async def _(stage: Stage) -> None:
    await stage.open()
    program = await stage.program()
    await program.send({"event": "agent.create", "agent_id": "¿?"})
    refused = await program.expect("error", code="REGISTRATION_ERROR", agent_id="¿?")
    assert "letters" in refused["error"]


@rows("3.1-agent.created-once-each")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    await program.send({"event": "agent.create", "agent_id": "desk"}, {"event": "agent.create", "agent_id": "other"})
    await program.settled()
    assert [f["agent_id"] for f in program.all("agent.created")] == ["desk", "desk", "other"]


@rows("3.1-creating-again-replaces-the-defaults")
async def _(stage: Stage) -> None:
    program = await stage.desk(prompt="P", vars={"a": "1"}, llm="openai/m", allowed_origins=["https://a.b"])
    agent = await stage.agent()
    assert (agent.brain, agent.prompt, agent.vars, agent.allowed_origins) == ("llm", "P", {"a": "1"}, ("https://a.b",))
    await program.create("desk", language="es")
    agent = await stage.agent()
    assert (agent.brain, agent.prompt, agent.vars, agent.language) == ("client", "", {}, "es")
    assert [channel.id for channel in agent.channels] == ["whatsapp:100200300"]


@rows("3.1-history_save-is-accepted")
async def _(stage: Stage) -> None:
    await stage.desk(history_save=True, memory=False, media={"live": True}, mode="x")


@rows("3.2-REGISTRATION_ERROR")
async def _(stage: Stage) -> None:
    await stage.open()
    program = await stage.program()
    bad: list[dict[str, Any]] = [{"llm": "nobody/x"}, {"tools": [{"name": "no name"}]}, {"prompt": 7}, {"vars": "x"}]
    for config in bad:
        await program.send({"event": "agent.create", "agent_id": "Desk", **config})
        refused = await program.expect("error")
        assert refused["code"] == "REGISTRATION_ERROR"
        assert refused["agent_id"] == "Desk"
        assert f"`{next(iter(config))}" in refused["error"]
    await program.send({"event": "agent.create"})
    assert (await program.expect("error"))["code"] == "REGISTRATION_ERROR"
    assert program.all("agent.created") == []


@rows("3.2-SERVER_AT_CAPACITY")
async def _(stage: Stage) -> None:
    await stage.open(limits={"agents": 1})
    program = await stage.program()
    await program.create("one")
    await program.send({"event": "agent.create", "agent_id": "two"})
    refused = await program.expect("error", code="SERVER_AT_CAPACITY", agent_id="two", used=1, limit=1)
    assert refused["error"].startswith("SERVER_AT_CAPACITY:")


@rows("3.2-other-errors-do-not-look-like-these")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    await program.send(
        {"event": "bot.reply", "call_id": "c"},
        {"event": "agent.configure", "agent_id": "desk", "llm": "x/y"},
        {"event": "channel.add", "agent_id": "desk", "type": "phone", "ref": "none"},
        {"event": "session.send", "agent_id": "desk", "text": "hi"},
    )
    await program.settled()
    errors = program.all("error")
    assert [error["code"] for error in errors] == ["BAD_FRAME", "CONFIG_ERROR", "CHANNEL_ERROR", "NOT_FOUND"]
    for error in errors:
        assert "PHONE_IN_USE" not in error["error"]
        assert "AGENT_IN_USE" not in error["error"]
        assert not error["error"].startswith("SERVER_AT_CAPACITY")


@rows("3.3-same-socket-upserts")
async def _(stage: Stage) -> None:
    program = await stage.desk(prompt="old")
    await program.create("Desk", prompt="new")
    assert (await stage.agent()).prompt == "new"
    cue = await stage.asked(program)
    assert cue["agent_id"] == "Desk"


@rows("3.3-AGENT_CONFLICT-a-holder-that-lives-keeps-its-name")
async def _(stage: Stage) -> None:
    first = await stage.desk()
    second = await stage.program()
    await second.send({"event": "agent.create", "agent_id": "DESK"})
    refused = await second.expect("error", code="AGENT_CONFLICT", agent_id="DESK")
    assert refused["holder_alive"] is True
    assert refused["retry_after_s"] == 5
    await stage.asked(first)
    assert second.all("turn.end") == []


@rows("3.3-a-holder-that-is-dead-is-displaced")
async def _(stage: Stage) -> None:
    await stage.open(timing={"probe": 0.2})
    first = await stage.desk()
    first.answers_pings = False
    second = await stage.program()
    await second.create("desk")
    assert second.all("error") == []
    assert await first.is_closed() == (4001, "Displaced: stale")
    cue = await stage.asked(second)
    await second.send(reply(cue, "here"))
    assert await stage.shop.answers() == ["here"]


@rows("3.3-the-socket-is-read-while-a-name-is-fought-for")
async def _(stage: Stage) -> None:
    await stage.open(timing={"probe": 1})
    first = await stage.desk()
    first.answers_pings = False
    second = await stage.program()
    await second.send({"event": "agent.create", "agent_id": "desk"}, {"event": "agent.create", "agent_id": "other"})
    await second.expect("agent.created", agent_id="other")
    assert second.all("agent.created", agent_id="desk") == []
    await second.expect("agent.created", agent_id="desk")


@rows("3.3-every-create-in-a-fight-has-its-answer")
async def _(stage: Stage) -> None:
    await stage.open(timing={"probe": 0.2})
    first = await stage.desk()
    first.answers_pings = False
    second = await stage.program()
    await second.send(*[{"event": "agent.create", "agent_id": "desk"}] * 3)
    for _ in range(3):
        await second.expect("agent.created", agent_id="desk")
    assert second.all("error") == []


@rows("3.3-AGENT_CONFLICT_FATAL-after-a-minute-of-refusals")
async def _(stage: Stage) -> None:
    await stage.open(timing={"refuse_for": 0.0})
    await stage.desk()
    second = await stage.program()
    await second.send({"event": "agent.create", "agent_id": "desk"})
    refused = await second.expect("error", code="AGENT_CONFLICT_FATAL", agent_id="desk")
    assert refused["holder_alive"] is True


@rows("3.3-not-fatal-before")
async def _(stage: Stage) -> None:
    await stage.desk()
    second = await stage.program()
    for _ in range(3):
        await second.send({"event": "agent.create", "agent_id": "desk"})
        await second.expect("error", code="AGENT_CONFLICT")
    assert second.all("error", code="AGENT_CONFLICT_FATAL") == []


@rows("3.3-the-newcomer-s-next-try-succeeds-when-the-holder-has-left")
async def _(stage: Stage) -> None:
    first = await stage.desk()
    second = await stage.program()
    await second.send({"event": "agent.create", "agent_id": "desk"})
    await second.expect("error", code="AGENT_CONFLICT")
    await first.close()
    await second.create("desk")


@rows("3.3-a-lease-of-a-gateway-that-is-gone-runs-out")
async def _(stage: Stage) -> None:
    await stage.open(timing={"probe": 0.1})
    store, now = stage.shop.engines.store, time.time()
    data: dict[str, JsonValue] = {"desk": "desk_gone", "since": now}
    await store.take_lease(
        Lease(name=program_lease("default", "desk"), holder="conn_gone", until=now + 60, data=data), now=now
    )
    await store.take_lease(Lease(name="desk:desk_gone", holder="desk_gone", until=now + 2), now=now)
    program = await stage.program()
    await program.create("desk")
    assert program.all("error") == []
    assert time.time() >= now + 2  # somebody else might have been there till then


@rows("3.3-a-gateway-that-is-known-to-be-dead-holds-nobody-up")
async def _(stage: Stage) -> None:
    await stage.open()
    now = time.time()
    data: dict[str, JsonValue] = {"desk": "desk_gone", "since": now}
    lease = Lease(name=program_lease("default", "desk"), holder="conn_gone", until=now + 3600, data=data)
    await stage.shop.engines.store.take_lease(lease, now=now)
    program = await stage.program()
    await program.create("desk")
    assert program.all("error") == []


@rows("3.3-organisations-do-not-meet")
async def _(stage: Stage) -> None:
    first = await stage.desk()
    other = await stage.program(await stage.org_key("acme"))
    await other.create("desk")
    await stage.asked(first)
    assert other.events() == ["connected", "agent.created"]


@rows("3.4-credentials-that-are-missing-do-not-refuse")
async def _(stage: Stage) -> None:
    await stage.desk(llm="anthropic/claude-sonnet-4")


@rows("3.5-agent.configure-patches")
async def _(stage: Stage) -> None:
    program = await stage.desk(prompt="P", llm="openai/a")
    await program.send(
        {"event": "agent.configure", "agent_id": "desk", "llm": {"model": "b"}, "sessionLimits": {"a": 1}}
    )
    await program.expect("agent.configured", agent_id="desk")
    agent = await stage.agent()
    assert (agent.prompt, agent.llm.model, agent.audio) == ("P", "b", {"session_limits": {"a": 1}})
    await program.send({"event": "agent.configure", "agent_id": "nobody", "prompt": "X"})
    await program.settled()
    assert len(program.all("agent.configured")) == 1


@rows("3.5-agent.resume")
async def _(stage: Stage) -> None:
    first = await stage.desk(prompt="kept")
    await first.close()
    second = await stage.program()
    await second.send({"event": "agent.resume", "agent_id": "Desk"})
    await second.expect("agent.resumed", agent_id="Desk")
    assert (await stage.agent()).prompt == "kept"
    await stage.asked(second)
    await second.send({"event": "agent.resume", "agent_id": "nobody"})
    await second.expect("error", code="REGISTRATION_ERROR", agent_id="nobody")


@rows("3.5-agent.remove")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send({"event": "agent.remove", "agent_id": "desk"})
    await program.settled()
    assert (await stage.agent()).channels == ()
    call = await until(lambda: stage.shop.engines.store.call(cue["call_id"]))
    await until(lambda: _has_ended(stage, call.id))
    assert not await is_online(stage)
    await program.create("desk")


async def _has_ended(stage: Stage, call: str) -> bool:
    found = await stage.shop.engines.store.call(call)
    return found is not None and not found.is_open


@rows("1.6-kick")
async def _(stage: Stage) -> None:
    program = await stage.desk("Front_Desk")
    await program.create("other")
    key = {"Authorization": f"Bearer {KEY}"}

    async def kick(slug: str) -> int:
        async with stage.shop.http.delete(f"{stage.shop.url}/api/sdk/agents/{slug}", headers=key) as answer:
            return answer.status

    await until(lambda: _is(kick("front-desk"), 200))
    displaced = await program.expect("agent.displaced")
    assert displaced == {"event": "agent.displaced", "agent_id": "Front_Desk", "reason": "kicked"}
    assert await program.is_closed() == (4001, "Displaced: kicked")
    await until(lambda: _is(is_online(stage, "other"), False))


async def _is(what: Any, wanted: Any) -> bool:
    return bool(await what == wanted)


@rows("3.8-the-registration-trace")
async def _(stage: Stage) -> None:
    await stage.open(agent_of("echo"))
    program = await stage.program()
    await program.send(
        {
            "event": "agent.create",
            "agent_id": "Front_Desk",
            "voice": "elevenlabs:v1",
            "language": "es",
            "stt": "deepgram-flux",
            "llm": {"provider": "openai", "model": "gpt-4.1-mini", "enabled": True, "prompt": "Hi {{name}}"},
            "allowed_origins": ["http://localhost:*"],
        }
    )
    assert await program.expect("agent.created") == {"event": "agent.created", "agent_id": "Front_Desk"}
    await program.send(
        {
            "event": "channel.add",
            "agent_id": "Front_Desk",
            "type": "phone",
            "ref": "+34 911 222 333",
            "voice": "cartesia:x",
        },
        {"event": "channel.add", "agent_id": "Front_Desk", "type": "webrtc"},
        {"event": "dev.config", "callers": ["+34600111222"]},
    )
    phone, browser = await program.expect("channel.added"), await program.expect("channel.added")
    assert phone == {"event": "channel.added", "agent_id": "Front_Desk", "type": "phone", "ref": "+34 911 222 333"}
    assert browser == {"event": "channel.added", "agent_id": "Front_Desk", "type": "webrtc"}


@rows("9-0.1.x-frames")
async def _(stage: Stage) -> None:
    program = await stage.desk(
        "dev-4f-desk",
        llm={"engine": "openai", "model": "gpt-4o", "instructions": "Be kind."},
        turn_detection="smart_turn",
        greeting="Hi",
    )
    agent = await stage.agent("dev-4f-desk")
    assert (agent.brain, agent.prompt, agent.llm.model, agent.greeting) == ("llm", "Be kind.", "gpt-4o", "Hi")
    assert agent.audio == {"turn_detection": "smart_turn"}
    await program.send({"event": "agent.remove", "agent_id": "dev-4f-desk"})
    await program.settled()


@pytest.mark.parametrize("row", rows.all())
async def test_row(row: Row, stage: Stage) -> None:
    async with asyncio.timeout(50):
        await row(stage)
