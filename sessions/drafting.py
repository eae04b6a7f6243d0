"""The message that a brain is writing, and its words as they come, for whoever looks on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from omni.live.told import Signal, Words
from omni.model.ids import NewId
from omni.model.message import Message

TELL_EVERY = 0.04
"""Seconds between two tellings of a message's words: quicker than anybody reads."""

Tell = Callable[[Signal], Awaitable[None]]


class Draft:
    """The message being written: words so far, or one whole message. With `tell`, its words are told as they come; what
    was not told yet when it is complete, its log entry tells."""

    def __init__(self, turn: int, new_id: NewId, clock: Callable[[], float], tell: Tell | None) -> None:
        self._turn = turn
        self._new_id = new_id
        self._clock = clock
        self._tell = tell
        self._words: list[str] = []
        self._whole: Message | None = None
        self._id: str | None = None
        self._untold: list[str] = []
        self._told = 0
        self._told_at = 0.0

    async def add(self, text: str) -> None:
        self._words.append(text)
        if self._tell is None:
            return
        self._untold.append(text)
        now = self._clock()
        if abs(now - self._told_at) >= TELL_EVERY:
            self._told_at = now
            words, self._untold = "".join(self._untold), []
            start, self._told = self._told, self._told + len(words)
            await self._tell(Words(id=self._own_id(), turn=self._turn, text=words, start=start))

    def show(self, message: Message) -> None:
        """One whole message, as it is."""
        self._whole = message

    @property
    def has_words(self) -> bool:
        return bool(self._words)

    def finish(self) -> tuple[Message | None, str | None]:
        """The message, if there is one, and its id; the next begins."""
        text = "".join(self._words).strip()
        message = Message.of(text) if text else self._whole
        id_ = self._id
        self._words, self._whole, self._id, self._untold, self._told, self._told_at = [], None, None, [], 0, 0.0
        return message, id_

    async def forget(self) -> None:
        """Its source broke off: what was told of it is void."""
        _, id_ = self.finish()
        if id_ is not None and self._tell is not None:
            await self._tell(Words(id=id_, turn=self._turn, void=True))

    def _own_id(self) -> str:
        if self._id is None:
            self._id = self._new_id("msg")
        return self._id
