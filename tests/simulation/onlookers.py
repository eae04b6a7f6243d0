"""Those who look on in a simulated town: they follow calls, conversations and the agent, come late, read slowly, leave,
and ask. What each was told is compared with the logs in the end."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from omni.live.hub import COMPARE_SECONDS, Hub, SlowFollowerError
from omni.live.told import Told
from omni.model.call import Call
from omni.model.inbound import Ask
from tests.simulation.engines import World

Tales = AbstractAsyncContextManager[AsyncIterator[Told]]
ANSWERED_WITHIN = 600.0


@dataclass
class Tale:
    """What one was told, by call: of calls that began after `since`, from their beginning. `first` says where it is
    told from of one call."""

    who: str
    seqs: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    since: float = 0.0
    first: dict[str, int] = field(default_factory=dict)
    left_at: float | None = None
    """When it had been told all there was."""


class Onlookers:
    def __init__(
        self,
        hub: Hub,
        disk: World,
        now: Callable[[], float],
        rng: random.Random,
        ours: set[asyncio.Task[object]],
        broken: list[str],
    ) -> None:
        self._hub = hub
        self._now = now
        self._disk = disk
        self._rng = rng
        self._ours = ours
        self._broken = broken
        self._tasks: list[asyncio.Task[object]] = []
        self._leaving = asyncio.Event()
        self.tales: list[Tale] = []

    async def begin(self, count: int) -> None:
        self._spawn(self._watch_agent("the first"))
        for n in range(count):
            self._spawn(self._visit(n))

    async def end(self) -> None:
        """Everybody has heard what there is, and leaves."""
        self._leaving.set()
        await asyncio.wait(self._tasks)
        for task in self._tasks:
            if task.exception() is not None:
                self._broken.append(f"an onlooker broke: {task.exception()!r}")

    def _spawn(self, work: Awaitable[None]) -> None:
        task: asyncio.Task[object] = asyncio.ensure_future(work)  # type: ignore[arg-type]
        self._tasks.append(task)
        self._ours.add(task)

    async def _visit(self, number: int) -> None:
        await asyncio.sleep(self._rng.choice((0.5, 20.0, 8000.0)) * self._rng.random())
        calls = list(self._disk.calls.values())
        if not calls:
            return
        call = self._rng.choice(calls)
        match self._rng.randrange(3):
            case 0:
                await self._watch_agent(f"{number}")
            case 1:
                await self._watch_call(f"{number}", call)
            case _:
                await self._watch_conversation(f"{number}", call)

    async def _watch_agent(self, who: str) -> None:
        tale = self._tale(f"agent's {who}")
        with contextlib.suppress(SlowFollowerError):
            async with self._hub.follow_agent("default", "desk") as news:
                await self._listen(news, tale)

    async def _watch_call(self, who: str, call: Call) -> None:
        """Whoever was too slow follows again from where they were."""
        tale = self._tale(f"{call.id}'s {who}")
        after = self._rng.randint(0, len(self._disk.logs[call.id]))
        tale.first[call.id] = after + 1
        while True:
            seen = tale.seqs[call.id][-1] if tale.seqs[call.id] else after
            try:
                async with self._hub.follow_call(call.id, after=seen) as news:
                    await self._listen(news, tale)
                return
            except SlowFollowerError:
                continue

    async def _watch_conversation(self, who: str, call: Call) -> None:
        tale = self._tale(f"conversation {call.conversation}'s {who}")
        with contextlib.suppress(SlowFollowerError):
            async with self._hub.follow_conversation("default", "desk", call.conversation) as news:
                await self._listen(news, tale)

    def _tale(self, who: str) -> Tale:
        tale = Tale(who)
        self.tales.append(tale)
        return tale

    async def _listen(self, news: AsyncIterator[Told], tale: Tale) -> None:
        """Until the town is quiet, or (one in three) for a while; now and then waiting is cut and tried again."""
        tale.since = self._now()
        stays_for = self._rng.choice((None, None, 300.0 * self._rng.random()))
        is_slow = self._rng.random() < 0.2
        leaving = asyncio.create_task(self._leaving.wait())
        self._ours.add(leaving)  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(stays_for):
                await self._read(news, tale, leaving, is_slow=is_slow)
        except TimeoutError:
            return
        finally:
            leaving.cancel()
            self._ours.discard(leaving)  # type: ignore[arg-type]
        tale.left_at = self._now()

    async def _read(self, news: AsyncIterator[Told], tale: Tale, leaving: asyncio.Task[bool], *, is_slow: bool) -> None:
        while True:
            is_last = leaving.done()
            try:
                async with asyncio.timeout(30.0 if is_last else self._rng.choice((0.001, 1.0, 30.0))):
                    told = await anext(news)
            except TimeoutError:
                if is_last:
                    return
                continue
            except StopAsyncIteration:
                return
            tale.seqs[told.call] += [entry.seq for entry in told.entries]
            if is_slow:
                await asyncio.sleep(self._rng.random())

    async def ask(self, what: str, send: Callable[[Ask], Awaitable[None]]) -> None:
        try:
            await self._hub.ask(send, timeout=ANSWERED_WITHIN)
        except TimeoutError:
            self._broken.append(f"{what} was never answered")

    # what they can say in the end

    def inspect(self) -> None:
        for tale in self.tales:
            for call, seqs in tale.seqs.items():
                self._inspect_call(tale, call, seqs)

    def _inspect_call(self, tale: Tale, call: str, seqs: list[int]) -> None:
        is_old = self._disk.calls[call].started_at < tale.since
        first = tale.first.get(call, seqs[0] if seqs and is_old else 1)
        if seqs and seqs != list(range(first, seqs[-1] + 1)):
            self._broken.append(f"the {tale.who} was told {seqs} of {call}, and not all from {first} on, once")
        elif tale.left_at is not None and seqs:
            made_up_for = tale.left_at - 2 * COMPARE_SECONDS
            last = max((entry.seq for entry in self._disk.logs[call] if entry.ts < made_up_for), default=0)
            if seqs[-1] < last:
                self._broken.append(f"the {tale.who} was told of {call} up to {seqs[-1]}, and there is {last}")
