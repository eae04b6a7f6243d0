"""How calls, log entries and deliveries look in a terminal. Text from people never reaches it unescaped."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Final

import click

from omni.cli.show_spoken import spoken_words
from omni.model.call import SOUND, Call
from omni.model.contact import IdentityKind
from omni.model.delivery import Delivery, DeliveryState
from omni.model.entry import (
    BotFinished,
    BotSaid,
    CallEnded,
    CallStarted,
    CallSummary,
    ContactChanged,
    Custom,
    DeliveryLost,
    Entry,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HumanChanged,
    HumanSaid,
    MediaStored,
    ReplyRejected,
    SessionIdleWarning,
    SessionTimeout,
    ToolAnswered,
    ToolCalled,
    TurnContinued,
    TurnEnded,
    TurnStarted,
    UserEdited,
    UserReacted,
    UserRevoked,
    UserSaid,
    fact_data,
)
from omni.telemetry.logs import one_line

MAX_TEXT: Final = 600

CHAT: Final = "chat"
"""The channel whose people have no number or name, only an id that says nothing."""

MARKS: Final = {
    DeliveryState.QUEUED: "queued",
    DeliveryState.SENDING: "being sent",
    DeliveryState.SENT: "✓ sent",
    DeliveryState.DELIVERED: "✓✓ delivered",
    DeliveryState.READ: "✓✓ read",
    DeliveryState.PLAYED: "✓✓ played",
    DeliveryState.FAILED: "✗ failed",
    DeliveryState.CANCELLED: "withdrawn",
}


def clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def age(seconds: float) -> str:
    """A length of time in its largest unit."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def said(text: str, limit: int = MAX_TEXT) -> str:
    """Words as one line; line breaks stay visible."""
    return one_line(text.replace("\r\n", "\n").replace("\n", " ⏎ "), limit)


def as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, default=str)


def entry_line(entry: Entry, names: dict[str, str]) -> str | None:
    """One entry as a line, or None for what only machines care about.

    `names` maps calls to how their person is called; it learns from the entries.
    """
    who = names.get(entry.call, "user")
    fact = entry.fact
    match fact:
        case CallStarted():
            is_ours = fact.direction == "outbound"
            person = fact.to if is_ours else fact.from_
            names[entry.call] = said(fact.name or ("visitor" if fact.channel.partition(":")[0] == CHAT else person), 24)
            how = "with" if is_ours else "by"
            return _line(entry, "·", f"call started {how} {names[entry.call]} ({said(person, 40)})", dim=True)
        case UserSaid():
            if fact.name:
                who = names[entry.call] = said(fact.name, 24)
            why = "answered elsewhere" if fact.mode == "standby" else "the bot is silent"
            note = click.style(f"  ({why})", dim=True) if fact.paused else ""
            return _line(entry, "›", f"{click.style(who, fg='cyan', bold=True)}  {said(fact.text)}{note}")
        case UserReacted():
            return _line(entry, "›", f"{who} reacted {said(fact.emoji or '(took it back)', 20)}", dim=True)
        case UserEdited():
            return _line(entry, "›", f"{who} changed a message to: {said(fact.text)}", dim=True)
        case UserRevoked():
            return _line(entry, "›", f"{who} deleted a message", dim=True)
        case BotSaid():
            return _line(entry, "‹", f"{click.style('bot', fg='green', bold=True)}  {said(fact.text)}")
        case HumanSaid():
            return _line(entry, "‹", f"{click.style(said(fact.by, 24), fg='magenta', bold=True)}  {said(fact.text)}")
        case HumanChanged():
            return _line(entry, "‹", f"a colleague changed a message: {said(fact.text or '(deleted)')}", dim=True)
        case ToolCalled():
            return _line(entry, "⚙", f"{said(fact.name, 64)} {said(as_json(fact.args), 200)}", dim=True)
        case ToolAnswered():
            result = f"{said(as_json(fact.result), 300)} after {fact.ms} ms"
            return _line(entry, "⚙", click.style(result, fg="red") if fact.error else result, dim=not fact.error)
        case TurnEnded():
            return _turn(entry, fact)
        case HandoffRequested():
            return _alert(entry, f"a person is asked for by {said(fact.by, 40)}{_because(fact.reason)}")
        case HandoffActive():
            return _alert(entry, f"{said(fact.by, 40)} has the conversation; the bot is silent")
        case HandoffReleased():
            return _alert(entry, f"{said(fact.by, 40)} gave the conversation back to the bot{_because(fact.note)}")
        case DeliveryLost():
            return _line(entry, "✗", click.style(f"not delivered ({fact.code}): {said(fact.reason)}", fg="red"))
        case ContactChanged():
            return _line(entry, "·", f"{who} is now known as {said(_known_as(fact), 80)}", dim=True)
        case MediaStored():
            media = fact.media
            what = media.problem or (f"transcript: {media.transcript}" if media.transcript else "stored")
            return _line(entry, "·", f"{media.kind.value} {said(what)}", dim=True)
        case SessionIdleWarning():
            return _line(entry, "·", f"silence: {age(fact.remaining_seconds)} are left", dim=True)
        case SessionTimeout():
            return _line(entry, "·", f"the call is over in a moment: {fact.reason}", dim=True)
        case CallEnded():
            return _line(entry, "·", f"call ended: {said(fact.reason, 80)}, after {age(fact.duration)}", dim=True)
        case Custom():
            return _line(entry, "·", f"{said(fact.name, 60)} {said(as_json(fact.value), 200)}", dim=True)
        case ReplyRejected():
            return _line(entry, "✗", click.style("a reply of the program came too late, and was not sent", fg="red"))
        case TurnStarted() | TurnContinued() | BotFinished() | CallSummary():
            return None
        case _:
            spoken = spoken_words(fact)
            if spoken == "":
                return None
            what = f"{fact.type} {as_json(fact_data(fact))}" if spoken is None else spoken
            return _line(entry, "·", said(what, 300), dim=True)


def _turn(entry: Entry, ended: TurnEnded) -> str | None:
    if ended.outcome == "failed":
        return _line(entry, "✗", click.style(f"no answer: {said(ended.error or 'the brain failed')}", fg="red"))
    return None


def _because(reason: str | None) -> str:
    return f": {said(reason, 200)}" if reason else ""


def _known_as(fact: ContactChanged) -> str:
    return ", ".join(one.value for one in fact.identities if one.kind is not IdentityKind.BSUID) or fact.contact


def _alert(entry: Entry, text: str) -> str:
    return alert(entry.ts, entry.call, text)


def _line(entry: Entry, mark: str, text: str, *, dim: bool = False) -> str:
    return line(entry.ts, entry.call, mark, text, dim=dim)


def alert(at: float, call: str, text: str) -> str:
    """A line about who has the conversation."""
    return line(at, call, "!", click.style(text, fg="yellow"))


def line(at: float, call: str, mark: str, text: str, *, dim: bool = False) -> str:
    """What happened in a call, at an epoch second."""
    head = click.style(f"{clock(at)} {said(call, 24):<16}", dim=True)
    return f"{head} {mark} {click.style(text, dim=True) if dim else text}"


def call_row(call: Call, now: float) -> tuple[str, ...]:
    """A call as a row of `omni calls list`."""
    state = call.handler if call.is_open else f"ended ({call.reason or '?'})"
    if call.is_open and call.handler == "nobody":
        state = "waits for a person"
    return (
        call.id,
        said(call.agent, 20),
        said(person_of(call), 24),
        said(state, 24),
        f"{call.user_messages}/{call.bot_messages}/{call.human_messages}",
        age(now - (call.last_at or call.started_at)),
        said(call.last_text, 48),
    )


def person_of(call: Call) -> str:
    """How the other side is called, as far as the call knows: a call with sound is at home at its voice worker."""
    return call.name or (call.contact if call.transport in SOUND else call.home)


CALL_HEADS: Final = ("CALL", "AGENT", "PERSON", "HANDLED BY", "IN/BOT/HUMAN", "LAST", "TEXT")


def delivery_line(delivery: Delivery) -> str:
    """What became of one answer."""
    state = MARKS[delivery.state]
    unclear = f", sent {delivery.unclear + 1} times perhaps" if delivery.unclear else ""
    why = f": {said(delivery.error.reason, 200)} ({delivery.error.code})" if delivery.error else ""
    text = said(delivery.message.text, 60)
    return f"{clock(delivery.created_at)} {delivery.id}  {state}{unclear}{why}  {click.style(text, dim=True)}"


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Rows under their heads, as wide as they need; the last column is free."""
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
    for number, row in enumerate((heads, *rows)):
        shown = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.secho(shown, dim=number == 0)
