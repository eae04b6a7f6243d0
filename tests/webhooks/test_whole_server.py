"""A running server: a customer writes, the bot answers, and a developer's server hears of both."""

from __future__ import annotations

import time
from typing import Any

import pytest
from aiohttp import web

from omni.app.engines import engines
from omni.model.webhook import WebhookEndpoint
from omni.settings import Settings
from omni.store.webhooks import WebhookFilter
from tests.server.conftest import OpenShop, clean_environment, embedded, engine, open_shop, services
from tests.server.shop import agent_of, until
from tests.webhooks.conftest import SECRET
from tests.webhooks.receivers import Receiver

__all__ = ["clean_environment", "embedded", "engine", "open_shop", "services"]


@pytest.fixture
async def receiver() -> Any:
    made = Receiver(time.time)
    await made.start()
    yield made
    await made.stop()


async def registered(engine: dict[str, Any], receiver: Receiver, **more: Any) -> WebhookEndpoint:
    """An endpoint that is in the store before the server starts."""
    wanted = {"id": f"wh_{len(more)}", "url": receiver.url, "secret": SECRET, "created_at": time.time() - 1, **more}
    async with engines(Settings(**engine)) as opened:
        return await opened.store.save_webhook(WebhookEndpoint.model_validate(wanted))


async def test_a_conversation_is_told_from_its_begin_to_the_answer(
    open_shop: OpenShop, engine: dict[str, Any], receiver: Receiver
) -> None:
    await registered(engine, receiver)
    shop = await open_shop(engine)
    shop.say("hello")
    assert await shop.answers(1) == ["You said: hello"]
    await until(lambda: len(receiver.heard) == 3)
    names = [heard.headers["Omni-Event"] for heard in receiver.heard]
    assert names == ["call.started", "message.received", "message.sent"]
    _, received, sent = (heard.json for heard in receiver.heard)
    assert received["data"]["message"] == "hello"
    assert received["data"]["from"] == "+12025550171"
    assert sent["data"]["by"] == "bot"
    assert [said["content"] for said in sent["recent_history"]] == ["hello"]
    assert received["data"]["conversation_id"].startswith("cv_")
    (call,) = await shop.calls()
    assert await shop.engines.store.untold(call.id) == []


async def test_without_an_endpoint_nothing_is_marked_and_nothing_published(
    open_shop: OpenShop, embedded: dict[str, Any], receiver: Receiver
) -> None:
    await registered(embedded, receiver, org="rival")
    await registered(embedded, receiver, agent="another", dialect="omni")
    shop = await open_shop(embedded)
    shop.say("hello")
    assert await shop.answers(1) == ["You said: hello"]
    (call,) = await shop.calls()
    assert await shop.engines.store.untold_calls(9e12) == []
    assert await shop.engines.store.untold(call.id) == []
    assert receiver.heard == []


async def test_the_turns_that_an_endpoint_was_asked_for_are_listed(
    open_shop: OpenShop, embedded: dict[str, Any], receiver: Receiver
) -> None:
    endpoint = await registered(embedded, receiver, events=("call.ended",))
    receiver.always = web.json_response({"text": "Hello Ada."})
    shop = await open_shop(embedded, agent_of(brain="webhook", script=[]))
    shop.say("hello")
    assert await shop.answers(1) == ["Hello Ada."]
    (heard,) = receiver.heard
    where = WebhookFilter("default", endpoint=endpoint.id)

    async def is_listed() -> bool:
        return (await shop.engines.store.webhook_deliveries(where)).total == 1

    await until(is_listed)
    (listed,) = (await shop.engines.store.webhook_deliveries(where)).items
    assert listed.id == heard.id
    assert listed.body.encode() == heard.body
    assert listed.state == "success"
    assert listed.last is not None
    assert listed.last.status == 200
