"""The session worker under pressure, on the embedded engines: what it holds, what it lets pass, what it never loses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from omni.bus.base import Outgoing
from omni.bus.sqlite import SqliteBus
from omni.model.agent import Agent
from omni.model.call import Call
from omni.model.contact import Identity, IdentityKind, Sender
from omni.model.entry import BotSaid, Entry, Fact, TurnEnded, UserSaid
from omni.model.ids import new_call_id, new_id
from omni.model.inbound import AnyInput, UserMessage, pack
from omni.model.message import Message
from omni.model.queues import every_queue, inbound_for
from omni.sqlite import SqliteFile
from omni.store.base import Append, CallFilter, StoreUnavailableError
from omni.store.sqlite import SqliteStore
from sessions.actor import MAILS_AT_ONCE
from sessions.book import Book
from sessions.brains.base import Brain, Chunk, Say, ToolOutcome, Turn
from sessions.commands import Commands
from sessions.prompt import render
from sessions.world import World
from workers.session import SessionWorker

CHANNEL = "whatsapp:100"
PARTITIONS = 1


class GatedBrain:
    """Answers what it is asked, as soon as its gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked: list[str] = []

    async def answer(self, turn: Turn) -> AsyncGenerator[Chunk, None]:
        self.asked.append(turn.text)
        await self.gate.wait()
        yield Say(f"You said: {turn.text}")

    async def close(self) -> None: ...


class LeavingStore(SqliteStore):
    """The embedded store, which cannot be written to while it is `away`."""

    away = False
    refused = 0
    longest = 0
    """Entries of the longest step."""

    async def append(self, step: Append) -> None:
        if self.away:
            self.refused += 1
            raise StoreUnavailableError("the disk is full")
        self.longest = max(self.longest, len(step.entries))
        await super().append(step)


class Desk:
    """A session worker, its engines, and people who write. `offset` seconds are what its clock is wrong by."""

    def __init__(self, store: LeavingStore, bus: SqliteBus) -> None:
        self.store = store
        self.bus = bus
        self.brain = GatedBrain()
        self.book = Book(store, bus, refresh=3600.0)
        self.commands = Commands(store, bus, PARTITIONS)
        self.offset = 0.0

    def clock(self) -> float:
        return time.time() + self.offset

    @asynccontextmanager
    async def working(self, **options: Any) -> AsyncIterator[SessionWorker]:
        async def no_tool(*_: Any) -> ToolOutcome:
            raise AssertionError("no tools here")

        def brain(_: Agent) -> Brain:
            return self.brain

        world = World(
            store=self.store,
            bus=self.bus,
            agents=self.book,
            brains=brain,
            run_tool=no_tool,
            partitions=PARTITIONS,
            clock=self.clock,
            new_id=new_id,
            new_call_id=new_call_id,
            render=render,
            typing_after=60.0,
        )
        worker = SessionWorker(world, **options)
        await worker.start()
        try:
            yield worker
        finally:
            await worker.stop(0.0)

    def message(self, who: str, text: str, agent: str = "desk") -> UserMessage:
        id_ = new_id("wamid")
        return UserMessage(
            key=f"wa:100:{id_}",
            agent=agent,
            channel=CHANNEL,
            at=self.clock(),
            sender=Sender(
                identities=(Identity(kind=IdentityKind.WA_ID, value=who),), routing=f"whatsapp:default:{who}"
            ),
            provider_id=id_,
            sent_at=self.clock(),
            message=Message.of(text),
        )

    async def publish(self, *inputs: AnyInput) -> None:
        queue = inbound_for("the only partition", PARTITIONS).name
        await self.bus.publish([Outgoing(queue, pack(inputs), inputs[0].key)])

    async def say(self, who: str, *texts: str) -> None:
        for text in texts:
            await self.publish(self.message(who, text))

    async def calls(self) -> list[Call]:
        return await self.store.calls(CallFilter(org="default"), limit=1000)

    async def logged(self, type_: str) -> list[Any]:
        calls = await self.calls()
        return [e.fact for c in calls for e in await self.store.entries(c.id, limit=6000) if e.fact.type == type_]

    async def answered(self, count: int) -> None:
        async def enough() -> bool:
            return len(await self.logged("bot.speaking")) >= count

        await until(enough)

    async def asked(self, count: int) -> None:
        async def enough() -> bool:
            return len(self.brain.asked) >= count

        await until(enough)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.005)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        file = SqliteFile(tmp_path / "omni.db", sync="normal")
        store, bus = LeavingStore(file), SqliteBus(file)
        await store.open()
        stack.push_async_callback(store.close)
        await bus.open()
        stack.push_async_callback(bus.close)
        await bus.declare(every_queue(PARTITIONS))
        await store.save_agent(Agent(slug="desk", brain="script", debounce_ms=0))
        desk = Desk(store, bus)
        await desk.book.start()
        stack.push_async_callback(desk.book.stop)
        yield desk


async def test_a_pause_gets_through_while_slow_brains_owe_an_answer_to_everybody(desk: Desk) -> None:
    async with desk.working(prefetch=8):
        for number in range(20):
            await desk.say(f"1555{number:04}", "hello")
        await desk.asked(20)
        (call,) = [c for c in await desk.calls() if c.home.endswith("15550007")]
        await desk.commands.pause(call, "ana")

        async def paused() -> bool:
            now = await desk.store.call(call.id)
            return now is not None and now.handler == "human"

        await until(paused)
        desk.brain.gate.set()
        await desk.answered(19)
        assert len(await desk.logged("bot.speaking")) == 19


async def test_a_pause_gets_through_to_the_person_who_writes_without_end(desk: Desk) -> None:
    async with desk.working(prefetch=8):
        await desk.say("15550001", *(f"and {n}" for n in range(40)))

        async def heard() -> bool:
            return len(await desk.logged("user.message")) == 40

        await until(heard)
        (call,) = await desk.calls()
        await desk.commands.pause(call, "ana")

        async def paused() -> bool:
            now = await desk.store.call(call.id)
            return now is not None and now.handler == "human"

        await until(paused)
    assert await desk.logged("bot.speaking") == []


async def test_what_was_not_kept_in_hand_is_answered_by_the_next_worker(desk: Desk) -> None:
    async with desk.working(prefetch=4):
        for number in range(12):
            await desk.say(f"1555{number:04}", "hello")
        await desk.asked(12)
    desk.brain.gate.set()
    async with desk.working(prefetch=4, sweep=0.01):
        await desk.answered(12)
        assert sorted(c.home for c in await desk.calls()) == [f"whatsapp:default:1555{n:04}" for n in range(12)]


async def test_a_message_that_overtakes_the_news_of_its_agent_is_answered(desk: Desk) -> None:
    """The webhook knew the agent; the session worker reads of it seconds later."""
    desk.brain.gate.set()
    async with desk.working():
        await desk.store.save_agent(Agent(slug="newcomer", brain="script", debounce_ms=0))
        await desk.publish(desk.message("15550001", "hello", agent="newcomer"))
        await desk.answered(1)


async def test_a_message_for_an_agent_that_was_removed_is_a_dead_letter(desk: Desk) -> None:
    async with desk.working():
        await desk.publish(desk.message("15550001", "hello", agent="nobody"))

        async def buried() -> bool:
            return len(await desk.bus.dead_letters()) == 1

        await until(buried)
        (letter,) = await desk.bus.dead_letters()
        assert "nobody" in letter.error


async def test_a_message_that_is_in_its_batch_twice_is_not_acknowledged_before_it_is_written(desk: Desk) -> None:
    """Its twin was counted as done at every try: after two the batch was gone, and a crash would have lost it."""
    desk.brain.gate.set()
    async with desk.working():
        desk.store.away = True
        twin = desk.message("15550001", "hello")
        await desk.publish(twin, twin, desk.message("15550001", "and more"))

        async def tried() -> bool:
            return desk.store.refused >= 4

        await until(tried)
        assert (await desk.bus.depth("inbound.0")).taken == 1
        desk.store.away = False
        await desk.answered(1)
        assert [said.text for said in await desk.logged("user.message")] == ["hello", "and more"]


async def test_an_answer_that_another_worker_left_unsent_is_sent_although_the_call_is_at_hand_here(desk: Desk) -> None:
    """The partition was elsewhere for a moment; its worker logged the answer and died before it was on the bus."""
    desk.brain.gate.set()
    async with desk.working():
        await desk.say("15550001", "hello")
        await desk.answered(1)

        async def queued() -> int:
            return (await desk.bus.depth("outbound.0")).ready

        async def sent(count: int) -> bool:
            return await queued() == count

        await until(lambda: sent(1))
        (call,) = await desk.calls()
        (first,) = await desk.store.deliveries(call.id)
        heard = desk.message("15550001", "are you there?")
        said = UserSaid(id="msg-x", text="?", provider_id=heard.provider_id, at=heard.at, message=heard.message)
        answer = first.model_copy(update={"id": "dlv-x", "seq": call.last_seq + 2, "version": 0})
        reply = BotSaid(id="msg-y", text="yes", turn=2, delivery=answer)
        facts: list[Fact] = [said, reply, TurnEnded(turn=2, answers=("msg-x",))]
        entries = [
            Entry(seq=call.last_seq + n, ts=heard.at, call=call.id, agent="desk", fact=fact)
            for n, fact in enumerate(facts, 1)
        ]
        document = call.model_copy(update={"last_seq": call.last_seq + 3})
        await desk.store.append(Append(call=document, entries=entries, keys=[heard.key], deliveries=[answer]))
        await desk.publish(heard)
        await until(lambda: sent(3))  # the first one's record is still queued here, so it is handed over again
        assert len(await desk.logged("bot.speaking")) == 2


async def test_a_clock_that_is_set_back_delays_no_answer(desk: Desk) -> None:
    desk.brain.gate.set()
    await desk.store.save_agent(Agent(slug="desk", brain="script", debounce_ms=300))
    await desk.book.refresh()
    async with desk.working():
        await desk.say("15550001", "hello")

        async def heard() -> bool:
            return len(await desk.logged("user.message")) == 1

        await until(heard)
        desk.offset = -3600.0
        await desk.answered(1)


async def test_a_flood_from_one_person_is_taken_in_small_steps(desk: Desk) -> None:
    """All at once, 5,000 messages held the event loop for 0.6 s."""
    async with desk.working():
        for post in range(5):
            messages = [desk.message("15550001", f"{post}: {n}") for n in range(1000)]
            bodies = [pack(tuple(messages[n : n + 200])) for n in range(0, 1000, 200)]
            await desk.bus.publish([Outgoing("inbound.0", body, f"{post}-{n}") for n, body in enumerate(bodies)])

        async def heard() -> bool:
            calls = await desk.calls()
            return bool(calls) and calls[0].user_messages == 5000

        await until(heard, 60)
        texts = [said.text for said in await desk.logged("user.message")]
        assert texts == [f"{post}: {n}" for post in range(5) for n in range(1000)]
        assert desk.store.longest <= MAILS_AT_ONCE + 1
