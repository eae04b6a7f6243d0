"""Publishes that are written together: who comes too late goes with the next."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3

from omni.bus.base import Outgoing
from omni.bus.sqlite import statements
from omni.bus.sqlite.flush import Flush
from omni.bus.sqlite.lanes import Lane


async def test_a_message_that_comes_too_late_is_told_so_and_not_left_behind() -> None:
    with sqlite3.connect(":memory:") as db:
        for statement in itertools.chain.from_iterable(statements.MIGRATIONS):
            db.execute(statement)
        lane = Lane(1, "work", is_exclusive=True, inherited=None)
        flush = Flush(lambda flush, error: None)
        waiter = asyncio.get_running_loop().create_future()
        assert flush.add([lane], [Outgoing("work", b"one", "1")], 3, waiter)
        flush.write(db)  # may run in the file's thread, while the loop publishes
        assert not flush.add([lane], [Outgoing("work", b"two", "2")], 3, waiter)
        assert len(flush.rows) == len(flush.messages) == len(flush.waiters) == 1
    db.close()


async def test_a_flush_that_was_refused_before_it_was_written_takes_no_more() -> None:
    flush = Flush(lambda flush, error: None)
    flush.done(None, OSError("the disk is full"))
    assert not flush.add([], [], 0, asyncio.get_running_loop().create_future())
