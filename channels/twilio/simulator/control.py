"""The control API: what a test or the phone page makes the account and its people do.

=============================== =======================================================================
GET /control/state              settings without secrets, opt-outs, faults
GET /control/sent               messages of the server under test; ``?to=`` one person's
GET /control/events             what happened after ``?after=``, waiting up to ``?wait=`` seconds
POST /control/texts             ``{"from", "body", "files": [{"mime", "base64"}], "fields": {}}``
POST /control/statuses          ``{"sid", "status", "error"}``: report a status
POST /control/faults            a fault rule (``faults.py``); DELETE removes all of them
POST /control/reset             forget everything
=============================== =======================================================================
"""

from __future__ import annotations

import base64
import binascii

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from channels.twilio.simulator.faults import FaultRule
from channels.twilio.simulator.simulator import Simulator


class File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    mime: str = Field(pattern=r"^[a-z]+/[a-z0-9.+-]+$")
    base64: str


class Texts(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    sender: str = Field(alias="from", min_length=1, max_length=40)
    body: str = Field(default="", max_length=1600)
    files: tuple[File, ...] = Field(default=(), max_length=10)
    fields: dict[str, str] = Field(default_factory=dict)


class Status(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sid: str
    status: str
    error: int | None = None


class ControlSide:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/control/state", self.state),
            web.get("/control/sent", self.sent),
            web.get("/control/events", self.events),
            web.post("/control/texts", self.texts),
            web.post("/control/statuses", self.status),
            web.post("/control/faults", self.add_fault),
            web.delete("/control/faults", self.clear_faults),
            web.post("/control/reset", self.reset),
        ]

    async def state(self, _: web.Request) -> web.Response:
        simulator = self._simulator
        return web.json_response(
            {
                "number": simulator.settings.number,
                "account_sid": simulator.settings.account_sid,
                "webhook_url": simulator.settings.webhook_url,
                "stopped": sorted(simulator.stopped),
                "faults": [fault.as_json() for fault in simulator.faults.all()],
            }
        )

    async def sent(self, request: web.Request) -> web.Response:
        found = self._simulator.sent(request.query.get("to"))
        return web.json_response([message.as_json() for message in found])

    async def events(self, request: web.Request) -> web.Response:
        try:
            after, wait = int(request.query.get("after", "0")), float(request.query.get("wait", "0"))
        except ValueError:
            return _wrong("after and wait are numbers")
        return web.json_response(await self._simulator.wait_events(after, min(max(wait, 0.0), 30.0)))

    async def texts(self, request: web.Request) -> web.Response:
        try:
            texts = Texts.model_validate_json(await request.read())
            files = tuple((file.mime, base64.b64decode(file.base64, validate=True)) for file in texts.files)
        except (ValidationError, binascii.Error) as error:
            return _wrong(str(error))
        sid = self._simulator.texts(texts.sender, texts.body, files=files, fields=texts.fields)
        return web.json_response({"sid": sid}, status=201)

    async def status(self, request: web.Request) -> web.Response:
        try:
            status = Status.model_validate_json(await request.read())
        except ValidationError as error:
            return _wrong(str(error))
        message = self._simulator.find(status.sid)
        if message is None:
            return _wrong(f"no message {status.sid} was sent", 404)
        self._simulator.tell(message, status.status, status.error)
        return web.json_response(message.as_json(), status=201)

    async def add_fault(self, request: web.Request) -> web.Response:
        try:
            rule = FaultRule.model_validate_json(await request.read())
        except ValidationError as error:
            return _wrong(str(error))
        return web.json_response(self._simulator.faults.add(rule).as_json(), status=201)

    async def clear_faults(self, _: web.Request) -> web.Response:
        self._simulator.faults.clear()
        return web.Response(status=204)

    async def reset(self, _: web.Request) -> web.Response:
        self._simulator.reset()
        return web.Response(status=204)


def _wrong(why: str, status: int = 400) -> web.Response:
    return web.json_response({"error": why}, status=status)
