"""Voice workers of several processes on one stage: each has its own bus, pacer and name, and all the same store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from omni.bus.base import Outgoing
from omni.live.told import Answered
from omni.model.call import Call
from omni.model.callers import on_the_line
from omni.model.inbound import AnyInput, Ask, CallOffered, Dial, pack
from omni.model.queues import VOICE, voice_of
from tests.simulation.engines import Process, SimBus
from tests.voice.call.stage import CHANNEL, Stage, open_stage
from tests.voice.call.telephone import Telephone
from workers.voice.call import VoiceCall
from workers.voice.playout.pacer import Pacer
from workers.voice.worker import VoiceWorker


class Office:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.workers: list[VoiceWorker] = []
        self.phones: list[Telephone] = []
        self._numbers = count(1)

    async def hire(self, name: str, max_calls: int = 10) -> VoiceWorker:
        stage = self.stage
        bus = SimBus(stage.disk, Process(stage.rng))
        services = replace(
            stage.services,
            world=replace(stage.world, bus=bus),  # type: ignore[arg-type]
            pacer=Pacer(stage.loop.time, asyncio.sleep),
        )
        worker = VoiceWorker(services, name=name, media_url=lambda: f"wss://{name}/media", max_calls=max_calls)
        await worker.start()
        self.workers.append(worker)
        return worker

    async def close(self) -> None:
        for worker in self.workers:
            await worker.stop(0)
        for phone in self.phones:
            await phone.closed()

    # what others ask of them

    async def put(self, queue: str, *wanted: AnyInput) -> None:
        await self.stage.bus.publish([Outgoing(queue, pack((each,)), each.key) for each in wanted])

    def offered(self, call: str = "", number: str = "", **more: Any) -> CallOffered:
        serial = next(self._numbers)
        call = call or f"CA{serial}"
        number = number or f"+12025550{serial:03}"
        now = self.stage.loop.wall()
        ask = Ask(desk="desk-1", id=f"ask-{serial}")
        given = {"from_": number, "to": CHANNEL.number, "sender": on_the_line(number, call), "until": now + 8, **more}
        return CallOffered.model_validate(
            {
                "key": f"call:{call}",
                "agent": "desk",
                "channel": CHANNEL.id,
                "at": now,
                "call": call,
                "ask": ask,
                **given,
            }
        )

    def wanted(self, to: str = "+12025550199", **more: Any) -> Dial:
        serial = next(self._numbers)
        given: dict[str, Any] = {
            "from_": CHANNEL.number,
            "to": to,
            "person": on_the_line(to, f"dial-{serial}"),
            "by": "api",
        }
        ask = Ask(desk="desk-1", id=f"ask-{serial}")
        about = {"key": f"dial-{serial}", "agent": "desk", "channel": CHANNEL.id, "at": self.stage.loop.wall()}
        return Dial.model_validate({**about, **given, "ask": ask, **more})

    async def answer(self, ask: Ask | None, within: float = 8.0) -> Answered:
        """What whoever asked is told."""
        assert ask is not None
        found = await until(lambda: [each for each in self.stage.answered if each.id == ask.id], within)
        return found[0]

    async def offer(self, offered: CallOffered, worker: str | None = None) -> Answered:
        """Whichever worker takes it, or the one that is named, answers."""
        await self.put(VOICE.name if worker is None else voice_of(worker).name, offered)
        return await self.answer(offered.ask)

    async def take(self, worker: VoiceWorker, **more: Any) -> tuple[VoiceCall, Telephone]:
        """A caller who has the worker's ear."""
        offered = self.offered(**more)
        answered = await self.offer(offered, worker.name)
        return self.connect(worker, str(answered.data["token"]), offered.call)

    def connect(self, worker: VoiceWorker, token: str, call: str) -> tuple[VoiceCall, Telephone]:
        phone = Telephone(self.stage.lexicon)
        ear = worker.connect(token, call, phone)
        assert ear is not None, f"{worker.name} does not wait for {call}"
        phone.listen(ear)
        self.phones.append(phone)
        found = worker.find(call)
        assert found is not None
        return found, phone

    async def logged(self, call: str) -> Call | None:
        found: Call | None = await self.stage.store.call(call)
        return found


async def until(condition: Callable[[], Any], within: float = 30.0) -> Any:
    async with asyncio.timeout(within):
        while not (found := condition()):
            await asyncio.sleep(0.02)
    return found


@asynccontextmanager
async def open_office(folder: Path, **agent: Any) -> AsyncIterator[Office]:
    async with open_stage(folder, agent=agent) as stage:
        office = Office(stage)
        await stage.bus.declare((VOICE,))
        try:
            yield office
        finally:
            stage.store.is_away = False
            await office.close()
