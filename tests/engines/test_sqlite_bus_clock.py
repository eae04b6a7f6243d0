"""The embedded bus while the machine's clock is wrong."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from omni.bus.base import Outgoing, Received
from omni.bus.sqlite import SqliteBus, lanes
from omni.bus.sqlite.bus import READY_MESSAGES
from omni.model.queues import Queue
from omni.sqlite import SqliteFile

QUEUE = Queue(name="inbound.0", is_exclusive=True)


class _LateClock:
    """The time, as an hour ago."""

    @staticmethod
    def time_ns() -> int:
        return time.time_ns() - 3600 * 10**9

    time = time.time


async def test_a_clock_set_back_between_two_runs_strands_and_overtakes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backlog from before, larger than what a queue keeps in memory, and messages from after."""
    old = [f"old-{n}" for n in range(READY_MESSAGES + 100)]
    new = [f"new-{n}" for n in range(3)]
    bus = SqliteBus(SqliteFile(tmp_path / "omni.db", sync="normal"))
    await bus.open()
    await bus.declare([QUEUE])
    await bus.publish([Outgoing(QUEUE.name, b"x", id_) for id_ in old])
    await bus.close()

    monkeypatch.setattr(lanes, "time", _LateClock)
    bus = SqliteBus(SqliteFile(tmp_path / "omni.db", sync="normal"))
    await bus.open()
    got: list[Received] = []
    done = asyncio.Event()

    def take(received: Received) -> None:
        got.append(received)
        received.ack()
        if len(got) == len(old) + len(new):
            done.set()

    await bus.publish([Outgoing(QUEUE.name, b"x", new[0])])
    await bus.consume(QUEUE, take, prefetch=10)
    for id_ in new[1:]:
        await bus.publish([Outgoing(QUEUE.name, b"x", id_)])
    async with asyncio.timeout(10):
        await done.wait()
    await bus.close()
    assert [one.id for one in got] == [*old, *new]
    assert all(one.is_redelivered for one in got if one.id.startswith("old"))
