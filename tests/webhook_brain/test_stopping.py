"""A server that stops while many wait for a developer's answer."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from omni.model.agent import Agent
from tests.server.conftest import OpenShop
from tests.server.shop import agent_of
from tests.webhook_brain.receiver import Receiver, answers, streams_then_stays

PEOPLE = [f"120255{n:05}" for n in range(100)]


def agent(receiver: Receiver) -> Agent:
    return agent_of(brain="webhook", script=[], webhook={"url": receiver.url, "secret": "s", "timeout_s": 60})


async def test_turns_at_work_are_cut_when_the_server_stops_and_asked_again_when_it_is_back(
    open_shop: OpenShop, embedded: dict[str, Any], receiver: Receiver
) -> None:
    shop = await open_shop(embedded, agent(receiver))
    receiver.will(streams_then_stays({"text": "One", "interim": True}))
    for who in PEOPLE:
        shop.say("hello", who)
    asked = list(await receiver.requests(len(PEOPLE)))
    receiver.will(answers({"text": "Here I am."}))
    began = time.monotonic()
    await shop.restart()
    assert time.monotonic() - began < 20
    await asyncio.wait_for(asyncio.gather(*(each.gone.wait() for each in asked)), 10)
    for who in PEOPLE:
        assert await shop.answers(1, who) == ["Here I am."]
    await shop.quiet()
    assert len(shop.simulator.sent()) == len(PEOPLE)
