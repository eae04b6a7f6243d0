"""Takes the pictures of the inbox that the documentation shows: `python scripts/inbox_pictures.py [FOLDER]`.

A shop's day is told on a real server, through the WhatsApp stand-in; it is written again with times as they would have
been, and photographed in Chromium.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import aiohttp  # noqa: E402
from benchmark.server import free_port  # noqa: E402
from pictures import retime  # noqa: E402
from pictures.png import shrunk  # noqa: E402
from pictures.story import HERO, LAMP, SCRIPT, STORIES  # noqa: E402
from pictures.telling import Desk, Teller, hire, until  # noqa: E402
from pydantic import SecretStr  # noqa: E402
from servers import chromium  # noqa: E402

from channels.whatsapp.simulator import SimulatorSettings, StatusPlan, running  # noqa: E402
from omni.app.engines import engines  # noqa: E402
from omni.app.server import Server  # noqa: E402
from omni.gateway.inbox.guard import COOKIE  # noqa: E402
from omni.model.agent import Agent  # noqa: E402
from omni.settings import Settings  # noqa: E402

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

SECRETS = {"app_secret": "an-app-secret", "verify_token": "a-verify-token", "access_token": "EAAGaToken"}
NUMBER = "100200300"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def settings(folder: Path, graph_url: str, port: int) -> Settings:
    line = {"kind": "whatsapp", "phone_number_id": NUMBER, **SECRETS, "pair_interval": 0}
    agent = Agent.model_validate(
        {
            "slug": "lumi",
            "name": "Lumi",
            "brain": "script",
            "debounce_ms": 0,
            "script": SCRIPT,
            "channels": [line, {"kind": "chat"}],
        }
    )
    return Settings(
        port=port,
        agents=(agent,),
        store_url=f"sqlite:///{folder}/omni.db",
        blob_url=f"file://{folder.parent}/blobs",
        whatsapp_graph_url=graph_url,
        secret=SecretStr("a secret for as long as pictures are taken"),
    )


@contextlib.asynccontextmanager
async def serving(wanted: Settings) -> AsyncIterator[Server]:
    server = Server(wanted)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def main(folder: Path) -> None:
    from playwright.async_api import async_playwright

    program = chromium.find()
    if program is None:
        sys.exit("inbox_pictures: Chromium is missing; `make services` says how to get it")
    with tempfile.TemporaryDirectory(prefix="omni-pictures-") as place:
        told, shown = Path(place) / "told", Path(place) / "shown"
        told.mkdir()
        shown.mkdir()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            await tell(told, await lamp(browser))
            await write_again(told, shown)
            await photograph(browser, shown, folder)
            await browser.close()


async def lamp(browser: Browser) -> bytes:
    page = await browser.new_page(viewport={"width": 480, "height": 300})
    await page.set_content(LAMP)
    photo = await page.screenshot()
    await page.close()
    return photo


async def tell(folder: Path, photo: bytes) -> None:
    port = free_port()
    quick = SimulatorSettings(
        port=0,
        phone_number_id=NUMBER,
        webhook_url=f"http://127.0.0.1:{port}/whatsapp/webhook",
        statuses=StatusPlan(sent_ms=5, delivered_ms=10, read_ms=15),
        app_secret=SECRETS["app_secret"],
        verify_token=SECRETS["verify_token"],
        access_token=SECRETS["access_token"],
    )
    async with contextlib.AsyncExitStack() as stack:
        simulator, graph_url = await stack.enter_async_context(running(quick))
        wanted = settings(folder, graph_url, port)
        server = await stack.enter_async_context(serving(wanted))
        opened = await stack.enter_async_context(engines(wanted))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        staff = await hire(opened.store)
        desks = {one.name: await Desk.of(http, server.url, opened.store, one) for one in staff}
        await Teller(simulator, desks, photo).all()


async def write_again(told: Path, shown: Path) -> None:
    now = time.time()
    ends = {story.name: now - 60 * story.ago for story in STORIES}
    async with (
        engines(settings(told, "http://127.0.0.1:9", 0)) as old,
        engines(settings(shown, "http://127.0.0.1:9", 0)) as new,
    ):
        await retime.copy(old.store, new.store, ends)
        await retime.add_history(new.store, now)


async def photograph(browser: Browser, shown: Path, folder: Path) -> None:
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    wanted = settings(shown, "http://127.0.0.1:9", 0)
    async with serving(wanted) as server, engines(wanted) as opened, aiohttp.ClientSession() as http:
        operators = {one.name: one for one in await opened.store.operators("default")}
        desk = await Desk.of(http, server.url, opened.store, operators["Nadia Ferrer"])
        hero = (await desk.row(HERO))["id"]
        cookie = desk.headers["Cookie"].partition("=")[2]
        for name, size, theme in (("light", WIDE, "light"), ("dark", WIDE, "dark"), ("phone", PHONE, "light")):
            more: dict[str, Any] = {"is_mobile": True, "has_touch": True, "device_scale_factor": 1.5}
            context = await browser.new_context(
                viewport={"width": size["width"], "height": size["height"]},
                color_scheme="dark" if theme == "dark" else "light",
                locale="en-GB",
                timezone_id="Europe/Madrid",
                reduced_motion="reduce",
                **(more if size is PHONE else {}),
            )
            await context.add_cookies([{"name": COOKIE, "value": cookie, "url": server.url}])
            page = await context.new_page()
            for view, path, ready in (
                ("list", "#/", ".row-item"),
                ("thread", f"#/c/{hero}", "omni-thread img.picture"),
                ("overview", "#/overview", "[data-figure]"),
            ):
                await shoot(page, f"{server.url}/inbox{path}", ready, folder / f"inbox-{view}-{name}.png")
            await context.close()


async def shoot(page: Page, url: str, ready: str, file: Path) -> None:
    await page.goto("about:blank")
    await page.goto(url)
    await page.locator(ready).first.wait_for()
    if "thread" in file.name:
        photo = page.locator("omni-thread img.picture").first
        await photo.scroll_into_view_if_needed()
        await until(lambda: photo.evaluate("(one) => one.complete && one.naturalWidth > 0"))
        await page.locator("omni-thread .log").evaluate("(log) => log.scrollTo(0, log.scrollHeight)")
    await page.wait_for_load_state("networkidle")
    await page.evaluate("() => document.activeElement?.blur()")
    picture = await page.screenshot(animations="disabled")
    small = await asyncio.to_thread(shrunk, picture)
    await asyncio.to_thread(file.write_bytes, small)
    print(f"{file.name}: {len(small) // 1024} kB")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"))
