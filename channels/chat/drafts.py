"""Messages that a brain is writing, as far as their words were told. Pure.

Words are best effort: those of which the beginning was missed are not shown. And nobody tells that a brain was cut
because the visitor went on: drafts are in doubt from then on, until they go on themselves or another message begins.
"""

from __future__ import annotations

from collections import deque

from omni.live.told import Words


class Drafts:
    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._doubtful: set[str] = set()
        self._complete: deque[str] = deque(maxlen=16)

    @property
    def texts(self) -> list[str]:
        """In the order they were begun."""
        return list(self._texts.values())

    def add(self, words: Words) -> tuple[str | None, list[str]]:
        """The draft's text so far, and the drafts that are void now. None for words that nobody can use: they come too
        late, or what came before them was not heard."""
        if words.id in self._complete:
            return None, []
        void: list[str] = []
        if words.id in self._doubtful:
            self._doubtful.discard(words.id)
        elif words.id not in self._texts:
            void = self._drop(self._doubtful)
        known = self._texts.get(words.id, "")
        if words.void:
            self._texts.pop(words.id, None)
            return ("" if known else None), void
        if words.start not in (None, len(known)):
            return None, void
        self._texts[words.id] = known + words.text
        return known + words.text, void

    def has_said(self, id_: str) -> bool:
        """Whether the message is in the log already."""
        return id_ in self._complete

    def complete(self, id_: str) -> list[str]:
        """The message is in the log. Returns the drafts that are void now."""
        self._complete.append(id_)
        self._texts.pop(id_, None)
        self._doubtful.discard(id_)
        return self._drop(self._doubtful)

    def doubt(self) -> None:
        """The visitor went on: perhaps nobody goes on with what was being written."""
        self._doubtful = set(self._texts)

    def clear(self) -> list[str]:
        """Nothing is being written any more. Returns the drafts that are void now."""
        return self._drop(set(self._texts))

    def _drop(self, ids: set[str]) -> list[str]:
        void = [id_ for id_ in self._texts if id_ in ids]
        for id_ in void:
            del self._texts[id_]
        self._doubtful = set()
        return void
