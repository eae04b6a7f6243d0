"""The control API of calls: what a test, or somebody with curl, makes people do.

======================================= ================================================================
POST /control/calls                     somebody calls: ``{"from", "to", "script": [], "faults": {},
                                        "fields": {}}``
GET /control/calls                      every call, the newest last
GET /control/calls/{sid}                one
GET /control/calls/{sid}/heard.wav      what the person heard; ``?both`` also what they said, as stereo
POST /control/calls/{sid}/acts          the person does something now: a step of a script
POST /control/people                    ``{"number", "plan": {}, "script": [], "faults": {}}``: how somebody
                                        behaves who is called; without a number everybody else
======================================= ================================================================

A step is ``{"wav": base64}``, ``{"press": "12#"}`` or ``{"hang_up": true}``, with ``at``, ``after_speech`` or
``after_silence`` in seconds (`people.Step`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from channels.twilio.simulator.phone.call import SimulatedCall
from channels.twilio.simulator.phone.people import Person, Step, StreamFaults
from channels.twilio.simulator.simulator import Simulator


class Placed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    from_: str = Field(alias="from", min_length=1, max_length=256)
    to: str = ""
    script: tuple[Step, ...] = ()
    faults: StreamFaults = StreamFaults()
    fields: dict[str, str] = Field(default_factory=dict)


class Known(Person):
    number: str = ""


class CallControl:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._calls = simulator.calls

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/control/calls", _checked(self.place)),
            web.get("/control/calls", self.all),
            web.get("/control/calls/{sid}", self.one),
            web.get("/control/calls/{sid}/heard.wav", self.heard),
            web.post("/control/calls/{sid}/acts", _checked(self.act)),
            web.post("/control/people", _checked(self.know)),
        ]

    async def place(self, request: web.Request) -> web.Response:
        if not self._simulator.settings.voice_url:
            return web.json_response({"error": "the stand-in was given no voice_url to call"}, status=400)
        given = Placed.model_validate_json(await request.read())
        call = self._calls.place(
            given.from_, to=given.to, script=given.script, faults=given.faults, fields=given.fields
        )
        return web.json_response(call.as_json(), status=201)

    async def all(self, _: web.Request) -> web.Response:
        return web.json_response([call.as_json() for call in self._calls.all()])

    async def one(self, request: web.Request) -> web.Response:
        return web.json_response(self._found(request).as_json())

    async def heard(self, request: web.Request) -> web.Response:
        call = self._found(request)
        if not call.streams:
            raise web.HTTPNotFound(text="this call had no sound\n")
        heard, said = call.stream.heard, bytes(call.caller.said)
        make = (lambda: heard.both(said)) if "both" in request.query else heard.wav
        return web.Response(body=await asyncio.to_thread(make), content_type="audio/wav")

    async def act(self, request: web.Request) -> web.Response:
        call = self._found(request)
        step = Step.model_validate_json(await request.read())
        if step.wav is not None:
            call.caller.say(step.wav)
        elif step.press is not None:
            call.caller.press(step.press)
        else:
            self._calls.hang_up(call)
        return web.json_response(call.as_json(), status=201)

    async def know(self, request: web.Request) -> web.Response:
        given = Known.model_validate_json(await request.read())
        person = Person(plan=given.plan, script=given.script, faults=given.faults)
        if given.number:
            self._calls.people[given.number] = person
        else:
            self._calls.stranger = person
        return web.Response(status=204)

    def _found(self, request: web.Request) -> SimulatedCall:
        call = self._calls.find(request.match_info["sid"])
        if call is None:
            raise web.HTTPNotFound(text=f"no call {request.match_info['sid'][:64]}\n")
        return call


def _checked(
    handler: Callable[[web.Request], Awaitable[web.Response]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def checked(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except (ValidationError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)

    return checked
