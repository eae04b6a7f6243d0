"""An event loop beside a command that waits for somebody at the keyboard: connections stay alive meanwhile."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any, Final, Self, TypeVar

CANCEL_SECONDS: Final = 2.0
"""How long a cancelled coroutine may take to clean up."""

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for the main thread."""

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        self._loop = self._runner.get_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event loop", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._runner.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What the coroutine returns. Ctrl-C cancels it; once it has cleaned up, that is a KeyboardInterrupt."""
        ended = threading.Event()
        future = asyncio.run_coroutine_threadsafe(_told(coroutine, ended), self._loop)
        before = signal.signal(signal.SIGINT, lambda *_: future.cancel())
        try:
            return future.result()
        except CancelledError:
            ended.wait(CANCEL_SECONDS)
            raise KeyboardInterrupt from None
        finally:
            signal.signal(signal.SIGINT, before)


async def _told(coroutine: Coroutine[Any, Any, T], ended: threading.Event) -> T:
    try:
        return await coroutine
    finally:
        ended.set()
