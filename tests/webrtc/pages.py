"""The hosted page in Chromium, with a file or a synthesiser as its microphone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from omni.audio.wav import wav_of
from tests.webrtc.speech import PITCH, WORD_MS, pause, spoken

_FLAGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
]
RATE = 48_000

PLAIN = """
(() => {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = ({ audio }) =>
    real({ audio: { ...audio, echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  window.told = [];
  for (const name of ["call.started", "user.message", "bot.speaking", "bot.word", "bot.finished", "bot.interrupted",
                      "call.ended", "ended", "call.resumed"])
    addEventListener("omni:" + name, (event) => told.push([name, event.detail]));
})();
"""
"""Tones are no speech: what browsers do to a voice would take them away."""

SYNTHESISER = """
navigator.mediaDevices.getUserMedia = async () => {
  const context = new AudioContext(), out = context.createMediaStreamDestination(), pitches = %s;
  window.sayWords = (words) => {
    let at = context.currentTime + 0.02, last;
    for (const word of words.split(" ")) {
      const tone = last = context.createOscillator(), gain = context.createGain();
      tone.frequency.value = pitches[word];
      gain.gain.value = 0.3;
      tone.connect(gain).connect(out);
      tone.start(at);
      tone.stop(at += %f);
    }
    return new Promise((done) => { last.onended = () => done(); });
  };
  return out.stream;
};
"""


def synthesiser() -> str:
    """A microphone that says `sayWords("hello")` when it is told to."""
    return SYNTHESISER % (json.dumps(PITCH), WORD_MS / 1000)


def recording(file: Path, *said: str | int) -> Path:
    """A file of words and pauses (milliseconds)."""
    pcm = b"".join(pause(one, RATE) if isinstance(one, int) else spoken(one, RATE) for one in said)
    file.write_bytes(wav_of(pcm, RATE))
    return file


class Window:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(error.message))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)

    async def open(self, url: str) -> None:
        await self.page.goto(url)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def captions(self, who: str) -> list[str]:
        return await self.page.locator(f"omni-call li.{who}").all_inner_texts()

    async def sees(self, text: str) -> None:
        await self.page.get_by_text(text, exact=True).first.wait_for()

    async def warned(self) -> str:
        bar = self.page.get_by_role("alert")
        await bar.wait_for()
        return await bar.inner_text()

    async def told(self, event: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.page.evaluate(
            f"told.filter(([name]) => name === {event!r}).map(([, detail]) => detail)"
        )
        return found

    async def until_told(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        async with asyncio.timeout(30):  # the page's policy forbids what Playwright would wait with
            await self.page.evaluate(
                f"new Promise((done) => {{ const look = () => told.filter(([name]) => name === {event!r})"
                f".length >= {count} ? done() : setTimeout(look, 20); look(); }})"
            )
        return await self.told(event)


@asynccontextmanager
async def window(program: str, *, microphone: Path | None = None, scripts: tuple[str, ...] = (), **more: Any) -> Any:
    flags = [*_FLAGS, f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else _FLAGS
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=flags)
        try:
            context = await browser.new_context(
                **{"locale": "en-GB", "viewport": {"width": 390, "height": 844}, **more}
            )
            page = await context.new_page()
            for one in (*scripts, PLAIN):
                await page.add_init_script(one)
            yield Window(page)
        finally:
            await browser.close()


Windows = AsyncIterator[Window]
