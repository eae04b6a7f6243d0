"""What is not restored, and what a backup that was not finished leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from omni.app.engines import blobs_of, engines
from omni.backup.draft import Draft
from omni.backup.errors import BackupError
from omni.backup.making import Source, back_up
from omni.backup.manifest import FORMAT
from omni.backup.mongodb import MongoSource, MongoTarget
from omni.backup.restoring import Target, restore
from omni.backup.settling import Settled
from omni.backup.sqlite import SqliteSource, SqliteTarget
from omni.bus.base import BusUnavailableError, Outgoing
from omni.model.agent import Agent
from omni.model.queues import every_queue, inbound
from omni.settings import Settings
from omni.sqlite import SqliteFileError
from omni.store.base import StoreError
from tests.contract.conftest import Make
from tests.server.shop import until


async def _once(content: bytes) -> Any:
    yield content


def source_of(settings: Settings) -> Source:
    return SqliteSource(Path(settings.sqlite_path)) if settings.sqlite_path else MongoSource(settings.store_url)


def target_of(settings: Settings) -> Target:
    return SqliteTarget(Path(settings.sqlite_path)) if settings.sqlite_path else MongoTarget(settings.store_url)


@pytest.fixture
def settings(request: pytest.FixtureRequest, clean_environment: None, engine: dict[str, Any]) -> Settings:
    return Settings(**{**engine, "bus_url": ""}, blob_url="") if "bus_url" not in engine else Settings(**engine)


@pytest.fixture
def other(elsewhere: dict[str, Any], clean_environment: None) -> Settings:
    return Settings(**elsewhere)


@pytest.fixture
async def saved(settings: Settings, tmp_path: Path) -> Path:
    """A backup of a call with a message that waits, and of a file."""
    async with engines(settings) as found:
        await found.store.save_agent(Agent(slug="echo", brain="script"))
        await Make().queue(found.store, Make().delivery("dl_1", "wa-1", 1))
        await found.store.save_contact(Make().contact("ct_1", "49170"))
        await found.blobs.put("media-1", _once(b"a picture"), mime="image/png", max_bytes=99)
        if settings.is_embedded:
            await found.bus.declare(every_queue(2))
            await found.bus.publish([Outgoing(inbound(1).name, b"hello", "in_1")])
    await back(settings, tmp_path / "saved")
    return tmp_path / "saved"


async def back(settings: Settings, folder: Path) -> None:
    blobs = blobs_of(settings)
    await blobs.open()
    try:
        await back_up(folder, source_of(settings), blobs)
    finally:
        await blobs.close()


async def put_back(folder: Path, settings: Settings, **how: bool) -> Settled:
    blobs = blobs_of(settings)
    await blobs.open()
    try:
        return (await restore(folder, target_of(settings), blobs, **how))[1]
    finally:
        await blobs.close()


def change_manifest(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


async def test_what_waited_is_withdrawn_unless_the_server_is_moved(
    saved: Path, settings: Settings, other: Settings
) -> None:
    assert await put_back(saved, other) == Settled(withdrawn=1, put_aside=1 if settings.is_embedded else 0)
    async with engines(other) as found:
        delivery = await found.store.delivery("dl_1")
        assert delivery is not None
        assert delivery.state == "cancelled"
        letters = await found.bus.dead_letters() if settings.is_embedded else []
        assert [(one.id, one.queue) for one in letters] == ([("in_1", "inbound.1")] if settings.is_embedded else [])
    assert await put_back(saved, other, replace=True, resume=True) == Settled()
    async with engines(other) as found:
        delivery = await found.store.delivery("dl_1")
        assert delivery is not None
        assert delivery.state == "queued"
        if settings.is_embedded:
            await found.bus.declare(every_queue(2))
            assert (await found.bus.depth("inbound.1")).ready == 1


async def test_everything_is_this_users_alone(saved: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in saved.rglob("*") if path.is_file()}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in (saved, *saved.rglob("*")) if path.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})


async def test_a_store_with_something_in_it_is_left_alone(saved: Path, settings: Settings, other: Settings) -> None:
    with pytest.raises(BackupError, match="is not empty; name an empty one, or say --replace"):
        await put_back(saved, settings)
    async with engines(other) as found:  # a server was started there, and that was all
        await found.store.save_agent(Agent(slug="echo", brain="script"))
    await put_back(saved, other)
    with pytest.raises(BackupError, match="--replace"):
        await put_back(saved, other)
    async with engines(other) as found:
        await Make().open(found.store, "wa-2", party="p2")
        await found.blobs.put("media-2", _once(b"later"), mime=None, max_bytes=9)
    await put_back(saved, other, replace=True)
    async with engines(other) as found:
        assert [await found.store.call(id_) is not None for id_ in ("wa-1", "wa-2")] == [True, False]
        assert [blob.key async for blob in found.blobs.all()] == ["media-1"]


async def test_a_newer_schema_an_unknown_format_and_another_engine_are_refused(
    saved: Path, settings: Settings, other: Settings, tmp_path: Path
) -> None:
    good = json.loads((saved / "manifest.json").read_text())
    another = "mongodb" if settings.sqlite_path else "sqlite"
    for changes, sentence in (
        ({"versions": {"store": 99}, "omni": "9.9"}, "made by omni 9.9.*schema version 99"),
        ({"format": FORMAT + 1}, "reads up to"),
        ({"engine": another}, "goes back into its own engine only"),
    ):
        change_manifest(saved, **{**good, **changes})
        with pytest.raises(BackupError, match=sentence):
            await put_back(saved, other)


async def test_a_backup_that_lost_something_is_refused_before_anything_is_changed(
    saved: Path, settings: Settings, other: Settings
) -> None:
    files = [path for path in saved.rglob("*") if path.is_file() and path.stat().st_size]
    for path in files:
        content = path.read_bytes()
        for damage in (content[:-2], bytes([content[0] ^ 1]) + content[1:], None):
            path.unlink() if damage is None else path.write_bytes(damage)
            with pytest.raises(BackupError):
                await put_back(saved, settings, replace=True)
        path.write_bytes(content)
    async with engines(settings) as found:
        assert await found.store.call("wa-1") is not None
        assert await found.blobs.get("media-1") is not None
    await put_back(saved, other)


async def test_a_backup_that_breaks_off_leaves_nothing(saved: Path, settings: Settings, tmp_path: Path) -> None:
    class Refused(Exception):
        pass

    blobs = blobs_of(settings)
    await blobs.open()

    class Breaking:
        engine = source_of(settings).engine

        async def save(self, draft: Draft) -> tuple[dict[str, int], dict[str, int]]:
            await source_of(settings).save(draft)
            assert draft.folder.exists()
            raise Refused

    with pytest.raises(Refused):
        await back_up(tmp_path / "broken", Breaking(), blobs)
    await blobs.close()
    assert not list(tmp_path.glob("broken*"))
    with pytest.raises(BackupError, match="exists; name a folder"):
        await back(settings, saved)


async def test_one_that_is_interrupted_leaves_nothing(settings: Settings, saved: Path, tmp_path: Path) -> None:
    part = tmp_path / "cut.part"
    for turns in range(0, 60, 10):
        task = asyncio.create_task(back(settings, tmp_path / "cut"))
        await until(lambda task=task: part.exists() or task.done())  # type: ignore[misc]
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert not part.exists()
        shutil.rmtree(tmp_path / "cut", ignore_errors=True)


async def test_one_that_was_killed_is_no_backup(
    saved: Path, settings: Settings, other: Settings, tmp_path: Path
) -> None:
    left = tmp_path / "killed.part"
    saved.rename(left)
    (left / "manifest.json").unlink()
    with pytest.raises(BackupError, match="it is no backup, or one that was cut off"):
        await put_back(left, other)
    with pytest.raises(BackupError, match="was cut off; wait for it, or delete"):
        await back(settings, tmp_path / "killed")


@pytest.mark.mongodb
async def test_half_a_restore_is_no_database(
    mongo_url: str, rabbitmq_url: str, rabbitmq_prefix: str, clean_environment: None
) -> None:
    settings = Settings(store_url=mongo_url, bus_url=rabbitmq_url, bus_prefix=rabbitmq_prefix.rstrip("."))
    await MongoTarget(mongo_url).begin()
    with pytest.raises(StoreError, match=r"half of a backup.*--replace"):
        async with engines(settings):
            raise AssertionError
    assert not await MongoTarget(mongo_url).is_empty()


async def test_a_server_that_runs_on_the_file_is_not_pulled_from_under(
    embedded: dict[str, Any], clean_environment: None, tmp_path: Path
) -> None:
    settings = Settings(**embedded)
    async with engines(settings, serves=True) as found:
        await Make().open(found.store, "wa-1")
        await back(settings, tmp_path / "saved")
        with pytest.raises(BusUnavailableError, match="stop that one"):
            await put_back(tmp_path / "saved", settings, replace=True)
        assert await found.store.call("wa-1") is not None


async def test_a_damaged_file_is_found_when_it_is_saved(
    embedded: dict[str, Any], clean_environment: None, tmp_path: Path
) -> None:
    settings = Settings(**embedded)
    async with engines(settings) as found:
        for number in range(50):
            await Make().open(found.store, f"wa-{number}", party=f"p{number}")
    assert settings.sqlite_path is not None
    with Path(settings.sqlite_path).open("r+b") as file:
        for page in range(2, Path(settings.sqlite_path).stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 40)
    with pytest.raises(SqliteFileError, match="damaged"):
        await back(settings, tmp_path / "saved")
    assert not list(tmp_path.glob("saved*"))


async def test_a_copy_of_a_busy_file_is_of_one_moment_and_comes_to_an_end(
    embedded: dict[str, Any], clean_environment: None, tmp_path: Path
) -> None:
    """Writers go on while it is copied, and what they write is in it up to a moment."""
    settings = Settings(**embedded)
    async with engines(settings) as found:
        call = await Make().open(found.store, "wa-1")
        await found.store.append(Make().step(call, count=2_000))
        call = call.model_copy(update={"last_seq": 2_001})
        over = asyncio.Event()

        async def write() -> int:
            last = call
            while not over.is_set():
                step = Make().step(last, count=50)
                await found.store.append(step)
                last = step.call
            return last.last_seq

        writing = asyncio.create_task(write())
        await back(settings, tmp_path / "saved")
        over.set()
        last = await writing
    other = Settings(store_url=f"sqlite:///{tmp_path}/new/omni.db")
    await put_back(tmp_path / "saved", other)
    async with engines(other) as found:
        copied = await found.store.call("wa-1")
        assert copied is not None
        entries = await found.store.entries("wa-1", limit=last + 1)
        assert [entry.seq for entry in entries] == list(range(1, copied.last_seq + 1))
        assert 2_001 <= copied.last_seq <= last
