"""The settings in a real browser: what an admin changes holds, and nothing that was typed is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import expect

from tests.inbox.conftest import Hire
from tests.inbox.windows import OpenWindow, program, windows
from tests.server.conftest import OpenShop
from tests.server.shop import ECHO, Shop, agent_of

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(120)]


@pytest.fixture
async def open_window() -> AsyncIterator[OpenWindow]:
    async with windows(program()) as open_one:
        yield open_one


@pytest.fixture
async def shop(open_shop: OpenShop, embedded: dict[str, Any]) -> Shop:
    return await open_shop(embedded, agent_of(name="Front desk", script=[ECHO]))


async def test_an_operator_who_was_added_signs_in_by_their_link(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    admin = await open_window(shop, await hire(shop, "boss", role="admin"))
    await admin.goes("#/settings/operators")
    page = admin.page
    await page.get_by_text("Add an operator").first.click()
    adding = page.get_by_role("form", name="Add an operator")
    await adding.get_by_label("Name").fill("Grace Hopper")
    await adding.get_by_label("Email").fill("not an address")
    await adding.get_by_role("button", name="Add an operator").click()
    await expect(adding.get_by_text("This is not an email address")).to_be_visible()
    await expect(adding.get_by_label("Email")).to_be_focused()
    await adding.get_by_label("Email").fill("boss@default.example")
    await adding.get_by_role("button", name="Add an operator").click()
    await expect(adding.get_by_text("is an operator already")).to_be_visible()
    await expect(adding.get_by_label("Name")).to_have_value("Grace Hopper")
    await adding.get_by_label("Email").fill("Grace@Example.com")
    await adding.get_by_label("Role").select_option("viewer")
    await adding.get_by_role("button", name="Add an operator").click()
    link = await page.get_by_role("textbox", name="Sign-in link for Grace Hopper").input_value()
    await expect(page.get_by_label("Role of Grace Hopper")).to_have_value("viewer")
    await page.reload()
    await expect(page.get_by_label("Role of Grace Hopper")).to_be_visible()
    assert await page.get_by_role("textbox", name="Sign-in link for Grace Hopper").count() == 0

    grace = await open_window(shop)
    await grace.page.goto(link)
    await expect(grace.page.get_by_text("Grace Hopper").first).to_be_attached()
    assert "link=" not in grace.page.url
    await grace.goes("#/settings/profile")
    await expect(grace.page.get_by_text("You are signed in as grace@example.com. Role: Viewer.")).to_be_visible()
    assert admin.complaints == grace.complaints == []


async def test_a_viewer_sees_no_pages_of_admins_and_is_told_whom_to_ask(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    await hire(shop, "boss", role="admin")
    viewer = await open_window(shop, await hire(shop, "vera", role="viewer"))
    await viewer.goes("#/settings/operators")
    tabs = viewer.page.locator(".settings-tabs a")
    await expect(viewer.page.get_by_text("This page is for admins. Ask one of them: Boss.")).to_be_visible()
    assert await tabs.all_inner_texts() == ["Profile"]
    await viewer.goes("#/settings/audit")
    await expect(viewer.page.get_by_role("heading", name="Audit log")).to_be_visible()
    await expect(viewer.page.get_by_text("This page is for admins.")).to_be_visible()
    assert viewer.complaints == []
    assert not [refusal for refusal in viewer.refusals if "403" in refusal]


async def test_the_last_admin_is_kept_and_others_change_at_once(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    boss = await hire(shop, "boss", role="admin")
    tess = await hire(shop, "tess", role="agent")
    admin = await open_window(shop, boss)
    await admin.goes("#/settings/operators")
    page = admin.page
    await expect(page.get_by_text("The last admin can be neither disabled")).to_be_visible()
    await expect(page.get_by_label("Role of Boss")).to_be_disabled()
    await expect(page.get_by_role("button", name="Disable Boss")).to_be_disabled()
    await page.get_by_label("Role of Tess").select_option("admin")
    await expect(page.get_by_text("Tess has the role Admin now.")).to_be_visible()
    await expect(page.get_by_label("Role of Boss")).to_be_enabled()
    await page.get_by_role("button", name="Disable Tess").click()
    await page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    await expect(page.get_by_role("button", name="Enable Tess")).to_be_focused()
    assert (await tess.ask("GET", "/me")).status == 401
    await expect(page.get_by_label("Role of Boss")).to_be_disabled()
    assert admin.complaints == []


async def test_the_audit_log_tells_what_was_done_and_is_read_by_person(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    boss = await hire(shop, "boss", role="admin")
    other = await hire(shop, "olga", role="admin")
    for number in range(60):
        done = await boss.ask("PATCH", f"/operators/{other.id}", {"name": f"Olga {number}"})
        assert done.status == 200
    await other.ask("PATCH", f"/operators/{boss.id}", {"name": "The Boss"})
    admin = await open_window(shop, boss)
    await admin.goes("#/settings/audit")
    page = admin.page
    rows = page.locator(".audit tbody tr")
    await expect(rows).to_have_count(50)
    await page.get_by_role("button", name="Load more").click()
    await expect(rows).to_have_count(61)
    await expect(page.get_by_role("button", name="Load more")).to_be_hidden()
    await page.get_by_label("By whom").select_option(other.id)
    await expect(rows).to_have_count(1)
    details = rows.locator("dl")
    await expect(details).to_be_hidden()
    await rows.get_by_text("Changed an operator").click()
    await expect(details.get_by_text("The Boss").last).to_be_visible()
    assert admin.complaints == []


async def test_a_profile_is_kept_and_speaks_the_chosen_language(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    tess = await hire(shop, "tess")
    window = await open_window(shop, tess)
    await window.goes("#/settings/profile")
    page = window.page
    profile = page.get_by_role("form", name="Profile")
    await profile.get_by_label("Name").fill("   ")
    await profile.get_by_role("button", name="Save").click()
    await expect(profile.get_by_text("Write something here.")).to_be_visible()
    await profile.get_by_label("Name").fill("Tess \N{RIGHT-TO-LEFT OVERRIDE}evil <b>bold</b>")
    await profile.get_by_role("button", name="Save").click()
    await expect(profile.locator(".problem:visible")).to_have_text("a name has 1 to 80 characters")
    await profile.get_by_label("Name").fill("Tess <b>bold</b>")
    await profile.get_by_label("Language").select_option("es")
    await profile.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="Ajustes")).to_be_visible()
    await page.get_by_label("Tema").select_option("dark")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    password = page.get_by_role("form", name="Contraseña")
    await password.get_by_label("Contraseña nueva").fill("four plain words here")
    await password.get_by_role("button", name="Poner una contraseña").click()
    await expect(page.get_by_label("Contraseña actual")).to_be_visible()
    await page.get_by_label("Contraseña actual").fill("not this one")
    await page.get_by_label("Contraseña nueva").fill("four other words here")
    await page.get_by_role("button", name="Cambiar la contraseña").click()
    await expect(page.get_by_text("this is not your password so far")).to_be_visible()
    await expect(page.get_by_label("Contraseña actual")).to_be_focused()
    await expect(page.get_by_label("Contraseña nueva")).to_have_value("four other words here")
    await page.reload()
    await expect(page.get_by_label("Nombre")).to_have_value("Tess <b>bold</b>")
    await expect(page.locator("html")).to_have_attribute("lang", "es")
    assert window.complaints == []
    me = await tess.get("/me")
    assert (me["language"], me["has_password"]) == ("es", True)


async def test_a_canned_reply_is_written_changed_shared_and_deleted(
    shop: Shop, hire: Hire, open_window: OpenWindow
) -> None:
    boss, tess = await hire(shop, "boss", role="admin"), await hire(shop, "tess")
    window = await open_window(shop, tess)
    await window.goes("#/settings/canned")
    page = window.page
    await page.get_by_role("button", name="New reply").click()
    making = page.get_by_role("form", name="New reply")
    await expect(making.get_by_label("For the whole team")).to_have_count(0)
    await making.get_by_label("Short name").fill("/hours")
    await making.get_by_label("Text", exact=True).fill("Dear ")
    await making.get_by_role("button", name="{{contact.name}}").click()
    await page.keyboard.type(", we open at nine. <b>Bye</b>")
    await expect(making.locator(".preview")).to_have_text("Dear Ana García, we open at nine. <b>Bye</b>")
    await making.get_by_role("button", name="Save").click()
    row = page.locator(".things li").filter(has_text="/hours")
    await expect(row).to_contain_text("Dear {{contact.name}}, we open at nine. <b>Bye</b>")
    await expect(row).to_contain_text("Only you")

    await page.get_by_role("button", name="New reply").click()
    await making.get_by_label("Short name").fill("hours")
    await making.get_by_label("Text", exact=True).fill("Words that must not be lost")
    await making.get_by_role("button", name="Save").click()
    await expect(making.get_by_label("Short name")).to_have_attribute("aria-invalid", "true")
    await expect(making.get_by_label("Text", exact=True)).to_have_value("Words that must not be lost")
    await making.get_by_role("button", name="Cancel").click()

    await page.get_by_role("button", name="Edit hours").click()
    await page.get_by_role("form", name="Edit the reply").get_by_label("Text", exact=True).fill("We open at ten.")
    await page.get_by_role("button", name="Save").click()
    await expect(row).to_contain_text("We open at ten.")
    await page.reload()
    await expect(row).to_contain_text("We open at ten.")

    theirs = await boss.post("/canned", {"name": "team", "text": "From all of us.", "shared": True})
    assert theirs.status == 201
    await page.reload()
    await expect(page.locator(".things li").filter(has_text="/team")).to_contain_text("Team")
    assert await page.get_by_role("button", name="Edit team").count() == 0
    await page.get_by_role("button", name="Delete hours").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(row).to_have_count(0)
    assert [reply["name"] for reply in (await tess.get("/canned"))["canned"]] == ["team"]
    assert window.complaints == []


async def test_a_label_gets_its_colour_and_an_agent_its_pause(shop: Shop, hire: Hire, open_window: OpenWindow) -> None:
    boss = await hire(shop, "boss", role="admin")
    window = await open_window(shop, boss)
    await window.goes("#/settings/labels")
    page = window.page
    await page.get_by_role("button", name="New label").click()
    await page.get_by_role("form", name="New label").get_by_label("Name").fill("refund")
    await page.get_by_role("radio", name="Red").check()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("button", name="Edit refund")).to_be_visible()
    assert [(one["name"], one["colour"]) for one in (await boss.get("/labels"))["labels"]] == [("refund", "red")]

    await page.get_by_role("link", name="Bots").click()
    await page.get_by_role("button", name="Pause Front desk").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert [one["paused"] for one in (await boss.get("/agents"))["agents"]] == [False]
    await page.get_by_role("button", name="Pause Front desk").click()
    await page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    await expect(page.locator(".things").get_by_role("button", name="Resume Front desk")).to_be_visible()
    assert [one["paused"] for one in (await boss.get("/agents"))["agents"]] == [True]
    await page.locator(".things").get_by_role("button", name="Resume Front desk").click()
    await expect(page.get_by_role("button", name="Pause Front desk")).to_be_visible()
    assert window.complaints == []
