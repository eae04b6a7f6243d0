"""A conversation as turns: what any browser client of the chat socket is sent. Pure.

Such a client shows one bubble a turn and waits for its end. So each message it sent ends in exactly one `chat.done` or
`chat.error`, a turn keeps one message id across tool rounds and several messages of the bot's, and `text` is all of the
turn so far.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from channels.chat import wire
from channels.chat.content import UrlOf, parts_of, plain
from channels.chat.drafts import Drafts
from channels.chat.wire import Frame
from omni.live.told import Signal, Words
from omni.model.entry import (
    BotSaid,
    CallEnded,
    Entry,
    HandoffActive,
    HandoffRequested,
    HumanSaid,
    ToolAnswered,
    ToolCalled,
    TurnContinued,
    TurnEnded,
    UserSaid,
)
from omni.model.message import Message

BROKEN = "The answer could not be completed. Please try again."
OVER = "The conversation was ended."


class Turns:
    """The turns of one socket. `ask` a message before it is published; everything told goes in, frames come out."""

    def __init__(self, url_of: UrlOf) -> None:
        self._url_of = url_of
        self._open: dict[str, str | None] = {}  # the page's id of a message that waits -> the log's, once it is in it
        self._said: list[str] = []
        self._media: list[JsonValue] = []
        self._drafts = Drafts()
        self._bubble: str | None = None
        self._sent = ""
        self._shown = 0  # of what was said

    @property
    def waiting(self) -> int:
        """Messages that no `chat.done` or `chat.error` has come for yet."""
        return len(self._open)

    @property
    def is_unheard(self) -> bool:
        """Whether the call does not know of one of them yet."""
        return None in self._open.values()

    def ask(self, id_: str) -> None:
        self._open[id_] = None

    def give_up(self, id_: str, sentence: str) -> list[Frame]:
        """End a message that nothing else has ended."""
        if id_ not in self._open:
            return []
        del self._open[id_]
        self._begin_anew()
        return [wire.failed(sentence)]

    def entries(self, entries: Sequence[Entry]) -> list[Frame]:
        frames: list[Frame] = []
        for entry in entries:
            frames += self._entry(entry)
        return frames + self._progress()

    def signal(self, signal: Signal) -> list[Frame]:
        """Words as they are written; other signals are not for these clients."""
        if not isinstance(signal, Words):
            return []
        text, _ = self._drafts.add(signal)
        if text:
            self._bubble = self._bubble or signal.id
        return self._progress()

    def _entry(self, entry: Entry) -> list[Frame]:
        fact = entry.fact
        match fact:
            case UserSaid():
                return self._heard(fact)
            case BotSaid():
                return self._speak(fact.id, fact.message)
            case HumanSaid():
                return self._speak(fact.id, fact.message) + self._finish(self._logged())
            case TurnContinued():
                self._drafts.doubt()
            case TurnEnded():
                return self._turn_ended(fact)
            case HandoffRequested() | HandoffActive():
                return self._finish(self._logged())
            case CallEnded():
                return self._fail(self._logged(), OVER)
            case ToolCalled():
                return [wire.tool_call(fact)]
            case ToolAnswered():
                return [wire.tool_result(fact)]
        return []

    def _heard(self, said: UserSaid) -> list[Frame]:
        self._drafts.doubt()
        if said.provider_id not in self._open:
            return []
        self._open[said.provider_id] = said.id
        return self._finish([said.provider_id]) if said.paused else []

    def _logged(self) -> list[str]:
        """The waiting messages that the call knows of."""
        return [theirs for theirs, ours in self._open.items() if ours is not None]

    def _speak(self, id_: str, message: Message) -> list[Frame]:
        """A whole message: part of the turn that somebody waits for, else one by itself."""
        self._drafts.complete(id_)
        text = plain(message)
        media = [part for part in parts_of(message, self._url_of) if isinstance(part, dict) and part["type"] == "media"]
        if not self._open:
            bubble = self._bubble or id_
            self._begin_anew()
            return [wire.done(bubble, text, [*media])]
        self._bubble = self._bubble or id_
        self._said.append(text)
        self._media += media
        return []

    def _turn_ended(self, ended: TurnEnded) -> list[Frame]:
        self._drafts.clear()
        theirs = [one for one, ours in self._open.items() if ours in ended.answers]
        if ended.outcome != "failed":
            return self._finish(theirs)
        apology = "\n\n".join(self._said[self._shown :])
        return self._fail(theirs, apology or BROKEN)

    def _finish(self, theirs: list[str]) -> list[Frame]:
        if not theirs:
            return []
        text = "\n\n".join(self._said)
        bubble = self._bubble or f"re-{theirs[0]}"
        frames = [wire.done(bubble, text, self._media) for _ in theirs]
        self._close(theirs)
        return frames

    def _fail(self, theirs: list[str], sentence: str) -> list[Frame]:
        frames = [wire.failed(sentence) for _ in theirs]
        if theirs:
            self._close(theirs)
        return frames

    def _close(self, theirs: list[str]) -> None:
        for one in theirs:
            del self._open[one]
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._said, self._media, self._bubble, self._sent, self._shown = [], [], None, "", 0
        self._drafts.clear()

    def _progress(self) -> list[Frame]:
        """The turn's text as far as it is, if that is news."""
        self._shown = len(self._said)
        text = "\n\n".join([*self._said, *self._drafts.texts])
        if self._bubble is None or text == self._sent:
            return []
        words = text[len(self._sent) :] if text.startswith(self._sent) else ""
        self._sent = text
        return [wire.token(self._bubble, words, text)]
