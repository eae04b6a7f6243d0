"""What every verb begins with: settings, engines, and failures as one sentence."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from omni.app.engines import Engines, engines
from omni.backup.errors import BackupError
from omni.blobs.base import BlobError
from omni.bus.base import BusError
from omni.model.queues import every_queue
from omni.settings import DEFAULT_FILE, Settings, SettingsError, load
from omni.sqlite import SqliteFileError
from omni.store.base import StoreError
from omni.telemetry.logs import one_line, without_secrets

SENTENCES: Final = (SettingsError, StoreError, BusError, BlobError, SqliteFileError, BackupError)
"""Errors whose text is written for whoever typed the command."""

DEMO_FILE: Final = Path("omni-data") / "omni.yaml"

R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class Failure(click.ClickException):
    """Ends the command with one sentence on stderr. Exit status 2: something has to be mended first."""

    exit_code = 2

    def __init__(self, sentence: str) -> None:
        super().__init__(one_line(" ".join(without_secrets(sentence).split()), 2_000))

    def show(self, file: Any = None) -> None:
        click.echo(f"omni: {self.message}", err=True, file=file)


def config_option(command: F) -> F:
    """`--config FILE`, given to the command as `config`."""
    option: Callable[[F], F] = click.option(
        "--config",
        "-c",
        metavar="FILE",
        envvar="OMNI_CONFIG",
        type=click.Path(dir_okay=False),
        help=f"Settings file; without it {DEFAULT_FILE} in this folder, when there is one.",
    )
    return option(command)


def settings_for(config: str | None, **overrides: Any) -> Settings:
    """The settings that this command shares with the server.

    Where nobody named any, and a demo was started in this folder, they are the demo's.
    """
    chosen: str | Path | None = config
    if config is None and DEMO_FILE.exists() and not Path(DEFAULT_FILE).exists():
        settings = _load(None, overrides)
        if settings.model_fields_set.isdisjoint({"store_url", "bus_url"}):
            chosen = DEMO_FILE
            click.echo(f"(the demo of {DEMO_FILE.parent}/; another server: --config FILE)", err=True)
    return _load(chosen, overrides)


def _load(file: str | Path | None, overrides: dict[str, Any]) -> Settings:
    try:
        return load(file, **overrides)
    except SettingsError as error:
        raise Failure(str(error)) from None


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Engines]:
    """The engines of a server that has run before: asking a question must not make an empty database."""
    _require_database(settings)
    async with engines(settings) as found:
        await found.bus.declare(every_queue(settings.partitions))
        yield found


def _require_database(settings: Settings) -> None:
    path = settings.sqlite_path
    if path is not None and not Path(path).exists():
        raise SettingsError(
            f"there is no {path} yet; start the server first (omni serve, or omni demo), or name its settings "
            "with --config"
        )


def on_loop(command: Callable[..., Awaitable[R]]) -> Callable[..., R]:
    """Run an async command to its end; what has a sentence for a person ends it with that sentence."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> R:
        async def body() -> R:
            return await command(*args, **kwargs)

        try:
            return asyncio.run(body())
        except SENTENCES as error:
            raise Failure(str(error)) from None
        except KeyboardInterrupt:
            raise SystemExit(130) from None

    return run
