"""A call is played in virtual time: an hour of waiting takes none, and the same seed gives the same run.

Unlike the simulation's loop this one knows threads: while a file is written (SQLite, a recording), time stands still.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

EPOCH = 1_794_823_200.0
STUCK_SECONDS = 10.0
"""Real seconds without anything that is ready."""


class StuckError(Exception):
    """Every task waits for something that will never happen."""


class _Time(selectors.BaseSelector):
    def __init__(self) -> None:
        self._inner = selectors.DefaultSelector()
        self.now = 0.0
        self.at_work = 0
        """What threads have in hand."""

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return self._inner.select(0) if self.at_work else []
        if timeout is None or self.at_work:
            found = self._inner.select(STUCK_SECONDS)
            if not found:
                raise StuckError("nothing is ready, and nobody is at work")
            return found
        self.now += timeout
        return []

    def close(self) -> None:
        self._inner.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()


class StageLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._time = _Time()
        super().__init__(self._time)

    def time(self) -> float:
        return self._time.now

    def wall(self) -> float:
        """Epoch seconds."""
        return EPOCH + self._time.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        running = super().run_in_executor(executor, func, *args)
        self._time.at_work += 1
        running.add_done_callback(lambda _: self._done())
        return running

    def _done(self) -> None:
        self._time.at_work -= 1

    async def outside(self, work: Coroutine[Any, Any, T]) -> T:
        """Let no time pass until it is done: it waits for a thread."""
        self._time.at_work += 1
        try:
            return await work
        finally:
            self._done()


def stage_loop() -> StageLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, StageLoop)
    return loop


def played(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that is played in virtual time, and leaves no task and no exception behind."""

    @functools.wraps(test)
    def playing(*args: P.args, **kwargs: P.kwargs) -> None:
        play(test(*args, **kwargs))

    del playing.__wrapped__  # type: ignore[attr-defined]  # else it is taken for a coroutine test
    playing.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    return playing


def play(work: Coroutine[Any, Any, T]) -> T:
    loop = StageLoop()
    complaints: list[str] = []
    loop.set_exception_handler(lambda _, context: complaints.append(_told(context)))
    try:
        found = loop.run_until_complete(work)
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        complaints += [f"still pending: {task.get_name()} {task.get_coro()}" for task in left]
    finally:
        left = list(asyncio.all_tasks(loop))
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.outside(loop.shutdown_default_executor()))
        loop.close()
    assert not complaints, "left behind:\n  " + "\n  ".join(complaints)
    return found


def _told(context: dict[str, Any]) -> str:
    return (
        f"{context.get('message', '')}: {context.get('exception')!r} in {context.get('task') or context.get('future')}"
    )
