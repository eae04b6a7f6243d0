"""Webhooks, tokens, keys and voices over `/v1`."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.rest.house import KEY, SUPPORT, House
from tests.server.conftest import OpenShop
from tests.server.shop import agent_of, until


class Receiver:
    """A developer's server; it answers `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.came.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status, text="thanks")

    @property
    def events(self) -> list[Any]:
        return [json.loads(body) for _, body in self.came]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


async def test_a_webhook_is_registered_tried_told_and_replayed(each_house: House, receiver: Receiver) -> None:
    house = each_house
    made = await house.post(
        "/v1/webhooks", {"url": receiver.url, "events": ["message.received"], "description": "mine"}
    )
    assert made["secret"].startswith("whsec_")
    path = f"/v1/webhooks/{made['id']}"
    assert (await house.get("/v1/webhooks"))["data"] == [{k: v for k, v in made.items() if k != "secret"}]
    assert "whsec_" not in (await house.ask("GET", path)).text

    tried = await house.post(f"{path}/test", status=200)
    assert (tried["status"], tried["event"], tried["attempts"][0]["status"]) == ("success", "endpoint.test", 200)
    headers, body = receiver.came[0]
    signed = hmac.new(made["secret"].encode(), f"{headers['Omni-Timestamp']}.".encode() + body, hashlib.sha256)
    assert headers["Omni-Signature"] == signed.hexdigest()

    once = await house.ask("POST", f"{path}/deliveries/{tried['id']}/replay")
    assert (once.status, once.error["code"]) == (409, "not_repeatable")

    await house.conversation("tell me")
    await until(lambda: len(receiver.came) == 2)
    assert receiver.events[1]["type"] == "message.received"

    async def listed() -> Any:
        found = (await house.get(f"{path}/deliveries", event="message.received", status="success"))["data"]
        return found or None

    [delivery] = await until(listed)
    assert delivery["body"] == receiver.events[1]
    again = await house.post(f"{path}/deliveries/{delivery['id']}/replay", status=202)
    assert again["id"] == delivery["id"]
    await until(lambda: len(receiver.came) == 3)
    assert receiver.events[2] == receiver.events[1]
    assert [[len(page)] for page in await house.pages(f"{path}/deliveries", limit=1)] == [[1], [1]]


async def test_a_webhooks_secret_is_rotated_and_it_is_changed_and_removed(house: House, receiver: Receiver) -> None:
    made = await house.post("/v1/webhooks", {"url": receiver.url})
    path = f"/v1/webhooks/{made['id']}"
    rotated = await house.post(f"{path}/rotate-secret", status=200)
    assert rotated["secret"] != made["secret"]
    changed = await house.ask("PATCH", path, {"disabled": True, "events": ["call.ended"]})
    assert (changed.body["disabled"], changed.body["events"], changed.body["url"]) == (
        True,
        ["call.ended"],
        receiver.url,
    )
    assert (await house.ask("PATCH", path, {"disabled": False})).body["disabled"] is False
    assert (await house.ask("DELETE", path)).body == {"id": made["id"], "object": "webhook", "deleted": True}
    for method, rest in (("GET", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/rotate-secret")):
        assert (await house.ask(method, path + rest)).status == 404


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "url"),
        ({"url": "ftp://a.b"}, 400, "url"),
        ({"url": "http://169.254.169.254/"}, 400, "url"),
        ({"url": "https://a.b", "events": ["call.exploded"]}, 400, "events.0"),
        ({"url": "https://a.b", "timeout_s": 0}, 400, "timeout_s"),
        ({"url": "https://a.b", "agent_id": "none"}, 404, None),
        ({"url": "https://a.b", "secret": "mine"}, 400, "secret"),
    ],
)
async def test_a_wrong_webhook_is_named(house: House, body: Any, status: int, param: str | None) -> None:
    answer = await house.ask("POST", "/v1/webhooks", body)
    assert (answer.status, answer.error["param"]) == (status, param), answer.text


async def test_an_agent_switches_to_a_webhook_and_back_between_two_turns_of_one_call(
    house: House, receiver: Receiver
) -> None:
    """The brain of the next turn is the one of the newest PATCH, in calls that are open too."""
    before = await house.conversation("one")
    patch = {"brain": "webhook", "webhook": {"url": receiver.url, "secret": "s3cret"}}
    changed = await house.ask("PATCH", "/v1/agents/echo", patch)
    assert (changed.status, changed.body["webhook"]["signed"]) == (200, True), changed.text
    assert "s3cret" not in (await house.ask("GET", "/v1/agents")).text
    house.shop.say("two")
    await until(lambda: len(receiver.came) == 1)
    assert "two" in receiver.came[0][1].decode()
    assert "Omni-Signature" in receiver.came[0][0]
    assert (await house.ask("PATCH", "/v1/agents/echo", {"brain": "script"})).status == 200
    house.shop.say("three")
    await until(lambda: "You said: three" in str([sent.body for sent in house.shop.simulator.sent()]))
    after = (await house.get("/v1/conversations"))["data"][0]
    assert (after["id"], after["call_id"]) == (before["id"], before["call_id"])


# tokens, keys, voices


async def test_a_token_opens_a_chat_and_a_log(house: House) -> None:
    chat = await house.post("/v1/tokens", {"kind": "chat", "agent_id": "Echo", "metadata": {"user": 7}})
    assert (chat["token"][:4], chat["agent_ids"], chat["expires_in"]) == ("cht_", ["echo"], 60)
    stream = await house.post("/v1/tokens", {"kind": "stream", "agent_ids": ["echo"], "scope": "observe"})
    log = await house.ask("GET", "/v1/agents/echo/calls", key=None, token=stream["token"])
    assert (log.status, log.body["entries"]) == (200, [])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"kind": "chat"}, 422),
        ({"kind": "chat", "agent_id": "none"}, 404),
        ({"kind": "chat", "agent_id": "!"}, 404),
        ({"kind": "chat", "agent_ids": ["echo"]}, 422),
        ({"kind": "chat", "agent_id": "echo", "metadata": {"x": "y" * 3000}}, 422),
        ({"kind": "stream", "agent_id": "echo", "scope": "all"}, 400),
    ],
)
async def test_a_token_that_cannot_be_is_refused(house: House, body: Any, status: int) -> None:
    answer = await house.ask("POST", "/v1/tokens", body)
    assert answer.status == status, answer.text


async def test_keys_are_made_listed_and_revoked(house: House) -> None:
    made = await house.post("/v1/keys", {"name": " web "}, org="acme")
    assert (made["name"], made["key"][:3]) == ("web", "pk_")
    assert (await house.ask("GET", "/v1/agents", key=made["key"])).status == 200
    pages = await house.pages("/v1/keys", limit=1, org="acme")
    assert [page[0]["name"] for page in pages] == ["the key of acme", "web"]
    assert made["key"] not in json.dumps(pages)
    assert (await house.ask("DELETE", f"/v1/keys/{made['id']}")).status == 404, "it is another organisation's"
    assert (await house.ask("DELETE", f"/v1/keys/{made['id']}", org="acme")).status == 200
    assert (await house.ask("GET", "/v1/agents", key=made["key"])).status == 401
    assert (await house.ask("DELETE", f"/v1/keys/{made['id']}", org="acme")).status == 404


async def test_voices_are_those_the_server_has_and_another_is_kept_for_later(house: House) -> None:
    ids = [voice["voice_id"] for [voice] in await house.pages("/v1/voices", limit=1)]
    assert all(id_.startswith("local:") for id_ in ids), "it has no keys of services"
    assert (await house.post("/v1/agents", {**SUPPORT, "voice_id": "elevenlabs:abc"}))["voice_id"] == "elevenlabs:abc"


async def test_a_service_with_a_key_has_voices(embedded: dict[str, Any], open_shop: OpenShop) -> None:
    house = House(await open_shop(embedded, agent_of(), api_key=KEY, openai_api_key="sk-test"))
    ids = [voice["voice_id"] for page in await house.pages("/v1/voices", limit=5) for voice in page]
    assert "openai:alloy" in ids
    assert len(set(ids)) == len(ids)
