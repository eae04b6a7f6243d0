"""What a program may do in a call, besides speaking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from omni import Call, Omni
from omni.sdk import CallEndedError, ConfigError, ConnectionLostError, RequestRefusedError, RequestTimeoutError
from omni.sdk.agent import Agent
from omni.sdk.answer import Answer
from tests.sdk.scripted import CALL, Peer, ScriptedServer, again, begin_chat, quicker, started


async def talking(omni: Omni, server: ScriptedServer) -> tuple[Peer, Call]:
    came: asyncio.Queue[Call] = asyncio.Queue()
    omni.on("chat.started", came.put_nowait)
    peer = await started(omni, server)
    await begin_chat(peer)
    return peer, await came.get()


CONTROL: list[tuple[Callable[[Call], Any], dict[str, Any]]] = [
    (lambda call: call.hangup(), {"event": "call.hangup"}),
    (lambda call: call.hangup("done"), {"event": "call.hangup", "reason": "done"}),
    (lambda call: call.forward("+1555"), {"event": "call.forward", "to": "+1555", "message": "", "announce": False}),
    (
        lambda call: call.forward("+1555", message="One moment", announce=True),
        {"event": "call.forward", "to": "+1555", "message": "One moment", "announce": True},
    ),
    (lambda call: call.send_dtmf("1234#"), {"event": "call.dtmf", "digits": "1234#"}),
    (lambda call: call.hold(), {"event": "call.hold"}),
    (lambda call: call.unhold(), {"event": "call.unhold"}),
    (lambda call: call.mute(), {"event": "call.mute"}),
    (lambda call: call.unmute(), {"event": "call.unmute"}),
]


@pytest.mark.parametrize(("act", "frame"), CONTROL, ids=[frame["event"] for _, frame in CONTROL])
async def test_control(
    omni: Omni, desk: Agent, server: ScriptedServer, act: Callable[[Call], Any], frame: dict[str, Any]
) -> None:
    peer, call = await talking(omni, server)
    await act(call)
    assert await peer.expect(frame["event"]) == {**frame, "call_id": "chat-1"}


async def test_configure_sends_what_is_given_as_it_is(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer, call = await talking(omni, server)
    call.configure(voice="elevenlabs:es", language="es", stt=None)
    assert await peer.expect("session.configure") == {
        "event": "session.configure", "session_id": "chat-1", "voice": "elevenlabs:es", "language": "es",
    }  # fmt: skip


async def test_what_json_has_no_form_for_is_refused_or_left_out_and_the_rest_arrives(
    omni: Omni, desk: Agent, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    peer, call = await talking(omni, server)
    with pytest.raises(ConfigError, match="a message cannot be sent to the server"):
        call.add_history([{"role": "user", "content": object()}])
    unsayable: Any = object()
    call.hangup(unsayable)
    call.add_history([{"role": "user", "content": date(2026, 1, 2)}])
    assert (await peer.expect("history.add"))["messages"] == [{"role": "user", "content": "2026-01-02"}]
    assert "call.hangup is not sent" in caplog.text


REQUESTS: list[tuple[Callable[[Call], Answer[int]], dict[str, Any]]] = [
    (lambda call: call.set_prompt("Be formal."), {"event": "history.set_instructions", "prompt": "Be formal."}),
    (
        lambda call: call.set_prompt_vars({"name": "Maria"}, tier="gold"),
        {"event": "history.set_vars", "vars": {"name": "Maria", "tier": "gold"}},
    ),
    (lambda call: call.add_context("Orders: none"), {"event": "history.add_context", "text": "Orders: none"}),
    (
        lambda call: call.add_history([{"role": "user", "content": "Hi"}]),
        {"event": "history.add", "messages": [{"role": "user", "content": "Hi"}]},
    ),
    (lambda call: call.set_history([]), {"event": "history.set", "messages": []}),
    (lambda call: call.clear_history(), {"event": "history.clear"}),
]


@pytest.mark.parametrize(("act", "frame"), REQUESTS, ids=[frame["event"] for _, frame in REQUESTS])
async def test_changes_of_the_history_are_acknowledged(
    omni: Omni, desk: Agent, server: ScriptedServer, act: Callable[[Call], Answer[int]], frame: dict[str, Any]
) -> None:
    peer, call = await talking(omni, server)
    answer = act(call)
    asked = await peer.expect(frame["event"])
    assert asked == {**frame, "call_id": "chat-1", "request_id": asked["request_id"]}
    await peer.send("history.updated", **CALL, request_id=asked["request_id"], count=3)
    assert await answer == 3


async def test_the_history_is_read(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer, call = await talking(omni, server)
    answer = call.get_history()
    asked = await peer.expect("history.get")
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    await peer.send("history.data", **CALL, request_id=asked["request_id"], messages=messages)
    assert await answer == messages


async def test_answers_go_to_who_asked_whatever_their_order(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer, call = await talking(omni, server)
    answers = [call.add_context(str(number)) for number in range(7)]
    asked = [(await peer.expect("history.add_context"))["request_id"] for _ in answers]
    for place in reversed(range(7)):
        await peer.send("history.updated", **CALL, request_id=asked[place], count=place)
    assert [await answer for answer in answers] == list(range(7))


async def test_a_handler_that_waits_for_an_answer_gets_it(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    counted: asyncio.Queue[int] = asyncio.Queue()

    @desk.on("call.held")
    async def hold(event: object, call: Call) -> None:
        counted.put_nowait(await call.clear_history())

    peer, _ = await talking(omni, server)
    await peer.send("call.held", **CALL)
    asked = await peer.expect("history.clear")
    await peer.send("history.updated", **CALL, request_id=asked["request_id"], count=0)
    assert await counted.get() == 0


async def test_a_refusal_is_an_error_that_says_what_was_asked(
    omni: Omni, desk: Agent, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    peer, call = await talking(omni, server)
    waited, unwaited = call.clear_history(), call.set_prompt("x")
    for name in ("history.clear", "history.set_instructions"):
        asked = await peer.expect(name)
        await peer.send("history.updated", **CALL, request_id=asked["request_id"], error="call_not_found")
    with pytest.raises(RequestRefusedError, match=r"the server refused history\.clear for chat-1: call_not_found"):
        await waited
    with pytest.raises(RequestRefusedError):
        await unwaited
    assert "refused history.set_instructions" in caplog.text  # nobody was waiting when it came


async def test_an_answer_that_does_not_come_is_an_error(desk: Agent, server: ScriptedServer) -> None:
    omni = Omni(server.url, "k", timing=quicker(request=0.02))
    omni.agent("desk")
    peer, call = await talking(omni, server)
    with pytest.raises(RequestTimeoutError, match=r"the server did not answer history\.get within 0\.02 s"):
        await call.get_history()
    asked = await peer.expect("history.get")
    await peer.send("history.data", **CALL, request_id=asked["request_id"], messages=[])  # too late, and harmless
    await omni.close()


async def test_an_answer_is_not_waited_for_on_a_connection_that_broke(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    peer, call = await talking(omni, server)
    answer = asyncio.ensure_future(_wait(call.add_context("x")))
    await peer.expect("history.add_context")
    await peer.close()
    with pytest.raises(ConnectionLostError, match=r"before the answer to history\.add_context came; ask again"):
        await answer


async def _wait(answer: Answer[int]) -> int:
    return await answer


async def test_what_is_asked_while_away_is_asked_on_the_next_connection(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    first, call = await talking(omni, server)
    await first.close()
    while omni.is_connected:
        await asyncio.sleep(0.001)
    answer = call.add_context("later")
    second = await again(server, "desk")
    asked = await second.expect("history.add_context")
    await second.send("history.updated", **CALL, request_id=asked["request_id"], count=1)
    assert await answer == 1


async def test_a_call_that_is_over_has_no_history(
    omni: Omni, desk: Agent, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    peer, call = await talking(omni, server)
    await peer.send("llm.chat.ended", **CALL)
    while desk.call("chat-1") is not None:
        await asyncio.sleep(0.001)
    call.add_context("nobody reads this")
    with pytest.raises(CallEndedError, match=r"call chat-1 has ended: history\.get came too late"):
        await call.get_history()
    assert not caplog.records


async def test_a_prompt_may_be_a_file(omni: Omni, desk: Agent, server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "prompt.md").write_text("Sé amable.", encoding="utf-8")
    peer, call = await talking(omni, server)
    setting = asyncio.create_task(call.set_prompt_file(tmp_path / "prompt.md"))
    asked = await peer.expect("history.set_instructions")
    assert asked["prompt"] == "Sé amable."
    await peer.send("history.updated", **CALL, request_id=asked["request_id"], count=0)
    await setting
    with pytest.raises(FileNotFoundError):
        await call.set_prompt_file(tmp_path / "nothing.md")


async def test_tools_are_answered_by_hand_in_either_spelling(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer, call = await talking(omni, server)
    call.tool_result(
        "tc_1",
        [{"tool_call_id": "t1", "result": {"ok": True}}, {"toolCallId": "t2", "result": None, "ephemeral": True}],
    )
    assert await peer.expect("llm.tool_result") == {
        "event": "llm.tool_result", "call_id": "chat-1", "msg_id": "tc_1",
        "results": [
            {"tool_call_id": "t1", "result": {"ok": True}}, {"tool_call_id": "t2", "result": None, "ephemeral": True},
        ],
    }  # fmt: skip
    with pytest.raises(ConfigError, match="this one has no tool_call_id"):
        call.tool_result("tc_1", [{"result": 1}])


async def test_keys_that_no_phone_has_are_refused(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    _, call = await talking(omni, server)
    for digits in ("", "12a", "１"):
        with pytest.raises(ConfigError, match="cannot be pressed on a phone"):
            call.send_dtmf(digits)


async def test_commands_may_come_from_other_threads(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer, call = await talking(omni, server)

    asyncio.get_running_loop().set_debug(True)  # what touches the loop from elsewhere is an error now

    def elsewhere() -> Answer[int]:
        call.say("from a thread")
        return call.add_context("from a thread")

    answer = await asyncio.to_thread(elsewhere)
    assert (await peer.expect("bot.reply"))["text"] == "from a thread"
    asked = await peer.expect("history.add_context")
    await peer.send("history.updated", **CALL, request_id=asked["request_id"], count=1)
    assert await answer == 1
