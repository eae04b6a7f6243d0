"""One version on, and one back: a database of the release before is upgraded, and its backup brings it back."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pymongo
import pytest

from omni.app.engines import engines
from omni.bus.base import BusError
from omni.settings import Settings
from omni.sqlite import SqliteFileError
from omni.store.base import StoreError
from omni.store.mongodb.schema import VERSION as MONGODB_VERSION
from omni.store.sqlite.copying import VERSION as SQLITE_VERSION
from tests.backup.test_refusals import back, put_back, saved, settings  # noqa: F401 - fixtures
from tests.contract.conftest import Make
from tests.contract.releases import forget_trunks


def place_of(of: Settings) -> tuple[str, str]:
    return ("mongodb", of.store_url) if of.sqlite_path is None else ("sqlite", of.sqlite_path)


def version_of(of: Settings) -> int:
    kind, place = place_of(of)
    if kind == "sqlite":
        with sqlite3.connect(place) as db:
            (version,) = db.execute("SELECT version FROM omni_schema WHERE component = 'store'").fetchone()
        db.close()
        return int(version)
    with pymongo.MongoClient[dict[str, Any]](place) as client:
        found = client.get_default_database()["schema"].find_one({"_id": "omni"})
    assert found is not None
    return int(found["version"])


def set_version(of: Settings, version: int) -> None:
    kind, place = place_of(of)
    if kind == "sqlite":
        with sqlite3.connect(place) as db:
            db.execute("UPDATE omni_schema SET version = ? WHERE component = 'store'", (version,))
        db.close()
        return
    with pymongo.MongoClient[dict[str, Any]](place) as client:
        client.get_default_database()["schema"].update_one({"_id": "omni"}, {"$set": {"version": version}})


async def test_the_release_before_is_saved_as_it_is_and_upgraded_when_it_is_opened_or_restored(
    saved: Path,  # noqa: F811
    settings: Settings,  # noqa: F811
    elsewhere: dict[str, Any],
    tmp_path: Path,
) -> None:
    newest = SQLITE_VERSION if settings.sqlite_path is not None else MONGODB_VERSION
    other = Settings(**elsewhere)
    forget_trunks(*place_of(settings))
    before = version_of(settings)
    assert before < newest
    await back(settings, tmp_path / "before")
    assert version_of(settings) == before, "a backup changes nothing"

    async with engines(settings) as found:
        assert await found.store.call("wa-1") is not None
        assert await found.store.trunks() == []
        await Make().open(found.store, "wa-2", party="p2")
    assert version_of(settings) == newest

    await put_back(tmp_path / "before", other)
    assert version_of(other) == newest
    async with engines(other) as found:
        assert [await found.store.call(id_) is not None for id_ in ("wa-1", "wa-2")] == [True, False]
        assert await found.store.trunks() == []
        assert len(await found.store.find_contacts("default", Make().contact("x", "49170").identities)) == 1


async def test_a_database_of_a_newer_release_is_not_opened(saved: Path, settings: Settings) -> None:  # noqa: F811
    set_version(settings, 99)
    with pytest.raises((StoreError, SqliteFileError, BusError), match=r"version 99.*run the newer"):
        async with engines(settings):
            raise AssertionError
    assert version_of(settings) == 99
