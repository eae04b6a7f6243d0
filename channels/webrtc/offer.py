"""`POST /webrtc/offer` and `GET /webrtc/ice-servers`: how a browser's call begins, and goes on elsewhere."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any, Final, Literal

from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from channels.rtc.sdp import LONGEST, OfferError, answerable
from channels.webrtc.admission import Admission, AdmissionError, Caller
from channels.webrtc.ice import ice_servers
from channels.webrtc.reception import BrowserCall, Reception, Refuse
from channels.webrtc.wishes import allowed
from omni.access.asking import Asking
from omni.access.web import TRY_LATER, for_pages
from omni.model.ids import new_call_id
from omni.store.base import StoreError

log = logging.getLogger("omni.webrtc")

MOST_BYTES: Final = LONGEST + 32 * 1024
MOST_METADATA: Final = 2_048
"""Bytes of JSON that a page says of itself."""

_STATUS: Final = {"busy": 503, "nobody": 503, "bad": 400, "over": 410}
_RETRY: Final = 5


class Offer(BaseModel):
    """One of `token`, `agent` (a page without one) and `ticket` (back into a call) says who calls whom."""

    model_config = ConfigDict(extra="ignore", strict=True)

    sdp: str
    type: Literal["offer"] = "offer"
    token: str | None = None
    agent: str | None = Field(default=None, max_length=64)
    org: str | None = Field(default=None, max_length=64)
    visitor: str | None = None
    ticket: str | None = None
    config: dict[str, JsonValue] = Field(default_factory=dict)
    metadata: dict[str, JsonValue] = Field(default_factory=dict)


class Offers:
    """`ice_urls` are STUN and TURN servers; `turn_secret` is shared with the latter."""

    def __init__(
        self,
        admission: Admission,
        reception: Reception,
        asking: Callable[[web.Request], Asking],
        ice_urls: tuple[str, ...] = (),
        turn_secret: str | None = None,
    ) -> None:
        self._admission = admission
        self._reception = reception
        self._asking = asking
        self._ice_urls = ice_urls
        self._turn_secret = turn_secret

    def routes(self) -> list[web.RouteDef]:
        return for_pages([web.post("/webrtc/offer", self.offer), web.get("/webrtc/ice-servers", self.ice)])

    async def ice(self, _: web.Request) -> web.Response:
        servers = ice_servers(self._ice_urls, self._turn_secret, time.time())
        return web.json_response({"iceServers": servers}, headers={hdrs.CACHE_CONTROL: "no-store"})

    async def offer(self, request: web.Request) -> web.Response:
        """`{"sdp", "type": "offer", "token" | "agent" | "ticket", "config"?, "metadata"?}` → `{"sdp", "type":
        "answer", "call_id", "ticket", "visitor"?}`; every refusal is `{"detail", "code"?}`."""
        asking = self._asking(request)
        try:
            wanted = await _read(request)
            if wanted.ticket is not None:
                answer = await self._back(wanted, wanted.ticket, asking)
            else:
                answer = await self._begin(wanted, asking)
        except AdmissionError as error:
            headers = {"Retry-After": str(math.ceil(error.retry_after))} if error.retry_after else {}
            code = {} if error.code is None else {"code": error.code}
            return _answer(error.status, {"detail": str(error), **code}, headers)
        except StoreError:
            return _answer(503, {"detail": TRY_LATER}, {"Retry-After": str(_RETRY)})
        return _answer(200, answer)

    async def _begin(self, wanted: Offer, asking: Asking) -> dict[str, Any]:
        caller = self._caller(wanted, asking)
        _check(wanted.sdp)
        await self._admission.consume(caller)
        promised = caller.token.opens if caller.token is not None else None
        call = promised or new_call_id("rtc")
        said = {} if caller.token is None else wanted.metadata
        answered = await self._reception.offer(
            BrowserCall(call, caller, wanted.sdp, caller.opening(said), allowed(wanted.config))
        )
        if isinstance(answered, Refuse):
            raise _refused(answered)
        kept = {"visitor": caller.identity} if caller.identity is not None else {}
        return {
            "sdp": answered.sdp,
            "type": "answer",
            "call_id": call,
            "ticket": self._admission.ticket(call),
            **kept,
        }

    async def _back(self, wanted: Offer, ticket: str, asking: Asking) -> dict[str, Any]:
        call = self._admission.by_ticket(ticket, asking)
        _check(wanted.sdp)
        answered = await self._reception.back(call, wanted.sdp)
        if isinstance(answered, Refuse):
            raise _refused(answered)
        return {"sdp": answered.sdp, "type": "answer", "call_id": call, "ticket": ticket}

    def _caller(self, wanted: Offer, asking: Asking) -> Caller:
        if wanted.token is not None:
            return self._admission.by_token(wanted.token, asking)
        if wanted.agent is None:
            raise AdmissionError(401, "bring a token (GET /webrtc/token), or say which agent you call")
        return self._admission.by_page(wanted.agent, wanted.org, wanted.visitor, asking)


async def _read(request: web.Request) -> Offer:
    body = bytearray()
    async for chunk in request.content.iter_chunked(16 * 1024):
        body += chunk
        if len(body) > MOST_BYTES:
            raise AdmissionError(413, f"the offer is larger than {MOST_BYTES} bytes")
    try:
        wanted = Offer.model_validate_json(bytes(body))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(step) for step in problem["loc"])
        raise AdmissionError(
            400, f"the offer cannot be read: {f'{where}: ' if where else ''}{problem['msg']}"
        ) from None
    if len(wanted.model_dump_json(include={"metadata", "config"})) > MOST_METADATA * 2:
        raise AdmissionError(400, f"metadata and config together are larger than {MOST_METADATA * 2} bytes")
    return wanted


def _check(sdp: str) -> None:
    try:
        answerable(sdp)
    except OfferError as error:
        raise AdmissionError(400, str(error)) from None


def _refused(refuse: Refuse) -> AdmissionError:
    wait = _RETRY if refuse.kind == "busy" else None
    return AdmissionError(_STATUS[refuse.kind], refuse.reason, wait, code=refuse.kind)


def _answer(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(body, status=status, headers={hdrs.CACHE_CONTROL: "no-store", **(headers or {})})
