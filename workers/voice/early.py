"""A program may answer words that the caller has not certainly finished (`eager.turn`). Until the turn is over, what it
says waits here; then it is an answer to the caller's newest words, or one that comes too late."""

from __future__ import annotations

from collections.abc import Callable

from omni.model.inbound import AnyInput, ProgramReply, ProgramStream
from sessions.mail import Parcel

Post = Callable[[AnyInput, Parcel | None], None]


class EarlyReplies:
    """Of one call."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._eager: str | None = None
        self._messages: set[str] = set()
        self._waiting: list[AnyInput] = []

    def expect(self, message: str) -> None:
        """The caller's words `message` were told as perhaps finished."""
        self.let_go()
        self._eager = message

    def take(self, command: AnyInput, parcel: Parcel | None) -> None:
        """In order: what belongs to a reply that waits, waits too. It is not kept from the bus meanwhile: whoever
        streams has many pieces, and what people ask of other calls of this worker comes behind them."""
        if isinstance(command, ProgramReply | ProgramStream):
            answers_it = self._eager is not None and command.in_reply_to == self._eager
            if answers_it or command.message_id in self._messages:
                self._messages.add(command.message_id)
                self._waiting.append(command)
                if parcel is not None:
                    parcel.done()
                return
        self._post(command, parcel)

    def let_go(self) -> None:
        """The turn is over, or it never was: what waited is put to the call, which knows."""
        self._eager = None
        self._messages.clear()
        waiting, self._waiting = self._waiting, []
        for command in waiting:
            self._post(command, None)
