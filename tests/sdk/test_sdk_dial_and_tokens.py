"""Calls that the program makes, and tokens for browsers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from omni import Call, Omni
from omni.sdk import AgentNotRegisteredError, ConfigError, ConnectError, DialError, TokenError
from omni.sdk.agent import Agent
from tests.sdk.scripted import ScriptedServer, quicker, started


def outbound(call_id: str, to: str = "+14155550111") -> dict[str, Any]:
    return {
        "agent_id": "desk", "call_id": call_id, "session_id": call_id, "from_": "+13125550199", "to": to,
        "direction": "outbound",
    }  # fmt: skip


@pytest.fixture
def desk(desk: Agent) -> Agent:
    desk.add_channel("phone", "+13125550199")
    return desk


async def test_a_call_that_is_answered(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer = await started(omni, server)

    async def dial() -> tuple[Call, Any]:
        call = await desk.dial(
            "+14155550111", "+13125550199", greeting="Hi", metadata={"appt": 1}, config={"voice": "cartesia:v9"},
        )  # fmt: skip
        return call, (call.id, call.direction, call.to, call.metadata)  # before any handler has run

    dialing = asyncio.create_task(dial())
    assert await peer.expect("call.dial") == {
        "event": "call.dial", "agent_id": "desk", "to": "+14155550111", "from": "+13125550199", "greeting": "Hi",
        "metadata": {"appt": 1}, "config": {"voice": "cartesia:v9"},
    }  # fmt: skip
    await peer.send("call.dialing", **outbound("CA9"))
    await peer.send("call.started", **outbound("CA9"), transport="phone", metadata={"appt": 1})
    call, known = await dialing
    assert isinstance(call, Call)
    assert known == ("CA9", "outbound", "+14155550111", {"appt": 1})


@pytest.mark.parametrize("reason", ["busy", "no-answer", "failed", "canceled"])
async def test_a_call_that_nobody_answers_is_an_error_with_the_reason(
    omni: Omni, desk: Agent, server: ScriptedServer, reason: str
) -> None:
    peer = await started(omni, server)
    dialing = asyncio.create_task(desk.dial("+14155550111"))
    assert (await peer.expect("call.dial"))["from"] == "+13125550199"  # the only number it has
    await peer.send("call.ended", **outbound("CA9"), reason=reason, duration_seconds=0)
    with pytest.raises(DialError, match=r"nobody answered at \+14155550111") as failed:
        await dialing
    assert failed.value.reason == reason


async def test_dials_do_not_take_each_others_answers(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer = await started(omni, server)
    numbers = ["+1", "+2", "+2"]
    dials = [asyncio.create_task(desk.dial(to)) for to in numbers]
    for _ in dials:
        await peer.expect("call.dial")
    for place, to in enumerate(numbers):
        await peer.send("call.dialing", **outbound(f"CA{place}", to))
    await peer.send("call.ended", **outbound("CA1", "+2"), reason="busy")
    await peer.send("call.ended", agent_id="desk", call_id="CA-other", direction="inbound", reason="hangup", to="+9")
    await peer.send("call.started", **outbound("CA2", "+2"))
    await peer.send("call.started", **outbound("CA0", "+1"))
    assert (await dials[0]).id == "CA0"
    with pytest.raises(DialError):
        await dials[1]
    assert (await dials[2]).id == "CA2"


async def test_a_dial_that_the_server_forgets_ends(server: ScriptedServer) -> None:
    omni = Omni(server.url, "k", timing=quicker(dial=0.02))
    desk = omni.agent("desk")
    desk.add_channel("phone", "+13125550199")
    await started(omni, server)
    with pytest.raises(DialError, match=r"within 0\.02 s"):
        await desk.dial("+14155550111")
    await omni.close()


async def test_a_dial_ends_with_the_connection(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer = await started(omni, server)
    dialing = asyncio.create_task(desk.dial("+14155550111"))
    await peer.expect("call.dial")
    await peer.close()
    with pytest.raises(DialError, match="the connection broke"):
        await dialing


async def test_which_number_to_call_from_has_to_be_clear(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    desk.add_channel("phone", "+13125550200")
    await started(omni, server)
    with pytest.raises(ConfigError, match=r"from_=…: the agent 'desk' has 2 of them"):
        await desk.dial("+14155550111")


# --- tokens -------------------------------------------------------------------------------------------------------


async def test_a_token_is_asked_for_with_key_and_metadata(omni: Omni, server: ScriptedServer) -> None:
    desk = omni.agent("Front_Desk")
    await started(omni, server)
    token = await desk.create_token("chat", {"user": 7}, scope="observe", call_id="chat-1")
    assert token.wire() == {"token": "cht_abc", "server": "http://s", "expiresIn": 60}
    assert "cht_abc" not in repr(token)
    (request,) = server.tokens
    assert (request.path, request.headers["Authorization"]) == ("/chat/token", "Bearer k_test")
    assert {**request.query, "metadata": json.loads(request.query["metadata"])} == {
        "agent_id": "front-desk", "metadata": {"user": 7}, "scope": "observe", "call_id": "chat-1",
    }  # fmt: skip


async def test_a_stream_token_may_cover_several_agents(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    await started(omni, server)
    server.token_answer = (200, {"token": "str_abc"})
    token = await omni.create_token("stream", ["desk", "sales"])
    assert (token.token, token.server, token.expires_in) == ("str_abc", server.url, 60)
    assert dict(server.tokens[0].query) == {"agent_id": "desk,sales"}


async def test_a_refused_token_is_an_error_with_the_servers_reason(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    await started(omni, server)
    server.token_answer = (404, {"detail": "Agent 'desk' is not online"})
    with pytest.raises(TokenError, match="Agent 'desk' is not online") as refused:
        await desk.create_token("chat")
    assert refused.value.status == 404
    server.token_answer = (200, ["nonsense"])
    with pytest.raises(TokenError, match="no token for desk: 200"):
        await desk.create_token("webrtc")


async def test_a_token_waits_for_the_registration_and_not_for_ever(server: ScriptedServer) -> None:
    omni = Omni(server.url, "k_test", timing=quicker(registered=0.02))
    desk = omni.agent("desk")
    with pytest.raises(AgentNotRegisteredError, match=r"not registered after 0\.02 s: is the program connected\?"):
        await desk.create_token("chat")
    with pytest.raises(ConfigError, match="a token needs a running program"):
        await omni.create_token("chat", "desk")


async def test_a_server_that_does_not_answer_is_an_error(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    await started(omni, server)
    omni._link._url = "http://127.0.0.1:1"  # type: ignore[union-attr]
    with pytest.raises(ConnectError, match="/chat/token did not answer"):
        await desk.create_token("chat")


async def test_there_are_three_kinds_of_tokens(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    await started(omni, server)
    with pytest.raises(ConfigError, match="there are webrtc, chat and stream"):
        await desk.create_token("fax")
