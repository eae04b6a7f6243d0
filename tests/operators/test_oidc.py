"""Signing in through a provider: the whole dance over real sockets, and every way in which it must fail."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import RSAKey

from omni.access.operators.oidc import FLOW_SECONDS
from omni.access.operators.staff import Staff
from omni.access.operators.throttle import FLOWS_PER_MINUTE
from tests.operators.browser import Browser, Clock, Gateway
from tests.operators.conftest import OpenBrowser, OpenGateway
from tests.operators.provider import CLIENT_SECRET, Provider, part

START = "/v1/inbox/oidc/start"
ME = "/v1/inbox/me"


async def _away(browser: Browser) -> str:
    """To the provider and back as far as the address that it sends the browser to."""
    start = await browser.get(START)
    assert start.status == 302, start.body
    async with browser.http.get(start.headers["Location"], allow_redirects=False) as answer:
        assert answer.status == 302, await answer.text()
        return answer.headers["Location"].removeprefix(browser.url)


async def _sign_in(browser: Browser) -> Any:
    return await browser.get(await _away(browser))


async def test_an_operator_is_found_by_a_verified_address_and_then_by_who_they_are(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider
) -> None:
    gateway = await open_gateway(**provider.settings)
    ada = await gateway.operator(password=None)
    browser = await open_browser(gateway)
    assert (await browser.get("/v1/inbox/sign-in/options")).body["oidc"] == {"name": "Example ID"}
    back = await _sign_in(browser)
    assert (back.status, back.headers["Location"]) == (303, "/inbox")
    me = (await browser.get(ME)).body
    assert me["id"] == ada.id
    browser.csrf = me["csrf"]
    assert (await browser.post("/test/act")).status == 200
    provider.person.update(email="married@example.com")
    other = await open_browser(gateway)
    assert (await _sign_in(other)).status == 303
    assert (await other.get(ME)).body["id"] == ada.id
    records = await gateway.store.audit("default")
    assert {one.action for one in records} == {"operator.sign_in"}
    assert {one.details["way"] for one in records} == {"oidc"}


async def test_every_attempt_has_its_own_state_nonce_and_verifier(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider
) -> None:
    gateway = await open_gateway(**provider.settings)
    browser = await open_browser(gateway)
    for _ in range(2):
        await _away(browser)
    first, second = provider.asked
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 20
        assert first[name] != second[name]
    assert first["redirect_uri"] == f"{gateway.url}/v1/inbox/oidc/callback"
    assert set(first["scope"].split()) == {"openid", "email", "profile"}
    assert CLIENT_SECRET not in str(provider.asked)


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"aud": "somebody-else"},
        {"aud": ["omni-inbox", "somebody-else"]},
        {"aud": ["omni-inbox"], "azp": "somebody-else"},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"sub": None},
        {"iat": 9_999_999_999},
        {"iat": None},
        {"sub": 7},
        {"exp": "soon"},
        {"exp": {}},
        {"iat": "now"},
        {"aud": 5},
        {"aud": [5, {}]},
        {"aud": []},
        {"nonce": ["another"]},
        {"iss": []},
        {"azp": 5},
        {"nbf": 9_999_999_999},
        {"email": 5},
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "false"},
        {"email": None},
    ],
)
async def test_an_id_token_with_a_wrong_claim_signs_nobody_in(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider, claims: dict[str, Any]
) -> None:
    gateway = await open_gateway(**provider.settings)
    await gateway.operator()
    provider.claims = claims
    if claims == {"email": None}:
        provider.person.pop("email")  # nor does it say so at /userinfo
    browser = await open_browser(gateway)
    back = await _sign_in(browser)
    assert back.status == 403
    assert "Back to the sign-in page" in back.body
    assert (await browser.get(ME)).code == "signed_out"


@pytest.mark.parametrize("how", ["none", "shared", "stranger"])
async def test_an_id_token_that_the_provider_did_not_sign_signs_nobody_in(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider, how: str
) -> None:
    gateway = await open_gateway(**provider.settings)
    await gateway.operator()
    provider.how = how
    browser = await open_browser(gateway)
    assert (await _sign_in(browser)).status == 403
    assert (await browser.get(ME)).code == "signed_out"


@pytest.mark.parametrize(
    "token",
    [
        "", "garbage", "a.b.c", "....", "eyJ.eyJ.", "é.é.é", 5, None, "a" * 100_000,
        part({"kid": 5, "alg": "RS256"}) + ".e30.AA", part({"kid": "one"}) + ".e30.AA", part({"alg": 5}) + ".e30.AA",
        part([]) + ".e30.AA", part({"alg": "RS256", "crit": ["x"], "x": 1}) + ".e30.AA",
        part({"alg": "RS256", "kid": "another"}) + ".e30.AA", part({"alg": "RSA-OAEP", "enc": "A256GCM"}) + ".a.b.c.d",
    ],
)  # fmt: skip
async def test_what_is_no_id_token_at_all_is_told_so(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider, token: Any
) -> None:
    gateway = await open_gateway(**provider.settings)
    provider.token = token
    assert (await _sign_in(await open_browser(gateway))).status == 403


async def test_the_same_answer_works_once(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider
) -> None:
    gateway, other = await open_gateway(**provider.settings), await open_gateway(**provider.settings)
    await gateway.operator()
    browser = await open_browser(gateway)
    back = await _away(browser)
    [kept] = [one.value for one in browser.http.cookie_jar if one.key == "omni_oidc"]
    assert (await browser.get(back)).status == 303
    replayed = await (await open_browser(other)).get(back, headers={"Cookie": f"omni_oidc={kept}"})
    assert (replayed.status, "used before" in replayed.body) == (403, True)
    assert (await browser.get(back)).status == 403
    assert len(provider.redeemed) == 1


async def test_an_answer_opens_nothing_in_another_browser(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider
) -> None:
    """Somebody sends a colleague the way back of their own attempt, or mixes two attempts up."""
    gateway = await open_gateway(**provider.settings)
    await gateway.operator()
    mine, other = await open_browser(gateway), await open_browser(gateway)
    back = await _away(mine)
    assert "did not begin" in (await other.get(back)).body
    await _away(other)
    assert "another attempt" in (await other.get(back)).body
    assert not provider.redeemed


async def test_who_takes_too_long_begins_again(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider, clock: Clock
) -> None:
    gateway = await open_gateway(**provider.settings)
    await gateway.operator()
    browser = await open_browser(gateway)
    back = await _away(browser)
    clock.now += FLOW_SECONDS
    assert "longer than 10 minutes" in (await browser.get(back)).body


async def test_a_refusal_of_the_provider_is_told_and_escaped(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider
) -> None:
    gateway = await open_gateway(**provider.settings)
    browser = await open_browser(gateway)
    state = parse_qs(urlsplit(await _away(browser)).query)["state"][0]
    back = await browser.get(f"/v1/inbox/oidc/callback?error=%3Cscript%3E&state={state}")
    assert back.status == 403
    assert "<script>" not in back.body
    assert "&lt;script&gt;" in back.body


async def test_an_answer_of_another_issuer_is_refused(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider
) -> None:
    gateway = await open_gateway(**provider.settings)
    await gateway.operator()
    browser = await open_browser(gateway)
    back = (await _away(browser)).partition("&iss=")[0]
    assert (await browser.get(f"{back}&iss=https%3A%2F%2Fevil.example")).status == 403
    assert not provider.redeemed


async def test_an_unverified_address_takes_nobodys_account(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider
) -> None:
    gateway = await open_gateway(**provider.settings)
    ada = await gateway.operator()
    provider.person.update(email_verified=False)
    assert (await _sign_in(await open_browser(gateway))).status == 403
    same = await gateway.store.operator(ada.id)
    assert same is not None
    assert same.subject is None


async def test_an_operator_who_is_bound_is_not_bound_to_somebody_else(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider
) -> None:
    gateway = await open_gateway(**provider.settings)
    await gateway.operator()
    assert (await _sign_in(await open_browser(gateway))).status == 303
    provider.person.update(sub="8")
    refused = await _sign_in(await open_browser(gateway))
    assert (refused.status, "another account" in refused.body) == (403, True)


async def test_somebody_of_an_allowed_domain_becomes_an_operator(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider
) -> None:
    gateway = await open_gateway(**provider.settings, oidc_domains="example.org, example.com", oidc_role="viewer")
    browser = await open_browser(gateway)
    assert (await _sign_in(browser)).status == 303
    me = (await browser.get(ME)).body
    assert (me["name"], me["email"], me["role"]) == ("Ada L.", "ada@example.com", "viewer")
    for stranger in ("eve@evil.example", "eve@sub.example.com", "eve@notexample.com", "eve@example.com.evil"):
        provider.person = {"sub": stranger, "email": stranger, "email_verified": True}
        assert (await _sign_in(await open_browser(gateway))).status == 403
    assert len(await gateway.store.operators("default")) == 1


async def test_somebody_new_is_refused_where_no_domain_is_allowed(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider
) -> None:
    gateway = await open_gateway(**provider.settings)
    refused = await _sign_in(await open_browser(gateway))
    assert (refused.status, "ask an admin" in refused.body) == (403, True)
    assert await gateway.store.operators("default") == []


async def test_a_disabled_operator_is_refused_though_the_provider_vouches(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider
) -> None:
    gateway = await open_gateway(**provider.settings)
    ada = await gateway.operator()
    await Staff(gateway.store, gateway.guard.sessions).change("default", ada.id, is_disabled=True)
    assert "disabled" in (await _sign_in(await open_browser(gateway))).body


async def test_an_address_that_only_userinfo_tells_is_asked_for(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider
) -> None:
    gateway = await open_gateway(**provider.settings)
    ada = await gateway.operator()
    provider.tells_email_apart = True
    browser = await open_browser(gateway)
    assert (await _sign_in(browser)).status == 303
    assert (await browser.get(ME)).body["id"] == ada.id


async def test_keys_that_the_provider_changed_are_asked_for_again(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omni.access.operators.oidc.JWKS_AGAIN_SECONDS", 0.0)
    gateway = await open_gateway(**provider.settings)
    await gateway.operator()
    assert (await _sign_in(await open_browser(gateway))).status == 303
    provider.key = RSAKey.generate_key(2048, {"kid": "two"})
    assert (await _sign_in(await open_browser(gateway))).status == 303


async def test_a_provider_that_is_away_or_somebody_else_is_a_sentence(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider, gateway: Gateway
) -> None:
    provider.issuer_says = "https://evil.example"
    wrong = await (await open_browser(await open_gateway(**provider.settings))).get(START)
    assert (wrong.status, "says that it is" in wrong.body) == (502, True)
    away = await open_gateway(**{**provider.settings, "oidc_issuer": "http://127.0.0.1:9"})
    told = await (await open_browser(away)).get(START)
    assert (told.status, "does not answer" in told.body) == (502, True)
    assert (await (await open_browser(gateway)).get(START)).status == 404


async def test_no_log_line_holds_a_code_a_token_or_the_clients_secret(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    logging.getLogger("omni").setLevel(logging.DEBUG)
    gateway = await open_gateway(**provider.settings)
    await gateway.operator()
    browser = await open_browser(gateway)
    assert (await _sign_in(browser)).status == 303
    provider.claims = {"nonce": "another"}
    assert (await _sign_in(browser)).status == 403
    assert "does not hold" in caplog.text
    for redeemed in provider.redeemed:
        assert redeemed["code"] not in caplog.text
        assert redeemed["code_verifier"] not in caplog.text
    assert CLIENT_SECRET not in caplog.text
    assert "eyJ" not in caplog.text


async def test_the_way_back_is_the_public_address(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider
) -> None:
    gateway = await open_gateway(**provider.settings, public_url="https://inbox.example.com")
    start = await (await open_browser(gateway)).get(START)
    assert parse_qs(urlsplit(start.headers["Location"]).query)["redirect_uri"] == [
        "https://inbox.example.com/v1/inbox/oidc/callback"
    ]
    [cookie] = start.cookies
    assert {"secure", "httponly", "samesite=lax"} <= {part.strip().lower() for part in cookie.split(";")}


async def test_attempts_without_end_from_one_address_wait(
    open_gateway: OpenGateway, open_browser: OpenBrowser, provider: Provider, clock: Clock
) -> None:
    browser = await open_browser(await open_gateway(**provider.settings))
    for _ in range(FLOWS_PER_MINUTE):
        assert (await browser.get(START)).status == 302
    put_off = await browser.get(START)
    assert put_off.status == 429
    clock.now += float(put_off.headers["Retry-After"])
    assert (await browser.get(START)).status == 302
