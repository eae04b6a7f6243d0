"""Admins add people, change what they may, and read what was done."""

from __future__ import annotations

import asyncio

import pytest

from omni.access.operators.staff import Staff, StaffError
from omni.model.operator import Role
from tests.operators.browser import PASSWORD, Gateway
from tests.operators.conftest import OpenBrowser, OpenGateway

PEOPLE = "/v1/inbox/operators"
AUDIT = "/v1/inbox/audit"
ME = "/v1/inbox/me"


async def test_somebody_new_comes_in_by_the_link_their_admin_was_given(
    gateway: Gateway, open_browser: OpenBrowser
) -> None:
    await gateway.operator("boss", role="admin")
    boss = await open_browser(gateway, "boss")
    made = await boss.post(PEOPLE, {"email": " Eve@Example.com", "name": "Eve", "role": "viewer"})
    assert made.status == 201
    assert made.body["link"].startswith(f"{gateway.url}/inbox#link=lnk_")
    assert (made.body["email"], made.body["disabled"], made.body["last_seen_at"]) == ("eve@example.com", False, None)
    eve = await open_browser(gateway)
    assert (await eve.follow(made.body["link"])).body["role"] == "viewer"
    listed = (await eve.get(PEOPLE)).body["operators"]
    assert [one["name"] for one in listed] == ["Boss", "Eve"]
    assert all(set(one) == {"id", "name", "email", "role", "disabled", "last_seen_at"} for one in listed)
    assert gateway.told == ["default"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "boss@example.com", "name": "B"}, "email"),
        ({"email": "no address", "name": "B"}, "email"),
        ({"email": "b@example.com", "name": " "}, "name"),
        ({"email": "b@example.com", "name": "x" * 81}, "name"),
        ({"email": "b@example.com", "name": "B", "role": "boss"}, "role"),
        ({"email": "b@example.com"}, "name"),
        ({"email": "b@example.com", "name": "B", "password_hash": "x"}, "password_hash"),
    ],
)
async def test_a_wrong_operator_is_refused_by_field_and_leaves_no_trace(
    gateway: Gateway, open_browser: OpenBrowser, body: dict[str, str], field: str
) -> None:
    await gateway.operator("boss", role="admin")
    boss = await open_browser(gateway, "boss")
    refused = await boss.post(PEOPLE, body)
    assert (refused.status, refused.code, refused.field) == (422, "invalid", field)
    assert len(await gateway.store.operators("default")) == 1
    assert [one.action for one in await gateway.store.audit("default")] == ["operator.sign_in"]


async def test_who_is_disabled_is_out_everywhere_and_stays_out_when_enabled(
    open_gateway: OpenGateway, open_browser: OpenBrowser
) -> None:
    one, other = await open_gateway(), await open_gateway()
    ada = await one.operator()
    await one.operator("boss", role="admin")
    boss, theirs = await open_browser(one, "boss"), await open_browser(other, "ada")
    assert (await boss.patch(f"{PEOPLE}/{ada.id}", {"disabled": True})).body["disabled"] is True
    one.clock.now += 5
    assert (await theirs.get(ME)).code == "signed_out"
    assert (await boss.patch(f"{PEOPLE}/{ada.id}", {"disabled": False})).body["disabled"] is False
    one.clock.now += 5
    assert (await theirs.get(ME)).code == "signed_out"
    await open_browser(other, "ada")


async def test_a_reset_takes_the_password_and_every_session(gateway: Gateway, open_browser: OpenBrowser) -> None:
    ada = await gateway.operator()
    await gateway.operator("boss", role="admin")
    boss, theirs = await open_browser(gateway, "boss"), await open_browser(gateway, "ada")
    reset = await boss.patch(f"{PEOPLE}/{ada.id}", {"reset": True})
    assert (await theirs.get(ME)).code == "signed_out"
    assert (await (await open_browser(gateway)).sign_in("ada@example.com")).status == 401
    anew = await open_browser(gateway)
    assert (await anew.follow(reset.body["link"])).status == 200
    assert (await anew.patch(ME, {"password": {"new": PASSWORD}})).status == 200


async def test_a_reset_signs_out_who_never_had_a_password(gateway: Gateway, open_browser: OpenBrowser) -> None:
    ada = await gateway.operator(password=None)
    await gateway.operator("boss", role="admin")
    boss, theirs = await open_browser(gateway, "boss"), await open_browser(gateway)
    assert (await theirs.follow(gateway.link(ada))).status == 200
    assert (await boss.patch(f"{PEOPLE}/{ada.id}", {"reset": True})).status == 200
    assert (await theirs.get(ME)).code == "signed_out"


@pytest.mark.parametrize("change", [{"role": "agent"}, {"role": "viewer"}, {"disabled": True}])
async def test_one_admin_stays(gateway: Gateway, open_browser: OpenBrowser, change: dict[str, object]) -> None:
    boss = await gateway.operator("boss", role="admin")
    gone = await gateway.operator("gone", role="admin")
    browser = await open_browser(gateway, "boss")
    assert (await browser.patch(f"{PEOPLE}/{gone.id}", {"disabled": True})).status == 200
    refused = await browser.patch(f"{PEOPLE}/{boss.id}", change)
    assert (refused.status, refused.code) == (422, "invalid")
    assert "make somebody else an admin first" in refused.body["error"]["message"]
    assert (await browser.patch(f"{PEOPLE}/{boss.id}", {"name": "The boss"})).status == 200


async def test_two_admins_who_demote_each_other_at_once_do_not_both_succeed(open_gateway: OpenGateway) -> None:
    one, other = await open_gateway(), await open_gateway()
    first, second = await one.operator("first", role="admin"), await one.operator("second", role="admin")

    async def demote(gateway: Gateway, whom: str, role: Role = "viewer") -> bool:
        try:
            await Staff(gateway.store, gateway.guard.sessions).change("default", whom, role=role)
        except StaffError:
            return False
        return True

    done = await asyncio.gather(demote(one, first.id), demote(other, second.id))
    admins = [each for each in await one.store.operators("default") if each.role == "admin"]
    assert sum(done) == 1
    assert len(admins) == 1
    left = first if admins[0].id == first.id else second
    assert not await demote(one, left.id)  # and the lock is given back, so this is about the last admin


async def test_the_audit_says_who_did_what_newest_first_page_by_page(
    gateway: Gateway, open_browser: OpenBrowser
) -> None:
    boss = await gateway.operator("boss", role="admin")
    ada = await gateway.operator()
    browser = await open_browser(gateway, "boss")
    _, secret = await gateway.access.keys.create("default", "reports")
    for number, name in enumerate(("A", "B", "C")):
        gateway.clock.now += number + 1
        await browser.patch(f"{PEOPLE}/{ada.id}", {"name": name})
    await browser.patch(f"{PEOPLE}/{ada.id}", {"role": "viewer"}, headers={"Authorization": f"Bearer {secret}"})
    first = (await browser.get(f"{AUDIT}?limit=2")).body
    assert [one["details"] for one in first["records"]] == [{"role": "viewer"}, {"name": "C"}]
    assert first["records"][0]["actor"].startswith("key:")
    assert first["records"][0]["name"] == "reports"
    newest = first["records"][1]
    assert (newest["actor"], newest["name"], newest["action"], newest["target"], newest["address"]) == (
        boss.id, "Boss", "operator.change", ada.id, "127.0.0.1",
    )  # fmt: skip
    assert newest["at"] == gateway.clock.now
    rest = (await browser.get(f"{AUDIT}?before={first['next']}")).body
    assert [one["details"] for one in rest["records"]] == [{"name": "B"}, {"name": "A"}, {"way": "password"}]
    assert rest["next"] is None
    mine = (await browser.get(f"{AUDIT}?actor={boss.id}")).body
    assert len(mine["records"]) == 4
    for wrong in ("limit=0", "limit=x", "limit=501", f"before={'x' * 200}"):
        assert (await browser.get(f"{AUDIT}?{wrong}")).status == 422


async def test_the_audit_never_holds_a_secret(gateway: Gateway, open_browser: OpenBrowser) -> None:
    ada = await gateway.operator()
    await gateway.operator("boss", role="admin")
    boss, hers = await open_browser(gateway, "boss"), await open_browser(gateway, "ada")
    await hers.patch(ME, {"password": {"old": PASSWORD, "new": f"{PASSWORD} two"}})
    link = (await boss.patch(f"{PEOPLE}/{ada.id}", {"reset": True})).body["link"]
    told = [one.model_dump_json() for one in await gateway.store.audit("default")]
    assert len(told) == 4
    for secret in (PASSWORD, link.partition("#link=")[2], "$argon2", hers.cookie):
        assert not [one for one in told if secret in one]
