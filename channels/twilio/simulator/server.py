"""The simulator as a web application, standalone or mounted in another one."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from channels.twilio.simulator.control import ControlSide
from channels.twilio.simulator.phone.control import CallControl
from channels.twilio.simulator.phone.rest import CallRest
from channels.twilio.simulator.rest import RestSide
from channels.twilio.simulator.settings import SimulatorSettings, SimulatorSettingsError
from channels.twilio.simulator.simulator import Simulator

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
_PAGE_FILES = {
    "": ("index.html", "text/html"),
    "phone.css": ("phone.css", "text/css"),
    "phone.js": ("phone.js", "text/javascript"),
}
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: http: "
    "https:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def create_app(simulator: Simulator) -> web.Application:
    """An application that starts and closes the simulator with itself. Works at ``/`` or as a sub-application: the
    page's addresses are relative."""
    app = web.Application(client_max_size=32 * 1024 * 1024)
    rest = RestSide(simulator)

    async def life(_: web.Application) -> AsyncIterator[None]:
        await simulator.start()
        await rest.start()
        yield
        await rest.close()
        await simulator.close()

    async def begin_closing(_: web.Application) -> None:
        simulator.begin_closing()

    app.cleanup_ctx.append(life)
    app.on_shutdown.append(begin_closing)
    app.add_routes([*rest.routes(), *ControlSide(simulator).routes()])
    app.add_routes([*CallRest(simulator).routes(), *CallControl(simulator).routes()])
    app.add_routes([web.get(path, _page) for path in ("", *(f"/{name}" for name in _PAGE_FILES))])
    return app


async def _page(request: web.Request) -> web.Response:
    file = _PAGE_FILES.get(request.path.rpartition("/")[2])
    if file is None:
        # The mount point without its slash: the page's relative addresses would point beside it.
        return web.Response(status=308, headers={"Location": request.path + "/"})
    name, content_type = file
    content = await asyncio.to_thread((PAGE / name).read_bytes)
    return web.Response(body=content, content_type=content_type, charset="utf-8", headers=_PAGE_HEADERS)


@asynccontextmanager
async def running(settings: SimulatorSettings | None = None) -> AsyncIterator[tuple[Simulator, str]]:
    """A simulator on a real socket for the length of a ``with`` block: ``(simulator, "http://host:port")``.

    Port 0 picks a free one. Raises ``SimulatorSettingsError`` when the port is taken.
    """
    settings = settings or SimulatorSettings()
    simulator = Simulator(settings)
    runner = web.AppRunner(create_app(simulator), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as problem:
            raise SimulatorSettingsError(
                f"port {settings.port} on {settings.host} cannot be used ({problem.strerror}); choose another port"
            ) from None
        host, port = runner.addresses[0][:2]
        yield simulator, f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        await runner.cleanup()


async def serve(settings: SimulatorSettings) -> None:
    """Run until cancelled."""
    async with running(settings) as (_, url):
        log.info("Twilio simulator: page %s/, REST base %s, control %s/control/", url, url, url)
        if not settings.webhook_url:
            log.info("Messages are posted nowhere: give it a webhook_url.")
        await asyncio.Event().wait()


def run(settings: SimulatorSettings) -> None:
    """Run as a process of its own, until SIGINT or SIGTERM."""

    async def until_signalled() -> None:
        serving = asyncio.ensure_future(serve(settings))
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, serving.cancel)
        with suppress(asyncio.CancelledError):
            await serving

    asyncio.run(until_signalled())
