"""Signing in to the inbox and out of it: passwords, links, sessions that end, and what is told about it."""

from __future__ import annotations

import logging

import pytest
from argon2 import PasswordHasher

from omni.access.operators.sessions import IDLE_SECONDS, RENEW_SECONDS, TOTAL_SECONDS
from omni.access.operators.staff import Staff
from tests.operators.browser import ANOTHER, PASSWORD, Clock, Gateway
from tests.operators.conftest import OpenBrowser, OpenGateway

ME = "/v1/inbox/me"
PROMISED = 5.0
"""Seconds after which an ended session is refused by every process."""


async def test_the_right_password_signs_in(gateway: Gateway, open_browser: OpenBrowser) -> None:
    ada = await gateway.operator()
    browser = await open_browser(gateway)
    assert (await browser.get(ME)).code == "signed_out"
    signed_in = await browser.sign_in(" ADA@example.com ")
    assert signed_in.status == 200
    me = await browser.get(ME)
    assert me.headers["Cache-Control"] == "no-store"
    assert me.body["id"] == ada.id
    assert (me.body["email"], me.body["role"], me.body["org"]) == ("ada@example.com", "agent", "default")
    assert me.body["csrf"] == signed_in.body["csrf"]
    seen = await gateway.store.operator(ada.id)
    assert seen is not None
    assert seen.last_seen_at == gateway.clock.now


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com", "link@example.com", "gone@example.com", ""])
async def test_a_wrong_sign_in_says_the_same_for_everybody_and_always_checks_a_password(
    gateway: Gateway, open_browser: OpenBrowser, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody with another password, nobody, one without a password, one who is disabled."""
    await gateway.operator()
    await gateway.operator("link", password=None)
    gone = await gateway.operator("gone", password="not the one that is typed")
    await Staff(gateway.store, gateway.guard.sessions).change("default", gone.id, is_disabled=True)
    await gateway.passwords.verify(None, "so that nobody's hash is there")
    checked = []
    real = PasswordHasher.verify

    def verify(self: PasswordHasher, hash: str, password: bytes) -> bool:  # noqa: A002 - argon2's name
        checked.append(hash)
        return real(self, hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    answer = await (await open_browser(gateway)).sign_in(email, ANOTHER)
    assert answer.status == 401
    assert answer.body["error"]["code"] == "refused"
    assert answer.body["error"]["message"].startswith("the e-mail address and the password do not belong together")
    assert not answer.cookies
    assert len(checked) == 1


async def test_a_disabled_operator_with_the_right_password_stays_outside(
    gateway: Gateway, open_browser: OpenBrowser
) -> None:
    gone = await gateway.operator("gone")
    await Staff(gateway.store, gateway.guard.sessions).change("default", gone.id, is_disabled=True)
    answer = await (await open_browser(gateway)).sign_in("gone@example.com")
    assert (answer.status, answer.code) == (401, "refused")
    assert (await (await open_browser(gateway)).follow(gateway.link(gone))).status == 401


async def test_nobodys_password_opens_nothing(gateway: Gateway) -> None:
    assert not await gateway.passwords.verify(None, "nobody's password")
    assert not await gateway.passwords.verify("", "nobody's password")
    assert not await gateway.passwords.verify("$argon2id$no hash at all", PASSWORD)


async def test_a_password_is_the_same_on_every_keyboard(gateway: Gateway) -> None:
    composed, decomposed = "caf\u00e9 au lait", "cafe\u0301 au lait"
    assert await gateway.passwords.verify(await gateway.passwords.hash(composed), decomposed)


async def test_a_session_ends_when_it_is_not_used(gateway: Gateway, open_browser: OpenBrowser, clock: Clock) -> None:
    await gateway.operator()
    browser = await open_browser(gateway, "ada")
    clock.now += IDLE_SECONDS - 60
    assert (await browser.get(ME)).status == 200
    clock.now += IDLE_SECONDS - 60  # it slides
    assert (await browser.get(ME)).status == 200
    clock.now += IDLE_SECONDS + 1
    assert (await browser.get(ME)).code == "signed_out"


async def test_a_session_ends_after_thirty_days_however_busy(
    gateway: Gateway, open_browser: OpenBrowser, clock: Clock
) -> None:
    await gateway.operator()
    browser = await open_browser(gateway, "ada")
    began = clock.now
    while clock.now < began + TOTAL_SECONDS - IDLE_SECONDS:
        clock.now += IDLE_SECONDS / 2
        assert (await browser.get(ME)).status == 200
    clock.now = began + TOTAL_SECONDS + 1
    assert (await browser.get(ME)).code == "signed_out"


async def test_who_signs_out_is_out_in_every_process(open_gateway: OpenGateway, open_browser: OpenBrowser) -> None:
    one, other = await open_gateway(), await open_gateway()
    await one.operator()
    browser = await open_browser(one, "ada")
    there = await open_browser(other)
    cookie = {"Cookie": f"omni_session={browser.cookie}"}
    assert (await there.get(ME, headers=cookie)).status == 200
    out = await browser.post("/v1/inbox/sign-out")
    assert out.status == 200
    assert (await browser.get(ME, headers=cookie)).code == "signed_out"
    one.clock.now += PROMISED
    assert (await there.get(ME, headers=cookie)).code == "signed_out"


async def test_a_renewal_under_way_does_not_bring_an_ended_session_back(
    gateway: Gateway, open_browser: OpenBrowser, clock: Clock
) -> None:
    ada = await gateway.operator()
    browser = await open_browser(gateway, "ada")
    sessions = gateway.guard.sessions
    found = await sessions.find(browser.cookie)
    assert found is not None
    clock.now += RENEW_SECONDS
    await sessions.end(found[0])
    assert await sessions._renewed(found[0], ada, clock.now) is None
    assert await sessions.find(browser.cookie) is None


async def test_a_changed_password_ends_the_other_sessions_everywhere(
    open_gateway: OpenGateway, open_browser: OpenBrowser
) -> None:
    one, other = await open_gateway(), await open_gateway()
    await one.operator()
    mine, theirs = await open_browser(one, "ada"), await open_browser(other, "ada")
    wrong = await mine.patch(ME, {"password": {"old": ANOTHER, "new": ANOTHER}})
    assert (wrong.status, wrong.code, wrong.field) == (403, "refused", "password.old")
    short = await mine.patch(ME, {"password": {"old": PASSWORD, "new": "short"}})
    assert (short.status, short.field) == (422, "password.new")
    assert "10 or more" in short.body["error"]["message"]
    changed = await mine.patch(ME, {"password": {"old": PASSWORD, "new": ANOTHER}})
    assert changed.status == 200
    assert changed.body["csrf"] == mine.csrf
    assert (await mine.get(ME)).status == 200
    one.clock.now += PROMISED
    assert (await theirs.get(ME)).code == "signed_out"
    assert (await mine.get(ME)).status == 200
    assert (await (await open_browser(one)).sign_in("ada@example.com", PASSWORD)).status == 401
    assert (await (await open_browser(one)).sign_in("ada@example.com", ANOTHER)).status == 200


@pytest.mark.parametrize(
    "change", [{"disabled_at": 1.0}, {"password_hash": None}, {"password_hash": "$argon2id$1$2$b"}]
)
async def test_the_operators_record_alone_ends_a_session(
    gateway: Gateway, open_browser: OpenBrowser, change: dict[str, object]
) -> None:
    """Whoever changed it may have died before they could end the sessions one by one."""
    ada = await gateway.operator()
    browser = await open_browser(gateway, "ada")
    now = await gateway.store.operator(ada.id)
    assert now is not None
    await gateway.store.save_operator(now.model_copy(update=change))
    gateway.clock.now += PROMISED
    assert (await browser.get(ME)).code == "signed_out"


async def test_another_role_holds_within_seconds_in_every_process(
    open_gateway: OpenGateway, open_browser: OpenBrowser
) -> None:
    one, other = await open_gateway(), await open_gateway()
    ada = await one.operator(role="viewer")
    browser = await open_browser(other, "ada")
    assert (await browser.post("/test/act")).code == "forbidden"
    await Staff(one.store, one.guard.sessions).change("default", ada.id, role="agent")
    one.clock.now += PROMISED
    assert (await browser.post("/test/act")).status == 200


async def test_a_name_and_a_language_are_ones_own_to_change(gateway: Gateway, open_browser: OpenBrowser) -> None:
    await gateway.operator(role="viewer")
    browser = await open_browser(gateway, "ada")
    changed = await browser.patch(ME, {"name": " Ada  Byron ", "language": "es"})
    assert (changed.body["name"], changed.body["language"]) == ("Ada Byron", "es")
    assert (await browser.patch(ME, {"language": None})).body["language"] is None
    assert gateway.told == ["default"]
    for body, field in (({"name": ""}, "name"), ({"language": "tlh"}, "language"), ({"role": "admin"}, "role")):
        refused = await browser.patch(ME, body)
        assert (refused.status, refused.field) == (422, field)


async def test_a_hash_of_older_parameters_is_replaced_and_nobody_is_signed_out(
    gateway: Gateway, open_browser: OpenBrowser
) -> None:
    ada = await gateway.operator(password=None)
    older = PasswordHasher(time_cost=2, memory_cost=32, parallelism=1).hash(PASSWORD)
    ada = await gateway.store.save_operator(ada.model_copy(update={"password_hash": older}))
    cookie, _ = await gateway.guard.sessions.begin(ada)
    await open_browser(gateway, "ada")
    now = await gateway.store.operator(ada.id)
    assert now is not None
    assert now.password_hash is not None
    assert "t=1" in now.password_hash
    gateway.clock.now += PROMISED
    assert await gateway.guard.sessions.find(cookie) is not None
    await open_browser(gateway, "ada")


async def test_a_link_signs_in_once(open_gateway: OpenGateway, open_browser: OpenBrowser) -> None:
    one, other = await open_gateway(), await open_gateway()
    ada = await one.operator(password=None)
    link = one.link(ada)
    browser = await open_browser(one)
    assert (await browser.follow(link)).status == 200
    assert (await browser.get(ME)).body["has_password"] is False
    again = await (await open_browser(other)).follow(link)
    assert (again.status, again.code) == (401, "refused")
    assert "used before" in again.body["error"]["message"]
    set_ = await browser.patch(ME, {"password": {"new": PASSWORD}})
    assert set_.status == 200
    await open_browser(other, "ada")


async def test_a_link_ends_after_a_quarter_of_an_hour_or_with_a_new_password(
    gateway: Gateway, open_browser: OpenBrowser, clock: Clock
) -> None:
    ada = await gateway.operator()
    late, void = gateway.link(ada), gateway.link(ada)
    browser = await open_browser(gateway, "ada")
    assert (await browser.patch(ME, {"password": {"old": PASSWORD, "new": ANOTHER}})).status == 200
    stranger = await open_browser(gateway)
    assert "not valid any more" in (await stranger.follow(void)).body["error"]["message"]
    clock.now += 15 * 60
    assert "expired" in (await stranger.follow(late)).body["error"]["message"]
    for bad in ("", "lnk_eyJ2IjoxfQ.AAAA", gateway.access.sealer.seal("csr_", {"v": 1})):
        assert (await stranger.follow(bad)).status == 401


async def test_the_sign_in_page_knows_whether_anybody_could(gateway: Gateway, open_browser: OpenBrowser) -> None:
    browser = await open_browser(gateway)
    assert (await browser.get("/v1/inbox/sign-in/options")).body == {"oidc": None, "needs_operator": True}
    await gateway.operator()
    assert (await browser.get("/v1/inbox/sign-in/options")).body["needs_operator"] is False


async def test_no_log_line_holds_a_secret(
    gateway: Gateway, open_browser: OpenBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ada = await gateway.operator()
    link = gateway.link(ada)
    browser = await open_browser(gateway, "ada")
    cookie = browser.cookie
    stranger = await open_browser(gateway)
    await stranger.sign_in("ada@example.com", ANOTHER)
    await stranger.follow(link)
    await stranger.follow(link)
    await stranger.get(ME, headers={"Cookie": f"omni_session={cookie[:-1]}_"})
    await browser.patch(ME, {"password": {"old": PASSWORD, "new": ANOTHER}})
    logged = caplog.text
    assert "was refused" in logged
    for secret in (PASSWORD, ANOTHER, link, cookie.partition(".")[2], browser.csrf or "?"):
        assert secret not in logged
    stored = await gateway.store.leases("session:", now=0.0)
    assert stored
    assert not [one for one in stored if cookie.partition(".")[2] in one.model_dump_json()]
