"""The REST API of calls: place, look at, change."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from channels.twilio.simulator.api import ACCOUNT, before, guarded, reset
from channels.twilio.simulator.phone.call import Refused, SimulatedCall
from channels.twilio.simulator.simulator import Simulator


class CallRest:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._calls = simulator.calls

    def routes(self) -> list[web.RouteDef]:
        one = f"{ACCOUNT}/Calls/{{sid}}.json"
        return [
            web.post(f"{ACCOUNT}/Calls.json", guarded(self._simulator, self.create)),
            web.get(one, guarded(self._simulator, self.fetch)),
            web.post(one, guarded(self._simulator, self.update)),
        ]

    async def create(self, request: web.Request) -> web.StreamResponse:
        simulator = self._simulator
        form = parse_qs((await request.read()).decode(), keep_blank_values=True)
        fault = simulator.faults.take(form.get("To", [""])[0])
        if fault is not None and (answer := await before(request, fault, simulator)) is not None:
            return answer
        call = self._calls.create(form)
        if fault is not None and fault.kind == "accept_then_hang":
            await simulator.closing.wait()
        if fault is not None and fault.kind == "accept_then_reset":
            reset(request)
        return web.json_response(_shown(call), status=201)

    async def fetch(self, request: web.Request) -> web.Response:
        found = self._calls.find(request.match_info["sid"])
        if found is None:
            raise Refused(20404, f"The requested resource {request.path} was not found", 404)
        return web.json_response(_shown(found))

    async def update(self, request: web.Request) -> web.StreamResponse:
        simulator = self._simulator
        form = parse_qs((await request.read()).decode(), keep_blank_values=True)
        fault = simulator.faults.take(request.match_info["sid"])
        if fault is not None and (answer := await before(request, fault, simulator)) is not None:
            return answer
        return web.json_response(_shown(self._calls.change(request.match_info["sid"], form)))


def _shown(call: SimulatedCall) -> dict[str, Any]:
    def date(at: float | None) -> str | None:
        return None if at is None else formatdate(at, usegmt=True).replace("GMT", "+0000")

    spoken = None
    if call.answered_at is not None and call.ended_at is not None:
        spoken = str(round(call.ended_at - call.answered_at))
    return {
        "sid": call.sid,
        "account_sid": call.account,
        "parent_call_sid": call.parent or None,
        "to": call.to,
        "from": call.from_,
        "status": call.status,
        "direction": call.direction,
        "answered_by": None,
        "api_version": "2010-04-01",
        "caller_name": None,
        "date_created": date(call.began),
        "date_updated": date(call.ended_at or call.answered_at or call.began),
        "start_time": date(call.answered_at),
        "end_time": date(call.ended_at),
        "duration": spoken,
        "price": None,
        "price_unit": "USD",
        "uri": f"/2010-04-01/Accounts/{call.account}/Calls/{call.sid}.json",
    }
