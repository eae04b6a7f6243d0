"""Channels: added, claimed, configured, given back, and routed to developers (wire protocol §3.2, §3.6, §3.7)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from omni.model.channel import PhoneChannel, WhatsAppChannel
from tests.client.program import KEY, Frame, Program
from tests.client.stage import Row, Rows, Stage, reply
from tests.server.shop import ADA, NUMBER, SECRETS, agent_of, until

rows = Rows()
PHONE = {"event": "channel.add", "agent_id": "desk", "type": "phone", "ref": "+34 911-222.333 (0)"}
BOB = "12025550172"
BEARER = {"Authorization": f"Bearer {KEY}"}


def whatsapp(agent_id: str, ref: str = NUMBER, **more: Any) -> Frame:
    credentials = {"accessToken": SECRETS["access_token"], "appSecret": SECRETS["app_secret"]}
    return {"event": "channel.add", "agent_id": agent_id, "type": "whatsapp", "ref": ref, **credentials, **more}


async def channels(stage: Stage, slug: str = "desk") -> list[str]:
    return [channel.id for channel in (await stage.agent(slug)).channels]


async def blank(stage: Stage, **timing: float) -> Program:
    """A program whose agent has no channel yet."""
    await stage.open(agent_of("echo"), timing=timing)
    return await stage.desk()


@rows("3.6-channel.added-echoes-the-raw-ref")
async def _(stage: Stage) -> None:
    program = await blank(stage)
    await program.send(PHONE, PHONE)
    for _ in range(2):
        added = await program.expect("channel.added")
        assert added == {"event": "channel.added", "agent_id": "desk", "type": "phone", "ref": PHONE["ref"]}
    assert await channels(stage) == ["phone:+349112223330"]


@rows("3.6-a-number-without-plus")
async def _(stage: Stage) -> None:
    program = await blank(stage)
    await program.send({**PHONE, "ref": "34911222333", "ringing": True})
    await program.expect("channel.added", ref="34911222333")
    (channel,) = (await stage.agent()).channels
    assert channel == PhoneChannel(number="+34911222333", ringing=True)


@rows("3.6-every-type")
async def _(stage: Stage) -> None:
    program = await blank(stage)
    for kind, ref in (
        ("webrtc", None),
        ("chat", None),
        ("mic", None),
        ("sip", "sip:a@b.example"),
        ("phone", "sip:c@d"),
    ):
        await program.send({"event": "channel.add", "agent_id": "desk", "type": kind, **({"ref": ref} if ref else {})})
        added = await program.expect("channel.added")
        assert (added["type"], added.get("ref")) == (kind, ref)
    assert await channels(stage) == ["webrtc", "chat", "mic", "sip:a@b.example", "sip:c@d"]


@rows("3.6-adding-again-replaces-the-overrides")
async def _(stage: Stage) -> None:
    program = await blank(stage)
    await program.send({**PHONE, "language": "es", "prompt": "P"}, {**PHONE, "language": "it"})
    await program.settled()
    (channel,) = (await stage.agent()).channels
    assert channel.overrides is not None
    assert (channel.overrides.language, channel.overrides.prompt) == ("it", None)


@rows("3.6-channel.configure-patches")
async def _(stage: Stage) -> None:
    program = await blank(stage)
    await program.send({**PHONE, "language": "es", "voice": "a:b"})
    patch = {"event": "channel.configure", "agent_id": "desk", "ref": "349112223330", "prompt": "P", "stt": "gladia"}
    await program.send(patch)
    configured = await program.expect("channel.configured")
    assert configured == {"event": "channel.configured", "agent_id": "desk", "ref": "349112223330"}
    (channel,) = (await stage.agent()).channels
    assert channel.overrides is not None
    assert (channel.overrides.language, channel.overrides.prompt) == ("es", "P")
    assert set(channel.overrides.audio or {}) == {"voice", "stt"}


@rows("3.6-a-channel-without-ref-goes-by-its-type")
async def _(stage: Stage) -> None:
    program = await blank(stage)
    await program.send({"event": "channel.add", "agent_id": "desk", "type": "chat"})
    await program.send({"event": "channel.configure", "agent_id": "desk", "ref": "chat", "language": "es"})
    await program.expect("channel.configured", ref="chat")
    await program.send({"event": "channel.remove", "agent_id": "desk", "ref": "chat"})
    await program.expect("channel.removed", ref="chat")
    assert await channels(stage) == []


@rows("3.6-channel.removed")
async def _(stage: Stage) -> None:
    program = await blank(stage)
    await program.send(PHONE, {"event": "channel.remove", "agent_id": "desk", "ref": PHONE["ref"], "type": "phone"})
    removed = await program.expect("channel.removed")
    assert removed == {"event": "channel.removed", "agent_id": "desk", "ref": PHONE["ref"]}
    assert await channels(stage) == []


@rows("3.6-a-wrong-number-is-a-sentence")
async def _(stage: Stage) -> None:
    program = await blank(stage)
    bad = [
        {**PHONE, "ref": "none"},
        {**PHONE, "ref": ""},
        {"event": "channel.add", "agent_id": "desk", "type": "phone"},
    ]
    bad += [{**PHONE, "type": "sip", "ref": "sip:nobody"}, whatsapp("desk", "abc")]
    await program.send(*bad)
    await program.settled()
    errors = program.all("error")
    assert len(errors) == len(bad)
    assert all("`ref`" in error["error"] and error["agent_id"] == "desk" for error in errors)
    assert not any(secret in str(errors) for secret in SECRETS.values())


@rows("3.6-channels-of-an-agent-that-is-not-registered-are-ignored")
async def _(stage: Stage) -> None:
    program = await blank(stage)
    await program.send({**PHONE, "agent_id": "echo"}, {"event": "channel.remove", "agent_id": "echo", "ref": "x"})
    await program.settled()
    assert program.events() == ["connected", "agent.created", "pong"]
    assert await channels(stage, "echo") == [f"whatsapp:{NUMBER}"]


@rows("3.6-whatsapp-serves-at-once")
async def _(stage: Stage) -> None:
    await stage.open(agent_of("desk", brain="client", channels=[]))
    program = await stage.desk()
    await program.send(whatsapp("desk"))
    await program.expect("channel.added", type="whatsapp", ref=NUMBER)
    cue = await stage.asked(program)
    await program.send(reply(cue, "hi"))
    assert await stage.shop.answers() == ["hi"]


@rows("3.6-whatsapp-keeps-what-is-not-said")
async def _(stage: Stage) -> None:
    program = await blank(stage)
    await program.send(whatsapp("desk", "555", verifyToken="V", phone="+1 202 555 0100"))
    await program.send(
        {"event": "channel.add", "agent_id": "desk", "type": "whatsapp", "ref": "555", "access_token": "T2"}
    )
    await program.send({"event": "channel.add", "agent_id": "desk", "type": "whatsapp"})
    for _ in range(3):
        await program.expect("channel.added", type="whatsapp")
    (channel,) = (await stage.agent()).channels
    assert isinstance(channel, WhatsAppChannel)
    secrets = [channel.access_token, channel.verify_token, channel.app_secret]
    assert [secret.get_secret_value() for secret in secrets] == ["T2", "V", SECRETS["app_secret"]]
    assert channel.phone == "+1 202 555 0100"


@rows("3.6-whatsapp-without-credentials-is-silent")
async def _(stage: Stage) -> None:
    program = await blank(stage)
    await program.send({"event": "channel.add", "agent_id": "desk", "type": "whatsapp"})
    await program.send({"event": "channel.add", "agent_id": "desk", "type": "whatsapp", "ref": "555"})
    await program.settled()
    assert program.events() == ["connected", "agent.created", "pong"]
    assert await channels(stage) == []


@rows("3.6-whatsapp-has-a-default-verify-token")
async def _(stage: Stage) -> None:
    program = await blank(stage)
    await program.send(whatsapp("desk", "555"))
    await program.expect("channel.added")
    query = {"hub.mode": "subscribe", "hub.verify_token": "pinecall-wa-verify", "hub.challenge": "42"}
    async with stage.shop.http.get(f"{stage.shop.url}/whatsapp/webhook", params=query) as answer:
        assert (answer.status, await answer.text()) == (200, "42")


@rows("3.2-PHONE_IN_USE")
async def _(stage: Stage) -> None:
    program = await blank(stage, dev_hold=0.1)
    await program.create("other")
    await program.send({**PHONE, "agent_id": "other"})
    await program.expect("channel.added")
    await program.send({**PHONE, "ref": "+349112223330"})
    refused = await program.expect("error", code="PHONE_IN_USE")
    assert (refused["agent_id"], refused["phone"], refused["owner"]) == ("desk", "+349112223330", "other")
    assert refused["error"]
    assert await channels(stage) == []


@rows("3.6-a-declared-agent-keeps-its-number")
async def _(stage: Stage) -> None:
    program = await blank(stage, dev_hold=0.1)
    await program.send(whatsapp("desk"))
    refused = await program.expect("error", code="PHONE_IN_USE")
    assert (refused["phone"], refused["owner"]) == (NUMBER, "echo")


@rows("3.6-the-same-slug-takes-over-silently")
async def _(stage: Stage) -> None:
    first = await blank(stage)
    await first.send(PHONE)
    await first.expect("channel.added")
    await first.drop()
    second = await stage.desk()
    await second.send(PHONE)
    await second.expect("channel.added")
    assert second.all("error") == []


@rows("3.6-a-number-of-an-agent-that-is-away-is-free")
async def _(stage: Stage) -> None:
    first = await blank(stage)
    await first.send(PHONE)
    await first.expect("channel.added")
    await first.close()
    second = await stage.program()
    await second.create("heir")
    await second.send({**PHONE, "agent_id": "heir"})
    await second.expect("channel.added")
    assert await channels(stage) == []
    assert await channels(stage, "heir") == ["phone:+349112223330"]


@rows("3.6-a-number-of-another-organisation-stays-there")
async def _(stage: Stage) -> None:
    await blank(stage, dev_hold=0.1)
    other = await stage.program(await stage.org_key("acme"))
    await other.create("dev-thief")
    await other.send({"event": "dev.config", "callers": [ADA]}, whatsapp("dev-thief"))
    refused = await other.expect("error", code="PHONE_IN_USE")
    assert refused["owner"] == "another organisation"
    assert await stage.shop.engines.store.agent("acme", "dev-thief") is not None
    stage.shop.say("hello")
    assert await stage.shop.answers() == ["You said: hello"]


async def developer(stage: Stage) -> tuple[Program, Program]:
    """A program with the number, and a developer's program that has added it too."""
    production = await stage.desk()
    dev = await stage.program()
    await dev.create("dev-ann")
    await dev.send(whatsapp("dev-ann"))
    await dev.expect("channel.added", ref=NUMBER)
    return production, dev


@rows("3.7-a-dev-agent-shares-a-number")
async def _(stage: Stage) -> None:
    production, dev = await developer(stage)
    assert dev.all("error") == []
    assert await channels(stage) == [f"whatsapp:{NUMBER}"]
    await stage.asked(production)
    assert dev.all("whatsapp.message") == []


@rows("3.7-only-listed-callers-reach-it")
async def _(stage: Stage) -> None:
    production, dev = await developer(stage)
    await dev.send({"event": "dev.config", "callers": [f"+{ADA[0]} {ADA[1:4]}-{ADA[4:]}"]})
    await dev.settled()
    await _routed(stage, ADA, "dev-ann")
    cue = await stage.asked(dev, "to the developer")
    await dev.send(reply(cue, "from the developer"))
    assert await stage.shop.answers() == ["from the developer"]
    await stage.asked(production, "to production", BOB)
    assert not production.all("whatsapp.message", text="to the developer")
    assert not dev.all("whatsapp.message", text="to production")


@rows("3.7-a-developer's-own-settings-for-a-shared-number")
async def _(stage: Stage) -> None:
    await stage.open()
    production = await stage.desk(llm="openai/m", prompt="production", preparing=False)
    patch = {"event": "channel.configure", "agent_id": "desk", "ref": NUMBER, "prompt": "the number, in production"}
    await production.send(patch)
    await production.expect("channel.configured")
    dev = await stage.program()
    await dev.create("dev-ann", llm="openai/m", prompt="the developer", preparing=False)
    await dev.send(whatsapp("dev-ann", prompt="the number, by Ann", language="es"))
    await dev.expect("channel.added", ref=NUMBER)
    await dev.send({"event": "dev.config", "callers": [ADA]})
    await _routed(stage, ADA, "dev-ann")
    assert await _prompt_for(stage, ADA) == "the number, by Ann"
    assert await _prompt_for(stage, BOB) == "the number, in production"


@rows("3.7-channel.configure-of-a-shared-number-is-for-the-developer's-next-calls")
async def _(stage: Stage) -> None:
    await stage.open()
    production = await stage.desk(llm="openai/m", prompt="production", preparing=False)
    dev = await stage.program()
    await dev.create("dev-ann", llm="openai/m", prompt="the developer", preparing=False)
    await dev.send(whatsapp("dev-ann"), {"event": "dev.config", "callers": [ADA, BOB]})
    await _routed(stage, ADA, "dev-ann")
    assert await _prompt_for(stage, ADA) == "the developer"
    await dev.send({"event": "channel.configure", "agent_id": "dev-ann", "ref": NUMBER, "prompt": "changed"})
    await dev.expect("channel.configured", ref=NUMBER)
    assert await _prompt_for(stage, ADA) == "the developer"
    assert await _prompt_for(stage, BOB) == "changed"
    assert (await stage.agent("desk")).overrides_on(f"whatsapp:{NUMBER}") is None
    await dev.send({"event": "channel.remove", "agent_id": "dev-ann", "ref": NUMBER})
    await dev.expect("channel.removed", ref=NUMBER)
    assert (await stage.agent("dev-ann")).overrides_on(f"whatsapp:{NUMBER}") is None
    assert not production.all("error")


@rows("3.7-clearing-the-callers")
async def _(stage: Stage) -> None:
    production, dev = await developer(stage)
    await dev.send({"event": "dev.config", "callers": [ADA]})
    await dev.settled()
    await _routed(stage, ADA, "dev-ann")
    await dev.send({"event": "dev.config", "callers": []})
    await dev.settled()
    await _routed(stage, ADA, None)
    await stage.asked(production, "to production")
    assert dev.all("whatsapp.message") == []


@rows("3.7-a-developer-that-leaves-gives-its-callers-back")
async def _(stage: Stage) -> None:
    production, dev = await developer(stage)
    await dev.send({"event": "dev.config", "callers": [ADA]})
    await dev.settled()
    await _routed(stage, ADA, "dev-ann")
    await dev.close()
    await _routed(stage, ADA, None)
    await stage.asked(production, "to production")


@rows("3.7-an-agent-id-is-accepted")
async def _(stage: Stage) -> None:
    _, dev = await developer(stage)
    await dev.send({"event": "dev.config", "agent_id": "dev-ann", "callers": [ADA]})
    await dev.settled()
    await _routed(stage, ADA, "dev-ann")


@rows("3.7-other-slugs-share-when-dev.config-comes-in-time")
async def _(stage: Stage) -> None:
    await stage.open(timing={"dev_hold": 20})
    await stage.desk()
    dev = await stage.program()
    await dev.create("ann")
    await dev.send(whatsapp("ann"), {"event": "dev.config", "callers": [ADA]})
    await dev.expect("channel.added", ref=NUMBER)
    assert dev.all("error") == []
    await _routed(stage, ADA, "ann")


@rows("3.7-production-takes-a-number-back-from-a-developer")
async def _(stage: Stage) -> None:
    await stage.open(agent_of("echo", channels=[]))
    dev = await stage.program()
    await dev.create("dev-ann")
    await dev.send(whatsapp("dev-ann"))
    await dev.expect("channel.added")
    production = await stage.desk()
    await production.send(whatsapp("desk"))
    await production.expect("channel.added")
    assert await channels(stage) == [f"whatsapp:{NUMBER}"]


async def _routed(stage: Stage, caller: str, agent: str | None) -> None:
    """Wait until the server's view of the programs says so: its webhook goes by the same."""

    async def look() -> bool:
        async with stage.shop.http.get(f"{stage.shop.url}/api/sdk/agents", headers=BEARER) as answer:
            body = await answer.json()
        is_wanted = (body["dev_overrides"] or {}).get(NUMBER) == agent and caller in (body["dev_callers"] or ())
        return is_wanted if agent is not None else caller not in (body["dev_callers"] or ())

    await until(look)


async def _prompt_for(stage: Stage, caller: str) -> str:
    """The prompt that a model was given to answer somebody."""
    heard, answered = len(stage.llm.requests), len(await stage.shop.answers(0, caller))
    stage.shop.say("hello", caller)
    await stage.shop.answers(answered + 1, caller)
    prompt: str = stage.llm.requests[heard]["messages"][0]["content"]
    return prompt


@pytest.mark.parametrize("row", rows.all())
async def test_row(row: Row, stage: Stage) -> None:
    async with asyncio.timeout(50):
        await row(stage)
