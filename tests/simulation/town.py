"""A simulated town: people who write, a bot that answers, colleagues who take over, workers that are killed.

`Town(seed).run()` plays some hundred conversations and then looks, from outside, at what design.md promises.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from channels.base import Accepted, Action, Download, Piece, RefusedError
from omni.bus.base import Outgoing
from omni.live.hub import Hub
from omni.live.teller import Teller
from omni.live.told import Offer, Told
from omni.model.agent import Agent
from omni.model.behaviour import Overrides, Tool
from omni.model.call import Call
from omni.model.channel import WhatsAppChannel
from omni.model.contact import Identity, IdentityKind, Sender
from omni.model.delivery import Delivery, DeliveryState, StatusUpdate, pack_statuses
from omni.model.entry import (
    BotSaid,
    CallEnded,
    Entry,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HumanSaid,
    TurnContinued,
    TurnEnded,
    TurnStarted,
    UserRevoked,
    UserSaid,
)
from omni.model.inbound import (
    AnyInput,
    Ask,
    Configure,
    EditHistory,
    EndCall,
    Pause,
    Resume,
    SendMessage,
    UserMessage,
    UserRevoke,
    pack,
)
from omni.model.message import Message
from omni.model.queues import STATUSES, commands_for, every_queue, inbound_for
from sessions.brains.base import BrainError, Break, Chunk, HandOver, Say, ToolOutcome, Turn
from sessions.world import World as Outside
from tests.simulation.engines import Process, SimBus, SimStore, World
from tests.simulation.onlookers import Onlookers
from tests.simulation.program import Program
from tests.simulation.virtual import VirtualLoop
from workers.delivery import DeliveryWorker
from workers.line import Route
from workers.session import SessionWorker
from workers.statuses import StatusWorker

PARTITIONS = 4
EARS = ("listen to ", "compare followed calls")
"""How the names of the tasks begin that belong to the gateway, which is never killed."""
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
    """One agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def get(self, org: str, slug: str) -> Agent | None:
        return self._agent if slug == self._agent.slug else None

    def switch(self) -> None:
        """To the other brain: a program, or a model."""
        brain = "llm" if self._agent.brain == "client" else "client"
        self._agent = self._agent.model_copy(update={"brain": brain})

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
    """A process with all roles but the gateway; killed at any instant, started again a moment later. With `rivals`
    there are two session workers in it, each with a connection of its own."""

    def __init__(self, town: Town) -> None:
        hops = town.rng.choice((20, 200, 1500)) if town.kills > town.report.kills else None
        self.process = Process(random.Random(town.rng.random()), hops and town.rng.randint(1, hops))
        if town.is_rough:
            self.process.flaky = 0.004
        self.bus = SimBus(town.disk, self.process)
        self.doors = [SimBus(town.disk, self.process) for _ in range(1 + town.has_rivals)]
        self._town = town
        store = SimStore(town.disk, self.process, lazy_documents=town.lazy)
        self.sessions = [SessionWorker(self._outside(door, store)) for door in self.doors]
        clock = TownClock(town)
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

    def _outside(self, door: SimBus, store: SimStore) -> Outside:
        town, mind, teller = self._town, Mind(self._town), Teller(door)

        async def tool(agent: Agent, call: object, id_: str, name: str, arguments: object) -> ToolOutcome:
            town.tools[id_] += 1
            await asyncio.sleep(town.rng.random())
            return ToolOutcome("looked")

        async def tell(told: Told) -> None:
            await town.tell(told)
            await teller.tell(told)

        return Outside(
            store=store,
            bus=door,
            agents=town.book,
            brains=lambda agent: mind,
            run_tool=tool,
            partitions=PARTITIONS,
            clock=town.now,
            new_id=town.new_id,
            new_call_id=town.new_id,
            render=lambda text, vars_: text,
            tell=tell,
            answer=teller.answer,
            program_since=lambda org, slug: town.program_since(),
        )

    async def start(self) -> None:
        before = asyncio.all_tasks()
        for session in self.sessions:
            await session.start()
        await self.delivery.start()
        await self.statuses.start()
        self._group = asyncio.all_tasks() - before

    async def kill(self, mine: set[asyncio.Task[object]]) -> None:
        """kill -9: from one instant to the next. `mine` are the tasks of the test itself."""
        self.process.is_dead = True
        for door in (self.bus, *self.doors):
            door.kill()
        while zombies := {task for task in asyncio.all_tasks() - mine if not task.get_name().startswith(EARS)}:
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
        programs: int = 0,
        onlookers: int = 0,
        has_rivals: bool = False,
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
            brain="client" if programs else "llm",
            debounce_ms=self.rng.choice((0, 0, 300, 600)),
            tools=(Tool(name="look"),),
            max_turns_per_minute=1000,
            channels=(CHANNEL,),
        )
        self.book = Book(self.agent)
        self.has_rivals = has_rivals
        self._program_count = programs
        self._onlooker_count = onlookers
        self.programs: list[Program] = []
        self.onlookers: Onlookers | None = None
        self._ours: set[asyncio.Task[object]] = set()
        self._machine: Machine | None = None

    def now(self) -> float:
        return self.loop.wall()

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}-{self._ids:08d}"

    async def tell(self, told: Told) -> None:
        await asyncio.sleep(0.5 if self.is_rough and self.rng.random() < 0.01 else 0)
        for signal in told.signals:
            if isinstance(signal, Offer) and not (self.has_rivals or self._is_offered(told.call, signal.turn)):
                self.report.broken.append(f"{told.call}: turn {signal.turn} is offered although it is over")
        for program in self.programs:
            await program.hear(told)

    def program_since(self) -> float | None:
        return max((program.since for program in self.programs if program.since is not None), default=None)

    def _is_offered(self, call: str, turn: int) -> bool:
        offered: int | None = None
        for entry in self.disk.logs[call]:
            match entry.fact:
                case TurnStarted() as started:
                    offered = started.turn if started.offered else None
                case TurnContinued() | TurnEnded() | HandoffActive() | HandoffRequested() | HumanSaid() | CallEnded():
                    offered = None
        return offered == turn

    def log_of(self, call: str) -> list[Entry]:
        return list(self.disk.logs[call])

    def head(self, call: str) -> dict[str, Any]:
        """What every command for a call begins with."""
        home = self.disk.calls[call].home
        return {
            "key": self.new_id("cmd"),
            "at": self.now(),
            "agent": "desk",
            "channel": CHANNEL.id,
            "call": call,
            "home": home,
        }

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
            if self._program_count and rng.random() < 0.3:
                await self._meddle(rng, door, queue, number, said)
            if rng.random() < 0.25:
                await asyncio.sleep(rng.choice((0, 0.002, 0.02, 0.4, 3.0)))
                await self._take_over(rng, door, number, turn)

    async def _say(self, door: SimBus, queue: str, batch: list[AnyInput], who: str) -> None:
        for heard in batch:
            assert isinstance(heard, UserMessage)
            self.published[who].append(heard.provider_id)
        await self._publish(door, queue, tuple(batch))

    def _open_call(self, number: int) -> Call | None:
        home = self.person(number).routing
        return next((call for call in self.disk.calls.values() if call.home == home and call.is_open), None)

    async def _meddle(
        self, rng: random.Random, door: SimBus, queue: str, number: int, said: Sequence[UserMessage]
    ) -> None:
        """What makes it harder to know whose turn it is."""
        await asyncio.sleep(rng.choice((0, 0.002, 0.02, 0.4, 3.0)))
        call = self._open_call(number)
        if call is None:
            return
        match rng.randrange(4):
            case 0:
                target = rng.choice(said[-2:])
                revoke = UserRevoke(
                    key=self.new_id("revoke"),
                    agent="desk",
                    channel=CHANNEL.id,
                    at=self.now(),
                    sender=target.sender,
                    provider_id=self.new_id("w"),
                    sent_at=self.now(),
                    target=target.provider_id,
                )
                await self._publish(door, queue, (revoke,))
            case 1:
                brain = Overrides(brain=rng.choice(("llm", "client")))
                await self._ask(door, call, lambda ask: Configure(**self.head(call.id), overrides=brain, ask=ask))
            case 2:
                act = rng.choice(("get", "get", "add", "clear"))
                lines: Any = ({"role": "user", "content": "before"},) if act == "add" else ()
                await self._ask(
                    door, call, lambda ask: EditHistory(**self.head(call.id), act=act, messages=lines, ask=ask)
                )
            case _:
                if rng.random() < 0.3:
                    to = commands_for(call.home, PARTITIONS).name
                    await self._publish(door, to, (EndCall(**self.head(call.id), by="ann"),))

    async def _ask(self, door: SimBus, call: Call, make: Callable[[Ask], AnyInput]) -> None:
        """Ask a call, and go on; the answer is waited for elsewhere."""
        queue = commands_for(call.home, PARTITIONS).name
        assert self.onlookers is not None

        async def send(ask: Ask) -> None:
            await self._publish(door, queue, (make(ask),))

        self._keep(asyncio.create_task(self.onlookers.ask(f"a question to {call.id}", send)))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        """A task of the test's own: no killed machine takes it along."""
        self._ours.add(task)
        task.add_done_callback(self._ours.discard)

    async def _take_over(self, rng: random.Random, door: SimBus, number: int, turn: int) -> None:
        call = self._open_call(number)
        if call is None:
            return
        self.report.takeovers += 1
        queue = commands_for(call.home, PARTITIONS).name

        def key() -> dict[str, Any]:
            return self.head(call.id)

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
        ours = self._ours
        ours.add(asyncio.current_task())  # type: ignore[arg-type]
        hub = await self._look_on(gateway)
        people = [asyncio.create_task(self._live(n, gateway)) for n in range(self.people)]
        ours.update(people)  # type: ignore[arg-type]
        living = self._connect(gateway)
        reaper = asyncio.create_task(self._reap(ours))
        disturber = asyncio.create_task(self._disturb())
        ours.update((reaper, disturber))  # type: ignore[arg-type]
        await asyncio.gather(*people)
        for task in (*living, disturber):
            task.cancel()
        await asyncio.wait((*living, disturber))
        for program in self.programs:
            await program.stay()
        await self._come_to_rest()
        if self.onlookers is not None:
            await asyncio.sleep(60)  # so long after the last broadcast, even those that were lost are made up for
            await self.onlookers.end()
        if hub is not None:
            await hub.stop()
            await self._come_to_rest()  # an alarm may have rung meanwhile
        reaper.cancel()
        machine = self._machine
        for session in machine.sessions:
            await session.stop()
        await machine.delivery.stop()
        await machine.statuses.stop()

    async def _come_to_rest(self) -> None:
        for _ in range(2000):
            await asyncio.sleep(5)
            if self._is_quiet():
                return

    async def _look_on(self, gateway: SimBus) -> Hub | None:
        if not (self._onlooker_count or self._program_count):
            return None
        process = Process(random.Random(self.seed))
        store = SimStore(self.disk, process, lazy_documents=self.lazy)
        hub = Hub(gateway, store, "gateway", clock=self.now)
        await hub.start()
        self.onlookers = Onlookers(hub, self.disk, self.now, random.Random(self.seed), self._ours, self.report.broken)
        await self.onlookers.begin(self._onlooker_count)
        return hub

    def _connect(self, gateway: SimBus) -> list[asyncio.Task[None]]:
        """Programs come and go; the agent's brain changes with or without them."""
        self.programs = [
            Program(f"program-{n}", self, gateway, random.Random(f"{self.seed}/p{n}"), PARTITIONS, self._ours)
            for n in range(self._program_count)
        ]
        living = [asyncio.create_task(program.run()) for program in self.programs]
        if len(self.programs) > 1:
            living.append(asyncio.create_task(self._switch()))
        for task in living:
            self._keep(task)
        return living

    async def _switch(self) -> None:
        rng = random.Random(f"{self.seed}/brain")
        while True:
            await asyncio.sleep(rng.choice((0.5, 20.0, 4000.0)) * rng.random())
            self.book.switch()

    async def _disturb(self) -> None:
        """Where two workers stand by each other, the one at work loses its connection now and then, and its partitions
        to the other; its calls stay in its memory."""
        rng = random.Random(f"{self.seed}/rivals")
        while self.has_rivals:
            await asyncio.sleep(rng.choice((0.02, 0.2, 2.0, 400.0)) * rng.random())
            if self._machine is not None and not self._machine.process.is_dead:
                rng.choice(self._machine.doors).lose_connection()

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
        if self.onlookers is not None:
            self.onlookers.inspect()

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
                case UserRevoked() as revoked:
                    owed.discard(revoked.id or "")
                case CallEnded():
                    owed.clear()
        self.report.answered += len(answered)
        if owed:
            broken.append(f"{call_id}: {owed} were never answered")
        self._inspect_replies(call_id, entries)
        if any(count > 1 for count in answered.values()):
            broken.append(f"{call_id}: answered twice: {dict(answered)}")
        if len(set(human)) != len(human):
            broken.append(f"{call_id}: a person's line acted twice: {human}")

    def _inspect_replies(self, call_id: str, entries: list[Entry]) -> None:
        """Nothing that a person said is answered by two replies."""
        words = [word for e in entries if isinstance(e.fact, BotSaid) for word in e.fact.text.split() if "<" in word]
        if len(set(words)) != len(words):
            self.report.broken.append(f"{call_id}: the replies answer twice: {words}")

    def _inspect_order(self, by_delivery: dict[str, list[Sent]]) -> None:
        """First arrivals of one call's deliveries are in the order of the log; nothing of the bot's starts after a
        takeover took effect."""
        for call_id in self.disk.calls:
            first = [by_delivery[id_][0].at for id_ in self.disk.by_call.get(call_id, []) if id_ in by_delivery]
            if first != sorted(first):
                self.report.broken.append(f"{call_id}: its messages arrived in another order than they were said")
