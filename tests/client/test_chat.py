"""Chats: what an agent's program sees of one, and what whoever began it with `llm.chat` reads.

Wire protocol §5.6, §6.15; the browser's page §3.1 (A) and §3.2 (C).
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.brains.llm_server import calls, refuses, says
from tests.client.program import Frame, Program
from tests.client.stage import Row, Rows, Stage, reply
from tests.server.shop import agent_of, until

rows = Rows()
TOOL = {"name": "find", "description": "find", "parameters": {"type": "object"}}


def chat(text: str = "Hi", session: str = "test-1", agent_id: str = "desk", **more: Any) -> Frame:
    return {"event": "llm.chat", "agent_id": agent_id, "session_id": session, "text": text, **more}


async def both(stage: Stage, **config: Any) -> tuple[Program, Program]:
    """An agent's program, and another that asks it."""
    agent = await stage.desk(**config)
    return agent, await stage.program()


@rows("3.2-C-the-frames-of-an-agent")
async def _(stage: Stage) -> None:
    agent, asker = await both(stage, agent_id="My_Desk".removeprefix("My_"))
    await asker.send(chat(metadata={"k": "v"}))
    cue = await agent.expect("turn.end")
    await agent.send(reply(cue, "Hello!"))
    await agent.expect("bot.finished")
    await agent.send({"event": "call.hangup", "call_id": cue["call_id"]})
    ended = await agent.expect("llm.chat.ended")
    kinds = [event for event in agent.events() if event not in ("connected", "agent.created")]
    assert kinds == ["llm.chat.started", "chat.message", "turn.end", "chat.response", "bot.finished", "llm.chat.ended"]
    started = agent.all("llm.chat.started")[0]
    assert (started["metadata"], started["from"]) == ({"k": "v"}, "chat")
    assert cue["call_id"].startswith("chat-")
    assert {frame["call_id"] for frame in agent.heard if "call_id" in frame} == {cue["call_id"]}
    message = agent.all("chat.message")[0]
    assert (message["text"], message["message_id"]) == ("Hi", cue["message_id"])
    assert agent.all("chat.response")[0]["text"] == "Hello!"
    assert [m["content"] for m in ended["messages"]] == ["Hi", "Hello!"]
    assert ended["duration_seconds"] >= 0


@rows("3.1-A-the-frames-of-whoever-asks")
async def _(stage: Stage) -> None:
    await stage.open(agent_of("desk", brain="llm"))
    _, asker = await both(stage, llm="openai/m", preparing=False)
    stage.llm.will(says("It ", "is ", "sunny."))
    await asker.send(chat("How is it?"))
    done = await asker.expect("llm.chat.done", session_id="test-1")
    assert (done["text"], done["model"]) == ("It is sunny.", "m")
    started = asker.all("llm.chat.started")[0]
    assert (started["session_id"], started["model"]) == ("test-1", "m")
    tokens = asker.all("llm.chat.token", session_id="test-1")
    assert "".join(token["token"] for token in tokens) == "It is sunny."
    assert tokens[-1]["text"] == "It is sunny."
    assert set(asker.events()) == {"connected", "llm.chat.started", "llm.chat.token", "llm.chat.done"}


@rows("3.1-A-one-done-a-turn-after-all-tool-rounds")
async def _(stage: Stage) -> None:
    await stage.open(agent_of("desk", brain="llm"))
    agent, asker = await both(stage, llm="openai/m", preparing=False, tools=[TOOL])
    stage.llm.will(calls(("find", '{"id": 1}'), text="Let me look."), says("Found it."))
    await asker.send(chat())
    asked = await agent.expect("llm.tool_call")
    assert asked["call_id"].startswith("chat-")
    answer = {"tool_call_id": asked["tool_calls"][0]["id"], "result": {"n": 1}}
    await agent.send(
        {"event": "llm.tool_result", "call_id": asked["call_id"], "msg_id": asked["msg_id"], "results": [answer]}
    )
    done = await asker.expect("llm.chat.done")
    assert done["text"] == "Let me look.\nFound it."
    (call,) = asker.all("llm.chat.tool_call")[0]["tool_calls"]
    assert (call["name"], call["arguments"]) == ("find", '{"id": 1}')
    shown = asker.all("llm.chat.tool_result")[0]
    assert (shown["tool_call_id"], shown["name"], shown["result"]) == (call["id"], "find", '{"n": 1}')
    assert len(asker.all("llm.chat.done")) == 1


@rows("3.1-A-the-same-id-goes-on-and-a-new-one-starts-afresh")
async def _(stage: Stage) -> None:
    await stage.open(agent_of("desk", brain="llm"))
    agent, asker = await both(stage, llm="openai/m", preparing=False)
    for text, session in (("one", "a"), ("two", "a"), ("three", "b")):
        await asker.send(chat(text, session))
        await asker.expect("llm.chat.done", session_id=session)
    heard = [[m["content"] for m in r["messages"] if m["role"] == "user"] for r in stage.llm.requests]
    assert heard == [["one"], ["one", "two"], ["three"]]
    assert len(agent.all("llm.chat.started")) == 2


@rows("3.1-A-turns-of-a-session-wait-for-each-other")
async def _(stage: Stage) -> None:
    agent, asker = await both(stage)
    await asker.send(chat("one"), chat("two"))
    first = await agent.expect("turn.end", text="one")
    await asker.settled()
    assert len(agent.all("chat.message")) == 1
    await agent.send(reply(first, "1", "m1"))
    await asker.expect("llm.chat.done", text="1")
    second = await agent.expect("turn.end", text="two")
    await agent.send(reply(second, "2", "m2"))
    await asker.expect("llm.chat.done", text="2")


@rows("3.1-A-an-agent-that-is-not-online")
async def _(stage: Stage) -> None:
    await stage.open()
    asker = await stage.program()
    for agent_id in ("desk", "nobody", "¿?"):
        await asker.send(chat(agent_id=agent_id))
        error = await asker.expect("llm.chat.error", session_id="test-1")
        assert error["error"] == f"Agent '{agent_id}' is not online"


@rows("3.1-A-another-organisation-s-agent-is-not-online")
async def _(stage: Stage) -> None:
    await stage.desk()
    asker = await stage.program(await stage.org_key("acme"))
    await asker.send(chat())
    await asker.expect("llm.chat.error", error="Agent 'desk' is not online")


@rows("3.1-A-llm.chat.error")
async def _(stage: Stage) -> None:
    await stage.open(agent_of("desk", brain="llm", script=[], fallback=None, llm={"retries": 0}))
    _, asker = await both(stage, llm="openai/m", preparing=False)
    stage.llm.will(*[refuses(400)] * 3)
    await asker.send(chat())
    error = await asker.expect("llm.chat.error", session_id="test-1")
    assert error["error"]
    await asker.send(chat("again?", "other"))
    await asker.expect("llm.chat.error", session_id="other")
    assert asker.all("llm.chat.done") == []


@rows("3.1-A-a-paused-agent-is-an-error")
async def _(stage: Stage) -> None:
    agent, asker = await both(stage)
    await agent.send({"event": "session.pause", "agent_id": "desk"})
    await until(lambda: _paused(stage))
    await asker.send(chat())
    error = await asker.expect("llm.chat.error")
    assert "person" in error["error"]
    assert (await agent.expect("chat.message"))["paused"] is True


async def _paused(stage: Stage) -> bool:
    return (await stage.agent()).is_paused


@rows("3.1-A-sessions-end-with-their-socket")
async def _(stage: Stage) -> None:
    agent, asker = await both(stage)
    await asker.send(chat())
    cue = await agent.expect("turn.end")
    await asker.close()
    ended = await agent.expect("llm.chat.ended", call_id=cue["call_id"])
    assert ended["reason"] == "disconnected"


@rows("6.15-sessions-end-when-they-are-idle")
async def _(stage: Stage) -> None:
    await stage.open(timing={"chat_idle": 0.1})
    agent, asker = await both(stage)
    await asker.send(chat())
    cue = await agent.expect("turn.end")
    await agent.send(reply(cue, "hello"))
    assert (await agent.expect("llm.chat.ended"))["reason"] == "idle_timeout"
    await asker.expect("llm.chat.done")
    await asker.send(chat("back again"))
    again = await agent.expect("turn.end", text="back again")
    assert again["call_id"] != cue["call_id"]


@rows("6.15-issuer-and-agent-on-one-socket")
async def _(stage: Stage) -> None:
    await stage.open(agent_of("desk", brain="llm", script=[], fallback=None, llm={"retries": 0}))
    agent = await stage.desk(llm="openai/m", preparing=False)
    stage.llm.will(says("hello"), refuses(400), refuses(400))
    await agent.send(chat())
    await agent.expect("llm.chat.done", text="hello")
    (started,) = agent.all("llm.chat.started")
    assert started.items() >= {"session_id": "test-1", "model": "m", "agent_id": "desk"}.items()
    assert started["call_id"].startswith("chat-")
    await agent.send(chat("fails"))
    await agent.expect("chat.message", text="fails")
    await agent.send({"event": "call.hangup", "call_id": started["call_id"]})
    await agent.expect("llm.chat.ended")
    assert agent.all("llm.chat.error") == []


@rows("6.15-a-streamed-reply-is-shown-as-it-is-written")
async def _(stage: Stage) -> None:
    agent, asker = await both(stage)
    await asker.send(chat())
    cue = await agent.expect("turn.end")
    stream = {"event": "bot.reply.stream", "call_id": cue["call_id"], "message_id": "s1"}
    await agent.send({**stream, "action": "start", "in_reply_to": cue["message_id"]})
    await agent.send({**stream, "action": "chunk", "token": "It "})
    token = await asker.expect("llm.chat.token", session_id="test-1")
    assert (token["token"], token["text"]) == ("It ", "It ")
    await agent.send({**stream, "action": "chunk", "token": "rains."}, {**stream, "action": "end"})
    done = await asker.expect("llm.chat.done")
    assert done["text"] == "It rains."
    assert (await agent.expect("chat.response"))["text"] == "It rains."
    await agent.expect("bot.finished", message_id="s1")
    assert agent.all("llm.chat.chunk") == []


@rows("6.15-never-call.started-for-a-chat")
async def _(stage: Stage) -> None:
    agent, asker = await both(stage)
    await asker.send(chat())
    cue = await agent.expect("turn.end")
    await agent.send(reply(cue, "x"), {"event": "call.hangup", "call_id": cue["call_id"]})
    await agent.expect("llm.chat.ended")
    forbidden = {"call.started", "call.ended", "bot.speaking", "message.confirmed", "user.message"}
    assert not forbidden & set(agent.events())


@rows("6.14-a-person-in-a-chat")
async def _(stage: Stage) -> None:
    agent, asker = await both(stage)
    await asker.send(chat())
    cue = await agent.expect("turn.end")
    await agent.send(reply(cue, "hello"))
    await asker.expect("llm.chat.done")
    scope = {"agent_id": "desk", "session_id": cue["call_id"]}
    await agent.send({"event": "session.pause", **scope})
    await agent.expect("session.paused", **scope)
    await agent.send({"event": "session.send", **scope, "text": "A person here."})
    await agent.expect("chat.response", source="human", text="A person here.")
    await agent.expect("session.sent", **scope)


@rows("6.14-a-person-takes-over-while-a-reply-is-written")
async def _(stage: Stage) -> None:
    agent, asker = await both(stage)
    await asker.send(chat())
    cue = await agent.expect("turn.end")
    stream = {"event": "bot.reply.stream", "call_id": cue["call_id"], "message_id": "s1"}
    await agent.send({**stream, "action": "start", "in_reply_to": cue["message_id"]})
    await agent.send({**stream, "action": "chunk", "token": "It "})
    await asker.expect("llm.chat.token", text="It ")
    await agent.send({"event": "session.pause", "agent_id": "desk", "session_id": cue["call_id"]})
    await agent.expect("message.aborted", message_id="s1", reason="paused")
    assert "person" in (await asker.expect("llm.chat.error", session_id="test-1"))["error"]
    await agent.send({**stream, "action": "chunk", "token": "rains."}, {**stream, "action": "end"})
    await agent.settled()
    await asker.send(chat("still there?"))  # the session goes on
    await agent.expect("chat.message", text="still there?", paused=True)
    await asker.expect("llm.chat.error", session_id="test-1")
    assert len(asker.all("llm.chat.token")) == 1
    assert agent.all("chat.response") == agent.all("reply.rejected") == []


@rows("6.14-whoever-asks-sees-people-step-in-at-any-time")
async def _(stage: Stage) -> None:
    agent, asker = await both(stage)
    await asker.send(chat())
    cue = await agent.expect("turn.end")
    await agent.send(reply(cue, "hello"))
    await asker.expect("llm.chat.done")
    scope = {"agent_id": "desk", "session_id": cue["call_id"]}
    await agent.send({"event": "session.pause", **scope})
    active = await asker.expect("llm.chat.handoff")
    assert active == {"event": "llm.chat.handoff", "session_id": "test-1", "state": "active", "by": "program"}
    await agent.send({"event": "session.send", **scope, "text": "A person here."})
    wrote = await asker.expect("llm.chat.human")
    assert (wrote["session_id"], wrote["text"], wrote["by"]) == ("test-1", "A person here.", "program")
    await asker.send(chat("thanks"))
    assert (await asker.expect("llm.chat.error"))["paused"] is True
    await agent.send({"event": "session.resume", **scope})
    assert (await asker.expect("llm.chat.handoff", state="released"))["by"] == "program"
    await asker.send(chat("and you?"))
    cue = await agent.expect("turn.end", text="and you?")
    await agent.send(reply(cue, "fine", "m2"))
    await asker.expect("llm.chat.done", text="fine")
    assert len(asker.all("llm.chat.human")) == 1


@rows("6.14-a-program-that-asks-its-own-agent-hears-of-people-once")
async def _(stage: Stage) -> None:
    agent = await stage.desk()
    await agent.send(chat())
    cue = await agent.expect("turn.end")
    scope = {"agent_id": "desk", "session_id": cue["call_id"]}
    await agent.send(reply(cue, "hello"))
    await agent.expect("llm.chat.done")
    await agent.send({"event": "session.pause", **scope}, {"event": "session.send", **scope, "text": "A person."})
    await agent.expect("chat.response", source="human", text="A person.")
    await agent.settled()
    assert agent.all("llm.chat.human") == agent.all("llm.chat.handoff") == []


@rows("3.1-A-too-many-sessions")
async def _(stage: Stage) -> None:
    await stage.open(limits={"chats": 1})
    agent, asker = await both(stage)
    await asker.send(chat(session="a"), chat(session="b"))
    error = await asker.expect("llm.chat.error", session_id="b")
    assert "1 chats open" in error["error"]
    await agent.expect("turn.end")


@pytest.mark.parametrize("row", rows.all())
async def test_row(row: Row, stage: Stage) -> None:
    async with asyncio.timeout(50):
        await row(stage)
