"""What every part of the REST API does: credentials, errors as the API words them, faults on demand."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from channels.twilio.simulator.faults import FaultRule
from channels.twilio.simulator.phone.call import Refused
from channels.twilio.simulator.simulator import Simulator

ACCOUNT: Final = "/2010-04-01/Accounts/{account}"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guarded(simulator: Simulator, handler: Handler) -> Handler:
    """Only with the account's own credentials."""

    async def guard(request: web.Request) -> web.StreamResponse:
        settings = simulator.settings
        pair = f"{settings.account_sid}:{settings.auth_token}"
        expected = f"Basic {base64.b64encode(pair.encode()).decode()}"
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), expected.encode()):
            return error(20003, "Authenticate", 401)
        if request.match_info["account"] != settings.account_sid:
            return error(20404, f"The requested resource {request.path} was not found", 404)
        try:
            return await handler(request)
        except Refused as refused:
            simulator.report("refused", {"code": refused.code, "message": str(refused)})
            return error(refused.code, str(refused), refused.http)

    return guard


async def before(request: web.Request, fault: FaultRule, simulator: Simulator) -> web.StreamResponse | None:
    """The answer of a fault that comes before anything is taken; None when it is taken all the same."""
    match fault.kind:
        case "error":
            return error(fault.code or 20001, "A fault that was asked for", fault.http)
        case "rate_limited":
            headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
            return error(20429, "Too Many Requests", 429, headers)
        case "server_error":
            return error(20500, "An internal server error has occurred", 500)
        case "html_502":
            return web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html")
        case "garbage":
            return web.Response(status=201, text="{not json", content_type="application/json")
        case "slow":
            await asyncio.sleep(fault.ms / 1000)
        case "hang":
            await simulator.closing.wait()
            return web.Response(status=503)
        case "reset":
            reset(request)
            return web.Response(status=503)
        case _:
            pass
    return None


def reset(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def error(code: int, message: str, http: int, headers: dict[str, str] | None = None) -> web.Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": message, "more_info": more, "status": http}
    return web.Response(status=http, text=json.dumps(body), content_type="application/json", headers=headers)
