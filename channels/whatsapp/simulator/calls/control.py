"""Calls in the control API: what a user does with their telephone, and what they hear."""

from __future__ import annotations

import io
import wave
from collections.abc import Awaitable, Callable
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from channels.whatsapp.simulator.calls.call import SimulatedCall
from channels.whatsapp.simulator.calls.calls import CallPlan, CallsMissing
from channels.whatsapp.simulator.control_errors import ControlError, answered, body_of, changed
from channels.whatsapp.simulator.simulator import Simulator

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
RATE = 48_000


class NewCall(BaseModel):
    """A user calls."""

    model_config = ConfigDict(extra="forbid")

    sender: str = Field(alias="from", pattern=r"^\+?[0-9]{5,15}$")
    phone_number_id: str | None = None


class CallAction(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: Literal["hang_up", "accept"]


class CallControl:
    """Handlers of one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def table(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "calls", self._all),
            ("POST", "calls", self._call),
            ("POST", "calls/{id:.+}/sound", self._say),
            ("GET", "calls/{id:.+}/sound", self._heard),
            ("POST", "calls/{id:.+}", self._act),
            ("GET", "call-plan", self._plan),
            ("PUT", "call-plan", self._set_plan),
        ]

    async def _all(self, _: web.Request) -> web.Response:
        return answered({"calls": [call.as_json() for call in self._simulator.calls.all()]})

    async def _call(self, request: web.Request) -> web.Response:
        new = NewCall.model_validate(await body_of(request))
        try:
            call = await self._simulator.user_calls(new.sender.removeprefix("+"), number=new.phone_number_id)
        except CallsMissing as error:
            raise ControlError(f"{error}.", 501) from None
        return answered(call.as_json(), 201)

    async def _act(self, request: web.Request) -> web.Response:
        call, wanted = self._found(request), CallAction.model_validate(await body_of(request))
        if wanted.action == "hang_up":
            self._simulator.calls.hang_up(call)
        else:
            self._simulator.calls.accept(call)
        return answered(call.as_json())

    async def _say(self, request: web.Request) -> web.Response:
        call = self._found(request)
        try:
            with wave.open(io.BytesIO(await request.read())) as sound:
                is_ours = (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, RATE)
                pcm = sound.readframes(sound.getnframes()) if is_ours else b""
        except (wave.Error, EOFError):
            pcm = b""
        if not pcm:
            raise ControlError("The body is not a WAV of 16-bit mono at 48,000 samples a second.")
        call.phone.microphone.say(pcm)
        return answered(call.as_json(), 202)

    async def _heard(self, request: web.Request) -> web.Response:
        call, out = self._found(request), io.BytesIO()
        with wave.open(out, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(RATE)
            sound.writeframes(bytes(call.phone.sound))
        return web.Response(body=out.getvalue(), content_type="audio/wav")

    async def _plan(self, _: web.Request) -> web.Response:
        return answered(self._simulator.calls.plan.model_dump())

    async def _set_plan(self, request: web.Request) -> web.Response:
        plan: CallPlan = await changed(request, self._simulator.calls.plan)
        self._simulator.calls.plan = plan
        return await self._plan(request)

    def _found(self, request: web.Request) -> SimulatedCall:
        call = self._simulator.calls.find(request.match_info["id"])
        if call is None:
            raise ControlError("There is no call with this id.", 404)
        return call
