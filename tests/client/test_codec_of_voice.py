"""What real calls with sound tell, as programs hear it: a telephone played by hand, and the voice worker's rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omni.gateway.client.codec import calls
from omni.gateway.client.codec.view import CallView, Event
from omni.model.entry import BotFinished, BotInterrupted, BotSaid, TurnContinued, TurnStarted, UserSaid
from omni.model.inbound import EndCall, Hold, Hush, ProgramReply, ProgramStream
from omni.model.message import Message
from tests.client.rules import check_stream
from tests.voice.call.clock import played
from tests.voice.call.stage import Show, open_stage

AGENT: dict[str, Any] = {"brain": "client"}
FLEETING = ("speech.", "user.speaking", "eager.turn", "bot.word", "audio.metrics")


def heard(show: Show) -> list[Event]:
    """The whole call, in the order in which its worker told it."""
    view = CallView(agent_id="desk", call=show.call.id, transport="phone")
    events: list[Event] = []
    for told in show.stage.told:
        for entry in told.entries:
            view, more = calls.told(view, entry)
            events += more
        for signal in told.signals:
            events += calls.signalled(view, signal)
    return events


def lasting(events: list[Event]) -> list[str]:
    return [event["event"] for event in events if not event["event"].startswith(FLEETING)]


async def ended(show: Show) -> list[Event]:
    show.do(EndCall, by="program")
    await show.over()
    events = heard(show)
    check_stream(events)
    return events


def reply(show: Show, id_: str, text: str, to: str = "") -> None:
    show.do(ProgramReply, message_id=id_, in_reply_to=to, message=Message.of(text))


@played
async def test_a_turn_is_heard_offered_and_answered(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        stage.program_since = stage.loop.wall()
        show = await stage.call()
        await show.says("book a table")
        said = await show.until_fact(UserSaid)
        await show.until_fact(TurnStarted)
        reply(show, "m1", "for how many", said.id)
        await show.until_fact(BotFinished)
        events = await ended(show)
    assert lasting(events) == [
        "call.started", "user.message", "turn.end", "bot.speaking", "message.confirmed", "bot.finished", "call.ended",
    ]  # fmt: skip
    message, turn = (next(e for e in events if e["event"] == kind) for kind in ("user.message", "turn.end"))
    assert (message["message_id"], message["turn_id"]) == (turn["message_id"], turn["turn_id"]) == (said.id, 1)
    assert 0 <= turn["probability"] <= 1
    eager = next(e for e in events if e["event"] == "eager.turn")
    assert eager["message_id"] == said.id
    words = [e["word"] for e in events if e["event"] == "bot.word"]
    assert words == ["for", "how", "many"]
    confirmed = next(e for e in events if e["event"] == "message.confirmed")
    assert confirmed["text"] == "for how many"


@played
async def test_a_turn_goes_on_under_new_ids(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        stage.program_since = stage.loop.wall()
        show = await stage.call()
        await show.says("book a table")
        first = await show.until_fact(TurnStarted)
        show.do(ProgramStream, message_id="s1", act="start", in_reply_to=first.answers[0])
        await show.says("for four")
        await show.until_fact(TurnContinued)
        show.do(Hush, message_id="s1")  # as the gateway does
        again = await show.until_fact(TurnStarted, 2)
        reply(show, "m2", "certainly", again.answers[-1])
        await show.until_fact(BotFinished)
        events = await ended(show)
    turns = [(e["turn_id"], e["message_id"], e["text"]) for e in events if e["event"] == "turn.end"]
    assert turns == [(1, first.answers[0], "book a table"), (1, again.answers[-1], "book a table for four")]
    assert first.answers[0] != again.answers[-1]
    place = [e["event"] for e in events].index("turn.continued")
    assert [e["message_id"] for e in events[place:] if e["event"] == "user.message"] == [again.answers[-1]]


@played
async def test_what_is_cleared_is_interrupted_message_by_message(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        stage.program_since = stage.loop.wall()
        show = await stage.call()
        show.do(Hold, on=True)
        for number in range(1, 4):
            reply(show, f"m{number}", "one two three four five six seven eight nine ten")
        await show.until_fact(BotSaid)
        show.do(Hush, everything=True)
        await show.until_fact(BotInterrupted, 3)
        events = await ended(show)
    cuts = [(e["event"], e["message_id"]) for e in events if e["event"] in ("bot.interrupted", "message.aborted")]
    assert cuts == [(kind, f"m{n}") for n in range(1, 4) for kind in ("bot.interrupted", "message.aborted")]
    assert lasting(events)[:4] == ["call.started", "call.held", "call.unheld", "bot.speaking"]
