"""What every route has in common: keys, ids of requests, errors, pace, and a POST that acts once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from yarl import URL

from tests.rest.house import KEY, SUPPORT, House
from tests.server.conftest import OpenShop
from tests.server.shop import agent_of, until


@pytest.mark.parametrize("key", [None, "pk_wrong", "", " "])
async def test_without_a_valid_key_there_is_a_401_in_json(house: House, key: str | None) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key is not None else None
    answer = await house.ask("GET", "/v1/agents", key=None, headers=headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert (answer.error["type"], answer.error["param"]) == ("authentication_error", "Authorization")
    assert set(answer.error) == {"type", "code", "message", "param", "request_id"}
    assert answer.error["request_id"] == answer.headers["X-Request-ID"]


async def test_a_requests_own_id_is_kept_when_it_is_one(house: House) -> None:
    own = await house.ask("GET", "/v1/agents", headers={"X-Request-ID": "trace-7.a"})
    assert own.headers["X-Request-ID"] == "trace-7.a"
    odd = await house.ask("GET", "/v1/nothing", headers={"X-Request-ID": "<script>"})
    assert odd.headers["X-Request-ID"].startswith("req_")
    assert odd.error["request_id"] == odd.headers["X-Request-ID"]
    assert odd.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/v1", 404, None),
        ("GET", "/v1/", 404, None),
        ("GET", "/v1/agents/", 404, None),
        ("GET", "/v1/agent", 404, None),
        ("PUT", "/v1/agents", 405, "GET, HEAD, POST"),
        ("DELETE", "/v1/agents", 405, "GET, HEAD, POST"),
        ("POST", "/v1/agents/echo", 405, "DELETE, GET, HEAD, PATCH"),
        ("GET", "/v1/messages", 405, "POST"),
        ("GET", "/v1/agents/%00", 404, None),
        ("GET", "/v1/agents/a%20b", 404, None),
        ("GET", "/v1/agents/%ED%A0%80", 404, None),
        ("GET", "/v1/calls/" + "x" * 3000, 404, None),
    ],
)
async def test_what_there_is_not_is_told_in_json(
    house: House, method: str, path: str, status: int, allowed: str | None
) -> None:
    async with house.shop.http.request(
        method, URL(house.shop.url + path, encoded=True), headers={"Authorization": f"Bearer {KEY}"}
    ) as answer:
        body = await answer.json()
    assert (answer.status, answer.headers.get("Allow")) == (status, allowed), body
    assert body["error"]["type"] == ("not_found_error" if status == 404 else "invalid_request_error")


async def test_the_inbox_goes_on_answering_for_its_own_paths(house: House) -> None:
    assert (await house.ask("GET", "/v1/inbox/conversations")).status == 200
    assert (await house.ask("GET", "/v1/inbox/conversations", key=None)).body["error"]["code"] == "signed_out"
    head = await house.ask("HEAD", "/v1/agents")
    assert (head.status, head.text) == (200, "")


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b"\xff\xfe", 400, "malformed"),
        (b'{"name": "\\ud800"}', 400, "malformed"),
        (b"[" * 100_000, 400, "malformed"),
        (b'{"name": "' + b"x" * 1_100_000 + b'"}', 413, "too_large"),
    ],
)
async def test_a_body_that_cannot_be_read_harms_nobody(house: House, raw: bytes, status: int, code: str) -> None:
    answer = await house.ask("POST", "/v1/agents", raw=raw)
    assert (answer.status, answer.error["code"]) == (status, code), answer.text[:300]


@pytest.mark.parametrize(
    ("query", "param"),
    [({"limit": "0"}, "limit"), ({"limit": "101"}, "limit"), ({"limit": "x"}, "limit"), ({"page": "2"}, "page"),
     ({"cursor": "bm9uZQ"}, "cursor"), ({"cursor": "é"}, "cursor"), ({"status": "gone"}, "status"),
     ({"created_after": "yesterday"}, "created_after")],
)  # fmt: skip
async def test_a_wrong_query_is_named(house: House, query: Any, param: str) -> None:
    answer = await house.ask("GET", "/v1/calls", **query)
    assert (answer.status, answer.error["param"]) == (400, param)
    twice = await house.ask("GET", "/v1/calls?limit=1&limit=2")
    assert (twice.status, twice.error["param"]) == (400, "limit")


async def test_who_asks_too_fast_is_told_when_to_ask_again(embedded: Any, open_shop: OpenShop) -> None:
    house = House(await open_shop(embedded, agent_of(), api_key=KEY, rest_per_minute=3))
    answers = [await house.ask("GET", "/v1/voices") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[3].error["type"] == "rate_limit_error"
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 20
    assert (await house.ask("GET", "/v1/voices", org="other")).status == 200


# POSTs that act once


def once(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


async def test_a_post_that_is_sent_again_acts_once_and_is_answered_as_the_first_time(each_house: House) -> None:
    first = await each_house.ask("POST", "/v1/agents", SUPPORT, headers=once("k-1"))
    again = await each_house.ask("POST", "/v1/agents", dict(reversed(SUPPORT.items())), headers=once("k-1"))
    assert (first.status, first.body) == (again.status, again.body) == (201, first.body)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len((await each_house.get("/v1/agents"))["data"]) == 2
    other = await each_house.ask("POST", "/v1/agents", {**SUPPORT, "name": "B"}, headers=once("k-1"))
    assert (other.status, other.error["code"]) == (409, "idempotency_key_reused")
    assert (await each_house.ask("POST", "/v1/agents", SUPPORT, headers=once("k-2"))).body["id"] != first.body["id"]


async def test_of_many_at_once_with_one_key_one_acts(each_house: House) -> None:
    answers = await asyncio.gather(
        *(each_house.ask("POST", "/v1/agents", SUPPORT, headers=once("k")) for _ in range(8))
    )
    assert {answer.status for answer in answers} == {201}
    assert {answer.body["id"] for answer in answers} == {"support-agent"}
    assert len((await each_house.get("/v1/agents"))["data"]) == 2


async def test_a_key_belongs_to_who_sent_it_and_to_its_path(house: House) -> None:
    mine = await house.ask("POST", "/v1/agents", SUPPORT, headers=once("k"))
    theirs = await house.ask("POST", "/v1/agents", SUPPORT, headers=once("k"), org="other")
    assert (mine.status, theirs.status) == (201, 201)
    elsewhere = await house.ask("POST", "/v1/keys", {"name": "k"}, headers=once("k"))
    assert elsewhere.status == 201


async def test_a_refusal_is_not_kept(house: House) -> None:
    refused = await house.ask("POST", "/v1/agents", {"name": "X"}, headers=once("k"))
    assert refused.status == 400
    mended = await house.ask("POST", "/v1/agents", SUPPORT, headers=once("k"))
    assert mended.status == 201


async def test_a_secret_that_is_shown_once_is_not_in_the_store_but_in_the_second_answer(house: House) -> None:
    first = await house.ask("POST", "/v1/keys", {"name": "web"}, headers=once("k"))
    again = await house.ask("POST", "/v1/keys", {"name": "web"}, headers=once("k"))
    assert first.body["key"] == again.body["key"]
    [lease] = await house.store.leases("idempotent:", now=0)
    assert first.body["key"] not in lease.model_dump_json()
    assert "web" not in lease.model_dump_json()


@pytest.mark.parametrize("key", ["", " ", "x" * 201, "é"])
async def test_a_key_that_is_none_is_refused(house: House, key: str) -> None:
    answer = await house.ask("POST", "/v1/agents", SUPPORT, headers=once(key))
    assert (answer.status, answer.error["param"]) == (400, "Idempotency-Key")


async def test_an_engine_that_is_away_is_a_503_that_says_when_to_ask_again(
    services: Any, open_shop: OpenShop, proxy_to: Any
) -> None:
    real = URL(services["bus_url"])
    proxy = await proxy_to(real.host, real.port)
    through = str(real.with_host("127.0.0.1").with_port(proxy.port))
    house = House(await open_shop({**services, "bus_url": through}, agent_of(), api_key=KEY))
    conversation = await house.conversation()
    body = {"conversation_id": conversation["id"], "text": "meanwhile"}
    proxy.cut()

    async def refused() -> Any:
        answer = await house.ask("POST", "/v1/messages", body, headers=once("k"))
        return answer if answer.status == 503 else None

    answer = await until(refused)
    assert (answer.error["type"], answer.error["code"]) == ("api_error", "unavailable")
    assert answer.headers["Retry-After"] == "2"
    proxy.restore()

    async def is_back() -> Any:
        answer = await house.ask("POST", "/v1/messages", body, headers=once("k"))
        return answer.body if answer.status == 202 else None

    await house.message(await until(is_back), "sent", "delivered", "read")
    texts = [one["text"] for one in (await house.get(f"/v1/conversations/{conversation['id']}/messages"))["data"]]
    assert texts.count("meanwhile") == 1
