"""The whole story on real wires: WhatsApp, a telephone by SIP, and a colleague's own voice from the inbox in Chromium.

The bot's and the caller's sound is its text (marks); the colleague's, and what they are to hear of the caller, are
tones, which come through Opus. `pytest -s` prints the logs, as `omni calls show` does.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

import aiohttp
import aioice.ice
import pytest

from omni.audio.g711 import mulaw_to_pcm, pcm_to_mulaw
from omni.model.entry import BotSaid, HumanSaid, UserSaid
from tests.agentphone.marks import mulaw_of, text_of
from tests.brains.llm_server import LlmServer
from tests.inbox.colleagues import colleague_of
from tests.inbox.windows import program as chromium_program
from tests.ports import free_port
from tests.server.shop import Shop, until
from tests.sip.caller import Caller as Telephone
from tests.sip.caller import calling
from tests.sip.conftest import trunk
from tests.story.town import ADA, BAKERY, WHATSAPP, Town, open_town
from tests.webrtc.conftest import KEY, SECRET, House
from tests.webrtc.pages import Window, synthesiser, window
from tests.webrtc.speech import PITCH, heard, spoken
from tests.webrtc.test_seats import conversation_of

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(120)]

QUIET = b"\xff" * 160 * 25
"""Half a second of a quiet line."""

HEARING = """
(() => {
  const real = RTCPeerConnection.prototype.addEventListener;
  window.heardWords = [];
  const pitches = %s;
  const listen = (stream) => {
    const context = new AudioContext(), ear = context.createAnalyser();
    ear.fftSize = 4096;
    context.createMediaStreamSource(stream).connect(ear);
    const power = new Float32Array(ear.frequencyBinCount);
    let last = "", run = 0;
    setInterval(() => {
      ear.getFloatFrequencyData(power);
      const top = power.indexOf(Math.max(...power)), hz = (top * context.sampleRate) / ear.fftSize;
      const [word, pitch] = Object.entries(pitches).sort((a, b) => Math.abs(a[1] - hz) - Math.abs(b[1] - hz))[0];
      const now = power[top] > -60 && Math.abs(pitch - hz) < 40 ? word : "";
      run = now === last ? run + 1 : 1;
      last = now;
      if (now && run === 2) heardWords.push(now);
    }, 25);
  };
  RTCPeerConnection.prototype.addEventListener = function (kind, then, ...more) {
    if (kind === "track") real.call(this, "track", (event) => listen(new MediaStream([event.track])));
    return real.call(this, kind, then, ...more);
  };
})();
"""
"""What the page plays of others, as words."""


async def test_from_whatsapp_to_a_sip_call_to_a_colleagues_voice_and_back(
    tmp_path: Path, llm: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    port = free_port()
    wired = {
        "sip_bind": f"udp://127.0.0.1:{port}",
        "sip_trunks": (trunk(name="office", numbers=[BAKERY]),),
        "api_key": KEY,
        "secret": SECRET,
    }
    line = {"kind": "phone", "number": BAKERY, "trunk": "office"}
    async with AsyncExitStack() as stack:
        town = await stack.enter_async_context(open_town(tmp_path, llm, wired, channels=[WHATSAPP, line]))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        operator = await colleague_of(cast(Shop, House(town.server, town.engines, http, stack)), "tess", "agent")
        stack.push_async_callback(operator.leave)
        telephone = await stack.enter_async_context(calling(port))
        telephone.who, telephone.to = f"+{ADA}", BAKERY
        mind = town.mind
        mind.knows("1042 shipped", "It leaves today.")
        mind.knows("another address", "A colleague decides that.")
        mind.knows("a summary", "Done, bye.", "send_message", text="Summary: 1042 goes to Main Street 7.")

        town.writes("Is order 1042 shipped?")
        assert await town.reads(2) == "It leaves today."
        written = await town.newest("whatsapp")

        # She phones by SIP, and the bot goes on where they were.
        await _rings(telephone)
        await _hears(telephone, "Bakery, hello.")
        phoned = await town.newest("phone")
        assert phoned.contact == written.contact
        await telephone.say(mulaw_of("Can it go to another address?") + QUIET)
        await _hears(telephone, "A colleague decides that.")
        assert any("It leaves today." in text for text in mind.read("another address"))

        # A colleague takes over from the inbox, and the two hear each other.
        conversation = await conversation_of(House(town.server, town.engines, http, stack), phoned.id)
        async with _inbox(town, operator.headers["Cookie"], conversation) as page:
            await telephone.say(pcm_to_mulaw(spoken("six", 8_000)) + QUIET)
            await _page_heard(page, "six")
            await page.page.locator('button[data-act="take"]').click()
            await page.sees("The caller hears you")
            await page.page.evaluate("sayWords('eight')")
            await until(lambda: "eight" in _tones(telephone))
            await telephone.say(pcm_to_mulaw(spoken("four", 8_000)) + QUIET)
            await _page_heard(page, "four")
            await telephone.say(mulaw_of("To Main Street 7 then") + QUIET)
            await town.logged(phoned.id, "user.message", 2)
            await page.page.locator('button[data-act="release"]').click()
            await page.page.get_by_role("dialog").get_by_role("button", name="Hand back").click()
            await town.logged(phoned.id, "handoff.released")
            assert page.complaints == []

        # The bot has it again, and sends what was agreed to where she wrote.
        await telephone.say(mulaw_of("Send me a summary") + QUIET)
        assert await town.reads(3) == "Summary: 1042 goes to Main Street 7."
        await _hears(telephone, "Done, bye.")
        assert any("To Main Street 7 then" in text for text in mind.read("a summary"))
        assert (await telephone.bye()).status == 200
        await town.logged(phoned.id, "call.summary")

        said = [entry.fact for entry in await town.log(phoned.id)]
        assert [(fact.text, fact.paused) for fact in said if isinstance(fact, UserSaid)] == [
            ("Can it go to another address?", False),
            ("To Main Street 7 then", True),
            ("Send me a summary", False),
        ]
        assert [fact.text for fact in said if isinstance(fact, BotSaid)] == [
            "Bakery, hello.", "A colleague decides that.", "Done, bye.",
        ]  # fmt: skip
        assert [fact for fact in said if isinstance(fact, HumanSaid)] == []  # they spoke, and wrote nothing
        print(await town.told())


async def _rings(telephone: Telephone) -> None:
    """Until it is answered: the voice role starts beside the rest."""

    async def answered() -> bool:
        telephone.name, telephone.answer = f"{telephone.name}x", None
        try:
            return (await telephone.call()).status == 200
        except TimeoutError:
            return False

    await until(answered, 30)


async def _hears(telephone: Telephone, text: str) -> None:
    async def look() -> bool:
        telephone.listen()
        return text in text_of(bytes(telephone.heard))

    await until(look, 30)


def _tones(telephone: Telephone) -> list[str]:
    telephone.listen()
    return heard(mulaw_to_pcm(bytes(telephone.heard)), 8_000)


async def _page_heard(page: Window, word: str) -> None:
    async def look() -> bool:
        return word in await page.page.evaluate("heardWords")

    await until(look, 30)


@asynccontextmanager
async def _inbox(town: Town, cookie: str, conversation: str) -> AsyncIterator[Window]:
    """The call's conversation, with the colleague on its line."""
    name, _, value = cookie.partition("=")
    scripts = (synthesiser(), HEARING % json.dumps(PITCH))
    async with window(chromium_program(), scripts=scripts, viewport={"width": 1440, "height": 900}) as page:
        await page.page.context.add_cookies([{"name": name, "value": value, "url": town.server.url}])
        await page.open(f"{town.server.url}/inbox#/c/{conversation}")
        await page.page.locator('button[data-act="more"]').click()
        await page.page.get_by_role("menuitem", name="Listen, and speak with your own voice").click()
        await page.sees("You are on the line")
        yield page
