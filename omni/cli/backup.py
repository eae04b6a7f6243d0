"""`omni backup` and `omni restore`: everything a server stores, in a folder and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click

from omni.app.engines import blobs_of
from omni.backup.making import Source, back_up
from omni.backup.manifest import Manifest
from omni.backup.restoring import Target, check
from omni.backup.restoring import restore as put_back
from omni.backup.settling import Settled
from omni.blobs.base import Blobs
from omni.cli.opening import config_option, on_loop, settings_for
from omni.settings import Settings

_folder = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))


@click.command()
@_folder
@click.option("--check", "only_checks", is_flag=True, help="Make none: see whether the one in FOLDER is whole.")
@config_option
@on_loop
async def backup(folder: Path, only_checks: bool, config: str | None) -> None:
    """Save all that the server stores to FOLDER, which must not be there yet. The server may run meanwhile.

    It has conversations, people, files, agents and keys; settings, omni.yaml and RabbitMQ's queues are not in it. It
    holds the channels' tokens in clear: keep it like a password.
    """
    if only_checks:
        _tell(await asyncio.to_thread(check, folder), f"{folder} is whole")
        return
    settings = settings_for(config)
    async with _blobs(settings) as blobs:
        manifest = await back_up(folder, _source(settings), blobs)
    _tell(manifest, f"{folder} is made")


@click.command()
@_folder
@click.option("--replace", is_flag=True, help="The store may have something in it; it is lost.")
@click.option(
    "--resume",
    is_flag=True,
    help="Send and answer what waited when the backup was made: right only when no server ran then, as for a move.",
)
@config_option
@on_loop
async def restore(folder: Path, replace: bool, resume: bool, config: str | None) -> None:
    """Put the backup in FOLDER back, into an empty store of the same engine. Stop the server before.

    A backup of an earlier release is upgraded. What waited to be sent or answered when it was made is withdrawn: the
    old server may have done it since.
    """
    settings = settings_for(config)
    async with _blobs(settings) as blobs:
        manifest, settled = await put_back(folder, _target(settings), blobs, replace=replace, resume=resume)
    _tell(manifest, f"{folder} is restored")
    if settled != Settled():
        click.echo(
            f"Withdrawn, because the old server may have done it since: {settled.withdrawn} messages to be sent, "
            f"{settled.forgone} answers, {settled.put_aside} messages in queues (`omni dlq list`)."
        )


def _tell(manifest: Manifest, what: str) -> None:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(manifest.made_at))
    calls, people = manifest.counts.get("calls", 0), manifest.counts.get("contacts", 0)
    click.echo(
        f"{what}: {manifest.engine} of {at}, omni {manifest.omni}, {calls} conversations, {people} people, "
        f"{manifest.blobs} files ({manifest.blob_bytes / 1e6:.1f} MB)."
    )


@asynccontextmanager
async def _blobs(settings: Settings) -> AsyncIterator[Blobs]:
    blobs = blobs_of(settings)
    await blobs.open()
    try:
        yield blobs
    finally:
        await blobs.close()


def _source(settings: Settings) -> Source:
    if settings.sqlite_path is not None:
        from omni.backup.sqlite import SqliteSource

        return SqliteSource(Path(settings.sqlite_path))
    from omni.backup.mongodb import MongoSource

    return MongoSource(settings.store_url)


def _target(settings: Settings) -> Target:
    if settings.sqlite_path is not None:
        from omni.backup.sqlite import SqliteTarget

        return SqliteTarget(Path(settings.sqlite_path))
    from omni.backup.mongodb import MongoTarget

    return MongoTarget(settings.store_url)
