"""Which engine stands behind each seam, by the settings' URLs. Engines that are not used are not imported."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from omni.blobs.base import Blobs
from omni.bus.base import Bus
from omni.settings import Settings, SettingsError
from omni.sqlite import SqliteFile
from omni.store.base import Store
from omni.telemetry import tracing


@dataclass(frozen=True, slots=True)
class Engines:
    bus: Bus
    store: Store
    blobs: Blobs


@asynccontextmanager
async def engines(settings: Settings, *, serves: bool = False) -> AsyncIterator[Engines]:
    """The engines, open; closed in the right order on the way out.

    With `serves` an embedded bus is ours alone, or it is an error, before anything was written.

    Raises SettingsError, and what the engines raise when they cannot be reached.
    """
    async with AsyncExitStack() as stack:
        path = settings.sqlite_path
        file: SqliteFile | None = None
        if path is not None or settings.is_embedded:
            file = SqliteFile(Path(path or "omni.db"), sync=settings.sqlite_sync)
            await file.open()
            stack.push_async_callback(file.close)
        blobs = blobs_of(settings)
        await blobs.open()
        stack.push_async_callback(blobs.close)
        store = _store(settings, file)
        await store.open()
        stack.push_async_callback(store.close)
        bus = _bus(settings, file)
        await bus.open()
        stack.push_async_callback(bus.close)
        if serves and settings.is_embedded:
            from omni.bus.sqlite import SqliteBus

            assert isinstance(bus, SqliteBus)
            bus.reserve()
        if tracing.is_on():
            from omni.bus.traced import TracedBus

            bus = TracedBus(bus, "rabbitmq" if settings.bus_url else "omni_sqlite")
        yield Engines(bus, store, blobs)


def _bus(settings: Settings, file: SqliteFile | None) -> Bus:
    if settings.bus_url:
        from omni.bus.rabbitmq import RabbitBus

        return RabbitBus(settings.bus_url, prefix=settings.bus_prefix)
    from omni.bus.sqlite import SqliteBus

    if file is None:
        raise SettingsError("OMNI_BUS_URL is empty and there is no SQLite file to keep the bus in; set OMNI_BUS_URL")
    return SqliteBus(file)


def _store(settings: Settings, file: SqliteFile | None) -> Store:
    if settings.sqlite_path is not None and file is not None:
        from omni.store.sqlite import SqliteStore

        return SqliteStore(file)
    from omni.store.mongodb import MongoStore

    return MongoStore(settings.store_url)


def blobs_of(settings: Settings) -> Blobs:
    """Not open yet."""
    url = settings.blob_url
    if not url and settings.sqlite_path is None:
        url = settings.store_url
    if url.startswith(("mongodb:", "mongodb+srv:")):
        from omni.blobs.gridfs import GridFsBlobs

        return GridFsBlobs(url)
    if url and not url.startswith("file:"):
        raise SettingsError(f"OMNI_BLOB_URL {url!r}: use file:///folder, mongodb://… or leave it empty")
    from omni.blobs.folder import FolderBlobs

    default = f"{Path(settings.sqlite_path or 'omni.db').with_suffix('')}-blobs"
    return FolderBlobs(Path(url.removeprefix("file://")) if url else Path(default))
