"""Memory goes back when nobody is on a line, and only then."""

from __future__ import annotations

import gc
import weakref

from workers.voice.tidying import Tidying, give_back


class Thing:
    """In a cycle with itself."""

    def __init__(self) -> None:
        self.me = self


async def test_it_waits_for_a_second_quiet_look_and_does_it_once() -> None:
    trimmed: list[int] = []
    tidying = Tidying(lambda: trimmed.append(1))
    gc.disable()
    try:
        left = weakref.ref(Thing())
        assert not await tidying.look(0, is_quiet=True)
        assert not await tidying.look(0, is_quiet=True)  # no call has ended
        assert not await tidying.look(3, is_quiet=False)  # somebody speaks
        assert not await tidying.look(3, is_quiet=True)
        assert left() is not None
        assert await tidying.look(3, is_quiet=True)
        assert left() is None
        assert not await tidying.look(3, is_quiet=True)
        assert trimmed == [1]
        assert await tidying.look(4, is_quiet=True)
    finally:
        gc.enable()


def test_memory_is_given_back_where_the_system_can() -> None:
    give_back()
