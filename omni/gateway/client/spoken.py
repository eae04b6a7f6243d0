"""Replies to calls with sound that a program writes word by word: the caller hears their beginning before their end is
written, so each piece goes on at once. What becomes of them stands in the call's log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from omni.gateway.client.frames import BotReplyStream
from omni.live.told import Told
from omni.model.inbound import Hush, ProgramStream, ToCall

LONGEST: Final = 100_000
"""Characters of one reply: two hours of speech. A longer one is taken back."""

REMEMBERED: Final = 10_000
"""Replies that are open, or were."""

GONE: Final = "the program's connection broke"


@dataclass(slots=True)
class _Stream:
    told: Told
    size: int = 0
    is_open: bool = True


class SpokenStreams:
    """The spoken replies of one socket. One that is over stays over: its late pieces make no sound and no history."""

    def __init__(
        self, program: str, head: Callable[[Told], dict[str, Any]], put: Callable[[ToCall], Awaitable[None]]
    ) -> None:
        self._program = program
        self._head = head
        self._put = put
        self._streams: OrderedDict[tuple[str, str], _Stream] = OrderedDict()

    def knows(self, call: str, message_id: str) -> bool:
        """Whether the message is, or was, written word by word."""
        return (call, message_id) in self._streams

    async def start(self, told: Told, frame: BotReplyStream) -> None:
        key = (frame.call_id, frame.message_id)
        if key in self._streams:
            return
        self._streams[key] = _Stream(told)
        if len(self._streams) > REMEMBERED:
            self._streams.popitem(last=False)
        await self._send(told, frame.message_id, act="start", in_reply_to=frame.in_reply_to or "")

    async def go_on(self, frame: BotReplyStream, longest_error: int) -> None:
        """A piece, or the end."""
        stream = self._streams[frame.call_id, frame.message_id]
        if not stream.is_open:
            return
        if frame.action == "end":
            stream.is_open = False
            error = frame.error[:longest_error] if frame.error else None
            await self._send(stream.told, frame.message_id, act="end", error=error)
        elif frame.token:
            stream.size += len(frame.token)
            if stream.size > LONGEST:
                stream.is_open = False
                await self._put(Hush(**self._head(stream.told), message_id=frame.message_id))
            else:
                await self._send(stream.told, frame.message_id, act="add", text=frame.token)

    def cut(self, call: str, message_id: str) -> bool:
        """Nothing more is taken of this reply. Whether its program was still writing it."""
        stream = self._streams.get((call, message_id))
        if stream is None or not stream.is_open:
            return False
        stream.is_open = False
        return True

    async def take_back(self, call: str) -> None:
        """Nobody wants what is being written for this call: its voice must not wait for the rest of it."""
        for (of, message_id), stream in list(self._streams.items()):
            if of == call and self.cut(call, message_id):
                await self._put(Hush(**self._head(stream.told), message_id=message_id))

    async def close(self) -> None:
        """The program is gone: what it has written is said, or that there is no answer."""
        for (call, message_id), stream in list(self._streams.items()):
            if self.cut(call, message_id):
                await self._send(stream.told, message_id, act="end", error=GONE)

    def forget(self, call: str) -> None:
        for key in [key for key in self._streams if key[0] == call]:
            del self._streams[key]

    async def _send(self, told: Told, message_id: str, **what: Any) -> None:
        piece = ProgramStream(**self._head(told), message_id=message_id, program=self._program, **what)
        await self._put(piece)
