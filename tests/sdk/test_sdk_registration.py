"""Agents and channels: what the server is told of them, and what it may say to it."""

from __future__ import annotations

import asyncio

import pytest

from omni import Omni, tool
from omni.sdk import AgentConflictError, CapacityError, ConfigError, RegistrationError
from omni.sdk.agent import Agent
from tests.sdk.scripted import Peer, ScriptedServer, again, quicker, started


@tool
def find_order(order_id: str) -> str:
    """Finds an order."""
    return order_id


async def _asked(omni: Omni, server: ScriptedServer) -> tuple[asyncio.Task[None], Peer]:
    """The program has asked for its agent and has no answer yet."""
    starting = asyncio.create_task(omni.start())
    peer = await server.peer()
    await peer.let_in()
    await peer.expect("agent.create")
    return starting, peer


async def test_an_agent_is_told_as_it_was_declared(omni: Omni, server: ScriptedServer) -> None:
    omni.agent(
        "Front_Desk",
        prompt="Hi {{name}}",
        llm={"provider": "openai", "model": "gpt-4.1-mini"},
        voice="elevenlabs:abc",
        tools=[find_order, {"type": "function", "function": {"name": "by_hand"}}],
        allowed_origins=["http://localhost:*"],
        greeting={"en": "Hello"},
        greeting_in_chat=True,
        session_limits={"idle_timeout_seconds": 30},
        timezone=None,
    )
    starting = asyncio.create_task(omni.start())
    peer = await server.peer()
    await peer.let_in()
    frame = await peer.expect("agent.create")
    assert frame == {
        "event": "agent.create",
        "agent_id": "Front_Desk",
        "prompt": "Hi {{name}}",
        "llm": {"provider": "openai", "model": "gpt-4.1-mini"},
        "voice": "elevenlabs:abc",
        "tools": [find_order.wire(), {"type": "function", "function": {"name": "by_hand"}}],
        "allowed_origins": ["http://localhost:*"],
        "greeting": {"en": "Hello"},
        "greetingInChat": True,
        "session_limits": {"idle_timeout_seconds": 30},
    }
    await peer.send("agent.created", agent_id="Front_Desk")
    await starting


async def test_an_agent_made_later_is_registered_at_once(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer = await started(omni, server)
    sales = omni.agent("sales")
    assert (await peer.expect("agent.create"))["agent_id"] == "sales"
    await peer.send("agent.created", agent_id="sales")
    await sales.ready()


async def test_a_conflict_is_tried_again_as_the_server_says(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    starting, peer = await _asked(omni, server)
    for _ in range(3):
        await peer.send("error", code="AGENT_CONFLICT", agent_id="desk", error="taken", retry_after_s=0.01)
        await peer.expect("agent.create")
    await peer.send("agent.created", agent_id="desk")
    await starting


async def test_a_conflict_that_outlasts_the_budget_is_an_error(server: ScriptedServer) -> None:
    omni = Omni(server.url, "k", timing=quicker(conflict_budget=0.15))
    omni.agent("desk")
    starting, peer = await _asked(omni, server)

    async def refuse() -> None:
        while True:
            await peer.send(
                "error", code="AGENT_CONFLICT", agent_id="desk", error="taken", holder_alive=True, retry_after_s=5
            )
            await peer.expect("agent.create")

    refusing = asyncio.create_task(refuse())
    with pytest.raises(AgentConflictError, match="taken; stop the other program that is connected as this agent"):
        await starting
    refusing.cancel()
    await asyncio.wait([refusing])


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AGENT_CONFLICT_FATAL", AgentConflictError),
        ("SERVER_AT_CAPACITY", CapacityError),
        ("REGISTRATION_ERROR", RegistrationError),
    ],
)
async def test_other_refusals_are_final(
    omni: Omni, desk: Agent, server: ScriptedServer, code: str, kind: type[RegistrationError]
) -> None:
    starting, peer = await _asked(omni, server)
    await peer.send("error", code=code, agent_id="desk", error="no", holder_alive=True, used=3, limit=3)
    with pytest.raises(kind) as refused:
        await starting
    assert (refused.value.code, refused.value.agent) == (code, "desk")
    if isinstance(refused.value, CapacityError):
        assert (refused.value.used, refused.value.limit) == (3, 3)


async def test_an_agent_refused_later_ends_a_program_that_has_no_other(
    omni: Omni, desk: Agent, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    first = await started(omni, server)
    await first.close()
    second = await server.peer()
    await second.let_in()
    await second.expect("agent.create")
    await second.send("error", code="AGENT_CONFLICT_FATAL", agent_id="desk", error="taken for good")
    with pytest.raises(AgentConflictError, match="taken for good"):
        await omni.wait()
    assert "taken for good" in caplog.text


async def test_a_refused_agent_is_asked_for_again_on_the_next_connection(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    omni.agent("sales")
    first = await started(omni, server)
    await first.close()
    second = await server.peer()
    await second.let_in()
    for _ in range(2):
        frame = await second.expect("agent.create")
        if frame["agent_id"] == "desk":
            await second.send("error", code="REGISTRATION_ERROR", agent_id="desk", error="not now")
        else:
            await second.send("agent.created", agent_id="sales")
    with pytest.raises(RegistrationError):
        await desk.ready()
    await second.close()
    await again(server, "desk", "sales")
    await desk.ready()


async def test_a_number_of_somebody_else_is_not_asked_for_again(
    omni: Omni, desk: Agent, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    desk.add_channel("phone", "+34 911 222 333")
    desk.add_channel("chat")
    first = await started(omni, server)
    await first.expect("channel.add")
    await first.send(
        "error", code="PHONE_IN_USE", agent_id="desk", phone="+34 911 222 333", owner="sales", error="belongs to sales"
    )
    while "belongs to sales" not in caplog.text:
        await asyncio.sleep(0.005)
    await first.close()
    second = await again(server, "desk")
    assert (await second.expect("channel.add"))["type"] == "chat"
    assert second.names().count("channel.add") == 1


async def test_channels_are_told_as_the_wire_spells_them(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer = await started(omni, server)
    desk.add_channel(
        "whatsapp", phone_number_id="123", access_token="T", verify_token="V", app_secret="S", language="es"
    )
    assert await peer.expect("channel.add") == {
        "event": "channel.add", "agent_id": "desk", "type": "whatsapp", "ref": "123",
        "accessToken": "T", "verifyToken": "V", "appSecret": "S", "language": "es",
    }  # fmt: skip
    desk.add_channel("webrtc")
    assert await peer.expect("channel.add") == {"event": "channel.add", "agent_id": "desk", "type": "webrtc"}
    desk.add_channel("phone", "sip:bot@trunk.example", ringing=True)
    assert (await peer.expect("channel.add"))["ringing"] is True
    desk.configure_channel("webrtc", voice="cartesia:new")
    assert await peer.expect("channel.configure") == {
        "event": "channel.configure", "agent_id": "desk", "ref": "webrtc", "voice": "cartesia:new",
    }  # fmt: skip
    desk.remove_channel("sip:bot@trunk.example")
    assert await peer.expect("channel.remove") == {
        "event": "channel.remove", "agent_id": "desk", "ref": "sip:bot@trunk.example", "type": "phone",
    }  # fmt: skip
    await peer.close()
    second = await again(server, "desk")
    await second.expect("channel.add")
    assert (await second.expect("channel.add"))["voice"] == "cartesia:new"  # the change is remembered
    assert second.names().count("channel.add") == 2


async def test_the_callers_of_all_agents_are_routed(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    sales = omni.agent("sales")
    peer = await started(omni, server)
    desk.route_callers(["+2", "+1"])
    assert (await peer.expect("dev.config"))["callers"] == ["+1", "+2"]
    sales.route_callers(["+3", "+1"])
    assert await peer.expect("dev.config") == {"event": "dev.config", "callers": ["+1", "+2", "+3"]}
    desk.route_callers([])
    sales.route_callers([])
    await peer.expect("dev.config")
    assert (await peer.expect("dev.config"))["callers"] == []


async def test_configure_tells_the_change_and_keeps_the_prompt(omni: Omni, server: ScriptedServer) -> None:
    desk = omni.agent("desk", llm={"model": "a", "prompt": "Be kind."}, language="en")
    peer = await started(omni, server)
    desk.configure(llm={"model": "b"}, language="fr")
    assert await peer.expect("agent.configure") == {
        "event": "agent.configure", "agent_id": "desk", "llm": {"model": "b"}, "language": "fr",
    }  # fmt: skip
    assert desk.get_config() == {"llm": {"model": "b", "prompt": "Be kind."}, "language": "fr"}
    desk.configure_session("CA7", language="es")
    assert await peer.expect("session.configure") == {
        "event": "session.configure", "session_id": "CA7", "language": "es",
    }  # fmt: skip


async def test_pause_resume_and_send_wait_for_their_own_answer(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer = await started(omni, server)
    everywhere, contact = desk.pause(), desk.pause(contact="+34 600 111 222")
    assert (await peer.expect("session.pause"))["agent_id"] == "desk"
    assert (await peer.expect("session.pause"))["contact"] == "+34 600 111 222"
    await peer.send("session.paused", agent_id="desk", contact="34600111222")
    await contact
    assert not everywhere.done
    await peer.send("session.paused", agent_id="desk")
    await everywhere
    resumed = desk.resume("wa-1")
    assert (await peer.expect("session.resume"))["session_id"] == "wa-1"
    await peer.send("session.resumed", agent_id="desk", session_id="wa-1")
    await resumed
    sent = desk.send_message("A person here.", "wa-1")
    assert (await peer.expect("session.send"))["text"] == "A person here."
    await peer.send("session.sent", agent_id="desk", session_id="wa-1")
    await sent


def test_a_setting_that_is_probably_misspelt_is_told(omni: Omni, caplog: pytest.LogCaptureFixture) -> None:
    desk = omni.agent("desk", promt="Hi", sessionLimits={"max": 60}, experimental=True)
    assert [record.getMessage() for record in caplog.records] == [
        "omni looks at no setting 'promt'; did you mean 'prompt'?"
    ]
    assert desk.get_config() == {"promt": "Hi", "sessionLimits": {"max": 60}, "experimental": True}


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda omni: omni.agent("¡!"), "needs a letter or a digit"),
        (lambda omni: omni.agent("DESK"), "has an agent 'desk' already"),
        (lambda omni: omni.agents[0].add_channel("fax"), "there is no channel 'fax'; there are phone"),
        (lambda omni: omni.agents[0].add_channel("phone"), r"needs a number such as \+34911222333"),
        (lambda omni: omni.agents[0].add_channel("whatsapp", access_token="T"), "needs phone_number_id="),
        (lambda omni: omni.agents[0].configure(tools=[print]), "is no tool; decorate the function with @tool"),
        (lambda omni: omni.agents[0].configure(vars={"x": object()}), "vars cannot be sent"),
        (lambda omni: omni.agents[0].send({"event": "x", "when": object()}), "a frame cannot be sent"),
        (lambda omni: omni.agents[0].send_message("hi"), "say to whom"),
        (lambda omni: omni.agents[0].pause(), r"session\.pause needs a running program"),
    ],
)
def test_what_cannot_work_is_said_where_it_is_written(omni: Omni, desk: Agent, act: object, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        act(omni)  # type: ignore[operator]
