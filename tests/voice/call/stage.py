"""Real calls without a server: the actor, its log in a real store, its turn rules and its playout, between a telephone
that is played by hand and services that answer at once, or badly."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from channels.audio import CarrierError, Order, Transfer
from omni.blobs.folder import FolderBlobs
from omni.live.told import Answered, Signal, Told
from omni.model.agent import Agent
from omni.model.channel import Channel, PhoneChannel
from omni.model.contact import Identity, IdentityKind, Sender
from omni.model.entry import CallEnded, Entry, Fact
from omni.model.inbound import AnyInput, Opening
from omni.sqlite.file import SqliteFile
from omni.store.base import StoreUnavailableError
from omni.store.sqlite import SqliteStore
from sessions.brains.base import Chunk, Say, ToolOutcome, Turn
from sessions.contacts import Contacts
from sessions.history import lines_for
from sessions.place import Place
from sessions.prompt import render
from sessions.steps import CallCame
from sessions.world import World
from tests.simulation.engines import Process, SimBus, SimStore
from tests.simulation.engines import World as Disk
from tests.voice.call.clock import StageLoop, stage_loop
from tests.voice.call.marked import Lexicon
from tests.voice.call.speech import MarkRecogniser, MarkSpeaker, MarkVad
from tests.voice.call.telephone import Telephone
from workers.voice.call import VoiceCall
from workers.voice.listening.monitor import Monitor
from workers.voice.playout.pacer import Pacer
from workers.voice.recording.spool import Spool
from workers.voice.services import Services

OUR_NUMBER = "+4930100"
CALLER = "+491701"
CHANNEL = PhoneChannel(number="+49301000")


class Outside:
    """A store (or another engine) whose threads stop the stage's clock, and which can be away."""

    def __init__(self, engine: Any, loop: StageLoop) -> None:
        self._engine = engine
        self._loop = loop
        self._is_virtual = isinstance(engine, SimStore)
        self.is_away = False
        self.latency: Callable[[], float] | None = None
        self.before_append: Callable[[], Any] | None = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def doing(*args: Any, **kwargs: Any) -> Any:
            if self.latency is not None:
                await asyncio.sleep(self.latency())
            if self.is_away:
                raise StoreUnavailableError("the store is away")
            if name == "append" and self.before_append is not None:
                await self.before_append()
            return await (found(*args, **kwargs) if self._is_virtual else self._loop.outside(found(*args, **kwargs)))

        return doing


class CountedSpool(Spool):
    """Time stands still while it is waited for."""

    async def run(self, work: Callable[[], Any]) -> Any:
        return await stage_loop().outside(super().run(work))


class Mind:
    """Answers as `how` says; `turns` are those it was asked for, `cut` how many of its answers were broken off."""

    def __init__(self) -> None:
        self.how: Callable[[Turn], AsyncGenerator[Chunk, None]] = echo
        self.turns: list[Turn] = []
        self.at_work = 0

    async def answer(self, turn: Turn) -> AsyncGenerator[Chunk, None]:
        self.turns.append(turn)
        self.at_work += 1
        try:
            async for chunk in self.how(turn):
                yield chunk
        finally:
            self.at_work -= 1

    async def close(self) -> None: ...


async def echo(turn: Turn) -> AsyncGenerator[Chunk, None]:
    yield Say(f"you said {turn.text}")


def saying(*chunks: Chunk | float | str) -> Callable[[Turn], AsyncGenerator[Chunk, None]]:
    """A brain that says the same to everything; a number is a pause in seconds."""

    async def answer(turn: Turn) -> AsyncGenerator[Chunk, None]:
        for chunk in chunks:
            if isinstance(chunk, float):
                await asyncio.sleep(chunk)
            else:
                yield Say(chunk) if isinstance(chunk, str) else chunk

    return answer


class Exchange:
    """The carrier."""

    kind = "phone"

    def __init__(self) -> None:
        self.hung_up: list[str] = []
        self.pressed: list[str] = []
        self.transfers: list[Transfer] = []
        self.orders: list[Order] = []
        self.presses_itself = False
        self.refuses: CarrierError | None = None
        self.hangs = False
        self._numbers = count(1)

    async def dial(self, order: Order) -> str:
        if self.refuses is not None:
            raise self.refuses
        self.orders.append(order)
        return f"CA-out-{next(self._numbers)}"

    async def hang_up(self, channel: Channel, call: str) -> None:
        if self.refuses is not None:
            raise self.refuses
        if self.hangs:
            await asyncio.sleep(30)
        self.hung_up.append(call)

    async def transfer(self, channel: Channel, call: str, transfer: Transfer) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.transfers.append(transfer)

    async def press(self, channel: Channel, call: str, digits: str) -> bool:
        if self.presses_itself:
            self.pressed.append(digits)
        return self.presses_itself


class Agents:
    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def get(self, org: str, slug: str) -> Agent | None:
        return self.agent if slug == self.agent.slug else None

    async def refresh(self) -> None: ...


@dataclass
class Stage:
    """`open_stage` makes one."""

    store: Outside
    blobs: Any
    agents: Agents
    loop: StageLoop
    disk: Disk
    rng: random.Random
    mind: Mind = field(default_factory=Mind)
    lexicon: Lexicon = field(default_factory=Lexicon)
    exchange: Exchange = field(default_factory=Exchange)
    program_since: float | None = None
    tools: list[tuple[float, str, Any]] = field(default_factory=list)
    tool_seconds: float = 0.0
    told: list[Told] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    shows: list[Show] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recogniser = MarkRecogniser(self.lexicon)
        self.speaker = MarkSpeaker(self.lexicon)
        self.bus = SimBus(self.disk, Process(self.rng))
        self._numbers = count(1)
        self.world = World(
            store=self.store,  # type: ignore[arg-type]
            bus=self.bus,  # type: ignore[arg-type]
            agents=self.agents,
            brains=lambda agent: self.mind,
            run_tool=self._run_tool,
            partitions=1,
            clock=self.loop.wall,
            new_id=self.new_id,
            new_call_id=self.new_id,
            render=render,
            tell=self._tell,
            answer=self._answer,
            program_since=lambda org, slug: self.program_since,
        )
        self.pacer = Pacer(self.loop.time, asyncio.sleep)
        self.monitor = Monitor(self.bus)  # type: ignore[arg-type]
        self.spool = CountedSpool()
        self.services = Services(
            world=self.world,
            blobs=self.blobs,
            pacer=self.pacer,
            recognisers=self.recogniser,
            speakers=self.speaker,
            vad=lambda rate: MarkVad(),
            spool=self.spool,
            monitor=self.monitor,
            carriers={"phone": self.exchange},
            channel_of=lambda org, agent, channel: CHANNEL,
        )
        self.contacts = Contacts(self.world.store, self.new_id)

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers)}"

    async def _run_tool(self, agent: Agent, facts: dict[str, Any], id_: str, name: str, arguments: Any) -> ToolOutcome:
        self.tools.append((self.loop.time(), name, arguments))
        if self.tool_seconds:
            await asyncio.sleep(self.tool_seconds)
        return ToolOutcome({"ok": True})

    async def _tell(self, told: Told) -> None:
        self.told.append(told)

    async def _answer(self, desk: str, answered: Answered) -> None:
        self.answered.append(answered)

    async def offered(self, *, rings: bool = False, outbound: bool = False, **more: Any) -> Show:
        """A call that has not its sound yet."""
        number = next(self._numbers)
        identity = Identity(kind=IdentityKind.PHONE, value=f"49170{number}")
        sender = Sender(identities=(identity,), routing=f"phone:{number}")
        contact = await self.contacts.resolve("default", sender)
        call = f"CA{number}"
        place = Place.between("default", "desk", CHANNEL.id, contact.id, "voice:w1")
        ends = (CALLER, CHANNEL.number)
        came = CallCame(
            key=f"came:{call}",
            call=call,
            direction="outbound" if outbound else "inbound",
            from_=ends[1] if outbound else ends[0],
            to=ends[0] if outbound else ends[1],
            is_ringing=rings or outbound,
            opening=Opening(),
        )
        show = Show(self, VoiceCall(self.services, place, contact, came, **more))
        self.shows.append(show)
        return show

    async def call(self, *, echoes: bool = True, delay: float = 0.04, **more: Any) -> Show:
        """A caller, connected."""
        show = await self.offered(**more)
        show.connect(echoes=echoes, delay=delay)
        return show

    async def close(self) -> None:
        for show in self.shows:
            await show.end()


class Show:
    """One call on the stage: `phone` is its far end."""

    def __init__(self, stage: Stage, call: VoiceCall) -> None:
        self.stage = stage
        self.call = call
        self._phone: Telephone | None = None
        self.phones: list[Telephone] = []
        self._watch = asyncio.create_task(self._see_off(), name=f"see off {call.id}")

    @property
    def phone(self) -> Telephone:
        assert self._phone is not None
        return self._phone

    def connect(self, *, echoes: bool = True, delay: float = 0.04) -> Telephone:
        phone = Telephone(self.stage.lexicon, delay, echoes=echoes)
        phone.listen(self.call.connect(phone))
        self._phone = phone
        self.phones.append(phone)
        return phone

    async def _see_off(self) -> None:
        await self.call.ending.wait()
        await self.call.close()

    async def end(self) -> None:
        """However far it has come, it is over now, and nothing of it is left."""
        self.call.finish("error")
        await self._watch
        for phone in self.phones:
            await phone.closed()

    async def over(self, within: float = 60.0) -> str:
        """Wait for its end; returns why."""
        async with asyncio.timeout(within):
            await asyncio.shield(self._watch)
        return self.one(CallEnded, await self.facts()).reason

    # what is done in it

    async def says(self, text: str, *, then: float = 0.0, gap_ms: int = 0) -> None:
        """The caller says it, and is silent for so long."""
        self.phone.say(text, gap_ms)
        while not self.phone.is_silent:
            await asyncio.sleep(0.02)
        await asyncio.sleep(then)

    async def until(self, found: Callable[[], Any], within: float = 30.0) -> Any:
        """Wait until it is so."""
        async with asyncio.timeout(within):
            while not (value := found()):
                await asyncio.sleep(0.02)
        return value

    async def until_fact(self, type_: type[Fact], number: int = 1, within: float = 30.0) -> Any:
        """Wait until so many facts of this type are told; returns the last."""
        found = await self.until(lambda: len(f := self.told_facts(type_)) >= number and f, within)
        return found[number - 1]

    def do(self, kind: type[AnyInput], **more: Any) -> Any:
        """Somebody asks it of the call, as its worker hears it."""
        command = kind(
            key=self.stage.new_id("in"),
            agent="desk",
            channel=CHANNEL.id,
            at=self.stage.loop.wall(),
            call=self.call.id,
            home="voice:w1",
            **more,
        )
        self.call.asked(command)
        return command

    # what came of it

    def told_facts(self, *types: type) -> list[Any]:
        """In the order in which they were told."""
        facts = [entry.fact for told in self.stage.told if told.call == self.call.id for entry in told.entries]
        return [fact for fact in facts if isinstance(fact, types)] if types else facts

    def signals(self, *types: type) -> list[Any]:
        found: list[Signal] = [each for told in self.stage.told if told.call == self.call.id for each in told.signals]
        return [each for each in found if isinstance(each, types)] if types else list(found)

    async def entries(self) -> list[Entry]:
        return list(await self.stage.store.entries(self.call.id))

    async def facts(self, *types: type) -> list[Any]:
        """As the log has them."""
        facts = [entry.fact for entry in await self.entries()]
        return [fact for fact in facts if isinstance(fact, types)] if types else facts

    async def types(self) -> list[str]:
        return [fact.type for fact in await self.facts()]

    @staticmethod
    def one(type_: type, facts: list[Any]) -> Any:
        found = [fact for fact in facts if isinstance(fact, type_)]
        assert len(found) == 1, f"{len(found)} of {type_.__name__}: {found}"
        return found[0]

    def history(self) -> list[tuple[str, str]]:
        """As a model reads it now."""
        state = self.call.look()[0]
        return [(line.role, line.content) for line in lines_for(state, ())]


@asynccontextmanager
async def open_stage(
    folder: Path, *, agent: dict[str, Any] | None = None, seed: int = 0, in_memory: bool = False
) -> AsyncIterator[Stage]:
    """`in_memory`: a store without a file, for runs of many steps."""
    loop = stage_loop()
    settings: dict[str, Any] = {"slug": "desk", "brain": "llm", "prompt": "Be kind.", **(agent or {})}
    disk, rng = Disk(), random.Random(seed)
    store: Any = (
        SimStore(disk, Process(rng), lazy_documents=False)
        if in_memory
        else SqliteStore(SqliteFile(folder / "omni.db", sync="normal"))
    )
    blobs = FolderBlobs(folder / "blobs")
    await (store.open() if in_memory else loop.outside(store.open()))
    await blobs.open()
    stage = Stage(
        Outside(store, loop),
        blobs,
        Agents(Agent.model_validate(settings)),
        loop,
        disk,
        rng,
    )
    await stage.spool.open()
    await stage.monitor.start()
    stage.pacer.start()
    try:
        yield stage
    finally:
        stage.store.is_away = False
        await stage.close()
        await stage.pacer.stop()
        await stage.monitor.stop()
        await stage.spool.close()
        await blobs.close()
        await (store.close() if in_memory else loop.outside(store.close()))
        await asyncio.sleep(1)  # marks on their way
