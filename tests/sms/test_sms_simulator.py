"""The stand-in for Twilio: its page, its control API, and the command that starts it."""

from __future__ import annotations

import aiohttp
import pytest
from click.testing import CliRunner
from playwright.async_api import async_playwright
from servers import chromium

from channels.twilio.simulator import Simulator
from omni.cli import main
from tests.sms.conftest import OpenDesk
from tests.sms.desk import ACCOUNT, ADA, NUMBER, TOKEN

Cloud = tuple[Simulator, str]


async def test_the_control_api_makes_people_text_and_refuses_nonsense(cloud: Cloud) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{cloud[1]}/control/texts", json={"from": ADA, "body": "hi"}) as answer:
            assert answer.status == 201
        async with http.get(f"{cloud[1]}/control/events") as answer:
            assert [event["type"] for event in await answer.json()] == ["inbound"]
        for path, body in (
            ("texts", {"from": ADA, "boddy": "hi"}),
            ("texts", {"from": ADA, "files": [{"mime": "image/png", "base64": "%"}]}),
            ("faults", {"kind": "of tomorrow"}),
            ("statuses", {"sid": "SM1"}),
        ):
            async with http.post(f"{cloud[1]}/control/{path}", json=body) as answer:
                assert answer.status == 400
        async with http.get(f"{cloud[1]}/control/state") as answer:
            assert (await answer.json())["number"] == NUMBER
            assert TOKEN not in await answer.text()


async def test_the_account_needs_its_credentials(cloud: Cloud) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{cloud[1]}/2010-04-01/Accounts/{ACCOUNT}/Messages.json", data={"To": ADA, "Body": "x"}) as answer,
    ):
        assert answer.status == 401
        assert (await answer.json())["code"] == 20003
    assert cloud[0].sent() == []


def test_the_command_says_what_is_wrong() -> None:
    result = CliRunner().invoke(main, ["simulate", "twilio", "--number", "5550142"])
    assert result.exit_code != 0
    assert "write it as +12025550142" in result.output


@pytest.mark.browser
@pytest.mark.skipif(chromium.find() is None, reason="Chromium is missing")
async def test_a_person_texts_from_the_phone_page(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=chromium.find(), args=["--no-sandbox"])
        page = await browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        await page.goto(f"{desk.api_url}/")
        await page.get_by_label("Text message", exact=True).fill("Is it open?")
        await page.get_by_label("Text message", exact=True).press("Enter")
        await page.get_by_text("You said: Is it open?").wait_for()
        await page.get_by_text("delivered").wait_for()
        await browser.close()
    assert problems == []
