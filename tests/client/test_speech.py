"""What programs say and do in a call of text (wire protocol §2.2, §4.1, §4.2, §5, §6.1-6.5, §6.9, §6.11)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.client.program import Frame, Program
from tests.client.stage import Row, Rows, Stage, reply
from tests.server.shop import agent_of, until

rows = Rows()


def stream(cue: Frame, action: str, message_id: str = "s1", **more: Any) -> Frame:
    head = {"event": "bot.reply.stream", "call_id": cue["call_id"], "message_id": message_id, "action": action}
    return {**head, **({"in_reply_to": cue["message_id"]} if action == "start" else {}), **more}


def say(cue: Frame, text: str, message_id: str = "s1", **more: Any) -> Frame:
    return {"event": "bot.reply", "call_id": cue["call_id"], "message_id": message_id, "text": text, **more}


async def wrote(stage: Stage) -> list[str]:
    """What the bot said so far, by the call's log."""
    return [entry.fact.text for entry in await stage.shop.log() if entry.fact.type == "bot.speaking"]


@rows("6.1-the-order-of-a-whatsapp-call")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(reply(cue, "hi"))
    await program.expect("bot.finished", message_id="m1")
    await program.send({"event": "call.hangup", "call_id": cue["call_id"]})
    await program.expect("whatsapp.session_ended")
    kinds = [kind for kind in program.events() if kind not in ("connected", "agent.created", "whatsapp.status")]
    assert kinds == [
        "whatsapp.session_started",
        "whatsapp.message",
        "user.message",
        "turn.end",
        "whatsapp.response",
        "bot.speaking",
        "message.confirmed",
        "bot.finished",
        "whatsapp.session_ended",
    ]
    assert program.all("call.started") == program.all("call.ended") == []


@rows("5.5-whatsapp.session_ended")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(reply(cue, "hi"))
    await program.expect("bot.finished")
    await program.send({"event": "call.hangup", "call_id": cue["call_id"], "reason": "done here"})
    end = await program.expect("whatsapp.session_ended")
    assert (end["reason"], end["message_count"], end["contact_phone"]) == ("done here", 2, "12025550171")
    talk = [("user", "hello"), ("assistant", "hi")]
    assert [(line["role"], line["text"]) for line in end["transcript"]] == talk
    assert [(line["role"], line["content"]) for line in end["messages"]] == talk
    assert end["duration"] >= 0
    assert end["ended_at"] >= end["started_at"] > 1_700_000_000


@rows("5.5-whatsapp.status")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(reply(cue, "hi"))
    for state in ("sent", "delivered", "read"):
        status = await program.expect("whatsapp.status", status=state)
        assert (status["recipient"], status["session_id"]) == ("12025550171", cue["call_id"])
        assert status["message_id"].startswith("wamid.")


@rows("2.2-commands-for-unknown-calls-are-ignored")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    nobody = {"call_id": "wa-000000000000", "message_id": "m"}
    await program.send(
        say(nobody, "x"),
        stream(nobody, "start"),
        stream(nobody, "chunk", token="x"),
        stream(nobody, "end"),
        {"event": "bot.cancel", **nobody},
        {"event": "bot.clear", **nobody},
        {"event": "call.hangup", **nobody},
        {"event": "call.hold", **nobody},
        {"event": "set_context", "key": "k", "value": "v", **nobody},
        {"event": "llm.ready", **nobody},
        {"event": "llm.tool_result", "call_id": "x", "msg_id": "m", "results": []},
        {"event": "session.configure", "session_id": "x", "language": "es"},
    )
    await program.settled()
    assert program.events() == ["connected", "agent.created", "pong"]


@rows("2.2-a-call-of-another-organisation-is-unknown")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    thief = await stage.program(await stage.org_key("acme"))
    await thief.create("desk")
    await thief.send(reply(cue, "stolen"), {"event": "call.hangup", "call_id": cue["call_id"]})
    await thief.send({"event": "history.get", "call_id": cue["call_id"], "request_id": "r"})
    refused = await thief.expect("history.data", request_id="r")
    assert (refused["error"], refused["messages"]) == ("call_not_found", [])
    await program.send(reply(cue, "ours"))
    assert await stage.shop.answers() == ["ours"]


@rows("2.2-a-call-of-another-agent-is-unknown")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    other = await stage.program()
    await other.create("other")
    await other.send(reply(cue, "not mine"))
    await other.settled()
    await program.send(reply(cue, "mine"))
    assert await stage.shop.answers() == ["mine"]


@rows("4.1-bot.reply-say")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(say(cue, "one moment"), reply(cue, "here", "m2"))
    await program.expect("bot.finished", message_id="m2")
    assert await stage.shop.answers(2) == ["one moment", "here"]
    assert [f["message_id"] for f in program.all("bot.finished")] == ["s1", "m2"]


@rows("4.1-bot.reply-old-spelling-with-agent_id")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(reply(cue, "hi", agent_id="desk"))
    assert await stage.shop.answers() == ["hi"]


@rows("4.1-empty-text-finishes-at-once")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(say(cue, ""))
    finished = await program.expect("bot.finished", message_id="s1")
    assert finished["duration_ms"] == 0
    await program.send(reply(cue, ""))
    await program.expect("bot.finished", message_id="m1")
    await until(lambda: _turn_ended(stage))
    assert program.all("bot.speaking") == []


async def _turn_ended(stage: Stage) -> bool:
    return any(entry.fact.type == "turn.end" for entry in await stage.shop.log())


@rows("4.1-the-same-message-twice-acts-once")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(*[say(cue, "once")] * 3, reply(cue, "last", "m2"))
    await program.expect("bot.finished", message_id="m2")
    assert await wrote(stage) == ["once", "last"]


@rows("4.1-add_to_history-false-stays-out-of-the-model-s-memory")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(say(cue, "secret", add_to_history=False), reply(cue, "hi"))
    await program.expect("bot.finished", message_id="m1")
    await program.send({"event": "history.get", "call_id": cue["call_id"]})
    history = await program.expect("history.data")
    assert [m["content"] for m in history["messages"]] == ["hello", "hi"]
    assert await stage.shop.answers(2) == ["secret", "hi"]


@rows("4.1-bot.reply.stream")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    tokens = ["It ", "arrives", " to", "day", "."]
    await program.send(stream(cue, "start"), *(stream(cue, "chunk", token=t) for t in tokens), stream(cue, "end"))
    confirmed = await program.expect("message.confirmed", message_id="s1")
    assert confirmed["text"] == "It arrives today."
    assert await stage.shop.answers() == ["It arrives today."]


@rows("6.3-an-empty-stream-is-no-answer")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(stream(cue, "start"), stream(cue, "end"))
    await until(lambda: _turn_ended(stage))
    await program.settled()
    assert program.all("bot.speaking") == program.all("reply.rejected") == []
    await stage.asked(program, "again")


@rows("6.3-an-empty-stream-that-failed-is-answered-with-the-fallback")
async def _(stage: Stage) -> None:
    await stage.open(agent_of("desk", brain="client", fallback="Sorry."))
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(stream(cue, "start"), stream(cue, "end", error="KeyError" + "x" * 1000))
    assert await stage.shop.answers() == ["Sorry."]
    (ended,) = await stage.shop.logged("turn.end")
    assert ended.outcome == "failed"
    assert ended.error.startswith("the program failed: KeyError")
    assert len(ended.error) < 300
    await program.expect("bot.finished")


@rows("6.3-a-stream-with-words-is-the-answer-whatever-its-end-says")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    words = stream(cue, "chunk", token="Hello.")
    await program.send(stream(cue, "start"), words, stream(cue, "end", error={"not": "text"}))
    await program.send(stream(cue, "start", "s2"), stream(cue, "end", "s2", error="late"))
    assert await stage.shop.answers() == ["Hello."]
    await program.settled()
    assert await wrote(stage) == ["Hello."]


@rows("6.3-message_obsolete")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(reply({**cue, "message_id": "msg_of_yesterday"}, "stale"))
    rejected = await program.expect("reply.rejected", message_id="m1")
    fields = {"in_reply_to": "msg_of_yesterday", "expected_reply_to": cue["message_id"], "reason": "message_obsolete"}
    assert rejected.items() >= fields.items()
    await program.send(reply(cue, "fresh", "m2"))
    assert await stage.shop.answers() == ["fresh"]


@rows("11.9-a-stale-stream-and-its-50-chunks-are-inert")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    stale = {**cue, "message_id": "old"}
    await program.send(stream(stale, "start"))
    await program.expect("reply.rejected", message_id="s1", reason="message_obsolete")
    heard = len(program.heard)
    await program.send(*[stream(cue, "chunk", token="x")] * 50, stream(cue, "end"))
    await program.send(stream(stale, "start"), stream(cue, "end"), say(cue, "dead too"))
    await program.settled()
    assert program.events()[heard:] == ["pong"]
    await program.send(reply(cue, "fresh", "m2"))
    assert await stage.shop.answers() == ["fresh"]
    assert await wrote(stage) == ["fresh"]


@rows("6.3-a-second-reply-to-the-same-message-is-said-after-the-first")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(reply(cue, "first", "m1"), reply(cue, "second", "m2"))
    assert await stage.shop.answers(2) == ["first", "second"]
    assert program.all("reply.rejected") == []


async def _continued(stage: Stage) -> tuple[Program, Frame, Frame]:
    """A program that writes while the user goes on; both cues."""
    program = await stage.desk()
    cue = await stage.asked(program, "I want")
    await program.send(stream(cue, "start"), stream(cue, "chunk", token="Sure, what"))
    await program.settled()
    stage.shop.say("two pizzas")
    await program.expect("turn.continued", turn_id=cue["turn_id"])
    again = await program.expect("turn.end")
    return program, cue, again


@rows("6.1-a-turn-that-the-user-resumes")
async def _(stage: Stage) -> None:
    program, cue, again = await _continued(stage)
    assert (again["turn_id"], again["text"]) == (cue["turn_id"], "I want\ntwo pizzas")
    assert again["message_id"] != cue["message_id"]
    aborted = program.all("message.aborted")
    assert [(a["message_id"], a["reason"]) for a in aborted] == [("s1", "turn_continued")]
    await program.send(stream(cue, "chunk", token="?"), stream(cue, "end"), reply(again, "Two, then."))
    await program.expect("bot.finished", message_id="m1")
    assert await stage.shop.answers() == ["Two, then."]
    assert await wrote(stage) == ["Two, then."]


@rows("2.3-one-user.message-an-id")
async def _(stage: Stage) -> None:
    program, _, again = await _continued(stage)
    await program.send(reply(again, "ok"))
    await program.expect("bot.finished")
    ids = [frame["message_id"] for frame in program.all("user.message")]
    assert len(ids) == len(set(ids)) == 2
    assert len({frame["message_id"] for frame in program.all("whatsapp.message")}) == 2


@rows("4.1-bot.cancel-takes-a-stream-back")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(stream(cue, "start"), stream(cue, "chunk", token="no"), stream(cue, "start", "s2"))
    await program.send({"event": "bot.cancel", "call_id": cue["call_id"], "message_id": "s1"})
    interrupted = await program.expect("bot.interrupted", message_id="s1", reason="cancelled")
    assert (interrupted["played_ms"], interrupted["words_spoken"]) == (0, 0)
    await program.expect("message.aborted", message_id="s1")
    await program.send({"event": "bot.cancel", "call_id": cue["call_id"], "message_id": "never"}, stream(cue, "end"))
    await program.send(stream(cue, "chunk", "s2", token="yes"), stream(cue, "end", "s2"))
    assert await stage.shop.answers() == ["yes"]
    assert len(program.all("bot.interrupted")) == 1


@rows("4.1-bot.clear-interrupts-everything")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    ids = ["s1", "s2", "s3"]
    await program.send(*(stream(cue, "start", id_) for id_ in ids), {"event": "bot.clear", "call_id": cue["call_id"]})
    await program.settled()
    assert [frame["message_id"] for frame in program.all("bot.interrupted")] == ids
    assert [frame["message_id"] for frame in program.all("message.aborted")] == ids


@rows("4.2-call.hangup")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send({"event": "call.hangup", "call_id": cue["call_id"]})
    end = await program.expect("whatsapp.session_ended", call_id=cue["call_id"])
    assert end["reason"] == "hangup"
    heard = len(program.heard)
    await program.send(reply(cue, "late"), stream(cue, "end"), {"event": "call.hangup", "call_id": cue["call_id"]})
    await program.settled()
    assert program.events()[heard:] == ["pong"]
    await stage.asked(program, "again")
    assert len(program.all("whatsapp.session_started")) == 2


AUDIO: list[Frame] = [
    {"event": "call.forward", "to": "+1", "message": "", "announce": False},
    {"event": "call.dtmf", "digits": "12#"},
    {"event": "call.hold"},
    {"event": "call.unhold"},
    {"event": "call.mute"},
    {"event": "call.unmute"},
    {"event": "call.accept", "agent_id": "desk"},
    {"event": "call.reject", "agent_id": "desk", "reason": "busy"},
    {"event": "call.route", "agent": "other"},
]


@rows("4.2-audio-commands-on-a-call-of-text")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    cue = await stage.asked(program)
    await program.send(*({**frame, "call_id": cue["call_id"]} for frame in AUDIO))
    await program.settled()
    errors = program.all("error", code="NOT_AN_AUDIO_CALL", call_id=cue["call_id"], agent_id="desk")
    assert len(errors) == len(AUDIO)
    for frame, error in zip(AUDIO, errors, strict=True):
        assert error["error"].startswith(frame["event"])
        assert "whatsapp" in error["error"]


@rows("6.11-dial-fails-with-a-call.ended")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    metadata = {"appt": "a1"}
    await program.send({"event": "call.dial", "agent_id": "desk", "to": "+1415", "from": "+1312", "metadata": metadata})
    ended = await program.expect("call.ended")
    fields = {"agent_id": "desk", "direction": "outbound", "to": "+1415", "from": "+1312", "metadata": metadata}
    assert ended.items() >= fields.items()
    assert ended["call_id"] == ended["session_id"]
    assert ended["reason"] == "failed"
    assert "'+1312' is no number of this agent" in ended["error"]
    assert ended["duration_seconds"] == 0
    assert program.all("error") == program.all("call.started") == []


@rows("4.2-call.bridge-fails-with-a-call.ended")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    await program.send({"event": "call.bridge", "agent_id": "desk", "target": "sales"})
    ended = await program.expect("call.ended", direction="outbound", agent_id="desk")
    assert ended["reason"] == "failed"
    assert "does not join the calls of two agents" in ended["error"]


@rows("4.5-line.create")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    await program.send({"event": "line.create", "number": "+34911", "config": {"stt": "gladia"}})
    error = await program.expect("line.error", number="+34911")
    assert (error["code"], error["agent_id"]) == ("LINE_CONFIG_ERROR", "line:+34911")
    assert "no phone lines without an agent" in error["error"]
    await program.send({"event": "line.destroy", "number": "+34911"})
    await program.expect("line.destroyed", number="+34911", agent_id="line:+34911")


@rows("4.6-legacy-names-are-ignored")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    for name in ("register", "update_config", "update_session_config", "add_phone", "remove_phone", "skill.load"):
        await program.send({"event": name, "agent_id": "desk", "phone": "+1"})
    await program.settled()
    assert program.events() == ["connected", "agent.created", "pong"]


@rows("4-a-malformed-command-names-its-field")
async def _(stage: Stage) -> None:
    program = await stage.desk()
    await program.send({"event": "bot.reply", "call_id": "c", "message_id": "m"})
    error = await program.expect("error", code="BAD_FRAME", call_id="c")
    assert error["error"] == "bot.reply: `text` is missing"
    await program.settled()


@pytest.mark.parametrize("row", rows.all())
async def test_row(row: Row, stage: Stage) -> None:
    async with asyncio.timeout(50):
        await row(stage)
