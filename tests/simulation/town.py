"""A simulated town: people who write, a bot that answers, colleagues who take over, workers that are killed.

`Town(seed).run()` plays some hundred conversations and then looks, from outside, at what design.md promises.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from channels.base import Accepted, Action, Download, Piece, RefusedError
from omni.bus.base import Outgoing
from omni.live.told import Told
from omni.model.agent import Agent
from omni.model.behaviour import Tool
from omni.model.channel import WhatsAppChannel
from omni.model.contact import Identity, IdentityKind, Sender
from omni.model.delivery import Delivery, DeliveryState, StatusUpdate, pack_statuses
from omni.model.entry import (
    BotSaid,
    Entry,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HumanSaid,
    TurnEnded,
    UserSaid,
)
from omni.model.inbound import AnyInput, Pause, Resume, SendMessage, UserMessage, pack
from omni.model.message import Message
from omni.model.queues import STATUSES, commands_for, every_queue, inbound_for
from sessions.brains.base import BrainError, Break, Chunk, HandOver, Say, ToolOutcome, Turn
from sessions.world import World as Outside
from tests.simulation.engines import Process, SimBus, SimStore, World
from tests.simulation.program import Program
from tests.simulation.virtual import VirtualLoop
from workers.delivery import DeliveryWorker
from workers.line import Route
from workers.session import SessionWorker
from workers.statuses import StatusWorker

PARTITIONS = 4
CHANNEL = WhatsAppChannel.model_validate(
    {
        "kind": "whatsapp",
        "phone_number_id": "100",
        "access_token": "t",
        "app_secret": "s",
        "verify_token": "v",
        "pair_interval": 0,
        "rate": 1000,
    }
)


@dataclass(slots=True)
class Sent:
    """A message that reached a person. `was_unclear`: the connection broke before the sender heard of it; `sender`
    may also have been killed before it could write down what it heard."""

    at: float
    delivery: Delivery
    text: str
    sender: Process
    was_unclear: bool = False

    @property
    def may_repeat(self) -> bool:
        return self.was_unclear or self.sender.is_dead


@dataclass
class Report:
    """What a run did and what it broke."""

    seed: int
    conversations: int = 0
    published: int = 0
    answered: int = 0
    sent: int = 0
    duplicates: int = 0
    unclear: int = 0
    kills: int = 0
    takeovers: int = 0
    broken: list[str] = field(default_factory=list)


class Book:
    """One agent that never changes."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def get(self, org: str, slug: str) -> Agent | None:
        return self._agent if slug == self._agent.slug else None

    async def refresh(self) -> None: ...

    async def route(self, org: str, channel: str, agent: str) -> Route | None:
        return Route(org="default", agent=self._agent.slug, channel=CHANNEL)


class Mind:
    """A brain that names what it answers: slow, failing, in pieces, with tools, sometimes asking for a person."""

    def __init__(self, town: Town) -> None:
        self._town = town

    async def answer(self, turn: Turn) -> AsyncGenerator[Chunk, None]:
        rng = self._town.rng
        await asyncio.sleep(rng.choice((0, 0, 0.01, 0.3, 2.0, 5.0)))
        kind = rng.random()
        if kind < 0.04:
            raise BrainError("the model is down")
        if kind < 0.12:
            await turn.use_tool(self._town.new_id("tool"), "look", {"text": turn.text})
        if kind < 0.20:
            yield Say("first")
            yield Break()
            await asyncio.sleep(rng.random())
        yield Say("re: ")
        yield Say(turn.text.replace("\n", " "))
        if kind > 0.97:
            yield HandOver("asked for")

    async def close(self) -> None: ...


class Provider:
    """Somebody else's cloud: takes messages, loses answers, sends statuses in any order and more than once."""

    kind = "whatsapp"

    def __init__(self, town: Town, process: Process) -> None:
        self._town = town
        self._process = process

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def pieces(self, channel: object, delivery: Delivery) -> Sequence[Piece]:
        return [Piece(delivery.message.text)]

    def closed_window_pieces(self, channel: object, delivery: Delivery) -> Sequence[Piece] | None:
        return None

    async def send(self, channel: object, delivery: Delivery, index: int, piece: Piece) -> Accepted:
        town, rng = self._town, self._town.rng
        await asyncio.sleep(rng.choice((0.001, 0.02, 0.2)))
        self._process.check()
        if town.is_rough and rng.random() < 0.05:
            raise RefusedError("try again", action=Action.RETRY, code="transient")
        sent = Sent(town.now(), delivery, str(piece.payload), self._process)
        record = town.disk.deliveries[delivery.id]
        if len(record.receipts) > index and record.receipts[index].provider_id is not None:
            town.report.broken.append(f"{delivery.id} was sent again although it is known to have arrived")
        if delivery.origin == "bot" and town.is_taken_over(delivery.call, record):
            town.report.broken.append(f"{delivery.id} of the bot was begun after a person had taken over")
        town.sent.append(sent)
        town.statuses_of(delivery, f"wamid.{len(town.sent)}", index)
        number = len(town.sent)
        sent.was_unclear = True
        await asyncio.sleep(rng.choice((0.001, 0.02, 0.2)))
        self._process.check()
        if town.is_rough and rng.random() < 0.02:
            raise RefusedError("reset", action=Action.RETRY, code="transient", is_unclear=True)
        sent.was_unclear = False
        return Accepted(f"wamid.{number}")

    async def show_typing(self, channel: object, provider_id: str, *, typing: bool) -> None:
        await asyncio.sleep(0.01)

    async def probe(self, channel: object) -> str:
        return "ok"

    @asynccontextmanager
    async def fetch(self, channel: object, media: object) -> AsyncIterator[Download]:
        raise RefusedError("no media here", action=Action.GIVE_UP, code="gone")
        yield


class Machine:
    """A process with all roles but the gateway; killed at any instant, started again a moment later."""

    def __init__(self, town: Town) -> None:
        hops = town.rng.choice((20, 200, 1500)) if town.kills > town.report.kills else None
        self.process = Process(random.Random(town.rng.random()), hops and town.rng.randint(1, hops))
        if town.is_rough:
            self.process.flaky = 0.004
        self.bus = SimBus(town.disk, self.process)
        store = SimStore(town.disk, self.process, lazy_documents=town.lazy)
        mind = Mind(town)

        async def tool(agent: Agent, call: object, id_: str, name: str, arguments: object) -> ToolOutcome:
            town.tools[id_] += 1
            await asyncio.sleep(town.rng.random())
            return ToolOutcome("looked")

        outside = Outside(
            store=store,
            bus=self.bus,
            agents=town.book,
            brains=lambda agent: mind,
            run_tool=tool,
            partitions=PARTITIONS,
            clock=town.now,
            new_id=town.new_id,
            new_call_id=town.new_id,
            render=lambda text, vars_: text,
            tell=town.tell,
            program_since=lambda org, slug: town.program.since if town.program is not None else None,
        )
        clock = TownClock(town)
        self.session = SessionWorker(outside)
        self.delivery = DeliveryWorker(
            bus=self.bus,
            store=store,
            adapters={"whatsapp": Provider(town, self.process)},
            channels=town.book,
            partition_count=PARTITIONS,
            clock=clock,
            settle_wait=5.0,
            draw=town.rng.random,
        )
        self.statuses = StatusWorker(
            bus=self.bus, store=store, partition_count=PARTITIONS, clock=clock, draw=town.rng.random
        )
        self._group: set[asyncio.Task[object]] = set()

    async def start(self) -> None:
        before = asyncio.all_tasks()
        await self.session.start()
        await self.delivery.start()
        await self.statuses.start()
        self._group = asyncio.all_tasks() - before

    async def kill(self, mine: set[asyncio.Task[object]]) -> None:
        """kill -9: from one instant to the next. `mine` are the tasks of the test itself."""
        self.process.is_dead = True
        self.bus.kill()
        while zombies := asyncio.all_tasks() - mine:
            for task in zombies:
                task.cancel()
            await asyncio.wait(zombies)


class TownClock:
    def __init__(self, town: Town) -> None:
        self._town = town

    def now(self) -> float:
        return self._town.now()

    def ticks(self) -> float:
        return self._town.loop.time()

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await event.wait()
        except TimeoutError:
            return event.is_set()


class Town:
    """`kills` and `is_rough` (engines and provider that fail now and then) make it worse."""

    def __init__(
        self,
        seed: int,
        *,
        people: int = 100,
        is_rough: bool = True,
        lazy: bool | None = None,
        kills: int = 30,
        has_program: bool = False,
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.loop = VirtualLoop()
        self.disk = World()
        self.people = people
        self.is_rough = is_rough
        self.lazy = self.rng.random() < 0.5 if lazy is None else lazy
        self.kills = kills
        self.sent: list[Sent] = []
        self.tools: dict[str, int] = defaultdict(int)
        self.published: dict[str, list[str]] = defaultdict(list)
        self.human_lines: dict[str, list[str]] = defaultdict(list)
        self._ids = 0
        self.report = Report(seed)
        self.agent = Agent(
            slug="desk",
            brain="client" if has_program else "llm",
            debounce_ms=self.rng.choice((0, 0, 300, 600)),
            tools=(Tool(name="look"),),
            max_turns_per_minute=1000,
            channels=(CHANNEL,),
        )
        self.book = Book(self.agent)
        self.has_program = has_program
        self.program: Program | None = None
        self._machine: Machine | None = None

    def now(self) -> float:
        return self.loop.wall()

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}-{self._ids:08d}"

    async def tell(self, told: Told) -> None:
        await asyncio.sleep(0)
        if self.program is not None:
            await self.program.hear(told)

    def log_of(self, call: str) -> list[Entry]:
        return list(self.disk.logs[call])

    def home_of(self, call: str) -> str:
        return self.disk.calls[call].home

    # the street

    def person(self, number: int) -> Sender:
        phone = f"4479{number:08d}"
        return Sender(
            identities=(Identity(kind=IdentityKind.WA_ID, value=phone),), routing=f"whatsapp:default:{phone}", name="P"
        )

    async def _publish(self, door: SimBus, queue: str, inputs: tuple[AnyInput, ...]) -> None:
        await door.publish([Outgoing(queue, pack(inputs), inputs[0].key)])

    async def _live(self, number: int, door: SimBus) -> None:
        """One person's day: bursts, pauses, duplicates and, now and then, a colleague who takes over."""
        rng, sender = random.Random(f"{self.seed}/{number}"), self.person(number)
        queue = inbound_for(sender.routing, PARTITIONS).name
        said: list[UserMessage] = []
        for turn in range(rng.randint(1, 4)):
            await asyncio.sleep(rng.choice((0.0, 0.05, 1.0, 8.0, 8000.0)) * rng.random())
            batch: list[AnyInput] = []
            for _ in range(rng.randint(1, 3)):
                wamid = f"w{number}.{len(said)}"
                heard = UserMessage(
                    key=f"wa:100:{wamid}",
                    agent="desk",
                    channel=CHANNEL.id,
                    at=self.now(),
                    sender=sender,
                    provider_id=wamid,
                    sent_at=float(int(self.now())),
                    message=Message.of(f"<{wamid}>"),
                )
                said.append(heard)
                batch.append(heard)
                if rng.random() < 0.5:
                    await self._say(door, queue, batch, sender.routing)
                    batch = []
                    await asyncio.sleep(rng.choice((0, 0.001, 0.3)))
            if batch:
                await self._say(door, queue, batch, sender.routing)
            if rng.random() < 0.3:
                await self._publish(door, queue, (rng.choice(said),))
            if rng.random() < 0.25:
                await asyncio.sleep(rng.choice((0, 0.002, 0.02, 0.4, 3.0)))
                await self._take_over(rng, door, number, turn)

    async def _say(self, door: SimBus, queue: str, batch: list[AnyInput], who: str) -> None:
        for heard in batch:
            assert isinstance(heard, UserMessage)
            self.published[who].append(heard.provider_id)
        await self._publish(door, queue, tuple(batch))

    async def _take_over(self, rng: random.Random, door: SimBus, number: int, turn: int) -> None:
        call = next((c for c in self.disk.calls.values() if c.home == self.person(number).routing and c.is_open), None)
        if call is None:
            return
        self.report.takeovers += 1
        head = {"agent": "desk", "channel": CHANNEL.id, "call": call.id, "home": call.home}

        queue = commands_for(call.home, PARTITIONS).name

        def key() -> dict[str, object]:
            return {"key": self.new_id("cmd"), "at": self.now(), **head}

        pause = Pause.model_validate({**key(), "by": "ann"})
        await self._publish(door, queue, (pause,))
        if rng.random() < 0.2:
            await self._publish(door, queue, (pause,))
        for line in range(rng.randint(0, 2)):
            words = f"ann {number}.{turn}.{line}"
            self.human_lines[call.id].append(words)
            send = SendMessage.model_validate({**key(), "by": "ann", "message": Message.of(words)})
            await self._publish(door, queue, (send,))
            await asyncio.sleep(rng.random())
        if rng.random() < 0.8:
            await asyncio.sleep(rng.random() * 3)
            await self._publish(door, queue, (Resume.model_validate({**key(), "by": "ann"}),))

    def is_taken_over(self, call_id: str, record: Delivery) -> bool:
        """True when the takeover took effect before the delivery was claimed."""
        taken = 0.0
        for entry in self.disk.logs[call_id]:
            if isinstance(entry.fact, HandoffActive):
                taken = entry.ts
            elif isinstance(entry.fact, HandoffReleased):
                taken = 0.0
        return bool(taken) and taken <= self.disk.withdrawn.get(call_id, 0) < record.updated_at

    def statuses_of(self, delivery: Delivery, provider_id: str, piece: int) -> None:
        states = [DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.READ]
        self.rng.shuffle(states)
        for state in states[: self.rng.randint(0, 3)]:
            update = StatusUpdate(
                channel=CHANNEL.id,
                provider_id=provider_id,
                tracker=delivery.tracker(piece),
                state=state,
                word=state.value,
                at=self.now(),
                received_at=self.now(),
            )
            self.loop.call_later(self.rng.random() * 3, self._deliver_status, update)

    def _deliver_status(self, update: StatusUpdate) -> None:
        queue = self.disk.queues[STATUSES.name]
        from tests.simulation.engines import _Row

        queue.ready.append(_Row(self.new_id("st"), pack_statuses((update,))))
        queue.pump()

    # the run

    def run(self) -> Report:
        from tests.simulation.virtual import run

        logging.getLogger("omni").setLevel(logging.CRITICAL)
        logging.getLogger("workers").setLevel(logging.CRITICAL)
        run(self._main(), self.loop)
        self._inspect()
        return self.report

    async def _main(self) -> None:
        gateway = SimBus(self.disk, Process(random.Random(self.seed)))
        await gateway.declare(every_queue(PARTITIONS))
        self._machine = Machine(self)
        await self._machine.start()
        ours: set[asyncio.Task[object]] = {asyncio.current_task()}  # type: ignore[arg-type]
        people = [asyncio.create_task(self._live(n, gateway)) for n in range(self.people)]
        ours.update(people)  # type: ignore[arg-type]
        if self.has_program:
            self.program = Program(self, gateway, random.Random(self.seed), PARTITIONS, CHANNEL.id, ours)
            living = asyncio.create_task(self.program.run())
            ours.add(living)  # type: ignore[arg-type]
        reaper = asyncio.create_task(self._reap(ours))
        ours.add(reaper)  # type: ignore[arg-type]
        await asyncio.gather(*people)
        if self.program is not None:
            living.cancel()
            await asyncio.wait([living])
            await self.program.stay()
        for _ in range(2000):
            await asyncio.sleep(5)
            if self._is_quiet():
                break
        reaper.cancel()
        machine = self._machine
        await machine.session.stop()
        await machine.delivery.stop()
        await machine.statuses.stop()

    async def _reap(self, ours: set[asyncio.Task[object]]) -> None:
        """Whenever the machine dies, somebody starts another."""
        while self._machine is not None:
            await self._machine.process.died.wait()
            self.report.kills += 1
            await self._machine.kill(ours)
            await asyncio.sleep(self.rng.random())
            self._machine = Machine(self)
            await self._machine.start()

    def _is_quiet(self) -> bool:
        busy = any(q.ready or any(c.hands for c in q.consumers) for q in self.disk.queues.values())
        return not busy

    # what a person outside can see

    def _inspect(self) -> None:
        report, disk = self.report, self.disk
        broken = report.broken
        if disk.dead:
            broken.append(f"{len(disk.dead)} dead letters, first: {disk.dead[0].error}")
        heard: dict[str, list[str]] = defaultdict(list)
        for call in sorted(disk.calls.values(), key=lambda c: c.started_at):
            self._inspect_call(call.id, heard[call.home])
        for who, wamids in self.published.items():
            report.conversations += 1
            report.published += len(wamids)
            if heard[who] != wamids:
                broken.append(f"{who} wrote {wamids}, the log has {heard[who]}")
        if not self._is_quiet():
            broken.append("something is still in the queues")
        by_delivery: dict[str, list[Sent]] = defaultdict(list)
        for sent in self.sent:
            by_delivery[sent.delivery.id].append(sent)
        for id_, times in by_delivery.items():
            report.duplicates += len(times) - 1
            report.unclear += sum(s.was_unclear for s in times)
            if not all(sent.may_repeat for sent in times[:-1]):
                broken.append(f"{id_} was sent {len(times)} times without need")
        for delivery in disk.deliveries.values():
            if delivery.state not in (DeliveryState.CANCELLED, DeliveryState.FAILED) and delivery.id not in by_delivery:
                broken.append(f"{delivery.id} ({delivery.message.text!r}) is {delivery.state} and never arrived")
        report.sent = len(self.sent)
        for id_, count in self.tools.items():
            if count > 1:
                broken.append(f"the tool call {id_} ran {count} times")
        self._inspect_order(by_delivery)

    def _inspect_call(self, call_id: str, heard: list[str]) -> None:
        broken = self.report.broken
        answered: dict[str, int] = defaultdict(int)
        silent_since: float | None = None
        owed: set[str] = set()
        entries = self.disk.logs[call_id]
        if [e.seq for e in entries] != list(range(1, len(entries) + 1)):
            broken.append(f"{call_id} has holes in its log")
        human: list[str] = []
        for entry in entries:
            match entry.fact:
                case UserSaid() as said:
                    heard.append(said.provider_id)
                    if silent_since is not None and not said.paused:
                        broken.append(f"{call_id}: {said.provider_id} was put to the bot while a person had the call")
                    if not said.paused:
                        owed.add(said.id)
                case TurnEnded() as ended:
                    for id_ in ended.answers:
                        answered[id_] += 1
                        owed.discard(id_)
                case BotSaid() if silent_since is not None:
                    broken.append(f"{call_id}: the bot spoke at {entry.seq} while a person had the call")
                case HandoffActive() | HandoffRequested():
                    silent_since = entry.ts
                    owed.clear()
                case HandoffReleased():
                    silent_since = None
                    owed.clear()
                case HumanSaid() as said:
                    human.append(said.text)
                    owed.clear()
        self.report.answered += len(answered)
        if owed:
            broken.append(f"{call_id}: {owed} were never answered")
        if self.has_program:
            self._inspect_replies(call_id, entries)
        if any(count > 1 for count in answered.values()):
            broken.append(f"{call_id}: answered twice: {dict(answered)}")
        if len(set(human)) != len(human):
            broken.append(f"{call_id}: a person's line acted twice: {human}")

    def _inspect_replies(self, call_id: str, entries: list[Entry]) -> None:
        """Nothing that a person said is answered by two replies of the program."""
        words = [word for e in entries if isinstance(e.fact, BotSaid) for word in e.fact.text.split() if "<" in word]
        if len(set(words)) != len(words):
            self.report.broken.append(f"{call_id}: the program's replies answer twice: {words}")

    def _inspect_order(self, by_delivery: dict[str, list[Sent]]) -> None:
        """First arrivals of one call's deliveries are in the order of the log; nothing of the bot's starts after a
        takeover took effect."""
        for call_id in self.disk.calls:
            first = [by_delivery[id_][0].at for id_ in self.disk.by_call.get(call_id, []) if id_ in by_delivery]
            if first != sorted(first):
                self.report.broken.append(f"{call_id}: its messages arrived in another order than they were said")
