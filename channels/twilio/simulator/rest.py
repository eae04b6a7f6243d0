"""The REST API: accounts, messages and media, with the account's own credentials and the faults in force."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web

from channels.twilio.simulator.api import ACCOUNT, before, guarded, reset
from channels.twilio.simulator.phone.call import Refused
from channels.twilio.simulator.simulator import SentMessage, Simulator


class RestSide:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._fetching: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{ACCOUNT}.json", guarded(self._simulator, self.account)),
            web.post(f"{ACCOUNT}/Messages.json", guarded(self._simulator, self.create)),
            web.get(f"{ACCOUNT}/Messages/{{sid}}.json", guarded(self._simulator, self.message)),
            web.get(f"{ACCOUNT}/Messages/{{sid}}/Media/{{media}}", guarded(self._simulator, self.media)),
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

    async def account(self, request: web.Request) -> web.Response:
        settings = self._simulator.settings
        return web.json_response(
            {"sid": settings.account_sid, "friendly_name": "Sunrise Café", "status": "active", "type": "Full"}
        )

    async def create(self, request: web.Request) -> web.StreamResponse:
        simulator = self._simulator
        form = parse_qs((await request.read()).decode(), keep_blank_values=True)
        fault = simulator.faults.take(form.get("To", [""])[0])
        if fault is not None and (answer := await before(request, fault, simulator)) is not None:
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
            reset(request)
        return web.json_response(_shown(message, simulator), status=201)

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
