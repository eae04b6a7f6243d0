"""What a command comes to. Awaiting it is optional, so that handlers that are no coroutines may give commands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, Self, TypeVar

log = logging.getLogger("omni.sdk")

T = TypeVar("T")


class Sent:
    """A command that was given. `await` it where many are given: it returns when the socket has room for more."""

    __slots__ = ("_flushed",)

    def __init__(self, flushed: Callable[[], Awaitable[None]]) -> None:
        self._flushed = flushed

    def __await__(self) -> Generator[Any, None, None]:
        return self._flushed().__await__()


class Answer(Generic[T]):
    """A value that comes later; the first outcome counts.

    `await` gives the value or raises the error. An error that nobody waits for is logged.
    """

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[T]] = []
        self._value: tuple[T] | None = None
        self._error: BaseException | None = None
        self._when_done: Callable[[], None] | None = None

    @classmethod
    def failed(cls, error: BaseException) -> Self:
        """An answer known to be an error from the start; who does not await it does not want to know."""
        answer = cls()
        answer._error = error
        return answer

    @property
    def done(self) -> bool:
        return self._value is not None or self._error is not None

    def when_done(self, act: Callable[[], None]) -> None:
        """Called once, with the outcome."""
        self._when_done = act

    def settle(self, value: T) -> None:
        if not self.done:
            self._value = (value,)
            self._finish()
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(value)

    def fail(self, error: BaseException) -> None:
        if not self.done:
            if all(waiter.done() for waiter in self._waiters):
                log.warning("%s", error)
            self.close(error)

    def close(self, error: BaseException) -> None:
        """`fail` without a log line: whoever does not wait need not know."""
        if not self.done:
            self._error = error
            self._finish()
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_exception(error)

    def _finish(self) -> None:
        if self._when_done is not None:
            self._when_done()

    def __await__(self) -> Generator[Any, None, T]:
        if self._error is not None:
            raise self._error
        if self._value is not None:
            return self._value[0]
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return (yield from waiter)
