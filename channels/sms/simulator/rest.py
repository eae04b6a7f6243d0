"""The REST API: accounts, messages and media, with the account's own credentials and the faults in force."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from email.utils import formatdate
from typing import Any, cast
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web

from channels.sms.simulator.faults import FaultRule
from channels.sms.simulator.simulator import Refused, SentMessage, Simulator

_ACCOUNT = "/2010-04-01/Accounts/{account}"


class RestSide:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._fetching: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{_ACCOUNT}.json", self._guarded(self.account)),
            web.post(f"{_ACCOUNT}/Messages.json", self._guarded(self.create)),
            web.get(f"{_ACCOUNT}/Messages/{{sid}}.json", self._guarded(self.message)),
            web.get(f"{_ACCOUNT}/Messages/{{sid}}/Media/{{media}}", self._guarded(self.media)),
            web.get("/media/{media}", self.content),
        ]

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))

    async def close(self) -> None:
        for task in self._fetching:
            task.cancel()
        await asyncio.gather(*self._fetching, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _guarded(self, handler: Any) -> Any:
        """The account's own credentials, and errors as the API words them."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            settings = self._simulator.settings
            pair = f"{settings.account_sid}:{settings.auth_token}"
            expected = f"Basic {base64.b64encode(pair.encode()).decode()}"
            given = request.headers.get("Authorization", "")
            if not hmac.compare_digest(given.encode(), expected.encode()):
                return _error(20003, "Authenticate", 401)
            if request.match_info["account"] != settings.account_sid:
                return _error(20404, f"The requested resource {request.path} was not found", 404)
            try:
                return cast("web.StreamResponse", await handler(request))
            except Refused as refused:
                self._simulator.report("refused", {"code": refused.code, "message": str(refused)})
                return _error(refused.code, str(refused), refused.http)

        return guarded

    async def account(self, request: web.Request) -> web.Response:
        settings = self._simulator.settings
        return web.json_response(
            {"sid": settings.account_sid, "friendly_name": "Sunrise Café", "status": "active", "type": "Full"}
        )

    async def create(self, request: web.Request) -> web.StreamResponse:
        simulator = self._simulator
        form = parse_qs((await request.read()).decode(), keep_blank_values=True)
        fault = simulator.faults.take(form.get("To", [""])[0])
        if fault is not None and (answer := await self._before(request, fault)) is not None:
            return answer
        message = simulator.accept(form)
        failure = (fault.code or 30003) if fault is not None and fault.kind == "async_failure" else None
        if message.media:
            self._spawn(self._fetch(message, failure))
        else:
            simulator.plan(message, failure)
        if fault is not None and fault.kind == "accept_then_hang":
            await simulator.closing.wait()
        if fault is not None and fault.kind == "accept_then_reset":
            _reset(request)
        return web.json_response(_shown(message, simulator), status=201)

    async def _before(self, request: web.Request, fault: FaultRule) -> web.StreamResponse | None:
        """The answer of a fault that comes before the message is taken; None when it is taken all the same."""
        match fault.kind:
            case "error":
                return _error(fault.code or 20001, "A fault that was asked for", fault.http)
            case "rate_limited":
                headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
                return _error(20429, "Too Many Requests", 429, headers)
            case "server_error":
                return _error(20500, "An internal server error has occurred", 500)
            case "html_502":
                return web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html")
            case "garbage":
                return web.Response(status=201, text="{not json", content_type="application/json")
            case "slow":
                await asyncio.sleep(fault.ms / 1000)
            case "hang":
                await self._simulator.closing.wait()
                return web.Response(status=503)
            case "reset":
                _reset(request)
                return web.Response(status=503)
            case _:
                pass
        return None

    async def _fetch(self, message: SentMessage, failure: int | None) -> None:
        """Fetch the files of a message, as Twilio does before it sends them."""
        assert self._session is not None
        for url in message.media:
            try:
                async with self._session.get(url, allow_redirects=False) as answer:
                    message.fetched.append((answer.status, answer.content_type, await answer.read()))
                    failure = failure if answer.status == 200 else 11200
            except (aiohttp.ClientError, TimeoutError, OSError):
                failure = 11200
        self._simulator.report(
            "fetched", {"sid": message.sid, "statuses": [status for status, _, _ in message.fetched]}
        )
        self._simulator.plan(message, failure)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work, name="twilio-simulator-fetch")
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)

    async def message(self, request: web.Request) -> web.Response:
        found = self._simulator.find(request.match_info["sid"])
        if found is None:
            raise Refused(20404, f"The requested resource {request.path} was not found", 404)
        return web.json_response(_shown(found, self._simulator))

    async def media(self, request: web.Request) -> web.Response:
        """A redirect to where the bytes are, as Twilio answers it."""
        media_id = request.match_info["media"]
        if media_id not in self._simulator.files:
            raise Refused(20404, f"The requested resource {request.path} was not found", 404)
        base = self._simulator.settings.public_url or f"{request.scheme}://{request.host}"
        return web.Response(status=307, headers={"Location": f"{base}/media/{media_id}"})

    async def content(self, request: web.Request) -> web.Response:
        found = self._simulator.files.get(request.match_info["media"])
        if found is None:
            return web.Response(status=404)
        return web.Response(body=found[1], headers={"Content-Type": found[0]})


def _reset(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _error(code: int, message: str, http: int, headers: dict[str, str] | None = None) -> web.Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": message, "more_info": more, "status": http}
    return web.Response(status=http, text=json.dumps(body), content_type="application/json", headers=headers)


def _shown(message: SentMessage, simulator: Simulator) -> dict[str, Any]:
    settings = simulator.settings
    path = f"/2010-04-01/Accounts/{settings.account_sid}/Messages/{message.sid}"
    return {
        "account_sid": settings.account_sid,
        "api_version": "2010-04-01",
        "body": message.body,
        "date_created": formatdate(message.at, usegmt=True).replace("GMT", "+0000"),
        "date_sent": None,
        "date_updated": formatdate(message.at, usegmt=True).replace("GMT", "+0000"),
        "direction": "outbound-api",
        "error_code": message.error,
        "error_message": None,
        "from": message.sender,
        "messaging_service_sid": message.service or None,
        "num_media": str(len(message.media)),
        "num_segments": "0" if message.service else str(message.segments),
        "price": None,
        "price_unit": None,
        "sid": message.sid,
        "status": "accepted" if message.service else "queued",
        "subresource_uris": {"media": f"{path}/Media.json"},
        "to": message.to,
        "uri": f"{path}.json",
    }
