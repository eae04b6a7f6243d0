"""What a colleague sends arrives once, however often it is asked for, through whichever gateway."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from channels.whatsapp.simulator import FaultRule
from omni.app.server import Server
from tests.inbox.conftest import Hire
from tests.server.conftest import OpenShop
from tests.server.shop import Shop, agent_of, until

DAY = 86_400.0


async def test_a_message_sent_again_under_its_key_is_one_message(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    tess, sam = await hire(shop), await hire(shop, "sam")
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    answers = await asyncio.gather(*(tess.send(row["id"], {"text": "once"}, "key-1") for _ in range(4)))
    assert [(answer.status, answer.body) for answer in answers] == [(202, {"key": "key-1"})] * 4
    await shop.answers(2)
    assert (await tess.send(row["id"], {"text": "once"}, "key-1")).status == 202
    other = await tess.send(row["id"], {"text": "another"}, "key-1")
    assert (other.status, other.body["error"]["field"]) == (422, "Idempotency-Key")
    stolen = await sam.send(row["id"], {"text": "mine", "steal": True}, "key-1")  # a key is its sender's own
    assert stolen.status == 202
    assert (await shop.answers(3))[1:] == ["once", "mine"]
    await shop.quiet()
    assert len(shop.simulator.sent()) == 3
    said = await tess.items(row["id"], "human.message")
    assert [(item["key"], item["by"]) for item in said] == [("key-1", tess.id), ("key-1", sam.id)]


async def test_the_same_message_through_two_gateways_arrives_once(
    open_shop: OpenShop, hire: Hire, services: dict[str, Any]
) -> None:
    shop = await open_shop(services)
    other = Server(shop.settings.model_copy(update={"port": 0}), role="gateway")
    await other.start()
    try:
        tess = await hire(shop)
        shop.say("hello")
        await shop.answers(1)
        row = await tess.row()
        tess.headers.pop("Origin")
        answers = await asyncio.gather(
            *(tess.send(row["id"], {"text": "once"}, "key-1", url=url) for url in (shop.url, other.url) * 3)
        )
        assert {answer.status for answer in answers} == {202}
        page = await tess.look_on(url=other.url, Origin=other.url)
        await shop.answers(2)
        await tess.send(row["id"], {"text": "twice"}, "key-2")
        assert (await page.row(lambda row: row["last"]["text"] == "twice"))["handled_by"] == tess.id
        assert (await tess.send(row["id"], {"text": "not this"}, "key-2", url=other.url)).status == 422
        await shop.answers(3)
        await shop.quiet()
        assert len(shop.simulator.sent()) == 3
    finally:
        await other.stop()


async def test_wrong_messages_are_refused_with_a_sentence(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    account = {"waba_id": "318450992714406"}
    shop = await open_shop(embedded, agent_of(channel=account), simulator=account)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    path = f"/conversations/{row['id']}/messages"
    for body, field in (
        ({}, "text"),
        ({"text": "  "}, "text"),
        ({"text": "x" * 4097}, "text"),
        ({"text": 5}, "text"),
        ({"words": "x"}, "words"),
        ({"files": ["iup_forged.mac"]}, "files"),
        ({"template": {"name": "none", "language": "en"}}, "template"),
    ):
        answer = await tess.send(row["id"], body)
        assert (answer.status, answer.body["error"]["field"]) == (422, field), body
    for headers in ({}, {"Idempotency-Key": "x" * 101}, {"Idempotency-Key": " "}):
        answer = await tess.post(path, {"text": "x"}, headers=headers)
        assert (answer.status, answer.body["error"]["field"]) == (422, "Idempotency-Key")
    assert (await tess.row())["handler"] == "bot"  # none of it took the conversation over


async def test_a_closed_window_refuses_text_before_anything_is_done(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("long ago", timestamp=int(time.time() - 2 * DAY))
    await shop.logged("user.message", 1)
    row = await tess.row(lambda row: row["last"]["from"] is not None)
    assert row["window_closes_at"] < time.time()
    answer = await tess.send(row["id"], {"text": "hello again"})
    assert (answer.status, answer.error) == (409, "window_closed")
    assert (await tess.row())["handler"] == "bot"


async def test_a_failed_message_is_sent_again_once(open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    await shop.quiet()
    row = await tess.row()
    fault = shop.simulator.add_fault(FaultRule(kind="error", code=131026, times=None))
    page = await tess.look_on()
    await page.say(type="open", conversation=row["id"], after=None)
    await tess.send(row["id"], {"text": "important"})
    failed = await page.heard(lambda frame: frame["type"] == "delivery" and frame["delivery"]["state"] == "failed")
    delivery = failed["delivery"]
    assert delivery["retryable"] is True
    assert (await page.row(lambda row: row["failed"] == 1))["id"] == row["id"]
    shop.simulator.faults.remove(fault)
    path = f"/conversations/{row['id']}/messages/{delivery['id']}/retry"
    for answer in await asyncio.gather(*(tess.post(path) for _ in range(3))):
        assert answer.status == 202
    assert (await shop.answers(2))[1] == "important"
    await shop.quiet()
    assert len(shop.simulator.sent()) == 2
    (bots,) = await tess.items(row["id"], "bot.message")
    assert (await tess.post(f"/conversations/{row['id']}/messages/{bots['delivery']['id']}/retry")).error == "changed"
    assert (await tess.post(f"/conversations/{row['id']}/messages/dlv_nothing/retry")).status == 404


async def test_a_reaction_is_sent_and_shown(open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    (said,) = await tess.items(row["id"], "user.message")
    answer = await tess.post(f"/conversations/{row['id']}/reactions", {"target": said["provider_id"], "emoji": "👍"})
    assert answer.status == 202
    (reaction,) = await tess.told(row["id"], "reaction")
    assert (reaction["emoji"], reaction["by"], reaction["target"]) == ("👍", "human", said["provider_id"])
    await until(lambda: any(sent.type == "reaction" for sent in shop.simulator.sent()))


async def test_what_the_log_says_of_a_message_has_its_senders_key(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop: Shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    page = await tess.look_on()
    await page.say(type="open", conversation=row["id"], after=None)
    await page.heard(lambda frame: frame["type"] == "caught_up")
    await tess.send(row["id"], {"text": "mine"}, "letter-7")
    await page.heard(lambda frame: frame["type"] == "items" and "letter-7" in str(frame))
    (item,) = [item for item in page.items(row["id"]) if item["type"] == "human.message"]
    assert item["key"] == "letter-7"
