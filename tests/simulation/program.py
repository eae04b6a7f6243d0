"""A bot author's program in a simulated town: it hears of turns through a lossy ear, replies, runs tools, dies, and
comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, Protocol

from omni.bus.base import Outgoing
from omni.live.told import Offer, Preparing, Told
from omni.model.entry import Entry, ToolCalled, TurnStarted
from omni.model.inbound import ProgramArrived, ProgramReply, ToCall, ToolResult, ToolResults, TurnReady, pack
from omni.model.message import Message
from omni.model.queues import commands, commands_for
from tests.simulation.engines import SimBus


class Street(Protocol):
    """What the program needs of its town."""

    def now(self) -> float: ...

    def new_id(self, prefix: str) -> str: ...

    def log_of(self, call: str) -> list[Entry]: ...

    def head(self, call: str) -> dict[str, Any]:
        """What every command for a call begins with."""


class Program:
    """`since` is when it connected; None while it is away. A turn is answered once a life; now and then it dies right
    after a reply and is back at once. What it had in hand then is lost, or still on its way. Its tasks are among
    `ours`."""

    def __init__(
        self,
        name: str,
        town: Street,
        door: SimBus,
        rng: random.Random,
        partitions: int,
        ours: set[asyncio.Task[object]],
    ) -> None:
        self._name = name
        self._town = town
        self._door = door
        self._rng = rng
        self._partitions = partitions
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
        self._turns.clear()
        if self._rng.random() < 0.7:
            for task in self._replies:
                task.cancel()
        self._replies = set()

    async def _arrive(self) -> None:
        self.since = self._town.now()
        self.lives += 1
        for partition in range(self._partitions):
            came = ProgramArrived(
                key=self._town.new_id("came"), agent="desk", channel="", at=self._town.now(), partition=partition
            )
            out = Outgoing(commands(partition).name, pack((came,)), came.key)
            await self._door.publish([out] * self._rng.choice((1, 1, 2)))

    async def hear(self, told: Told) -> None:
        """Every fifth telling is lost."""
        if self.since is None or self._rng.random() < 0.2:
            return
        for signal in told.signals:
            if isinstance(signal, Offer):
                self._take(told.call, self._town.log_of(told.call))
            elif isinstance(signal, Preparing):
                self._spawn(self._prepare(told.call, signal.turn))
        for entry in told.entries:
            if isinstance(entry.fact, ToolCalled) and entry.fact.round is not None:
                self._spawn(self._run_tool(told.call, entry.fact.round, entry.fact.id))
        self._take(told.call, list(told.entries))

    def _take(self, call: str, entries: list[Entry]) -> None:
        started = [entry.fact for entry in entries if isinstance(entry.fact, TurnStarted) and entry.fact.offered]
        if not started:
            return
        turn = started[-1]
        key = (call, turn.turn, turn.answers)
        if key not in self._turns:
            self._turns.add(key)
            self._replies.add(self._spawn(self._reply(call, turn, f"{self._name}-{self.lives}")))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[object]:
        task: asyncio.Task[object] = asyncio.create_task(work)
        self._ours.add(task)  # a worker's death is not the program's
        task.add_done_callback(self._ours.discard)
        task.add_done_callback(lambda done: self._replies.discard(done))
        return task

    async def _reply(self, call: str, turn: TurnStarted, program: str) -> None:
        await asyncio.sleep(self._rng.choice((0, 0.01, 0.2, 3.0)) * self._rng.random())
        says = Message.of(f"re: {turn.text}") if self._rng.random() < 0.95 else None
        await self._say(call, turn.answers[-1], says, program)
        if self._rng.random() < 0.1:
            await self._say(call, turn.answers[-1], Message.of("and more"), program)
        if self._rng.random() < 0.1 and self.since is not None:
            self._replies.discard(asyncio.current_task())  # type: ignore[arg-type]
            self._die()
            await self._arrive()

    async def _say(self, call: str, to: str, message: Message | None, program: str) -> None:
        id_ = self._town.new_id("said")
        head = self._town.head(call) | {"key": f"reply:{call}:{id_}"}
        reply = ProgramReply(**head, message_id=id_, in_reply_to=to, message=message, program=program)
        await self._publish(reply)

    async def _prepare(self, call: str, turn: int) -> None:
        await asyncio.sleep(self._rng.choice((0, 0.05, 1.0)) * self._rng.random())
        await self._publish(TurnReady(**self._town.head(call), turn=self._rng.choice((turn, turn, turn + 1, None))))

    async def _run_tool(self, call: str, round_: str, id_: str) -> None:
        if self._rng.random() < 0.05:
            return  # it hangs
        await asyncio.sleep(self._rng.choice((0, 0.05, 1.0)) * self._rng.random())
        results = (ToolResult(id=id_, result="looked"), ToolResult(id="nobody's", result=1))
        await self._publish(ToolResults(**self._town.head(call), round=round_, results=results))

    async def _publish(self, command: ToCall) -> None:
        """Now and then it goes out twice: the first time nobody confirmed it."""
        out = Outgoing(commands_for(command.home, self._partitions).name, pack((command,)), command.key)
        await self._door.publish([out] * (2 if self._rng.random() < 0.1 else 1))
