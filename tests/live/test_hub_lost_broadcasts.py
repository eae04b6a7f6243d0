"""A listener that overflowed, a broker that was away: followers read in the store what nobody could tell them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from yarl import URL

from omni.bus.base import MISSED, Bus
from omni.bus.rabbitmq import RabbitBus
from omni.bus.sqlite import SqliteBus
from omni.live.follower import QUEUE
from omni.live.hub import Hub
from omni.live.teller import Teller
from omni.live.told import calls_topic
from omni.model.entry import Custom
from omni.sqlite import SqliteFile
from omni.store.base import Store
from tests.live.line import AGENT, ORG, OpenHub, begin, following, seqs, started
from tests.server.shop import Proxy

NEVER = 3600.0


async def test_a_flood_that_pushes_broadcasts_out_is_made_up_for(tmp_path: Path, store: Store) -> None:
    bus = SqliteBus(SqliteFile(tmp_path / "bus.db"))
    await bus.open()
    hub = Hub(bus, store, "desk_1", compare_every=NEVER)
    await hub.start()
    old = begin(bus, store, "wa-1", "ct_1")
    await old.go_on(started())
    async with hub.follow_call("wa-1", after=1) as one, hub.follow_agent(ORG, AGENT) as all_:
        await following(one)
        await old.go_on()
        assert await seqs(all_, 2, "wa-1") == [2]
        lost = [await old.append(Custom(name="lost"))]
        new = begin(bus, store, "wa-2", "ct_2", started_at=time.time())
        lost.append(await new.append(started()))
        for told in lost:
            await old.tell(told)
        for _ in range(1_100):  # nobody else has the event loop meanwhile
            await bus.broadcast(calls_topic(ORG, AGENT), b'{"call": "x", "conversation": "y"}')
        assert await seqs(one, 3) == [2, 3]
        heard = sorted([await following(all_), await following(all_)], key=lambda told: told.call)
        assert [(told.call, [entry.seq for entry in told.entries]) for told in heard] == [("wa-1", [3]), ("wa-2", [1])]
    await hub.stop()
    await bus.close()


@pytest.fixture
async def proxy(rabbitmq_url: str) -> AsyncIterator[Proxy]:
    target = URL(rabbitmq_url)
    proxy = Proxy(target.host or "", target.port or 5672)
    await proxy.open()
    yield proxy
    await proxy.close()


@pytest.mark.rabbitmq
async def test_what_was_written_while_the_broker_was_away_is_made_up_for(
    rabbitmq_url: str, rabbitmq_prefix: str, proxy: Proxy, store: Store
) -> None:
    url = str(URL(rabbitmq_url).with_host("127.0.0.1").with_port(proxy.port))
    bus = RabbitBus(url, prefix=rabbitmq_prefix.rstrip("."))
    await bus.open()
    hub = Hub(bus, store, "desk_1", compare_every=NEVER)
    await hub.start()
    old = begin(bus, store, "wa-1", "ct_1")
    await old.go_on(started())
    conversation = old.call.conversation
    async with (
        hub.follow_call("wa-1", after=1) as one,
        hub.follow_agent(ORG, AGENT) as all_,
        hub.follow_conversation(ORG, AGENT, conversation) as person,
    ):
        await following(one)
        await old.go_on()
        assert await seqs(all_, 2, "wa-1") == [2]
        proxy.cut()
        old.teller = Teller(bus)  # raises nothing while the broker is away
        await old.end()
        new = begin(bus, store, "wa-2", "ct_1", started_at=time.time())
        await new.go_on(started())
        proxy.restore()
        assert await seqs(one, 4) == [2, 3, 4]
        assert await seqs(all_, 4, "wa-1") == [3, 4]
        assert await seqs(all_, 1, "wa-2") == [1]
        assert await seqs(person, 4, "wa-1") == [2, 3, 4]
        assert await seqs(person, 1, "wa-2") == [1]
        await new.go_on()
        assert await seqs(all_, 2, "wa-2") == [2]
    await hub.stop()
    await bus.close()


async def test_a_call_whose_first_news_were_lost_is_told_from_its_beginning(
    bus: Bus, store: Store, open_hub: OpenHub
) -> None:
    hub = await open_hub()
    old = begin(bus, store, "wa-1", "ct_1", started_at=time.time() - 60)
    await old.append(started(), Custom(name="before"))
    new = begin(bus, store, "wa-2", "ct_2", started_at=time.time() + 60)
    async with (
        hub.follow_agent(ORG, AGENT) as all_,
        hub.follow_conversation(ORG, AGENT, new.call.conversation) as person,
    ):
        await old.go_on()
        assert await seqs(all_, 3, "wa-1") == [3]
        await new.append(started())
        await new.append(Custom(name="lost"))
        await new.go_on()
        assert await seqs(all_, 3, "wa-2") == [1, 2, 3]
        assert await seqs(person, 3, "wa-2") == [1, 2, 3]


async def test_many_calls_that_are_behind_at_once_make_nobody_slow(bus: Bus, store: Store, open_hub: OpenHub) -> None:
    hub = await open_hub()
    count = QUEUE + 44
    async with hub.follow_agent(ORG, AGENT) as all_:
        lines = [begin(bus, store, f"wa-{n}", f"ct_{n}", started_at=time.time() + 60) for n in range(count)]
        half = lines[: count // 2]
        for line in half:
            await line.go_on(started())
            await seqs(all_, 1)
            await line.append(Custom(name="lost"))
        for line in lines[count // 2 :]:
            await line.append(started(), Custom(name="lost"))
        await bus.broadcast(calls_topic(ORG, AGENT), MISSED)
        heard: dict[str, list[int]] = {}
        while len(heard) < count:
            told = await following(all_)
            heard.setdefault(told.call, []).extend(entry.seq for entry in told.entries)
    assert all(heard[line.call.id] == ([2] if line in half else [1, 2]) for line in lines)


async def test_a_call_that_was_forgotten_for_others_is_not_told_again(
    bus: Bus, store: Store, open_hub: OpenHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omni.live.follower.REMEMBERED", 3)
    hub = await open_hub()
    async with hub.follow_agent(ORG, AGENT) as all_:
        lines = [begin(bus, store, f"wa-{n}", f"ct_{n}", started_at=time.time() + 60) for n in range(4)]
        for line in lines:
            await line.go_on(started())
            await seqs(all_, 1)
        await lines[0].go_on()
        assert await seqs(all_, 2) == [2]
