"""Replies that a program writes word by word: put together here, shown live, and sent as one message."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from omni.gateway.client.codec import speech
from omni.gateway.client.codec.view import CallView
from omni.gateway.client.frames import BotReplyStream
from omni.gateway.client.sockets import Socket
from omni.live.teller import Teller
from omni.live.told import Signal, Told
from omni.model.entry import ReplyRejected
from omni.model.message import Message
from sessions.drafting import Draft

LONGEST: Final = 1024 * 1024
"""Characters of one reply, and"""

IN_ALL: Final = 16 * LONGEST
"""of all that a socket is writing."""

REMEMBERED: Final = 10_000
"""Dead messages whose late pieces are dropped, and open ones a socket may have."""


@dataclass(slots=True)
class _Stream:
    told: Told
    view: CallView
    in_reply_to: str
    draft: Draft
    size: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """A reply that is complete; no message: there is nothing to say."""

    told: Told
    message_id: str
    in_reply_to: str
    message: Message | None


class Streams:
    """The replies being written on one socket. What is dead stays dead: its pieces make no sound and no history."""

    def __init__(self, socket: Socket, teller: Teller) -> None:
        self._socket = socket
        self._teller = teller
        self._open: OrderedDict[tuple[str, str], _Stream] = OrderedDict()
        self._dead: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._size = 0

    def is_dead(self, call: str, message_id: str) -> bool:
        return (call, message_id) in self._dead

    def bury(self, call: str, message_id: str) -> None:
        """Nothing more is taken of this message."""
        self._take_off(call, message_id)
        self._dead[call, message_id] = None
        if len(self._dead) > REMEMBERED:
            self._dead.popitem(last=False)

    async def abort(self, call: str, reason: str) -> None:
        """The user has gone on, or a person took over: whatever is being written for them is void."""
        for message_id in self._of(call):
            stream = self._open[call, message_id]
            self._socket.send(speech.aborted(stream.view, message_id, reason))
            self.bury(call, message_id)
            await stream.draft.forget()

    async def cancel(self, call: str, message_id: str | None) -> None:
        """The program takes a message back, or (without an id) all that it is writing."""
        for one in self._of(call):
            if message_id in (None, one):
                stream = self._open[call, one]
                self._socket.send(*speech.cancelled(stream.view, one))
                self.bury(call, one)
                await stream.draft.forget()

    def forget(self, call: str) -> None:
        """The call has ended, and with it every reply."""
        for message_id in self._of(call):
            self._take_off(call, message_id)

    def _of(self, call: str) -> list[str]:
        return [message_id for of, message_id in self._open if of == call]

    def _take_off(self, call: str, message_id: str) -> _Stream | None:
        stream = self._open.pop((call, message_id), None)
        if stream is not None:
            self._size -= stream.size
        return stream

    def start(self, told: Told, view: CallView, frame: BotReplyStream) -> None:
        """Open a reply; one that answers words that are not the user's newest is refused at once."""
        key = (frame.call_id, frame.message_id)
        if key in self._dead or key in self._open or len(self._open) >= REMEMBERED:
            return
        in_reply_to = frame.in_reply_to or ""
        is_stale = bool(in_reply_to) and view.newest is not None and in_reply_to != view.newest
        if is_stale or view.is_paused:
            fact = ReplyRejected(id=frame.message_id, in_reply_to=in_reply_to, expected=view.newest)
            self._socket.send(speech.rejected(view, fact))
            self.bury(*key)
            return

        async def tell(signal: Signal) -> None:
            await self._teller.tell(told.model_copy(update={"signals": (signal,)}))

        is_shown = view.transport == "chat"
        draft = Draft(max(view.turn, 1), lambda _: frame.message_id, time.monotonic, tell if is_shown else None)
        self._open[key] = _Stream(told, view, in_reply_to, draft)

    async def add(self, frame: BotReplyStream) -> None:
        stream = self._open.get((frame.call_id, frame.message_id))
        if stream is None or not frame.token:
            return
        stream.size += len(frame.token)
        self._size += len(frame.token)
        if stream.size > LONGEST or self._size > IN_ALL:
            self._socket.send(speech.aborted(stream.view, frame.message_id, "too_long"))
            self.bury(frame.call_id, frame.message_id)
            await stream.draft.forget()
            return
        await stream.draft.add(frame.token)

    def finish(self, frame: BotReplyStream) -> Written | None:
        """The whole reply; None for one that is not open."""
        stream = self._take_off(frame.call_id, frame.message_id)
        if stream is None:
            return None
        message, _ = stream.draft.finish()
        return Written(stream.told, frame.message_id, stream.in_reply_to, message)
