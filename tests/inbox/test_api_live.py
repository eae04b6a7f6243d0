"""The live socket: every change reaches every page, each thing once, over lost connections too."""

from __future__ import annotations

import asyncio
import base64
import zlib
from typing import Any

import aiohttp
import pytest

from omni.bus.base import MISSED
from omni.gateway.inbox.cursors import Place, cursor_of
from omni.gateway.inbox.naming import conversation_of
from omni.live.inbox import inbox_topic
from omni.live.told import calls_topic
from tests.inbox.conftest import Hire
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, agent_of, until

BRUNO = "447700900123"


async def test_a_new_conversation_appears_by_itself(open_shop: OpenShop, hire: Hire, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    tess = await hire(shop)
    page = await tess.look_on()
    shop.say("hello")
    row = await page.row(lambda row: row["last"]["text"] == "You said: hello")
    assert row["contact"]["address"] == ADA
    assert row == await tess.row()


async def test_items_of_an_open_conversation_come_once_over_reconnects(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    tess = await hire(shop)
    shop.say("message 0")
    await shop.answers(1)
    row = await tess.row()
    first = await tess.get(f"/conversations/{row['id']}/items?limit=2")
    known, after = [item["id"] for item in first["items"]], first["after"]
    for n in range(1, 4):
        page = await tess.look_on()
        await page.say(type="open", conversation=row["id"], after=after)
        await page.heard(lambda frame: frame["type"] == "caught_up")
        shop.say(f"message {n}")
        await page.heard(
            lambda frame, n=n: (
                frame["type"] == "items"
                and any(item["type"] == "bot.message" and f"message {n}" in item["text"] for item in frame["items"])
            )
        )
        shop.say(f"unheard {n}")
        await page.close()
        known += [item["id"] for item in page.items(row["id"])]
        after = next(frame["after"] for frame in reversed(page.frames) if "after" in frame)
        await shop.answers(1 + 2 * n)
    await shop.quiet()
    page = await tess.look_on()
    await page.say(type="open", conversation=row["id"], after=after)
    await page.heard(lambda frame: frame["type"] == "caught_up")
    known += [item["id"] for item in page.items(row["id"])]
    whole = [item["id"] for item in await tess.items(row["id"])]
    assert known == whole[-len(known) :]
    assert whole[: -len(known)] + known == whole
    assert first["items"][0]["id"] in known


async def test_without_a_cursor_only_what_is_new_comes(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("old")
    await shop.answers(1)
    await shop.quiet()
    row = await tess.row()
    page = await tess.look_on()
    await page.say(type="open", conversation=row["id"], after=None)
    await page.heard(lambda frame: frame["type"] == "caught_up")
    shop.say("new")
    await page.heard(lambda frame: frame["type"] == "items" and "You said: new" in str(frame))
    assert "old" not in str(page.items(row["id"]))


async def test_the_next_call_of_a_conversation_follows(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    page = await tess.look_on()
    await page.say(type="open", conversation=row["id"], after=None)
    await page.heard(lambda frame: frame["type"] == "caught_up")
    await shop.commands.end(await shop.call(), "tess")
    await page.row(lambda one: one["state"] == "ended")
    shop.say("me again")
    again = await page.row(lambda one: one["last"]["text"] == "You said: me again")
    assert again["id"] == row["id"]
    assert again["call"] != row["call"]
    await page.heard(lambda frame: frame["type"] == "items" and "You said: me again" in str(frame))
    kinds = [item["type"] for item in page.items(row["id"])]
    assert kinds.index("call.ended") < kinds.index("call.started")


async def test_ticks_reach_whoever_has_the_conversation_open(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    page = await tess.look_on()
    await page.say(type="open", conversation=row["id"], after=None)
    await page.heard(lambda frame: frame["type"] == "caught_up")
    shop.say("again")
    ticked = await page.heard(lambda frame: frame["type"] == "delivery" and frame["delivery"]["state"] == "read")
    assert ticked["conversation"] == row["id"]


async def test_a_page_that_comes_back_learns_how_far_its_messages_went_meanwhile(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    """A message that seems to be on its way for good is sent once more by whoever waits for it."""
    shop = await open_shop(engine)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    page = await tess.look_on()
    await page.say(type="open", conversation=row["id"], after=None)
    await page.heard(lambda frame: frame["type"] == "caught_up")
    await tess.send(row["id"], {"text": "Tess here"})
    said = await page.heard(lambda frame: frame["type"] == "items" and "Tess here" in str(frame))
    await page.close()
    await shop.delivered("read", 2)
    back = await tess.look_on()
    await back.say(type="open", conversation=row["id"], after=said["after"])
    await back.heard(lambda frame: frame["type"] == "caught_up")
    told = {one["delivery"]["id"]: one["delivery"]["state"] for one in back.frames if one["type"] == "delivery"}
    (sent,) = await tess.items(row["id"], "human.message")
    assert told[sent["delivery"]["id"]] == "read"


async def test_colleagues_see_each_other_and_who_types(open_shop: OpenShop, hire: Hire, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    tess, sam = await hire(shop), await hire(shop, "sam")
    shop.say("hello")
    row = await tess.row()
    page, other = await tess.look_on(), await sam.look_on()
    await page.say(type="open", conversation=row["id"], after=None)
    await other.say(type="open", conversation=row["id"], after=None)
    both = sorted([tess.id, sam.id])
    await page.heard(
        lambda frame: frame["type"] == "presence" and [one["operator"] for one in frame["operators"]] == both
    )
    await other.say(type="typing", conversation=row["id"], on=True)
    typed = await page.heard(lambda frame: frame["type"] == "typing" and frame["who"] == "human")
    assert (typed["by"], typed["on"]) == (sam.id, True)
    shown = await tess.get(f"/conversations/{row['id']}")
    assert {"operator": sam.id, "typing": True} in shown["presence"]
    since = len(page.frames)
    await other.close()
    await page.heard(
        lambda frame: frame["type"] == "presence" and [one["operator"] for one in frame["operators"]] == [tess.id],
        since,
    )


async def test_a_feed_ends_with_its_last_page_and_begins_anew(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    topic = inbox_topic("default")

    def listens() -> bool:
        return any(task.get_name() == f"listen to {topic}" for task in asyncio.all_tasks())

    assert not listens()
    first, second = await tess.look_on(), await tess.look_on()
    assert listens()
    await first.close()
    await second.close()
    await until(lambda: not listens())
    page = await tess.look_on()
    shop.say("hello")
    await page.row(lambda row: row["last"]["text"] == "You said: hello")


async def test_an_agent_that_is_added_later_is_followed(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    page = await tess.look_on()
    await shop.engines.store.save_agent(agent_of("second", number="999888777"))
    frame = await page.heard(lambda frame: frame["type"] == "agents")
    assert [agent["slug"] for agent in frame["agents"]] == ["echo", "second"]


async def test_a_page_that_does_not_read_is_sent_away_and_harms_nobody(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omni.gateway.inbox.outbox.MOST_FRAMES", 2)
    shop = await open_shop(embedded)
    tess = await hire(shop)
    page = await tess.look_on()
    for _ in range(20):
        await page.say(type="ping")
    await until(lambda: _closed(page))
    assert page.ws.close_code == 1013
    assert (await tess.look_on()).frames[0]["type"] == "hello"


async def _closed(page: Any) -> bool:
    try:
        await page.next()
    except ConnectionError:
        return True
    return False


async def test_whoever_is_signed_out_is_sent_away(open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    page = await tess.look_on()
    assert (await tess.post("/sign-out")).status == 200
    bye = await page.heard(lambda frame: frame["type"] == "bye")
    assert "sign in" in bye["reason"]
    await until(lambda: _closed(page))
    assert page.ws.close_code == 4401
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await tess.look_on()


async def test_a_page_of_another_site_gets_no_socket(open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await tess.look_on(Origin="https://evil.example")


async def test_what_was_missed_is_said(open_shop: OpenShop, hire: Hire, services: dict[str, Any]) -> None:
    shop = await open_shop(services)
    tess = await hire(shop)
    page = await tess.look_on()
    for topic in (inbox_topic("default"), calls_topic("default", "echo")):
        since = len(page.frames)
        await shop.engines.bus.broadcast(topic, MISSED)
        await page.heard(lambda frame: frame["type"] == "stale", since)


async def test_a_cursor_that_was_made_up_leads_into_no_other_conversation(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    """Neither at the socket nor over HTTP, whatever stands in it; and the page goes on."""
    stranger = agent_of("stranger", number="555000111", org="other")
    numbers = {"other_phone_number_ids": ("555000111",)}
    shop = await open_shop(embedded, agent_of(), stranger, simulator=numbers)
    boss, outsider = await hire(shop), await hire(shop, org="other")
    shop.say("the secret")
    await shop.answers(1)
    theirs = await boss.row()
    shop.say("mine", phone_number_id="555000111")
    mine = await outsider.row()
    key = conversation_of(mine["id"])
    assert key is not None
    forged = [cursor_of(key, Place(theirs["call"], 0, 0))]
    for body in (b"5", b'["a"]', b"[5,0,0,0]", b'["a","b",0,0]', f'["{mine["call"]}",-1,0,0]'.encode(), b"[" * 600):
        checksum = zlib.crc32(key.encode() + b"\0" + body).to_bytes(4, "big")
        forged.append(base64.urlsafe_b64encode(checksum + body).decode().rstrip("="))
    page = await outsider.look_on()
    for cursor in forged:
        for field in ("after", "before"):
            asked = await outsider.ask("GET", f"/conversations/{mine['id']}/items?{field}={cursor}")
            assert asked.status == 422, (cursor, asked.body)
        since = len(page.frames)
        await page.say(type="open", conversation=mine["id"], after=cursor)
        told = await page.heard(lambda frame: frame["type"] in ("stale", "items", "caught_up"), since)
        assert told == {"type": "stale", "conversation": mine["id"]}
    await page.say(type="ping")
    await page.heard(lambda frame: frame["type"] == "pong")
    assert "the secret" not in str(page.frames)
