"""The overview in a real browser: a lead reads there what happened, by mouse, by keyboard and as a table."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.inbox.conftest import Hire
from tests.inbox.windows import OpenWindow, program, windows
from tests.server.conftest import OpenShop
from tests.server.shop import ECHO, Shop, agent_of

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(120)]

HUMAN = {"when": "(?i)human", "say": "One moment.", "handoff": True}
BYE = {"when": "(?i)bye", "say": "Goodbye!", "end": True}
GRACE, EVE = "12025550172", "12025550173"


@pytest.fixture
async def open_window() -> AsyncIterator[OpenWindow]:
    async with windows(program()) as open_one:
        yield open_one


@pytest.fixture
async def shop(open_shop: OpenShop, embedded: dict[str, Any]) -> Shop:
    return await open_shop(embedded, agent_of(name="Front desk", script=[HUMAN, BYE, ECHO]))


def where_it_is_noon() -> str:
    """A time zone in which no midnight comes between what happens and what is read."""
    ahead = 12 - time.gmtime().tm_hour
    return f"Etc/GMT{-ahead:+d}"  # these count to the west


async def figures(page: Page) -> dict[str, str]:
    """What the tiles say, by name."""
    script = "(all) => Object.fromEntries(all.map((one) => [one.dataset.figure, one.querySelector('dd').innerText]))"
    found: dict[str, str] = await page.locator("[data-figure]").evaluate_all(script)
    return found


async def test_the_overview_says_what_happened(shop: Shop, hire: Hire, open_window: OpenWindow, tmp_path: Path) -> None:
    shop.say("hello")
    await shop.answers(1)
    shop.say("bye")
    await shop.answers(2)
    shop.say("a human please", GRACE)
    await shop.answers(1, GRACE)
    shop.say("hello", EVE)
    await shop.answers(1, EVE)
    await shop.quiet()
    lead = await hire(shop, "lead", role="admin")
    row = await lead.row(lambda one: one["handler"] == "nobody")
    window = await open_window(shop, lead, timezone_id=where_it_is_noon())
    await window.goes("#/overview")
    page = window.page
    await expect(page.locator('[data-figure="now.waiting"] dd')).to_have_text("1")
    await expect(page.locator('[data-figure="conversations"] dd').first).to_have_text("3")
    seen = await figures(page)
    assert {name: seen[name] for name in ("now.open", "now.with_bot", "now.with_people", "now.snoozed")} == {
        "now.open": "2",
        "now.with_bot": "1",
        "now.with_people": "0",
        "now.snoozed": "0",
    }
    assert {name: seen[name] for name in ("containment", "handoffs", "first_human_response", "failed_deliveries")} == {
        "containment": "100%",
        "handoffs": "1",
        "first_human_response": "–",
        "failed_deliveries": "0",
    }

    # What is under way is followed without a reload.
    taken = await lead.post(f"/conversations/{row['id']}/take")
    assert taken.status == 202
    await expect(page.locator('[data-figure="now.with_people"] dd')).to_have_text("1", timeout=20_000)
    await expect(page.locator('[data-figure="now.waiting"] dd')).to_have_text("0")

    # By keyboard: what a figure means, and what a chart says.
    await page.get_by_role("button", name="Bot containment").focus()
    await expect(page.get_by_role("tooltip").filter(has_text="the share in which nobody")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("tooltip").filter(has_text="the share in which nobody")).to_be_hidden()
    chart = page.locator("omni-chart").filter(has_text="Conversations by day")
    await chart.locator(".chart-surface").focus()
    await page.keyboard.press("End")
    told = chart.get_by_role("status")
    await expect(told).to_contain_text("Conversations: 3")
    await expect(told).to_contain_text("Handovers: 1")
    await chart.get_by_text("As a table").click()
    last = chart.locator("tbody tr").last.locator("td")
    assert await last.all_inner_texts() == ["1", "2", "3", "1"]

    by_agent = page.locator("section").filter(has_text="By bot")
    await expect(by_agent.get_by_role("row", name="Front desk")).to_contain_text("3")

    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download CSV").click()
    file = tmp_path / "overview.csv"
    await (await download.value).save_as(file)
    table = list(csv.reader(io.StringIO(file.read_text("utf-8-sig"))))
    days = [dict(zip(table[0], line, strict=True)) for line in table[1:]]
    assert len(days) == 7
    assert [(day["conversations"], day["handoffs"], day["contained"]) for day in days][-1] == ("3", "1", "1")
    assert {day["conversations"] for day in days[:-1]} == {"0"}

    await page.get_by_label("Channel", exact=True).select_option("sms")
    await expect(page.get_by_text("No conversation began in this period.")).to_be_visible()
    await expect(page.locator('[data-figure="now.open"] dd')).to_have_text("0")
    await page.get_by_label("Channel", exact=True).select_option("whatsapp")
    await page.get_by_role("radio", name="Today").check()
    await expect(page.locator('[data-figure="conversations"] dd').first).to_have_text("3")
    assert window.complaints == []


async def test_a_period_that_makes_no_sense_is_told(shop: Shop, hire: Hire, open_window: OpenWindow) -> None:
    window = await open_window(shop, await hire(shop, "vera", role="viewer"))
    await window.goes("#/overview")
    page = window.page
    await expect(page.get_by_text("No conversation began in this period.")).to_be_visible()
    assert await page.get_by_role("link", name="Download CSV").count() == 0
    await page.get_by_role("radio", name="Custom").check()
    await page.get_by_label("From").fill("2026-11-18")
    await page.get_by_label("to", exact=True).fill("2026-11-02")
    await expect(page.get_by_text("The first day is after the last one.")).to_be_visible()
    await expect(page.get_by_text("No conversation began in this period.")).to_be_hidden()
    await page.get_by_label("to", exact=True).fill("2026-11-19")
    await expect(page.get_by_text("No conversation began in this period.")).to_be_visible()
    assert window.complaints == []
