"""The bot's messages on their way: what became of one, and one that is written token by token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator
from contextlib import AsyncExitStack, aclosing
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeAlias, TypeVar

from omni.sdk import commands
from omni.sdk.answer import Answer, Sent
from omni.sdk.plain import words

T = TypeVar("T")

Outcome: TypeAlias = Literal["finished", "interrupted", "aborted", "rejected", "ended", "lost"]
"""finished: said to its end. interrupted: the user spoke, or it was cancelled. aborted: taken back before anybody heard
it. rejected: the user had said more since. ended: the call ended first. lost: the connection broke."""


class Port(Protocol):
    """What a call needs of its agent: the way to the server."""

    @property
    def connection(self) -> int:
        """Counts the connections of this program."""

    @property
    def is_open(self) -> bool:
        """Whether commands reach the server now; else they wait for the next connection."""

    def send(self, frame: commands.Frame) -> Sent: ...

    def post(self, frame: commands.Frame) -> None:
        """`send` for who waits for nothing."""

    def ask(self, frame: commands.Frame, read: Callable[[commands.Frame], T]) -> Answer[T]: ...


class Utterance:
    """A message that the bot was told to say. `await` it for its outcome, once it is said or never will be."""

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.outcome: Outcome | None = None
        self._answer: Answer[Outcome] = Answer()

    def _end(self, outcome: Outcome, *, tell: bool) -> None:
        """The first outcome counts. `tell`: the server expects to hear that no more of it comes."""
        if self.outcome is None:
            self.outcome = outcome
            self._answer.settle(outcome)

    def __await__(self) -> Generator[Any, None, Outcome]:
        return self._answer.__await__()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r}, outcome={self.outcome!r})"


class ReplyStream(Utterance):
    """A reply that is spoken while it is still being written.

    As `async with call.reply_stream(turn) as stream:` the block is left as soon as nobody wants the reply any more: the
    user went on, the call ended. What it awaits is cancelled then, so a model that is still thinking is not waited for,
    and the program goes on after the block. `stream.aborted` says whether it came to that. When the block fails, what
    was written is taken back.
    """

    def __init__(self, call_id: str, port: Port, in_reply_to: str, closed: Callable[[ReplyStream], None]) -> None:
        super().__init__(commands.new_id("msg"))
        self.aborted = False
        self.in_reply_to = in_reply_to
        self._call_id = call_id
        self._port = port
        self._closed = closed
        self._written: list[str] = []
        self._open = True
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._cut = False

    @property
    def text(self) -> str:
        """What was written so far."""
        return "".join(self._written)

    def write(self, token: str) -> Sent:
        """More of the reply. Nothing happens after an abort. `await` it in loops that await nothing else."""
        if token and self._open:
            self._written.append(words(token, "a stream"))
            return self._port.send(commands.stream_chunk(self._call_id, self.id, token))
        return Sent(_turn_of_the_loop)

    def end(self) -> None:
        """The reply is complete."""
        if self._open:
            self._close()
            self._port.post(commands.stream_end(self._call_id, self.id))

    def cancel(self) -> None:
        """Takes the reply back: what was not heard yet never will be."""
        if self._open:
            self._port.post(commands.bot_cancel(self._call_id, self.id))
            self.aborted = True
            self.end()

    async def pipe(self, tokens: AsyncIterable[str]) -> str:
        """Writes all of an asynchronous iterator and ends the reply; returns what was written.

        An abort cancels the iterator.
        """
        async with self, AsyncExitStack() as stack:
            if isinstance(tokens, AsyncGenerator):
                await stack.enter_async_context(aclosing(tokens))
            async for token in tokens:
                await self.write(token)
        return self.text

    def _end(self, outcome: Outcome, *, tell: bool) -> None:
        super()._end(outcome, tell=tell)
        if not self._open:
            return
        self.aborted = True
        if tell:
            self.end()
        else:
            self._close()
        if self._task is not None and not self._cut:
            self._cut = True
            self._task.cancel()

    def _close(self) -> None:
        self._open = False
        self._closed(self)

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        assert self._task is not None
        self._cancelling = self._task.cancelling()
        if self.aborted:
            self._cut = True
            self._task.cancel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        task, self._task = self._task, None
        assert task is not None
        if error is None:
            self.end()
        else:
            self.cancel()
        ours = self._cut and task.uncancel() <= self._cancelling
        return ours and isinstance(error, asyncio.CancelledError)


async def _turn_of_the_loop() -> None:
    await asyncio.sleep(0)
