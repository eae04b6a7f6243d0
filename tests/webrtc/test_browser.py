"""The hosted page in a real browser: people call, are heard, interrupt, and read what is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from omni.model.entry import BotFinished, BotInterrupted, UserSaid
from tests.inbox.windows import program as chromium_program
from tests.webrtc.conftest import OpenHouse, desk
from tests.webrtc.pages import recording, synthesiser, window

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(120)]


@pytest.fixture(scope="session")
def program() -> str:
    return chromium_program()


async def test_a_call_from_the_page_is_heard_answered_and_written_along(
    open_house: OpenHouse, program: str, tmp_path: Path
) -> None:
    house = await open_house()
    voice = recording(tmp_path / "voice.wav", 4000, "order", 6000)
    async with window(program, microphone=voice) as page:
        await page.open(f"{house.url}/call/desk")
        await page.press("Call")
        await page.until_told("bot.finished", 2)
        assert await page.captions("user") == ["order"]
        assert await page.captions("bot") == ["welcome", "one two three"]
        [started] = await page.told("call.started")
        await page.press("Hang up")
        await page.sees("Call ended")
        assert page.complaints == []
    ended = await house.ended(started["call_id"])
    assert ended.reason == "hangup"
    log = await house.log(ended.id)
    assert [entry.fact.text for entry in log if isinstance(entry.fact, UserSaid)] == ["order"]
    said = [entry.fact.text for entry in log if isinstance(entry.fact, BotFinished)]
    assert said == ["welcome", "one two three"]


async def test_the_caller_interrupts_and_the_captions_have_what_was_heard(open_house: OpenHouse, program: str) -> None:
    house = await open_house()
    async with window(program, scripts=(synthesiser(),)) as page:
        await page.open(f"{house.url}/call/desk")
        await page.press("Call")
        await page.until_told("bot.finished")
        await page.page.evaluate("sayWords('hello')")
        await page.until_told("bot.word", 13)
        await page.page.evaluate("sayWords('stop stop stop')")
        [cut] = await page.until_told("bot.interrupted")
        await page.until_told("bot.finished", 2)
        assert await page.captions("bot") == ["welcome", cut["text"], "thanks"]
        [started] = await page.told("call.started")
        await page.press("Hang up")
    call = await house.ended(started["call_id"])
    [interrupted] = [e.fact for e in await house.log(call.id) if isinstance(e.fact, BotInterrupted)]
    assert interrupted.text == cut["text"]
    assert 10 < interrupted.at_word < 27
    assert interrupted.reason == "user_spoke"


async def test_who_cannot_speak_types(open_house: OpenHouse, program: str) -> None:
    house = await open_house()
    async with window(program, scripts=(synthesiser(),)) as page:
        await page.open(f"{house.url}/call/desk")
        await page.press("Call")
        await page.until_told("bot.finished")
        box = page.page.get_by_role("textbox", name="Type instead")
        await box.fill("order")
        await box.press("Enter")
        await page.until_told("bot.finished", 2)
        assert await box.input_value() == ""
        assert await page.captions("user") == ["order"]
        assert await page.captions("bot") == ["welcome", "one two three"]
        await page.press("Hang up")
        assert await box.is_hidden()
        assert page.complaints == []


async def test_the_bot_ends_the_call_and_the_page_says_so(open_house: OpenHouse, program: str) -> None:
    house = await open_house()
    async with window(program, scripts=(synthesiser(),)) as page:
        await page.open(f"{house.url}/call/desk")
        await page.press("Call")
        await page.until_told("bot.finished")
        await page.page.evaluate("sayWords('thanks')")
        await page.sees("Call ended")
        assert (await page.told("call.ended"))[0]["reason"]
        await page.press("Call again")
        await page.until_told("call.started", 2)


async def test_a_refused_microphone_is_told_in_words(open_house: OpenHouse, program: str) -> None:
    house = await open_house(desk(language="es"))
    refuse = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); };"
    async with window(program, scripts=(refuse,)) as page:
        await page.open(f"{house.url}/call/desk")
        await page.press("Llamar")
        assert (
            await page.warned() == "El micrófono está bloqueado. Permítelo en la barra de direcciones y llama de nuevo."
        )
        await page.press("Llamar de nuevo")


async def test_the_chat_has_a_button_that_calls(open_house: OpenHouse, program: str) -> None:
    house = await open_house(desk(channels=[{"kind": "chat"}, {"kind": "webrtc"}]))
    async with window(program, scripts=(synthesiser(),)) as page:
        await page.open(f"{house.url}/chat/desk")
        await page.press("Call")
        await page.until_told("bot.finished")
        assert await page.captions("bot") == ["welcome"]
        [started] = await page.told("call.started")
        await page.press("Hang up")
        await page.page.locator("omni-call").wait_for(state="hidden")
        assert page.complaints == []
    await house.ended(started["call_id"])


async def test_an_agent_without_calls_has_no_button(open_house: OpenHouse, program: str) -> None:
    house = await open_house(desk(channels=[{"kind": "chat"}]))
    async with window(program) as page:
        await page.open(f"{house.url}/chat/desk")
        await page.sees("Online")
        assert not await page.page.get_by_role("button", name="Call", exact=True).is_visible()


async def test_a_server_without_voice_is_told_in_words(open_house: OpenHouse, program: str) -> None:
    house = await open_house(max_calls=0)
    async with window(program, scripts=(synthesiser(),)) as page:
        await page.open(f"{house.url}/call/desk")
        await page.press("Call")
        assert await page.warned() == "All lines are busy. Try again in a moment."


async def test_a_page_that_loses_its_connection_comes_back(open_house: OpenHouse, program: str) -> None:
    house = await open_house()
    async with window(program, scripts=(synthesiser(),)) as page:
        await page.open(f"{house.url}/call/desk")
        await page.press("Call")
        await page.until_told("bot.finished")
        await page.page.evaluate("omniCall.line.again()")
        await page.until_told("call.resumed")
        await page.page.evaluate("sayWords('order')")
        await page.until_told("bot.finished", 2)
        assert await page.captions("bot") == ["welcome", "one two three"]
        assert len(await page.told("call.started")) == 1
