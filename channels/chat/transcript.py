"""A conversation as omni's own page shows it: one frame for each thing worth showing, with a cursor. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from channels.chat import wire
from channels.chat.content import UrlOf, parts_of
from channels.chat.drafts import Drafts
from channels.chat.turns import BROKEN
from channels.chat.wire import Frame
from omni.live.told import Signal, Typing, Words
from omni.model.entry import (
    BotSaid,
    CallEnded,
    CallStarted,
    Entry,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HumanSaid,
    ToolAnswered,
    ToolCalled,
    TurnContinued,
    TurnEnded,
    TurnStarted,
    UserSaid,
)
from omni.model.message import Message


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a conversation: an entry of one of its calls. Written `call.seq`."""

    call: str
    seq: int

    def __str__(self) -> str:
        return f"{self.call}.{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """None for a text that we did not write."""
        call, dot, seq = text.rpartition(".")
        if not dot or not call or not (seq.isascii() and seq.isdigit()) or len(seq) > 12:
            return None
        return cls(call, int(seq))


class Transcript:
    """What one page is sent. Entries that were read from the log go in as `past`, what is told as it happens as
    `live` and `signal`."""

    def __init__(self, url_of: UrlOf) -> None:
        self._url_of = url_of
        self._drafts = Drafts()
        self._is_typing = False
        self._has_spoken = False

    def past(self, entries: list[Entry]) -> list[Frame]:
        """What is lasting."""
        return [frame for entry in entries for frame in self._lasting(entry)]

    def live(self, entry: Entry) -> list[Frame]:
        return [*self._passing(entry), *self._lasting(entry)]

    def signal(self, signal: Signal) -> list[Frame]:
        match signal:
            case Words():
                return self._words(signal)
            case Typing(who="bot"):
                return self._typing(on=signal.on)
            case Typing(who="human"):
                return [wire.typing("human", on=signal.on)]
        return []

    def _words(self, words: Words) -> list[Frame]:
        text, void = self._drafts.add(words)
        if text is not None:
            return [*_void(void), wire.token(words.id, words.text, text)]
        return _void(void) if self._drafts.has_said(words.id) else [*_void(void), *self._typing(on=True)]

    def _typing(self, *, on: bool) -> list[Frame]:
        if self._is_typing == on:
            return []
        self._is_typing = on
        return [wire.typing("bot", on=on)]

    def _lasting(self, entry: Entry) -> list[Frame]:
        fact, cursor = entry.fact, str(Cursor(entry.call, entry.seq))
        match fact:
            case CallStarted():
                return [wire.started(cursor, entry.call)]
            case UserSaid():
                return [self._said(cursor, fact.provider_id, "user", fact.text, fact.message, entry.ts)]
            case BotSaid():
                self._has_spoken = True
                return [self._said(cursor, fact.id, "bot", fact.text, fact.message, entry.ts)]
            case HumanSaid():
                return [self._said(cursor, fact.id, "human", fact.text, fact.message, entry.ts)]
            case HandoffRequested():
                return [wire.handler(cursor, "nobody")]
            case HandoffActive():
                return [wire.handler(cursor, "human")]
            case HandoffReleased():
                return [wire.handler(cursor, "bot")]
            case CallEnded():
                return [wire.ended(cursor, fact.reason)]
        return []

    def _passing(self, entry: Entry) -> list[Frame]:
        """What matters only while it happens, and before what the entry itself shows."""
        fact = entry.fact
        match fact:
            case UserSaid():
                self._drafts.doubt()
            case BotSaid():
                return [*_void(self._drafts.complete(fact.id)), *self._typing(on=False)]
            case HumanSaid() | HandoffRequested() | HandoffActive() | CallEnded():
                return [*_void(self._drafts.clear()), *self._typing(on=False)]
            case TurnStarted():
                self._has_spoken = False
                return self._typing(on=True) if fact.offered else []
            case TurnContinued():
                return [*_void(self._drafts.clear()), *self._typing(on=False)]
            case TurnEnded():
                frames = [*_void(self._drafts.clear()), *self._typing(on=False)]
                is_mute = fact.outcome == "failed" and not self._has_spoken
                return [*frames, wire.failed(BROKEN)] if is_mute else frames
            case ToolCalled():
                return [wire.tool_call(fact), *self._typing(on=True)]
            case ToolAnswered():
                return [wire.tool_result(fact)]
        return []

    def _said(self, cursor: str, id_: str, who: str, text: str, message: Message, at: float) -> Frame:
        return wire.said(cursor, id_, who, text, at, parts_of(message, self._url_of))


def _void(ids: list[str]) -> list[Frame]:
    """Drafts to take back."""
    return [wire.token(id_, "", "") for id_ in ids]
