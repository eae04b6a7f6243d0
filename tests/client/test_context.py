"""A live call's settings and memory: requests, acknowledgements, configuration (wire protocol §4.3, §6.8)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.brains.llm_server import says
from tests.client.program import Frame, Program
from tests.client.stage import Row, Rows, Stage, reply
from tests.server.shop import agent_of

rows = Rows()


async def talking(stage: Stage) -> tuple[Program, Frame]:
    """A program in a call that waits for its answer, and the cue."""
    program = await stage.desk()
    return program, await stage.asked(program)


async def modelled(stage: Stage, **config: Any) -> tuple[Program, str]:
    """A program whose agent a model answers, in a call after its first answer; the call's id."""
    await stage.open(agent_of("desk", brain="llm"))
    program = await stage.desk(llm="openai/m", **config)
    stage.shop.say("hello")
    await program.expect("llm.before", turn=1)
    started = program.all("whatsapp.session_started")[0]
    await program.send({"event": "llm.ready", "call_id": started["call_id"], "turn": 1})
    await program.expect("bot.finished")
    return program, started["call_id"]


async def answered(stage: Stage, program: Program, text: str, call: str) -> Frame:
    """The request that the model got for the next message."""
    heard = len(stage.llm.requests)
    stage.shop.say(text)
    before = await program.expect("llm.before")
    await program.send({"event": "llm.ready", "call_id": call, "turn": before["turn"]})
    await program.expect("bot.finished")
    return stage.llm.requests[heard]


async def ask(program: Program, event: str, call: str, **fields: Any) -> Frame:
    id_ = f"rq_{len(program.heard)}_{event}"
    await program.send({"event": event, "call_id": call, "request_id": id_, **fields})
    answer = "history.data" if event == "history.get" else "history.updated"
    return await program.expect(answer, request_id=id_)


@rows("6.8-history.get")
async def _(stage: Stage) -> None:
    program, cue = await talking(stage)
    data = await ask(program, "history.get", cue["call_id"])
    assert (
        data.items()
        >= {"agent_id": "desk", "call_id": cue["call_id"], "session_id": cue["call_id"], "count": 1}.items()
    )
    assert data["messages"] == [{"role": "user", "content": "hello"}]


@rows("6.8-the-rendered-prompt-comes-first")
async def _(stage: Stage) -> None:
    program, call = await modelled(stage, prompt="You are {{who}}, {{ who2 }}.", vars={"who": "Ann"})
    data = await ask(program, "history.get", call)
    assert data["messages"][0]["role"] == "system"
    assert data["messages"][0]["content"].startswith("You are Ann")


@rows("3.5-agent.configure-is-for-calls-to-come")
async def _(stage: Stage) -> None:
    program, call = await modelled(stage, prompt="Old.")
    await program.send({"event": "agent.configure", "agent_id": "desk", "prompt": "New."})
    await program.expect("agent.configured")
    assert (await answered(stage, program, "and now?", call))["messages"][0]["content"] == "Old."
    await program.send({"event": "call.hangup", "call_id": call})
    await program.expect("whatsapp.session_ended")
    stage.shop.say("again")
    before = await program.expect("llm.before", turn=1)
    await program.send({"event": "llm.ready", "call_id": before["call_id"], "turn": before["turn"]})
    await program.expect("bot.finished")
    assert before["call_id"] != call
    assert stage.llm.requests[-1]["messages"][0]["content"] == "New."


@rows("6.8-a-request-without-id-has-an-ack-without-id")
async def _(stage: Stage) -> None:
    program, cue = await talking(stage)
    await program.send({"event": "history.get", "call_id": cue["call_id"]})
    data = await program.expect("history.data")
    assert "request_id" not in data
    await program.send({"event": "history.get", "call_id": cue["call_id"], "request_id": 7})
    assert (await program.expect("history.data"))["request_id"] == 7


@rows("11.12-seven-requests-seven-acks-in-order-while-a-turn-is-held")
async def _(stage: Stage) -> None:
    await stage.open(agent_of("desk", brain="llm"))
    program = await stage.desk(llm="openai/m", preparing={"timeout_ms": 5000})
    stage.shop.say("hello")
    before = await program.expect("llm.before", turn=1)
    call = {"call_id": before["call_id"]}
    line = {"role": "user", "content": "earlier"}
    requests: list[Frame] = [
        {"event": "history.get", **call},
        {"event": "history.add", "messages": [line], **call},
        {"event": "history.set_vars", "vars": {"tier": "gold"}, **call},
        {"event": "history.set_instructions", "prompt": "You serve {{tier}}.", **call},
        {"event": "history.add_context", "text": "It rains.", **call},
        {"event": "history.clear", **call},
        {"event": "history.set", "messages": [line, {"role": "assistant", "content": "then"}], **call},
    ]
    await program.send(*({**frame, "request_id": f"rq_{n}"} for n, frame in enumerate(requests)))
    for number, frame in enumerate(requests):
        kind = "history.data" if frame["event"] == "history.get" else "history.updated"
        await program.expect(kind, request_id=f"rq_{number}")
    assert stage.llm.requests == []
    await program.send({"event": "llm.ready", **call, "turn": before["turn"]})
    await program.expect("bot.finished")
    (request,) = stage.llm.requests
    assert request["messages"][0]["content"].startswith("You serve gold.")
    assert "It rains." in request["messages"][0]["content"]
    assert [m["content"] for m in request["messages"][1:]] == ["earlier", "then", "hello"]


@rows("6.8-call_not_found")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    for event in ("history.get", "history.clear"):
        refused = await ask(program, event, "wa-000000000000")
        assert refused.items() >= {"error": "call_not_found", "call_id": "wa-000000000000", "agent_id": "desk"}.items()


@rows("6.8-call_not_found-for-a-call-that-has-ended")
async def _(stage: Stage) -> None:
    program, cue = await talking(stage)
    await program.send({"event": "call.hangup", "call_id": cue["call_id"]})
    await program.expect("whatsapp.session_ended")
    assert (await ask(program, "history.get", cue["call_id"]))["error"] == "call_not_found"


@rows("6.8-a-request-that-cannot-be-read-is-refused")
async def _(stage: Stage) -> None:
    program, cue = await talking(stage)
    refused = await ask(program, "history.add", cue["call_id"], messages="x")
    assert refused["error"].startswith("history.add: `messages`")
    assert (await ask(program, "history.set_vars", cue["call_id"], vars=None))["error"]
    assert program.all("error") == []


@rows("6.8-a-client-that-answers-itself-has-a-history-too")
async def _(stage: Stage) -> None:
    program, cue = await talking(stage)
    updated = await ask(program, "history.add", cue["call_id"], messages=[{"role": "assistant", "content": "noted"}])
    assert updated["count"] == 2
    assert "error" not in updated


@rows("11.14-orphan-tool-calls-do-not-reach-the-model")
async def _(stage: Stage) -> None:
    program, call = await modelled(stage)
    orphan = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hi", "source": "human"},
        {"role": "assistant", "content": None, "tool_calls": [orphan]},
        {"role": "assistant", "content": "   "},
        {"role": "tool", "tool_call_id": "t9", "content": "x"},
        {"role": "assistant", "content": "hello"},
    ]
    await ask(program, "history.set", call, messages=messages)
    request = await answered(stage, program, "next", call)
    assert [(m["role"], m["content"]) for m in request["messages"] if m["role"] != "system"] == [
        ("user", "hi"),
        ("assistant", "hello"),
        ("user", "next"),
    ]
    assert not any("source" in m or m.get("tool_calls") for m in request["messages"])


@rows("6.8-get-then-set-round-trips")
async def _(stage: Stage) -> None:
    program, call = await modelled(stage, prompt="Be kind.")
    data = await ask(program, "history.get", call)
    await ask(program, "history.set", call, messages=data["messages"])
    assert (await ask(program, "history.get", call))["messages"] == data["messages"]


@rows("6.8-clear-keeps-prompt-and-vars")
async def _(stage: Stage) -> None:
    program, call = await modelled(stage, prompt="For {{who}}.", vars={"who": "Ann"})
    await ask(program, "history.set_vars", call, vars={"who": "Bob", "n": 3})
    await ask(program, "history.clear", call)
    request = await answered(stage, program, "next", call)
    assert request["messages"][0]["content"].startswith("For Bob.")
    assert [m["content"] for m in request["messages"] if m["role"] != "system"] == ["next"]


@rows("4.3-set_context")
async def _(stage: Stage) -> None:
    program, call = await modelled(stage, prompt="P")
    await program.send({"event": "set_context", "call_id": call, "key": "cart", "value": {"items": 2}})
    await program.send({"event": "set_context", "call_id": call, "key": "page", "value": "shoes"})
    request = await answered(stage, program, "next", call)
    assert '{"items": 2}' in request["messages"][0]["content"]
    assert "shoes" in request["messages"][0]["content"]
    await program.send({"event": "set_context", "call_id": call, "key": "page", "value": None})
    request = await answered(stage, program, "and now", call)
    assert "shoes" not in request["messages"][0]["content"]


@rows("11.21-session.configure-as-the-app-wrote-it")
async def _(stage: Stage) -> None:
    program, call = await modelled(stage)
    tool = {"name": "find", "description": "d", "schema": {}, "noFollowup": True, "_jsonSchema": {"type": "object"}}
    await program.send(
        {
            "event": "session.configure",
            "session_id": call,
            "agent_id": "desk",
            "stt": "deepgram:nova-3:es",
            "promptVars": {"a": "b"},
            "llm": {"engine": "openai", "model": "bigger", "maxTokens": 9},
            "instructions": "Be brief, {{a}}.",
            "tools": [tool],
        }
    )
    done = await program.expect("session.configured", call_id=call, session_id=call, agent_id="desk")
    assert done["success"] is True
    request = await answered(stage, program, "next", call)
    assert (request["model"], request["max_tokens"]) == ("bigger", 9)
    assert request["messages"][0]["content"].startswith("Be brief, b.")
    assert "find" in [offered["function"]["name"] for offered in request["tools"]]
    assert (await stage.agent()).llm.model == "m"  # this call only


@rows("4.3-session.configure-that-cannot-be-used")
async def _(stage: Stage) -> None:
    program, cue = await talking(stage)
    await program.send({"event": "session.configure", "session_id": cue["call_id"], "llm": "nobody/x"})
    error = await program.expect("error", code="CONFIG_ERROR", call_id=cue["call_id"])
    assert "'nobody'" in error["error"]
    assert program.all("session.configured") == []


@rows("7.1-precedence-agent-channel-call")
async def _(stage: Stage) -> None:
    await stage.open(agent_of("desk", brain="llm"))
    program = await stage.desk(llm="openai/a", prompt="agent")
    patch = {"event": "channel.configure", "agent_id": "desk", "ref": "100200300", "prompt": "channel"}
    await program.send(patch)
    await program.expect("channel.configured")
    stage.llm.will(says("one"), says("two"))
    stage.shop.say("hello")
    before = await program.expect("llm.before", turn=1)
    await program.send({"event": "llm.ready", "call_id": before["call_id"]})
    await program.expect("bot.finished")
    assert stage.llm.requests[0]["messages"][0]["content"].startswith("channel")
    await program.send({"event": "session.configure", "session_id": before["call_id"], "prompt": "call"})
    await program.expect("session.configured")
    request = await answered(stage, program, "next", before["call_id"])
    assert request["messages"][0]["content"].startswith("call")
    assert request["model"] == "a"


@rows("6.8-a-history-may-be-restored-right-at-the-start")
async def _(stage: Stage) -> None:
    await stage.open(agent_of("desk", brain="llm"))
    program = await stage.desk(llm="openai/m")
    stage.shop.say("hello again")
    started = await program.expect("whatsapp.session_started")
    old = [{"role": "user", "content": "I am Ann"}, {"role": "assistant", "content": "Hi Ann"}]
    await ask(program, "history.set", started["call_id"], messages=old)
    await program.send({"event": "llm.ready", "call_id": started["call_id"]})
    await program.expect("bot.finished")
    data = await ask(program, "history.get", started["call_id"])
    assert [m["content"] for m in data["messages"] if m["role"] == "user"][:1] == ["I am Ann"]


@rows("6.14-replies-are-in-the-history")
async def _(stage: Stage) -> None:
    program, cue = await talking(stage)
    await program.send(reply(cue, "hi there"))
    await program.expect("bot.finished")
    data = await ask(program, "history.get", cue["call_id"])
    assert [m["content"] for m in data["messages"]] == ["hello", "hi there"]


@pytest.mark.parametrize("row", rows.all())
async def test_row(row: Row, stage: Stage) -> None:
    async with asyncio.timeout(50):
        await row(stage)
