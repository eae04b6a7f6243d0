"""People take over through a program (wire protocol §6.14, §6.16)."""

from __future__ import annotations

import asyncio

import pytest

from tests.client.program import Frame, Program
from tests.client.stage import Row, Rows, Stage, reply
from tests.server.shop import ADA, agent_of, until

rows = Rows()
BOB = "12025550172"


def scoped(event: str, **fields: str) -> Frame:
    return {"event": event, "agent_id": "desk", **fields}


async def talking(stage: Stage, **config: object) -> tuple[Program, str]:
    """A program after its first answer, and the call."""
    program = await stage.desk(**config)
    cue = await stage.asked(program)
    await program.send(reply(cue, "hi", "first"))
    await program.expect("bot.finished")
    return program, cue["call_id"]


@rows("6.16-pause-send-resume-of-a-session")
async def _(stage: Stage) -> None:
    program, call = await talking(stage)
    await program.send(scoped("session.pause", session_id=call))
    assert await program.expect("session.paused") == scoped("session.paused", session_id=call)
    stage.shop.say("are you a person?")
    message = await program.expect("whatsapp.message")
    assert message["paused"] is True
    await program.send(scoped("session.send", session_id=call, text="A person here."))
    response = await program.expect("whatsapp.response", source="human")
    assert (response["text"], response["to"]) == ("A person here.", ADA)
    assert await program.expect("session.sent") == scoped("session.sent", session_id=call)
    await program.send(scoped("session.resume", session_id=call))
    assert await program.expect("session.resumed") == scoped("session.resumed", session_id=call)
    cue = await stage.asked(program, "and now?")
    await program.send({"event": "history.get", "call_id": call})
    history = await program.expect("history.data")
    said = [m["content"] for m in history["messages"] if m["role"] != "system"]
    assert said == ["hello", "hi", "are you a person?", "A person here.", "and now?"]
    await program.send(reply(cue, "the bot again", "last"))
    assert await stage.shop.answers(3) == ["hi", "A person here.", "the bot again"]
    assert len(program.all("turn.end")) == 2


@rows("6.16-nothing-is-said-while-paused")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(scoped("session.pause", session_id=cue["call_id"]))
    await program.expect("session.paused")
    await program.send(reply(cue, "too late"))
    rejected = await program.expect("reply.rejected", message_id="m1")
    assert rejected["reason"] == "paused"
    start = {"event": "bot.reply.stream", "call_id": cue["call_id"], "message_id": "s1", "action": "start"}
    await program.send({**start, "in_reply_to": cue["message_id"]})
    await program.expect("reply.rejected", message_id="s1", reason="paused")
    assert stage.shop.simulator.sent() == []


@rows("6.16-a-second-pause-is-acknowledged-too")
async def _(stage: Stage) -> None:
    program, call = await talking(stage)
    for event, ack in (("session.pause", "session.paused"), ("session.resume", "session.resumed")):
        for _ in range(2):
            await program.send(scoped(event, session_id=call))
            await program.expect(ack, session_id=call)


@rows("6.16-a-person")
async def _(stage: Stage) -> None:
    program, call = await talking(stage)
    await program.send(scoped("session.pause", contact=f"+{ADA}"))
    assert await program.expect("session.paused") == scoped("session.paused", contact=f"+{ADA}")
    contact = await until(lambda: _contact_paused(stage, call, wanted=True))
    stage.shop.say("anybody?")
    assert (await program.expect("whatsapp.message"))["paused"] is True
    await stage.asked(program, "another person", BOB)
    await program.send(scoped("session.resume", contact=ADA))
    assert await program.expect("session.resumed") == scoped("session.resumed", contact=ADA)
    await until(lambda: _contact_paused(stage, call, wanted=False))
    await stage.asked(program, "thanks")
    assert contact


async def _contact_paused(stage: Stage, call: str, *, wanted: bool) -> bool:
    store = stage.shop.engines.store
    found = await store.call(call)
    assert found is not None
    contact = await store.contact(found.contact)
    return contact is not None and contact.is_paused is wanted


@rows("6.16-a-person-s-pause-outlives-the-session")
async def _(stage: Stage) -> None:
    program, call = await talking(stage)
    await program.send(scoped("session.pause", contact=ADA))
    await until(lambda: _contact_paused(stage, call, wanted=True))
    await program.send({"event": "call.hangup", "call_id": call})
    await program.expect("whatsapp.session_ended")
    stage.shop.say("again")
    assert (await program.expect("whatsapp.message", text="again"))["paused"] is True


@rows("6.16-send-to-a-person")
async def _(stage: Stage) -> None:
    program, call = await talking(stage)
    await program.send(scoped("session.send", contact=f"+{ADA}", text="From the shop."))
    await program.expect("whatsapp.response", source="human", text="From the shop.")
    await program.send({"event": "call.hangup", "call_id": call})
    await program.expect("whatsapp.session_ended")
    await program.send(scoped("session.send", session_id=call, contact=ADA, text="Still there?"))
    await program.expect("whatsapp.response", source="human", text="Still there?")
    assert await stage.shop.answers(3) == ["hi", "From the shop.", "Still there?"]


@rows("6.16-nobody-is-a-sentence")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    await program.send(scoped("session.pause", contact="+34600111222"))
    await program.send(scoped("session.send", contact="+34600111222", text="x"))
    await program.send(scoped("session.send", text="to whom?"))
    for _ in range(3):
        error = await program.expect("error", code="NOT_FOUND", agent_id="desk")
        assert error["error"].startswith("session.")


@rows("6.16-the-whole-agent")
async def _(stage: Stage) -> None:
    program, call = await talking(stage)
    await program.send(scoped("session.pause"))
    assert await program.expect("session.paused") == scoped("session.paused")
    stage.shop.say("anybody?")
    assert (await program.expect("whatsapp.message"))["paused"] is True
    await program.send(scoped("session.resume"))
    assert await program.expect("session.resumed") == scoped("session.resumed")
    await until(lambda: _agent_resumed(stage))
    await stage.asked(program, "thanks")
    assert call


async def _agent_resumed(stage: Stage) -> bool:
    return not (await stage.agent()).is_paused


@rows("6.16-resuming-the-agent-clears-every-scope")
async def _(stage: Stage) -> None:
    program, call = await talking(stage)
    await program.send(scoped("session.pause", session_id=call), scoped("session.pause", contact=ADA))
    await program.expect("session.paused", session_id=call)
    await until(lambda: _contact_paused(stage, call, wanted=True))
    await program.send(scoped("session.resume"))
    await until(lambda: _contact_paused(stage, call, wanted=False))
    await program.expect("session.resumed", session_id=call)
    await stage.asked(program, "free again")


@rows("6.16-resuming-the-agent-frees-a-person-whose-session-is-over")
async def _(stage: Stage) -> None:
    program, call = await talking(stage)
    await program.send(scoped("session.pause", contact=ADA))
    await until(lambda: _contact_paused(stage, call, wanted=True))
    await program.send({"event": "call.hangup", "call_id": call})
    await program.expect("whatsapp.session_ended")
    await program.send(scoped("session.resume"))
    await until(lambda: _contact_paused(stage, call, wanted=False))


@rows("6.16-somebody-else-s-takeover-is-told")
async def _(stage: Stage) -> None:
    program, call = await talking(stage)
    found = await stage.shop.engines.store.call(call)
    assert found is not None
    await stage.shop.commands.pause(found, "ann")
    await program.expect("session.paused", session_id=call)
    await stage.shop.commands.resume(found, "ann")
    await program.expect("session.resumed", session_id=call)


@rows("6.16-others-agents-are-left-alone")
async def _(stage: Stage) -> None:
    program, call = await talking(stage)
    other = await stage.program()
    await other.create("other")
    await other.send(scoped("session.pause", session_id=call), scoped("session.pause"))
    await other.send({"event": "session.pause", "agent_id": "other", "session_id": call})
    await other.settled()
    assert other.all("session.paused") == []
    await stage.asked(program, "still here")


@rows("11.20-paused-and-resumed-with-a-model")
async def _(stage: Stage) -> None:
    await stage.open(agent_of("desk", brain="llm"))
    program = await stage.desk(llm="openai/m", preparing=False)
    stage.shop.say("hello")
    call = (await program.expect("bot.finished"))["call_id"]
    await program.send(scoped("session.pause", session_id=call))
    await program.expect("session.paused")
    stage.shop.say("are you there?")
    assert (await program.expect("whatsapp.message"))["paused"] is True
    await program.send(scoped("session.send", session_id=call, text="A person here."))
    await program.expect("session.sent")
    assert len(stage.llm.requests) == 1
    await program.send(scoped("session.resume", session_id=call))
    await program.expect("session.resumed")
    stage.shop.say("thanks")
    await program.expect("bot.finished")
    contents = [message["content"] for message in stage.llm.requests[1]["messages"]]
    assert "are you there?" in contents
    assert "A person here." in contents


@pytest.mark.parametrize("row", rows.all())
async def test_row(row: Row, stage: Stage) -> None:
    async with asyncio.timeout(50):
        await row(stage)
