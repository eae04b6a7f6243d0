"""Who may do what: roles, CSRF, origins, keys, and an audit without which nothing is done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from io import BytesIO
from typing import Any, Literal
from urllib.parse import quote

import aiohttp
import pytest
from argon2 import PasswordHasher

from omni.access.operators.csrf import csrf_token
from omni.model.operator import AuditRecord
from omni.store.base import StoreUnavailableError
from tests.operators.browser import Gateway
from tests.operators.conftest import OpenBrowser, OpenGateway

ME = "/v1/inbox/me"
ACT = "/test/act"
PATIENCE = 10.0


async def test_a_change_needs_the_sessions_own_csrf_token(gateway: Gateway, open_browser: OpenBrowser) -> None:
    await gateway.operator()
    mine, other = await open_browser(gateway, "ada"), await open_browser(gateway, "ada")
    assert (await mine.post(ACT)).status == 200
    forged = csrf_token(type(gateway.access.sealer)("somebody else's secret"), "ses_1")
    for token in ("", "csr_x", other.csrf or "?", forged):
        refused = await mine.post(ACT, headers={"X-CSRF-Token": token})
        assert (refused.status, refused.code) == (403, "csrf"), token


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1", "http://*:*", "http://[::1]"]
)
async def test_a_page_of_somebody_else_changes_nothing(
    gateway: Gateway, open_browser: OpenBrowser, origin: str
) -> None:
    await gateway.operator()
    browser = await open_browser(gateway, "ada")
    foreign = {"Origin": origin}
    assert (await browser.post(ACT, headers=foreign)).code == "csrf"
    assert (await browser.sign_in("ada@example.com", headers=foreign)).code == "csrf"
    assert (await browser.post("/v1/inbox/sign-in/link", {"token": "x"}, headers=foreign)).code == "csrf"
    assert (await browser.post("/v1/inbox/sign-out", headers=foreign)).code == "csrf"
    assert (await browser.get(ME)).status == 200


async def test_a_request_without_an_origin_is_judged_by_its_csrf_token(
    gateway: Gateway, open_browser: OpenBrowser
) -> None:
    await gateway.operator()
    browser = await open_browser(gateway, "ada")
    assert (await browser.post(ACT, headers={"Origin": ""})).status == 200
    assert (await browser.post(ACT, headers={"Origin": "", "X-CSRF-Token": ""})).code == "csrf"


async def test_a_socket_opens_only_for_a_page_of_ours(gateway: Gateway, open_browser: OpenBrowser) -> None:
    await gateway.operator()
    browser = await open_browser(gateway, "ada")

    async def opens(**headers: str) -> int:
        try:
            async with browser.http.ws_connect(f"{gateway.url}/test/socket", headers=headers):
                return 101
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status

    assert await opens(Origin=gateway.url) == 101
    assert await opens(Origin="https://evil.example") == 403
    assert await opens() == 403
    key, secret = await gateway.access.keys.create("default", "a program")
    assert await opens(Authorization=f"Bearer {secret}") == 101
    assert await opens(Authorization="Bearer pk_wrong", Origin=gateway.url) == 401
    assert key.id


async def test_viewers_change_nothing_but_themselves(gateway: Gateway, open_browser: OpenBrowser) -> None:
    ada = await gateway.operator(role="viewer")
    await gateway.operator("boss", role="admin")
    browser = await open_browser(gateway, "ada")
    for method, path in (
        ("POST", "/v1/inbox/operators"),
        ("PATCH", f"/v1/inbox/operators/{ada.id}"),
        ("POST", ACT),
    ):
        refused = await browser.ask(method, path, {"role": "admin"})
        assert (refused.status, refused.code) == (403, "forbidden"), path
    assert (await browser.get("/v1/inbox/audit")).code == "forbidden"
    assert (await browser.get("/v1/inbox/operators")).status == 200
    assert (await browser.patch(ME, {"language": "en"})).status == 200


async def test_agents_do_not_manage_people(gateway: Gateway, open_browser: OpenBrowser) -> None:
    ada = await gateway.operator()
    browser = await open_browser(gateway, "ada")
    assert (await browser.post("/v1/inbox/operators", {})).code == "forbidden"
    assert (await browser.patch(f"/v1/inbox/operators/{ada.id}", {"role": "admin"})).code == "forbidden"
    assert (await browser.get("/v1/inbox/audit")).code == "forbidden"


async def test_an_api_key_acts_as_an_admin_without_csrf(gateway: Gateway, open_browser: OpenBrowser) -> None:
    key, secret = await gateway.access.keys.create("default", "reports")
    browser = await open_browser(gateway)
    bearer = {"Authorization": f"Bearer {secret}", "Origin": ""}
    me = await browser.get(ME, headers=bearer)
    assert (me.body["id"], me.body["role"], me.body["csrf"]) == (f"key:{key.id}", "admin", None)
    assert (await browser.post(ACT, headers=bearer)).body == {"by": f"key:{key.id}"}
    assert (await browser.patch(ME, {"name": "x"}, headers=bearer)).code == "forbidden"
    assert (await browser.post(ACT, headers={"Authorization": "Bearer pk_wrong"})).code == "signed_out"


async def test_people_of_another_organisation_are_not_there(gateway: Gateway, open_browser: OpenBrowser) -> None:
    await gateway.operator("boss", role="admin")
    foreign = await gateway.operator("eve", org="acme")
    browser = await open_browser(gateway, "boss")
    assert [one["name"] for one in (await browser.get("/v1/inbox/operators")).body["operators"]] == ["Boss"]
    assert (await browser.patch(f"/v1/inbox/operators/{foreign.id}", {"role": "viewer"})).status == 404


async def test_behind_tls_cookies_are_secure_and_bound_to_the_host(
    open_gateway: OpenGateway, open_browser: OpenBrowser
) -> None:
    gateway = await open_gateway(public_url="https://inbox.example.com")
    await gateway.operator()
    browser = await open_browser(gateway)
    signed_in = await browser.sign_in("ada@example.com", headers={"Origin": "https://inbox.example.com"})
    [cookie] = signed_in.cookies
    assert cookie.startswith("__Host-omni_session=op_")
    parts = {part.strip().lower() for part in cookie.split(";")}
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= parts
    assert not any(part.startswith("domain") for part in parts)
    plain = await browser.sign_in("ada@example.com")  # the same server, opened over http on its own machine
    assert plain.cookies[0].startswith("omni_session=op_")
    assert "secure" not in plain.cookies[0].lower()
    told = await browser.post(ACT, headers={"Origin": "http://inbox.example.com"})
    assert "OMNI_PUBLIC_URL" in told.body["error"]["message"]


async def test_a_proxy_in_front_may_say_that_the_page_is_https(
    open_gateway: OpenGateway, open_browser: OpenBrowser
) -> None:
    gateway = await open_gateway(proxies=1)
    await gateway.operator()
    browser = await open_browser(gateway)
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "inbox.example.com"}
    page = {**forwarded, "Origin": "https://inbox.example.com"}
    signed_in = await browser.sign_in("ada@example.com", headers=page)
    assert signed_in.cookies[0].startswith("__Host-omni_session=")
    assert (await browser.sign_in("ada@example.com", headers={**forwarded, "Origin": ""})).cookies[0].startswith("__H")


async def test_over_https_a_cookie_that_a_neighbour_may_have_set_signs_nobody_in(
    open_gateway: OpenGateway, open_browser: OpenBrowser
) -> None:
    gateway = await open_gateway(proxies=1)
    await gateway.operator()
    browser = await open_browser(gateway, "ada")
    assert (await browser.get(ME)).status == 200  # over http there is no other
    assert (await browser.get(ME, headers={"X-Forwarded-Proto": "https"})).status == 401


async def test_what_cannot_be_written_down_is_not_done(
    gateway: Gateway, open_browser: OpenBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await gateway.operator()
    await gateway.operator("boss", role="admin")
    boss = await open_browser(gateway, "boss")

    async def away(_: AuditRecord) -> None:
        raise StoreUnavailableError("the disk is full")

    monkeypatch.setattr(gateway.store, "write_audit", away)
    for answer in (
        await boss.patch(f"/v1/inbox/operators/{ada.id}", {"disabled": True}),
        await boss.post("/v1/inbox/operators", {"email": "new@example.com", "name": "New"}),
        await (await open_browser(gateway)).sign_in("ada@example.com"),
    ):
        assert (answer.status, answer.code) == (503, "unavailable")
        assert not answer.cookies
    same = await gateway.store.operator(ada.id)
    assert same is not None
    assert same.disabled_at is None
    assert len(await gateway.store.operators("default")) == 2


async def test_a_store_that_is_away_is_said_to_be_away(
    gateway: Gateway, open_browser: OpenBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gateway.operator()
    browser = await open_browser(gateway, "ada")
    gateway.clock.now += 5

    async def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailableError("the store is away")

    monkeypatch.setattr(gateway.store, "leases", away)
    answer = await browser.get(ME)
    assert (answer.status, answer.code) == (503, "unavailable")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"email": 1}', b"\xff", b'{"email": "a@b", "password": "x", "z": 1}'])
async def test_a_body_of_another_shape_is_told_so(gateway: Gateway, open_browser: OpenBrowser, body: bytes) -> None:
    browser = await open_browser(gateway)
    async with browser.http.post(f"{gateway.url}/v1/inbox/sign-in", data=body) as answer:
        told = await answer.json()
    assert answer.status == 422
    assert told["error"]["code"] == "invalid"


@pytest.mark.parametrize("odd", ["\\ud800", "\\u0000", "\\ud83d\\ude00", "' OR 1=1 --", '{\\"$ne\\": 1}', "a" * 5000])
async def test_odd_words_harm_nobody(gateway: Gateway, open_browser: OpenBrowser, odd: str) -> None:
    await gateway.operator("boss", role="admin")
    browser = await open_browser(gateway, "boss")
    headers = {"Origin": gateway.url, "X-CSRF-Token": browser.csrf or ""}
    for path, body in (
        ("/v1/inbox/sign-in", f'{{"email": "{odd}@x.com", "password": "{odd}"}}'),
        ("/v1/inbox/sign-in/link", f'{{"token": "lnk_{odd}"}}'),
        ("/v1/inbox/operators", f'{{"email": "{odd} @x.com", "name": "{odd}"}}'),
        (f"/v1/inbox/operators/{quote(odd)}", f'{{"name": "{odd}"}}'),
    ):
        method = "PATCH" if path.startswith("/v1/inbox/operators/") else "POST"
        async with browser.http.request(method, gateway.url + path, data=body.encode(), headers=headers) as answer:
            assert 400 <= answer.status < 500, (path, await answer.text())
    async with browser.http.get(
        f"{gateway.url}/v1/inbox/audit", params={"before": odd[:100], "actor": odd[:100]}
    ) as answer:
        assert answer.status in (200, 422)
    for cookie in (odd, f"op_1.{odd}", "op_1." + "x" * 32):
        stranger = await open_browser(gateway)
        told = await stranger.get(ME, headers={"Cookie": f"omni_session={quote(cookie)}"})
        assert told.status == 401


async def test_a_body_without_end_is_refused(gateway: Gateway, open_browser: OpenBrowser) -> None:
    browser = await open_browser(gateway)
    async with browser.http.post(f"{gateway.url}/v1/inbox/sign-in", data=BytesIO(b" " * 2_000_000)) as answer:
        told = await answer.json()
    assert (answer.status, told["error"]["code"]) == (413, "too_large")


def _tell(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)


class _Unhurried(PasswordHasher):
    """Each check lasts until the event loop was seen to do something else meanwhile."""

    def __init__(self, began: Callable[[], None]) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.began = began
        self.may_end = threading.Event()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - argon2's name
        self.began()
        assert self.may_end.wait(PATIENCE), "nobody else was served while a password was checked"
        return super().verify(hash, password)


async def test_others_are_served_while_a_password_is_checked(gateway: Gateway, open_browser: OpenBrowser) -> None:
    """A measure of lag would tell of the machine's other work as well; this does not."""
    await gateway.operator()
    loop, began = asyncio.get_running_loop(), asyncio.Event()
    gateway.passwords._hasher = hasher = _Unhurried(lambda: _tell(loop, began))
    mine, other = await open_browser(gateway), await open_browser(gateway)
    async with asyncio.TaskGroup() as group:
        signing_in = group.create_task(mine.sign_in("ada@example.com"))
        async with asyncio.timeout(PATIENCE):
            await began.wait()
        assert (await other.get("/v1/inbox/sign-in/options")).status == 200
        assert not signing_in.done()
        hasher.may_end.set()
    assert signing_in.result().status == 200
