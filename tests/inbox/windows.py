"""Chromium windows of people at the inbox, by Playwright."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import services
from playwright.async_api import ConsoleMessage, Error, Page, async_playwright
from servers import chromium

from tests.chat.conftest import NO_BROWSER
from tests.inbox.colleagues import Colleague
from tests.server.shop import Shop

_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"]


@dataclass
class Window:
    """A browser of its own: its cookies are nobody else's. `complaints` are what scripts and the page's policy said
    was wrong; answers that were refused (`refusals`) are told apart, since a test may want them."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    async def goes(self, path: str) -> None:
        """To `#/…` of the inbox."""
        await self.page.goto(f"{self.url}/inbox{path}")

    def heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            is_answer = message.text.startswith("Failed to load resource")
            if is_answer:
                self.refusals.append(f"{message.location['url'].removeprefix(self.url)}: {message.text}")
            else:
                self.complaints.append(message.text)

    def failed(self, error: Error) -> None:
        self.complaints.append(error.message)


OpenWindow = Callable[..., Awaitable[Window]]


def program() -> str:
    """The browser; without one the test is left out, or fails where nobody may leave it out."""
    found = chromium.find()
    if found is None:
        if services.IN_CI:
            pytest.fail(NO_BROWSER, pytrace=False)
        pytest.skip(NO_BROWSER)
    return found


@asynccontextmanager
async def windows(program: str) -> AsyncIterator[OpenWindow]:
    """`await open(shop, colleague, width=…)`: a window in which the colleague is signed in, or nobody."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=_FLAGS)

        async def open_window(
            shop: Shop, colleague: Colleague | None = None, *, width: int = 1440, height: int = 900, **more: Any
        ) -> Window:
            context = await browser.new_context(
                viewport={"width": width, "height": height},
                **{"locale": "en-GB", "timezone_id": "Europe/Madrid", **more},
            )
            if colleague is not None:
                name, _, value = colleague.headers["Cookie"].partition("=")
                await context.add_cookies([{"name": name, "value": value, "url": shop.url}])
            window = Window(await context.new_page(), shop.url)
            window.page.on("console", window.heard)
            window.page.on("pageerror", window.failed)
            return window

        try:
            yield open_window
        finally:
            await browser.close()
