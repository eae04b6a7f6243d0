"""A call's log as what was said in it: the lines of a transcript. Pure.

In writing an entry is a line. Aloud a line has several entries: a turn of the caller's is written down again when they
go on (`UserSaid.replaces`), and what the bot said counts as far as it was heard.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from omni.model.entry import (
    BotCorrected,
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallEnded,
    Entry,
    HumanSaid,
    UserSaid,
)


@dataclass(frozen=True, slots=True)
class Line:
    """`at` is epoch seconds, `seq` the entry it began with; `by` is who of us spoke, of the role `human`.
    `interrupted`: the text is what was heard of more."""

    id: str
    role: Literal["user", "assistant", "human"]
    text: str
    at: float
    seq: int
    by: str | None = None
    confidence: float | None = None
    interrupted: bool = False


class Transcript:
    """Takes a log's entries in order. `lines` is everything said so far."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._open: dict[str, None] = {}
        self._told: set[str] = set()

    @property
    def lines(self) -> list[Line]:
        return [line for line in self._lines.values() if line.text]

    def add(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._add(entry)

    def settled(self) -> list[Line]:
        """The lines that will not change any more and were not returned before: a caller may go on until somebody
        answers, and the bot is heard to its end or cut."""
        found = []
        for line in list(self._lines.values()):
            if line.id in self._open:
                break  # what follows waits for its turn
            if line.id not in self._told:
                self._told.add(line.id)
                if line.text:
                    found.append(line)
        return found

    def settle(self) -> list[Line]:
        """The same, with what might still have changed: the call is over, or nobody has spoken for long."""
        self._open.clear()
        return self.settled()

    def _add(self, entry: Entry) -> None:
        match entry.fact:
            case UserSaid() as said:
                if said.replaces is not None and said.replaces not in self._told:
                    self._lines.pop(said.replaces, None)
                self._answered()
                self._put(Line(said.id, "user", said.text, entry.ts, entry.seq, confidence=said.confidence))
                if said.turn is not None:
                    self._open[said.id] = None
            case BotSaid() as said:
                self._answered()
                self._put(Line(said.id, "assistant", said.text, entry.ts, entry.seq))
                if said.delivery is None:
                    self._open[said.id] = None
            case HumanSaid() as said:
                self._answered()
                self._put(Line(said.id, "human", said.text, entry.ts, entry.seq, by=said.by))
            case BotCorrected(id=id_, text=text):
                self._heard(id_, text)
            case BotFinished(id=id_, text=text):
                self._heard(id_, text)
                self._open.pop(id_, None)
            case BotInterrupted(id=id_, text=text):
                self._heard(id_, text, interrupted=True)
                self._open.pop(id_, None)
            case CallEnded():
                self._open.clear()
            case _:
                pass

    def _put(self, line: Line) -> None:
        self._lines[line.id] = line

    def _answered(self) -> None:
        """Somebody else speaks: the turns before are what they are."""
        for id_ in [one for one in self._open if one not in self._lines or self._lines[one].role == "user"]:
            del self._open[id_]

    def _heard(self, id_: str, text: str | None, *, interrupted: bool = False) -> None:
        line = self._lines.get(id_)
        if line is not None and id_ not in self._told:
            words = line.text if text is None else text
            self._lines[id_] = replace(line, text=words, interrupted=line.interrupted or interrupted)


def lines_of(entries: Iterable[Entry]) -> list[Line]:
    """What was said in a call, oldest first."""
    transcript = Transcript()
    transcript.add(entries)
    return transcript.lines
