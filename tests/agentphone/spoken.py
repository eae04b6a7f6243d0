"""A call as the person at its other end has it, and what a developer's server answers to what they say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from channels.twilio.simulator import CallPlan, Person, SimulatedCall, Step
from omni.model.entry import Entry, Fact
from tests.agentphone.house import ADA, Desk, Turn, until
from tests.agentphone.marks import text_of, wav

NDJSON = "application/x-ndjson"


def says(text: str, **when: float) -> Step:
    return Step(wav=wav(text), **when)


@dataclass(slots=True)
class Far:
    """The far end of one call."""

    desk: Desk
    call: SimulatedCall

    def say(self, text: str) -> None:
        self.desk.house.loop.run(_done(lambda: self.call.caller.say(wav(text))))

    def hang_up(self) -> None:
        self.desk.house.loop.run(_done(lambda: self.desk.house.simulator.calls.hang_up(self.call)))

    @property
    def heard(self) -> str:
        """Everything that was said to them so far."""
        return "".join(text_of(bytes(stream.heard.played)) for stream in self.call.streams).strip()

    def hears(self, text: str) -> str:
        """What they have heard, once that is in it and nobody speaks."""

        def look() -> str:
            is_quiet = self.call.is_over or any(stream.heard.quiet_ms >= 200 for stream in self.call.streams[-1:])
            return self.heard if is_quiet and text in self.heard else ""

        return until(look, 20)

    def over(self) -> SimulatedCall:
        return self.desk.house.loop.run(self.desk.house.simulator.calls.over(self.call))

    def facts(self, kind: type[Fact], number: int = 1) -> list[Any]:
        """The facts of a kind, once the log has so many."""

        def look() -> list[Any]:
            log: list[Entry] = self.desk.house.loop.run(self.desk.house.store.entries(self.call.sid, limit=1_000))
            found = [entry.fact for entry in log if isinstance(entry.fact, kind)]
            return found if len(found) >= number else []

        return until(look)


async def _done(act: Callable[[], object]) -> None:
    act()


def meets(desk: Desk, *script: Step, who: str = ADA, **plan: Any) -> None:
    """Somebody who picks up and does this when they are called, unless their `plan` says otherwise."""
    person = Person(plan=CallPlan(**plan), script=script)
    desk.house.loop.run(_done(lambda: desk.house.simulator.calls.people.update({who: person})))


def far(desk: Desk, id_: str) -> Far:
    found = desk.house.simulator.calls.find(id_)
    assert found is not None
    return Far(desk, found)


def calls_us(desk: Desk, number: str, *script: Step) -> Far:
    """Somebody calls one of our numbers."""

    async def place() -> SimulatedCall:
        return desk.house.simulator.calls.place(ADA, to=number, person=Person(script=script))

    return Far(desk, desk.house.loop.run(place()))


def turns(desk: Desk, number: int) -> list[Any]:
    """What the developer's server was asked to answer, once it was so often."""

    def look() -> list[Any]:
        found = [each.said for each in desk.house.receivers.heard[desk.org] if each.is_turn]
        return found if len(found) >= number else []

    return until(look, 20)


def ended(desk: Desk) -> Any:
    """What the developer's server was told of the end of a call."""

    def look() -> Any:
        told = desk.house.receivers.heard[desk.org]
        return next((each for each in told if each.said["event"] == "agent.call_ended"), None)

    return until(look, 20)


def answers(desk: Desk, *planned: Turn) -> None:
    desk.house.receivers.turns[desk.org].extend(planned)


def with_json(value: Any, status: int = 200) -> Turn:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(value, status=status)

    return answer


def with_body(body: bytes, kind: str = NDJSON) -> Turn:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=kind)

    return answer


def with_lines(*lines: Any, until_gone: bool = False) -> Turn:
    """A stream; a line that is a function is awaited before the next one is sent."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": NDJSON})
        await response.prepare(request)
        for line in lines:
            if callable(line):
                await line()
            else:
                await response.write(json.dumps(line).encode() + b"\n")
        if until_gone:
            await asyncio.Event().wait()
        return response

    return answer


def once(condition: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.01)

    return wait


async def hangs(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("nobody waits so long")
