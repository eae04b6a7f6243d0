"""A bot author's program in a simulated town: it hears of turns through a lossy ear, replies, dies and comes back."""

from __future__ import annotations

import asyncio
import random
from typing import Protocol

from omni.bus.base import Outgoing
from omni.live.told import Offer, Told
from omni.model.entry import Entry, TurnStarted
from omni.model.inbound import ProgramArrived, ProgramReply, pack
from omni.model.message import Message
from omni.model.queues import commands, commands_for
from tests.simulation.engines import SimBus


class Street(Protocol):
    """What the program needs of its town."""

    def now(self) -> float: ...

    def new_id(self, prefix: str) -> str: ...

    def log_of(self, call: str) -> list[Entry]: ...

    def home_of(self, call: str) -> str: ...


class Program:
    """`since` is when it connected; None while it is away. A turn is answered once a life; now and then it dies right
    after a reply and is back at once. Its tasks are among `ours`."""

    def __init__(
        self,
        town: Street,
        door: SimBus,
        rng: random.Random,
        partitions: int,
        channel: str,
        ours: set[asyncio.Task[object]],
    ) -> None:
        self._town = town
        self._door = door
        self._rng = rng
        self._partitions = partitions
        self._channel = channel
        self._life = 0
        self._turns: set[tuple[str, int, tuple[str, ...]]] = set()
        self._ours = ours
        self._replies: set[asyncio.Task[object]] = set()
        self.since: float | None = None
        self.lives = 0

    async def run(self) -> None:
        """Connect, live a while, go away; for good when cancelled."""
        while True:
            await self._arrive()
            await asyncio.sleep(self._rng.choice((0.5, 5.0, 60.0, 4000.0)) * self._rng.random())
            self._die()
            await asyncio.sleep(self._rng.choice((0.01, 1.0, 20.0, 400.0)) * self._rng.random())

    async def stay(self) -> None:
        """Come for good: what is still owed is answered."""
        if self.since is None:
            await self._arrive()

    def _die(self) -> None:
        self.since = None
        self._life += 1
        self._turns.clear()
        for task in self._replies:
            task.cancel()

    async def _arrive(self) -> None:
        self.since = self._town.now()
        self.lives += 1
        for partition in range(self._partitions):
            came = ProgramArrived(
                key=self._town.new_id("came"), agent="desk", channel="", at=self._town.now(), partition=partition
            )
            await self._door.publish([Outgoing(commands(partition).name, pack((came,)), came.key)])

    async def hear(self, told: Told) -> None:
        """Every fifth telling is lost."""
        if self.since is None or self._rng.random() < 0.2:
            return
        if any(isinstance(signal, Offer) for signal in told.signals):
            self._take(told.call, self._town.log_of(told.call))
        self._take(told.call, list(told.entries))

    def _take(self, call: str, entries: list[Entry]) -> None:
        started = [entry.fact for entry in entries if isinstance(entry.fact, TurnStarted) and entry.fact.offered]
        if not started:
            return
        turn = started[-1]
        key = (call, turn.turn, turn.answers)
        if key not in self._turns:
            self._turns.add(key)
            task: asyncio.Task[object] = asyncio.create_task(self._reply(call, turn))
            self._replies.add(task)
            self._ours.add(task)  # a worker's death is not the program's
            task.add_done_callback(self._replies.discard)
            task.add_done_callback(self._ours.discard)

    async def _reply(self, call: str, turn: TurnStarted) -> None:
        await asyncio.sleep(self._rng.choice((0, 0.01, 0.2, 3.0)) * self._rng.random())
        id_ = self._town.new_id("said")
        home = self._town.home_of(call)
        reply = ProgramReply(
            key=f"reply:{call}:{id_}",
            agent="desk",
            channel=self._channel,
            at=self._town.now(),
            call=call,
            home=home,
            message_id=id_,
            in_reply_to=turn.answers[-1],
            message=Message.of(f"re: {turn.text}") if self._rng.random() < 0.95 else None,
            program=f"life-{self._life}",
        )
        await self._door.publish([Outgoing(commands_for(home, self._partitions).name, pack((reply,)), reply.key)])
        if self._rng.random() < 0.1 and self.since is not None:
            self._replies.discard(asyncio.current_task())  # type: ignore[arg-type]
            self._die()
            await self._arrive()
