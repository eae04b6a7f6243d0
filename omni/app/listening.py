"""The HTTP front's socket."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web

from omni.settings import Settings, SettingsError

EXACT_SECONDS: Final = 3600.0
"""Timers of connections are exact up to here. aiohttp would put off those over 5 s to the next whole second, and ping
thousands of idle sockets in the same moment."""


async def listen(app: web.Application, settings: Settings, stack: AsyncExitStack) -> int:
    """Serve until the stack is closed; returns the port. Raises SettingsError when the port is not to be had."""
    runner = web.AppRunner(
        app, access_log=None, handle_signals=False, shutdown_timeout=2.0, timeout_ceil_threshold=EXACT_SECONDS
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, settings.host, settings.port, backlog=1024)
    try:
        await site.start()
    except OSError as error:
        raise SettingsError(
            f"OMNI_PORT {settings.port}: cannot listen on {settings.host}:{settings.port} ({error.strerror}); "
            "stop what uses it or choose another with --port"
        ) from None
    return int(runner.addresses[0][1])
