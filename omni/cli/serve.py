"""`omni serve`: the server as a process: signals, engines that are not up yet, and a bounded drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final, TypeAlias, cast, get_args

import click

from omni.app.server import Server
from omni.blobs.base import BlobError
from omni.bus.base import BusUnavailableError
from omni.cli.opening import SENTENCES, Failure, config_option
from omni.settings import Role, Settings
from omni.store.base import StoreUnavailableError
from omni.telemetry import logs

log = logging.getLogger("omni.serve")

EXIT_WITHIN: Final = 9.0
"""Seconds from the signal (or from the end of the last call with sound that goes on after it) to the end. What is not
finished by then is taken up again by whoever comes next."""

Beside: TypeAlias = Callable[[Server], AbstractAsyncContextManager[object]]

_WAITS: Final = (0.5, 1.0, 2.0, 4.0)
_AWAY: Final = (BusUnavailableError, StoreUnavailableError, BlobError)


@click.command()
@click.option(
    "--role", type=click.Choice(get_args(Role)), default="all", show_default=True, help="What this process does."
)
@config_option
@click.option("--host", metavar="ADDRESS", help="Listen on this address (OMNI_HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port; 0 takes a free one (OMNI_PORT).")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for RabbitMQ and MongoDB to come up.",
)
def serve(role: str, config: str | None, host: str | None, port: int | None, wait: float) -> None:
    """Run the server until SIGTERM or Ctrl-C.

    Without OMNI_BUS_URL and OMNI_STORE_URL everything lives in one SQLite file and one process (--role all).
    """
    settings = settings_for_server(config, host=host, port=port)
    logs.configure(settings.log_format, settings.log_level)
    if not settings.agents:
        log.warning("the settings declare no agent; those that are in the store answer (add one under `agents:`)")
    run(settings, lambda: Server(settings, cast("Role", role)), wait=wait)


def settings_for_server(config: str | None, **overrides: object) -> Settings:
    """The settings to serve with; the demo's are never taken for them."""
    from omni.settings import SettingsError, load

    try:
        return load(config, **overrides)
    except SettingsError as error:
        raise Failure(str(error)) from None


def run(
    settings: Settings,
    make: Callable[[], Server],
    *,
    wait: float,
    started: Callable[[Server], None] | None = None,
    beside: Beside = nullcontext,
    signals: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
) -> None:
    """Serve on uvloop where it is installed, until one of the signals; a second one does not wait for calls with sound
    to be over. `started` is called once the server listens; what `beside` opens then is closed before the server stops.

    Raises Failure with the sentence of what cannot work.
    """
    factory = None
    try:
        import uvloop
    except ImportError:
        pass
    else:
        factory = uvloop.new_event_loop
    patience = wait if settings.bus_url or settings.sqlite_path is None else 0.0
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_until_signalled(make, patience, started, beside, signals))
    except SENTENCES as error:
        raise Failure(str(error)) from None


async def _until_signalled(
    make: Callable[[], Server],
    patience: float,
    started: Callable[[Server], None] | None,
    beside: Beside,
    signals: Sequence[signal.Signals],
) -> None:
    stopped, hurried = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked() -> None:
        (hurried if stopped.is_set() else stopped).set()

    for name in signals:
        loop.add_signal_handler(name, asked)
    told = asyncio.create_task(stopped.wait(), name="wait for a signal")
    try:
        starting = asyncio.create_task(_start(make, patience), name="start the server")
        await asyncio.wait([starting, told], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
            if starting.cancelled():
                return
        server = starting.result()
        try:
            spare_the_collector()
            allow_many_sockets()
            if started is not None and not stopped.is_set():
                started(server)
            async with beside(server):
                await told
            log.info("asked to stop: finishing what is in hand")
            await _drain(server, hurried)
        finally:
            await _stop(server)
    finally:
        told.cancel()
        await asyncio.wait([told])


async def _start(make: Callable[[], Server], patience: float) -> Server:
    """A started server. An engine that is away is waited for: the order in which things start does not matter."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + patience
    attempt = 0
    while True:
        server = make()
        try:
            await server.start()
        except _AWAY as error:
            pause = _WAITS[min(attempt, len(_WAITS) - 1)]
            attempt += 1
            if loop.time() + pause > give_up:
                raise
            log.warning("waiting for an engine, trying again in %g s: %s", pause, error)
            await asyncio.sleep(pause)
        else:
            return server


async def _drain(server: Server, hurried: asyncio.Event) -> None:
    draining = asyncio.create_task(server.drain(), name="let calls end")
    hurry = asyncio.create_task(hurried.wait(), name="wait for a second signal")
    await asyncio.wait([draining, hurry], return_when=asyncio.FIRST_COMPLETED)
    for task in (draining, hurry):
        task.cancel()
    await asyncio.wait([draining, hurry])


async def _stop(server: Server) -> None:
    started = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(EXIT_WITHIN):
            await server.stop()
    except TimeoutError:
        log.warning("not drained within %g s; what was in hand is taken up again at the next start", EXIT_WITHIN)
    else:
        log.info("stopped in %.1f s", asyncio.get_running_loop().time() - started)


def spare_the_collector() -> None:
    """What lives as long as the process is not looked at again, and short-lived values are looked at less often:
    every webhook makes some hundred objects, and nearly all of them are gone before the collector could find them.
    The second look follows soon on the first ones: it goes over all that they left, which thousands of connections
    make much, and nothing else happens meanwhile."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 4, 250)


MOST_FILES = 65_536


def allow_many_sockets() -> None:
    """As many open files as the system lets us have: shells often begin with 1,024, and a chat page is one."""
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
