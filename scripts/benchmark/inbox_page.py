"""The inbox open in Chromium, and what it tells of itself: paints, frames, memory, and when words could be seen."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from benchmark.server import BenchError

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, WebSocketRoute
    from playwright.async_api import Page as Window

PROBE: Final = "probe"
PATIENCE_MS: Final = 60_000
AT_ONCE: Final = 50
"""Pushed frames after which the page is waited for."""

_WATCH: Final = """
window.bench = { rows: 0, all: 0, probes: {} };
new MutationObserver((changes) => {
  if (!bench.rows && document.querySelector('.row-item'))
    requestAnimationFrame(() => { bench.rows ||= performance.now(); });
  const log = document.querySelector('omni-thread .log');
  if (!log) return;
  for (const change of changes) {
    if (!log.contains(change.target)) continue;
    for (const added of change.addedNodes) {
      if ((added.textContent ?? '').length > 500) continue;  // not one message
      for (const found of added.textContent.matchAll(/probe (\\d+)x/g)) {
        if (found[1] in bench.probes) continue;
        bench.probes[found[1]] = 0;  // seen in the next frame; once told, below 0
        requestAnimationFrame(() => { bench.probes[found[1]] = performance.timeOrigin + performance.now(); });
      }
    }
  }
}).observe(document, { subtree: true, childList: true });
"""

_SCROLL: Final = """(milliseconds) => new Promise((done) => {
  const place = document.querySelector('#list .rows');
  const frames = [];
  const began = performance.now();
  let last = began;
  const step = (now) => {
    frames.push(now - last);
    last = now;
    place.scrollTop += 240;
    if (place.scrollTop + place.clientHeight >= place.scrollHeight - 1) place.scrollTop = 0;
    if (now - began < milliseconds) requestAnimationFrame(step);
    else done(frames.slice(2));
  };
  requestAnimationFrame(step);
})"""


@dataclass(frozen=True, slots=True)
class Paints:
    """Milliseconds since the address was asked for."""

    first: float
    rows: float
    all_rows: float


@dataclass(frozen=True, slots=True)
class Memory:
    """After the collector ran: bytes of JavaScript's heap, and DOM nodes."""

    heap: float
    nodes: float


class InboxPage:
    """One window with the inbox."""

    def __init__(self, window: Window, cdp: CDPSession, url: str) -> None:
        self._window = window
        self._cdp = cdp
        self._url = url
        self._socket: WebSocketRoute | None = None

    async def open(self, conversations: int) -> Paints:
        await self._window.add_init_script(_WATCH)
        await self._window.route_web_socket("**/v1/inbox/live", self._take)
        await self._window.goto(f"{self._url}/inbox", wait_until="domcontentloaded")
        await self._until("bench.rows")
        shown = f"+document.querySelector('.row-item').getAttribute('aria-setsize') >= {conversations}"
        await self._until(shown)
        found: dict[str, float] = await self._window.evaluate(
            "() => ({ first: performance.getEntriesByName('first-contentful-paint')[0].startTime, rows: bench.rows, "
            "now: performance.now() })"
        )
        return Paints(found["first"], found["rows"], found["now"])

    async def _until(self, condition: str) -> None:
        """Raises BenchError. One expression: the page's policy lets nobody evaluate text inside it."""
        look = f"const look = () => ({condition}) ? done() : requestAnimationFrame(look); look();"
        try:
            async with asyncio.timeout(PATIENCE_MS / 1000):
                await self._window.evaluate(f"() => new Promise((done) => {{ {look} }})")
        except TimeoutError:
            raise BenchError(
                f"this did not become true of the inbox in {PATIENCE_MS / 1000:g} s: {condition}"
            ) from None

    def _take(self, socket: WebSocketRoute) -> None:
        """What the server says goes through, and more can be said to the page in its name."""
        socket.connect_to_server()
        self._socket = socket

    async def scroll(self, seconds: float) -> list[float]:
        """Milliseconds from frame to frame while the list is scrolled by three rows a frame."""
        frames: list[float] = await self._window.evaluate(_SCROLL, 1000 * seconds)
        return sorted(frames)

    async def memory(self) -> Memory:
        await self._cdp.send("HeapProfiler.collectGarbage")
        heap = await self._cdp.send("Runtime.getHeapUsage")
        counted = await self._cdp.send("Memory.getDOMCounters")
        return Memory(heap["usedSize"], counted["nodes"])

    async def look_at(self, conversation: str) -> None:
        await self._window.evaluate("(id) => { location.hash = `#/c/${id}`; }", conversation)
        await self._window.wait_for_selector("omni-thread .msg", timeout=PATIENCE_MS)

    async def seen_at(self, number: int) -> dict[int, float]:
        """When each of so many probes could be seen, epoch seconds. Raises BenchError when some never were."""
        every = f"Object.values(bench.probes).filter((at) => at > 0).length >= {number}"
        await self._until(every)
        found: dict[str, float] = await self._window.evaluate("bench.probes")
        await self._window.evaluate("() => { for (const one in bench.probes) bench.probes[one] = -1; }")
        return {int(name): at / 1000 for name, at in found.items() if at > 0}

    async def push(self, frames: list[dict[str, Any]]) -> float:
        """Say these to the page as fast as it takes them; the seconds it took."""
        assert self._socket is not None
        began = time.perf_counter()
        for at in range(0, len(frames), AT_ONCE):
            for frame in frames[at : at + AT_ONCE]:
                self._socket.send(json.dumps(frame))
            await self._window.evaluate("() => new Promise(requestAnimationFrame)")
        return time.perf_counter() - began


@asynccontextmanager
async def inbox_page(program: str, port: int, cookie: str) -> AsyncIterator[InboxPage]:
    from playwright.async_api import async_playwright

    url = f"http://127.0.0.1:{port}"
    async with async_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = await playwright.chromium.launch(executable_path=program, args=flags)
        try:
            context = await browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
            await context.add_cookies([{"name": "omni_session", "value": cookie, "url": url}])
            window = await context.new_page()
            yield InboxPage(window, await context.new_cdp_session(window), url)
        finally:
            await browser.close()


async def every(seconds: float, number: int) -> AsyncIterator[int]:
    """0, 1, 2 …, one each so many seconds, late ones at once."""
    began = time.perf_counter()
    for turn in range(number):
        await asyncio.sleep(max(0.0, began + turn * seconds - time.perf_counter()))
        yield turn
