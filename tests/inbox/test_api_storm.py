"""A team that all does everything at once, through two gateways, while the customer writes on."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from omni.app.server import Server
from omni.model.entry import BotSaid, CallEnded, HandoffActive, HandoffReleased, HumanSaid
from tests.inbox.colleagues import Colleague
from tests.inbox.conftest import Hire
from tests.server.conftest import OpenShop
from tests.server.shop import Shop

ROUNDS = 12


@pytest.mark.timeout(180)
async def test_in_a_storm_of_takeovers_nothing_is_lost_nothing_comes_twice_and_the_bot_talks_over_nobody(
    open_shop: OpenShop, hire: Hire, services: dict[str, Any]
) -> None:
    shop = await open_shop(services)
    other = Server(shop.settings.model_copy(update={"port": 0}), role="gateway")
    await other.start()
    try:
        places = {"tess": shop.url, "sam": other.url, "bo": other.url}
        team = [await hire(shop, name, url=url) for name, url in places.items()]
        shop.say("hello")
        await shop.answers(1)
        row = await team[0].row()
        page = await team[0].look_on()
        await page.say(type="open", conversation=row["id"], after=None)
        await page.heard(lambda frame: frame["type"] == "caught_up")
        had = {item["id"] for item in await team[0].items(row["id"])}
        promised = await asyncio.gather(
            *(_works(one, row["id"], random.Random(n)) for n, one in enumerate(team)), _writes_on(shop)
        )
        await shop.quiet()
        texts = Counter(text for found in promised for text in found)
        await _is_kept(shop, texts)
        whole = [item["id"] for item in await team[0].items(row["id"])]
        await page.heard(lambda frame: frame["type"] == "items" and whole[-1] in {one["id"] for one in frame["items"]})
        told = page.items(row["id"])
        ids = [item["id"] for item in told]
        assert len(ids) == len(set(ids))
        assert set(whole) <= {*ids, *had}
        numbers = [item["seq"] for item in told if item["call"] == row["call"]]
        assert numbers == sorted(numbers)
    finally:
        await other.stop()


async def _works(one: Colleague, conversation: str, dice: random.Random) -> list[str]:
    """What they were told goes out."""
    path, promised = f"/conversations/{conversation}", []
    for n in range(ROUNDS):
        steal = dice.random() < 0.4
        act = dice.choice(["take", "release", "send", "send", "end", "reopen", "note"])
        if act == "send":
            text = f"{one.id} says {n}"
            answers = await asyncio.gather(
                *(one.send(conversation, {"text": text, "steal": steal}, f"{one.id}-{n}") for _ in range(2))
            )
            if any(answer.status == 202 for answer in answers):
                promised.append(text)
        else:
            body = {"text": f"note {n}"} if act == "note" else {} if act == "reopen" else {"steal": steal}
            answer = await one.post(f"{path}/{act}s" if act == "note" else f"{path}/{act}", body)
            assert answer.status in (201, 202, 409), (act, answer.body)
    return promised


async def _writes_on(shop: Shop) -> list[str]:
    said = [f"I say {n}" for n in range(2 * ROUNDS)]
    for text in said:
        shop.say(text)
        await shop.simulator.webhooks.idle()
    return []


async def _is_kept(shop: Shop, promised: Counter[str]) -> None:
    holder: str | None = None
    human: list[str] = []
    heard: list[str] = []
    bot: list[str] = []
    for call in sorted(await shop.calls(), key=lambda call: call.started_at):
        for entry in await shop.engines.store.entries(call.id):
            match entry.fact:
                case HandoffActive(by=by):
                    holder = by
                case HandoffReleased() | CallEnded():
                    holder = None
                case BotSaid():
                    assert holder is None, "the bot talked over somebody"
                    bot.append(entry.fact.text)
                case HumanSaid():
                    human.append(entry.fact.text)
                case fact if fact.type == "user.message":
                    heard.append(fact.text)  # type: ignore[attr-defined]
    assert Counter(heard) == Counter({"hello": 1} | {f"I say {n}": 1 for n in range(2 * ROUNDS)})
    assert not promised - Counter(human), "a message that was promised is lost"
    assert max(Counter(human).values(), default=1) == 1
    arrived = Counter(sent.body["text"]["body"] for sent in shop.simulator.sent())
    assert {text: arrived[text] for text in human} == dict.fromkeys(human, 1)
    assert max(arrived.values()) == 1
