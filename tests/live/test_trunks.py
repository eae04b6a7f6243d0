"""The trunks at hand: those of the settings and those in the store, whichever process changed them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omni.bus.sqlite import SqliteBus
from omni.live.trunks import TrunkBook
from omni.model.sip import SipTrunk, StoredTrunk
from omni.sqlite import SqliteFile
from omni.store.base import StoreUnavailableError
from omni.store.sqlite import SqliteStore

DECLARED = SipTrunk(name="carrier", host="sip.carrier.example")


def stored(name: str, at: float = 1.0, **more: object) -> StoredTrunk:
    trunk = SipTrunk.model_validate({"name": name, "host": "pbx.example", **more})
    return StoredTrunk(trunk=trunk, created_at=at)


class AwayStore(SqliteStore):
    """The real store, which cannot be reached while `is_away`."""

    is_away = False

    async def trunks(self, org: str | None = None) -> list[StoredTrunk]:
        if self.is_away:
            raise StoreUnavailableError("the store is away")
        return await super().trunks(org)


class Shelf:
    """Two processes' books over one store and one bus; what theirs was told."""

    def __init__(self, path: Path, refresh: float) -> None:
        self.store = AwayStore(SqliteFile(path, sync="normal"))
        self.bus = SqliteBus(SqliteFile(path, sync="normal"))
        self.ours = TrunkBook(self.store, self.bus, (DECLARED,), refresh=60)
        self.theirs = TrunkBook(self.store, self.bus, (DECLARED,), allow_private=False, refresh=refresh)
        self.told: asyncio.Queue[list[str]] = asyncio.Queue()
        self.unwatch = self.theirs.watch(lambda trunks: self.told.put_nowait([each.name for each in trunks]))


@pytest.fixture(params=[60.0])
async def shelf(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Shelf]:
    shelf = Shelf(tmp_path / "omni.db", request.param)
    await shelf.store.open()
    await shelf.bus.open()
    await shelf.ours.start()
    await shelf.theirs.start()
    yield shelf
    await shelf.ours.stop()
    await shelf.theirs.stop()
    await shelf.bus.close()
    await shelf.store.close()


async def told(shelf: Shelf) -> list[str]:
    async with asyncio.timeout(10):
        return await shelf.told.get()


async def heard(shelf: Shelf) -> list[str]:
    """What theirs was told when ours changed; said until it listens."""
    while True:
        await shelf.ours.changed()
        try:
            async with asyncio.timeout(0.2):
                return await shelf.told.get()
        except TimeoutError:
            continue


async def test_a_change_of_one_process_is_known_to_the_other(shelf: Shelf) -> None:
    assert shelf.theirs.everyone() == (DECLARED,)
    saved = await shelf.store.save_trunk(stored("office"))
    assert await heard(shelf) == ["carrier", "office"]
    assert shelf.ours.everyone() == (DECLARED, saved.trunk)
    await shelf.store.save_trunk(stored("annex", at=0.5, org="rival"))
    await shelf.ours.changed()
    assert await told(shelf) == ["carrier", "annex", "office"], "the oldest first, after those of the settings"
    await shelf.ours.changed()
    await shelf.store.remove_trunk("default", "office")
    await shelf.ours.changed()
    assert await told(shelf) == ["carrier", "annex"], "told only of what changed"
    shelf.unwatch()
    await shelf.store.remove_trunk("rival", "annex")
    await shelf.theirs.refresh()
    assert shelf.told.empty()
    assert shelf.theirs.everyone() == (DECLARED,)


@pytest.mark.parametrize("shelf", [0.05], indirect=True)
async def test_what_nobody_said_is_found_and_a_store_that_is_away_takes_nothing_away(shelf: Shelf) -> None:
    await shelf.store.save_trunk(stored("office"))
    assert await told(shelf) == ["carrier", "office"]
    shelf.store.is_away = True
    with pytest.raises(StoreUnavailableError):
        await shelf.theirs.refresh()
    assert len(shelf.theirs.everyone()) == 2
    shelf.store.is_away = False
    await shelf.store.remove_trunk("default", "office")
    assert await told(shelf) == ["carrier"]


async def test_those_of_the_settings_count_where_both_have_a_name(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await shelf.store.save_trunk(stored("carrier", host="elsewhere.example"))
    await shelf.store.save_trunk(stored("carrier", org="rival"))
    for _ in range(3):
        await shelf.theirs.refresh()
    assert [(each.org, each.host) for each in shelf.theirs.everyone()] == [
        ("default", "sip.carrier.example"), ("rival", "pbx.example")
    ]  # fmt: skip
    assert len([one for one in caplog.messages if "is not used: the settings have one of this name" in one]) == 1


async def test_stored_ones_are_kept_out_of_private_networks_where_the_server_says_so(shelf: Shelf) -> None:
    await shelf.store.save_trunk(stored("office"))
    await shelf.ours.refresh()
    await shelf.theirs.refresh()
    assert [each.is_public for each in shelf.ours.everyone()] == [False, False]
    assert [each.is_public for each in shelf.theirs.everyone()] == [False, True]
