"""Memory of calls that are over goes back to the system when nobody is on a line.

Calls from browsers leave some hundred objects in cycles each, which the collector finds late, and allocators keep what
was freed: after 500 calls some 50 MB. To look through everything takes a few milliseconds, which a caller might hear;
so it waits until there is none.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable


class Tidying:
    """`look` is called now and then: `ended` calls are over by now, and `is_quiet` while there is no other."""

    def __init__(self, trim: Callable[[], None] | None = None) -> None:
        self._trim = trim or give_back
        self._done = 0
        self._was_quiet = False

    async def look(self, ended: int, *, is_quiet: bool) -> bool:
        """True when it has tidied: at the second look in a row without a call, once for those that have ended."""
        was_quiet, self._was_quiet = self._was_quiet, is_quiet
        if not (is_quiet and was_quiet) or ended == self._done:
            return False
        self._done = ended
        gc.collect()
        await asyncio.to_thread(self._trim)
        return True


def give_back() -> None:
    """Hand what was freed back to the system, where the C library can (glibc)."""
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
