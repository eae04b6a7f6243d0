"""`omni dev`: a server and a bot in one terminal, where the bot starts again whenever its files change."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from pydantic import SecretStr

from omni.access.keys import new_secret
from omni.app.engines import engines
from omni.app.server import Server
from omni.cli.address import reachable
from omni.cli.credentials import credentials_file, keep_key, kept_key
from omni.cli.dev.program import Program
from omni.cli.dev.showing import Showing, bot_line, note
from omni.cli.dev.supervision import keep_running
from omni.cli.dev.watching import Watcher
from omni.cli.opening import Failure, config_option
from omni.cli.serve import run, settings_for_server
from omni.settings import Settings
from omni.telemetry import logs

NEIGHBOURS: Final = 20
"""Ports after the usual one that are tried when it is taken."""

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""A closed terminal ends both as well: the bot would not hear of it by itself."""


@dataclass(frozen=True, slots=True)
class Key:
    """The key that the bot shows to the server."""

    text: str
    is_new: bool


@click.command()
@click.argument("program", metavar="BOT.PY", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@config_option
@click.option("--host", metavar="ADDRESS", help="The server listens on this address (OMNI_HOST).")
@click.option("--port", type=click.IntRange(1, 65535), help="The server listens on this port (OMNI_PORT).")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="warning",
              show_default=True, help="How much the server tells.")  # fmt: skip
def dev(
    program: Path, arguments: tuple[str, ...], config: str | None, host: str | None, port: int | None, log_level: str
) -> None:
    """Run a server and a bot in this terminal, and show what is said. The bot starts again when its files change.

    The bot gets OMNI_URL and OMNI_API_KEY. What follows BOT.PY is handed on to it; put `--` before its options.
    """
    if not program.exists():
        raise Failure(f"there is no {program}; name the program of your bot, such as: omni dev bot.py")
    settings = settings_for_server(config, host=host, port=port)
    if port is None and "port" not in settings.model_fields_set:
        settings = settings.model_copy(update={"port": _free_port(settings.host, settings.port)})
    watched = program.resolve()
    url = f"http://{reachable(settings.host)}:{settings.port}"
    key = _key(settings, url)
    settings = settings.model_copy(update={"api_key": SecretStr(key.text), "log_level": log_level})
    logs.configure(settings.log_format, log_level)

    @asynccontextmanager
    async def beside(server: Server) -> AsyncIterator[None]:
        at = f"http://{reachable(settings.host)}:{server.port}"
        note(f"the server is at {at}; {program} runs beside it, and starts again when its files change. Ctrl-C stops.")
        if key.is_new:
            _keep(at, key)
        command = (sys.executable, str(program), *arguments)
        bot = Program(command, {"OMNI_URL": at, "OMNI_API_KEY": key.text}, bot_line)
        async with engines(settings) as found, asyncio.TaskGroup() as tasks:
            showing = Showing(found.store, at)
            await showing.begin()
            running = (
                tasks.create_task(showing.follow(), name="show what is said"),
                tasks.create_task(keep_running(bot, Watcher(watched), note), name="keep the bot running"),
            )
            try:
                yield
            finally:
                for task in running:
                    task.cancel()

    run(settings, lambda: Server(settings), wait=0, beside=beside, signals=STOPPING)
    click.echo("\nStopped: the bot and the server.")


def _free_port(host: str, usual: int) -> int:
    """The usual port, or the next one that is free; 0 when none is: any."""
    return next((port for port in range(usual, usual + NEIGHBOURS) if _is_free(host, port)), 0)


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _key(settings: Settings, url: str) -> Key:
    """The settings' own, the one that is kept for this address, or a new one."""
    known = settings.api_key.get_secret_value() if settings.api_key else kept_key(credentials_file(), url)
    return Key(known or new_secret(), is_new=known is None)


def _keep(url: str, key: Key) -> None:
    """For `omni chat` in another terminal, and for the next time."""
    try:
        keep_key(credentials_file(), url, key.text)
    except Failure as failure:
        note(failure.message)
    else:
        note(f"its API key is kept in {credentials_file()}")
