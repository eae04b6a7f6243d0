"""Engines that go away, gateways beside each other: the inbox says so, and shows what it missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from yarl import URL

from omni.app.server import Server
from omni.gateway.inbox.uploads import KEPT_SECONDS, Sweeper
from omni.model.inbound import EndCall
from tests.brains.llm_server import says
from tests.chat.conftest import OpenChat, open_chat
from tests.chat.pages import agent_of as chat_agent
from tests.inbox.conftest import Hire
from tests.server.conftest import OpenShop, proxy_to
from tests.server.shop import Proxy

__all__ = ["open_chat", "proxy_to"]

ProxyTo = Callable[[str, int], Awaitable[Proxy]]


@pytest.mark.parametrize("engine_cut", ["bus", "store"])
async def test_after_an_outage_pages_are_told_and_miss_nothing(
    proxy_to: ProxyTo, open_shop: OpenShop, hire: Hire, services: dict[str, Any], engine_cut: str
) -> None:
    """The door to the engine is asked for first, and so stays until everybody behind it has left."""
    name = "bus_url" if engine_cut == "bus" else "store_url"
    real = URL(services[name])
    assert real.host is not None
    assert real.port is not None
    proxy = await proxy_to(real.host, real.port)
    through = real.with_host("127.0.0.1").with_port(proxy.port)
    if engine_cut == "store":
        through = through.update_query(serverSelectionTimeoutMS="500")
    shop = await open_shop({**services, name: str(through)})
    tess = await hire(shop)
    shop.say("before")
    await shop.answers(1)
    row = await tess.row()
    page = await tess.look_on()
    await page.say(type="open", conversation=row["id"], after=None)
    await page.heard(lambda frame: frame["type"] == "caught_up")
    proxy.cut()
    answer = await tess.send(row["id"], {"text": "during"}, "key-1")
    assert answer.status in (202, 503)
    shop.say("meanwhile")  # the provider repeats what we cannot store
    proxy.restore()
    while answer.status == 503:
        answer = await tess.send(row["id"], {"text": "during"}, "key-1")
    assert answer.status == 202
    if engine_cut == "bus":
        await page.heard(lambda frame: frame["type"] == "stale")
    await page.heard(lambda frame: frame["type"] == "items" and "meanwhile" in str(frame))
    await page.heard(lambda frame: frame["type"] == "items" and "key-1" in str(frame))
    await page.row(lambda one: one["handled_by"] == tess.id)
    await shop.quiet()
    told = [item["id"] for item in page.items(row["id"])]
    assert len(told) == len(set(told))
    whole = [item["id"] for item in await tess.items(row["id"])]
    since = whole[whole.index(told[0]) :]
    said = [id_ for id_ in told if not id_.startswith("case:")]
    assert said == [id_ for id_ in since if not id_.startswith("case:")][: len(said)]
    assert set(told) <= set(since), "what became of the case meanwhile may be told a little later than it was"
    texts = [sent.body["text"]["body"] for sent in shop.simulator.sent()]
    assert texts.count("during") == 1


async def test_colleagues_at_two_gateways_see_each_other(
    open_shop: OpenShop, hire: Hire, services: dict[str, Any]
) -> None:
    shop = await open_shop(services)
    other = Server(shop.settings.model_copy(update={"port": 0}), role="gateway")
    await other.start()
    try:
        tess, sam = await hire(shop), await hire(shop, "sam", url=other.url)
        shop.say("hello")
        await shop.answers(1)
        row = await tess.row()
        here, there = await tess.look_on(), await sam.look_on()
        await here.say(type="open", conversation=row["id"], after=None)
        await there.say(type="open", conversation=row["id"], after=None)
        both = sorted([tess.id, sam.id])
        for page in (here, there):
            await page.heard(
                lambda frame: frame["type"] == "presence" and [one["operator"] for one in frame["operators"]] == both
            )
        await sam.post(f"/conversations/{row['id']}/notes", {"text": "from over there"})
        await here.heard(lambda frame: frame["type"] == "items" and "from over there" in str(frame))
        await sam.post(f"/conversations/{row['id']}/take")
        assert (await here.row(lambda one: one["handler"] == "human"))["handled_by"] == sam.id
    finally:
        await other.stop()
    await here.heard(
        lambda frame: frame["type"] == "presence" and [one["operator"] for one in frame["operators"]] == [tess.id],
        len(here.frames) - 1,
    )
    assert (await there.heard(lambda frame: frame["type"] == "bye"))["reason"].startswith("the server stops")


async def test_the_bots_words_are_seen_while_they_are_written(open_chat: OpenChat, hire: Hire, llm: Any) -> None:
    chat = await open_chat(chat_agent(brain="llm", script=[]), llm_base_url=llm.base_url)
    tess = await hire(chat)
    visitor = await chat.visitor()
    await visitor.says("m1", "hello")
    await visitor.hears("bot")
    row = await tess.row()
    page = await tess.look_on()
    await page.say(type="open", conversation=row["id"], after=None)
    await page.heard(lambda frame: frame["type"] == "caught_up")
    llm.will(says("The ", "bot ", "writes."))
    await visitor.says("m2", "again")
    await page.heard(lambda frame: frame["type"] == "items" and "The bot writes." in str(frame))
    words = [frame for frame in page.frames if frame["type"] == "words"]
    assert words
    assert {frame["conversation"] for frame in words} == {row["id"]}
    assert "".join(frame["text"] for frame in words) in "The bot writes."


async def test_what_was_under_way_when_a_colleague_stole_it_takes_nothing_from_them(
    open_shop: OpenShop, hire: Hire, services: dict[str, Any]
) -> None:
    """The workers are away, so that every command is checked before the steal and acted on after it."""
    shop = await open_shop(services)
    tess, sam = await hire(shop), await hire(shop, "sam")
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    path = f"/conversations/{row['id']}"
    assert (await tess.post(f"{path}/take")).status == 202
    await shop.quiet()
    await shop.server.stop()
    gateway = Server(shop.settings.model_copy(update={"port": 0}), role="gateway")
    await gateway.start()
    try:
        for one in (tess, sam):
            one.url = one.headers["Origin"] = gateway.url
        assert (await sam.post(f"{path}/take", {"steal": True})).status == 202
        answers = [await tess.send(row["id"], {"text": "on its way"}, "key-1")]
        answers += await asyncio.gather(tess.post(f"{path}/release"), tess.post(f"{path}/end"))
        assert [answer.status for answer in answers] == [202] * 3
    finally:
        await gateway.stop()
    shop.server = Server(shop.settings.model_copy(update={"port": shop.server.port}))
    await shop.server.start()
    assert (await shop.answers(2))[1] == "on its way"  # never lost: its sender was told that it goes out
    shop.say("who is there?")
    await shop.logged("user.message", 2)
    await shop.quiet()
    call = await shop.call()
    assert (call.is_open, call.handler, call.handled_by) == (True, "human", sam.id)
    assert len(shop.simulator.sent()) == 2  # not a word of the bot
    assert [fact.by for fact in await shop.logged("handoff.active", 2)] == [tess.id, sam.id]


async def test_a_file_whose_sending_is_in_doubt_is_kept(
    proxy_to: ProxyTo, open_shop: OpenShop, hire: Hire, services: dict[str, Any]
) -> None:
    """The bus may have a message although it could not say so: its file must not be swept away as one never sent."""
    real = URL(services["bus_url"])
    assert real.host is not None
    assert real.port is not None
    proxy = await proxy_to(real.host, real.port)
    shop = await open_shop({**services, "bus_url": str(real.with_host("127.0.0.1").with_port(proxy.port))})
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    await tess.post(f"/conversations/{row['id']}/take")
    await shop.quiet()
    headers = {"Content-Type": "text/plain", "X-Filename": "a.txt"}
    uploaded = await tess.ask("POST", f"/uploads?conversation={row['id']}", data=b"the file", headers=headers)
    body = {"files": [uploaded.body["id"]]}
    proxy.cut()
    assert (await tess.send(row["id"], body, "key-1")).status == 503
    later = time.time() + 2 * KEPT_SECONDS
    await Sweeper(shop.engines.store, shop.engines.blobs, lambda: later).sweep()
    proxy.restore()
    while (await tess.send(row["id"], body, "key-1")).status == 503:
        pass
    (said,) = await tess.told(row["id"], "human.message")
    assert (await tess.ask("GET", said["parts"][0]["url"])).body == b"the file"


async def test_what_a_customer_wrote_while_it_was_resolved_is_not_put_away_with_it(
    open_shop: OpenShop, hire: Hire, services: dict[str, Any]
) -> None:
    """Known to the gateway, it is said at once; on its way to the worker before the order is, the call stays open."""
    shop = await open_shop(services)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    path = f"/conversations/{row['id']}"
    await tess.post(f"{path}/take")
    seen = await tess.row(lambda row: row["handler"] == "human")
    shop.say("one more thing")
    newer = await tess.row(lambda row: row["unread"] == 2)
    late = await tess.post(f"{path}/end", {"call": seen["call"], "seq": seen["seq"]})
    assert (late.status, late.error) == (409, "changed")
    await shop.quiet()
    command = EndCall(**shop.commands.head(await shop.call()), by=tess.id, reason="resolved", heard=2)
    shop.say("and another")
    await shop.logged("user.message", 3)
    await shop.commands.issue(command)  # as from a gateway that has not heard of it
    await shop.quiet()
    assert (await tess.row())["state"] == "open"
    assert (await tess.post(f"{path}/end", {"call": newer["call"], "seq": newer["seq"]})).error == "changed"
    newest = await tess.row(lambda row: row["unread"] == 3)
    done = await tess.post(f"{path}/end", {"call": newest["call"], "seq": newest["seq"]})
    assert (done.status, done.body["open"]) == (202, False)
