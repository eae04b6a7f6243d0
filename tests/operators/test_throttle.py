"""Guessing passwords becomes slow, and nobody is locked out by it."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher

from omni.access.operators.passwords import MOST_WAITING
from omni.access.operators.throttle import ACCOUNT, ADDRESS, Pace, Throttle
from tests.operators.browser import ANOTHER, Browser, Clock, Gateway
from tests.operators.conftest import OpenBrowser, OpenGateway

HERE, THERE = "192.0.2.1", "198.51.100.7"


async def _guesses(browser: Browser, number: int, email: str = "ada@example.com") -> list[int]:
    return [(await browser.sign_in(email, f"{ANOTHER} {n}")).status for n in range(number)]


async def test_after_some_failures_each_attempt_waits_longer(
    gateway: Gateway, open_browser: OpenBrowser, clock: Clock
) -> None:
    await gateway.operator()
    browser = await open_browser(gateway)
    assert await _guesses(browser, ACCOUNT.free) == [401] * ACCOUNT.free
    waits = []
    for _ in range(8):
        refused = await browser.sign_in("ada@example.com")  # the right one, too early
        assert (refused.status, refused.code) == (429, "too_many")
        waits.append(int(refused.headers["Retry-After"]))
        clock.now += waits[-1]
        assert (await browser.sign_in("ada@example.com", ANOTHER)).status == 401
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    clock.now += ACCOUNT.longest
    assert (await browser.sign_in("ada@example.com")).status == 200
    assert await _guesses(browser, ACCOUNT.free) == [401] * ACCOUNT.free


async def test_a_hundred_guesses_at_once_are_a_hundred(gateway: Gateway, open_browser: OpenBrowser) -> None:
    await gateway.operator()
    browser = await open_browser(gateway)
    statuses = await asyncio.gather(*(browser.sign_in("ada@example.com", ANOTHER) for _ in range(30)))
    assert sorted(answer.status for answer in statuses).count(401) == ACCOUNT.free


async def test_a_flood_from_everywhere_is_put_off_and_costs_nobody_an_attempt(
    open_gateway: OpenGateway, open_browser: OpenBrowser
) -> None:
    gateway = await open_gateway(proxies=1)
    await gateway.operator()
    gateway.passwords._hasher = PasswordHasher(time_cost=2, memory_cost=8192, parallelism=1)  # slow enough to queue
    browser = await open_browser(gateway)
    flood = [
        browser.sign_in(f"user{n}@example.com", headers={"X-Forwarded-For": f"10.0.{n}.1"})
        for n in range(MOST_WAITING + 30)
    ]
    answers = await asyncio.gather(*flood)
    put_off = [answer for answer in answers if answer.status == 503]
    assert put_off
    assert all(answer.headers["Retry-After"] for answer in put_off)
    assert {answer.status for answer in answers} == {401, 503}
    assert (await browser.sign_in("ada@example.com", ANOTHER)).status == 401


async def test_an_account_that_nobody_has_waits_like_any_other(gateway: Gateway, open_browser: OpenBrowser) -> None:
    browser = await open_browser(gateway)
    await _guesses(browser, ACCOUNT.free, "nobody@example.com")
    assert (await browser.sign_in("nobody@example.com")).status == 429


async def test_a_link_signs_in_whoever_has_to_wait(gateway: Gateway, open_browser: OpenBrowser) -> None:
    ada = await gateway.operator()
    browser = await open_browser(gateway)
    await _guesses(browser, ACCOUNT.free)
    assert (await browser.sign_in("ada@example.com")).status == 429
    assert (await browser.follow(gateway.link(ada))).status == 200


async def test_strangers_do_not_keep_an_owner_out(
    open_gateway: OpenGateway, open_browser: OpenBrowser, clock: Clock
) -> None:
    gateway = await open_gateway(proxies=1)
    await gateway.operator()
    home, stranger = await open_browser(gateway), await open_browser(gateway)
    home.headers["X-Forwarded-For"], stranger.headers["X-Forwarded-For"] = HERE, THERE
    assert (await home.sign_in("ada@example.com")).status == 200
    assert (await _guesses(stranger, 12))[-1] == 429
    assert (await home.sign_in("ada@example.com")).status == 200
    assert (await stranger.sign_in("ada@example.com")).status == 429


def test_one_address_cannot_try_a_password_on_everybody(clock: Clock) -> None:
    throttle = Throttle(ticks=clock)
    for number in range(ADDRESS.free):
        assert throttle.attempt(f"user{number}@example.com", HERE) == 0
    assert throttle.attempt("one-more@example.com", HERE) > 0
    assert throttle.attempt("one-more@example.com", THERE) == 0


def test_an_account_of_ones_own_buys_no_guesses(clock: Clock) -> None:
    throttle = Throttle(ticks=clock)
    guesses = 0
    while throttle.attempt(f"victim{guesses}@example.com", HERE) == 0:
        guesses += 1
        if throttle.attempt("mine@example.com", HERE) == 0:
            throttle.succeeded("mine@example.com", HERE)
    assert guesses <= ADDRESS.free


def test_an_attempt_that_could_not_be_judged_is_none(clock: Clock) -> None:
    throttle = Throttle(ticks=clock)
    for _ in range(100):
        assert throttle.attempt("ada@example.com", HERE) == 0
        throttle.withdrawn("ada@example.com", HERE)


def test_no_account_waits_longer_than_a_minute_and_all_is_forgotten(clock: Clock) -> None:
    throttle = Throttle(address=Pace(10**9, 1, 1, 1), ticks=clock)
    for _ in range(500):
        clock.now += throttle.attempt("ada@example.com", HERE)
    assert throttle.attempt("ada@example.com", HERE) <= ACCOUNT.longest <= 60
    clock.now += ACCOUNT.forget
    assert all(throttle.attempt("ada@example.com", HERE) == 0 for _ in range(ACCOUNT.free))
