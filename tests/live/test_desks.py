"""A gateway says that it lives; one that was killed is known to be dead soon."""

from __future__ import annotations

from pathlib import Path

import pytest

from omni.live.desks import DESK_SECONDS, Desk, desk_until
from omni.sqlite import SqliteFile
from omni.store.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path: Path):
    store = SqliteStore(SqliteFile(tmp_path / "desks.db", sync="normal"))
    await store.open()
    yield store
    await store.close()


async def test_a_gateway_counts_as_alive_until_it_stops(store: SqliteStore) -> None:
    desk = Desk(store, "d1", clock=lambda: 100.0)
    await desk.start()
    assert await desk_until(store, "d1", 100.0) == 100.0 + DESK_SECONDS
    await desk.stop()
    assert await desk_until(store, "d1", 100.0) is None


async def test_a_gateway_that_was_killed_is_dead_when_its_lease_ran_out(store: SqliteStore) -> None:
    desk = Desk(store, "d1", clock=lambda: 100.0)
    await desk.start()
    assert await desk_until(store, "d1", 100.0 + DESK_SECONDS + 1) is None
    await desk.stop()


async def test_whoever_is_alone_knows_that_all_others_are_dead(store: SqliteStore) -> None:
    killed = Desk(store, "d1")
    await killed.start()
    fresh = Desk(store, "d10", is_alone=True)
    await fresh.start()
    assert await desk_until(store, "d1", 0.0) is None
    assert await desk_until(store, "d10", 0.0) is not None
    await killed.stop()
    await fresh.stop()


async def test_a_gateway_says_nothing_of_another_whose_name_begins_alike(store: SqliteStore) -> None:
    desk = Desk(store, "d10")
    await desk.start()
    assert await desk_until(store, "d1", 0.0) is None
    await desk.stop()
