"""An operator at the inbox speaks to a caller with their own voice."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.inbox.colleagues import colleague_of
from tests.inbox.windows import program as chromium_program
from tests.server.shop import Shop
from tests.webrtc.caller import RATE
from tests.webrtc.conftest import OpenHouse
from tests.webrtc.pages import synthesiser, window
from tests.webrtc.test_seats import conversation_of

SECOND = 2 * RATE
"""Bytes of sound."""

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(120)]


async def test_an_operator_hears_a_call_and_takes_it_over_by_voice(open_house: OpenHouse) -> None:
    house = await open_house()
    operator = await colleague_of(cast(Shop, house), "tess", "agent")
    house.stack.push_async_callback(operator.leave)
    caller = house.caller()
    await caller.dial(token=await house.token())
    await caller.hears("bot.finished", "welcome")
    conversation = await conversation_of(house, caller.call)
    name, _, value = operator.headers["Cookie"].partition("=")
    more: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
    async with window(chromium_program(), scripts=(synthesiser(),), **more) as page:
        await page.page.context.add_cookies([{"name": name, "value": value, "url": house.url}])
        await page.open(f"{house.url}/inbox#/c/{conversation}")
        await page.page.locator('button[data-act="more"]').click()
        await page.page.get_by_role("menuitem", name="Listen, and speak with your own voice").click()
        await page.sees("You are on the line")
        await page.page.evaluate("sayWords('nine')")
        until = len(caller.sound) + SECOND
        await caller.until(lambda: len(caller.sound) > until)  # what was said is through
        await page.page.locator('button[data-act="take"]').click()
        await page.sees("The caller hears you")
        await page.page.evaluate("sayWords('eight')")
        await caller.until(lambda: "eight" in caller.words())
        assert "nine" not in caller.words()
        await page.page.get_by_role("button", name="Leave the line").click()
        await page.page.get_by_text("The caller hears you", exact=True).wait_for(state="hidden")
        assert page.complaints == []
    caller.send({"action": "hang_up"})
    await house.ended(caller.call)
