"""The simulator as a web application, standalone or mounted in another one."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from channels.whatsapp.simulator.control import ControlSide
from channels.whatsapp.simulator.graph import GraphSide
from channels.whatsapp.simulator.settings import SimulatorSettings, SimulatorSettingsError
from channels.whatsapp.simulator.simulator import Simulator

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
_PAGE_FILES = {
    "": ("index.html", "text/html"),
    "phone.css": ("phone.css", "text/css"),
    **{name: (name, "text/javascript") for name in ("phone.js", "bubbles.js", "dom.js", "markup.js", "voice.js")},
}
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), geolocation=(self), camera=()",
    "Cache-Control": "no-cache",
}


def create_app(simulator: Simulator) -> web.Application:
    """An application that starts and closes the simulator with itself.

    Works at ``/`` or as a sub-application (``parent.add_subapp("/demo", create_app(simulator))``): the page's addresses
    are relative, and media addresses carry the prefix.
    """
    app = web.Application(client_max_size=4 * 1024 * 1024)

    async def life(_: web.Application) -> AsyncIterator[None]:
        await simulator.start()
        yield
        await simulator.close()

    async def begin_closing(_: web.Application) -> None:
        simulator.begin_closing()

    app.cleanup_ctx.append(life)
    app.on_shutdown.append(begin_closing)
    app.add_routes(GraphSide(simulator).routes())
    app.add_routes(ControlSide(simulator).routes())
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
    # Everything that waits is released by begin_closing, so there is no reason to wait long for requests.
    runner = web.AppRunner(create_app(simulator), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port, backlog=1024)
        try:
            await site.start()
        except OSError as problem:
            raise SimulatorSettingsError(
                f"port {settings.port} on {settings.host} cannot be used ({problem.strerror}); choose another port"
            ) from None
        host, port = runner.addresses[0][:2]
        shown = f"[{host}]" if ":" in host else host
        yield simulator, f"http://{shown}:{port}"
    finally:
        await runner.cleanup()


async def serve(settings: SimulatorSettings, *, verify: bool = True) -> None:
    """Run until cancelled. With ``verify`` the webhook's handshake is made first and its outcome logged."""
    async with running(settings) as (simulator, url):
        log.info("WhatsApp simulator: page %s/, Graph base %s, control %s/control/", url, url, url)
        if verify and settings.webhook_url:
            result = await simulator.handshake()
            if result.ok:
                log.info("The webhook %s answered the handshake.", settings.webhook_url)
            else:
                log.warning("The webhook %s did not pass the handshake. %s", settings.webhook_url, result.reason)
        await asyncio.Event().wait()


def run(settings: SimulatorSettings, *, verify: bool = True) -> None:
    """Run as a process of its own, until SIGINT or SIGTERM; on uvloop when it is installed."""
    factory = None
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:
        pass

    async def until_signalled() -> None:
        serving = asyncio.ensure_future(serve(settings, verify=verify))
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, serving.cancel)
        with suppress(asyncio.CancelledError):
            await serving

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(until_signalled())
