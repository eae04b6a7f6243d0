"""The calls of a simulated account: what users do, what the business does over Graph, and what webhooks tell of both.

Source: WhatsApp Cloud API, calling reference: `POST /{phone_number_id}/calls` with the actions connect, pre_accept,
accept, reject and terminate; permissions to call.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from channels.whatsapp.simulator.calls import webhooks
from channels.whatsapp.simulator.calls.call import Direction, SimulatedCall
from channels.whatsapp.simulator.errors import GraphError, invalid
from channels.whatsapp.simulator.ids import Json
from channels.whatsapp.simulator.journal import Journal
from channels.whatsapp.simulator.people import Person

if TYPE_CHECKING:
    from channels.whatsapp.simulator.calls.phone import Phone

Post = Callable[[str, Person, Json], None]
"""Post a webhook of a number about a person."""
DAY = 86_400
TEMPORARY_SECONDS = 7 * DAY
KEEP = 1_000
MISSING = "the simulator's calls need one package more: pip install 'omni-server[webrtc]'"


class CallsMissing(RuntimeError):
    """Calls cannot be had here."""


class CallPlan(BaseModel):
    """What users do when the business calls them, or asks whether it may. Times are milliseconds.

    ``answers``: they take the call after ``ring_ms``, decline it, or let it ring. ``permits``: what they say to a
    request for permission; ``ignore`` leaves it open. With ``early`` their description comes before they take the call,
    as the platform does it, else together with that. ``duplicates``: every webhook of a call is posted so often.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: Literal["accept", "decline", "ring"] = "accept"
    ring_ms: int = Field(default=300, ge=0, le=600_000)
    early: bool = True
    permits: Literal["accept", "reject", "ignore"] = "accept"
    duplicates: int = Field(default=1, ge=1, le=10)


class Calls:
    """``post`` sends webhooks and ``now`` gives epoch seconds; ``business`` tells the number that people see."""

    def __init__(self, journal: Journal, post: Post, business: Callable[[str], str], now: Callable[[], float]) -> None:
        self.plan = CallPlan()
        self.changed = asyncio.Event()
        self._journal = journal
        self._post = post
        self._business = business
        self._now = now
        self._calls: dict[str, SimulatedCall] = {}
        self._permits: dict[tuple[str, str], float] = {}
        self._asked: dict[tuple[str, str], list[float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # -- looking on ----------------------------------------------------------------------------------------------------

    def all(self) -> list[SimulatedCall]:
        return list(self._calls.values())

    def find(self, call: str) -> SimulatedCall | None:
        return self._calls.get(call)

    async def until(self, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
        """What ``condition`` returns as soon as that is true. Raises ``TimeoutError``."""
        async with asyncio.timeout(seconds):
            while not (found := condition()):
                self.changed.clear()
                await self.changed.wait()
            return found

    # -- permissions ---------------------------------------------------------------------------------------------------

    def permit(self, number: str, wa_id: str, *, permanent: bool = False) -> float:
        """A user lets the business call them; until when, epoch seconds (0: for good)."""
        until = 0.0 if permanent else self._now() + TEMPORARY_SECONDS
        self._permits[number, wa_id] = until
        return until

    def forbid(self, number: str, wa_id: str) -> None:
        self._permits.pop((number, wa_id), None)

    def may_call(self, number: str, wa_id: str) -> bool:
        until = self._permits.get((number, wa_id))
        return until is not None and (until == 0 or self._now() < until)

    def permission(self, number: str, wa_id: str) -> Json:
        """The body of ``GET /{phone_number_id}/call_permissions``."""
        until = self._permits.get((number, wa_id), 0.0)
        granted: Json = {"status": "no_permission"}
        if self.may_call(number, wa_id):
            granted = {"status": "temporary", "expiration_time": int(until)} if until else {"status": "permanent"}
        return {"messaging_product": "whatsapp", "permission": granted}

    def check_request(self, number: str, wa_id: str) -> None:
        """Whether the user may be asked for permission now. Raises ``GraphError``."""
        if self._permits.get((number, wa_id)) == 0:
            raise GraphError(138017)
        now = self._now()
        asked = [at for at in self._asked.get((number, wa_id), ()) if now - at < 7 * DAY]
        if len(asked) >= 2 or any(now - at < DAY for at in asked):
            raise GraphError(138009)

    def requested(self, number: str, wa_id: str, answers: Callable[[], None]) -> None:
        """The user was asked; ``answers`` is called a moment later."""
        self._asked.setdefault((number, wa_id), []).append(self._now())

        async def answer() -> None:
            answers()

        self.begin(answer(), f"ask {wa_id}")

    # -- users ---------------------------------------------------------------------------------------------------------

    async def user_calls(
        self, person: Person, number: str, *, sdp: str | None = None, times: int | None = None, posts: bool = True
    ) -> SimulatedCall:
        """A user calls the business. ``sdp`` is told instead of a real offer (empty: none at all); without ``posts``
        nobody is told yet (``tell``). Raises ``CallsMissing``."""
        call = self._new(person, number, "USER_INITIATED")
        call.offer = await call.phone.offer()
        self._note(call)
        if posts:
            self.tell(call, sdp=sdp, times=times)
        return call

    def tell(self, call: SimulatedCall, *, sdp: str | None = None, times: int | None = None) -> None:
        """The webhook by which the business hears of a user's call."""
        offer = call.offer if sdp is None else sdp or None
        value = webhooks.connect(call, self._business(call.phone_number_id), offer, self._now())
        self._tell(call, value, times)

    def hang_up(self, call: SimulatedCall, *, times: int | None = None) -> None:
        """The user ends it."""
        if not call.is_over:
            self._end(call, "COMPLETED" if call.began_at is not None else "FAILED", "user", times=times)

    def lose(self, call: SimulatedCall) -> None:
        """Their telephone is gone, and no webhook says so."""
        self._over(call, "lost")

    # -- the business --------------------------------------------------------------------------------------------------

    async def act(self, number: str, body: Json) -> Json:
        """``POST /{phone_number_id}/calls``; the answer's body. Raises ``GraphError``."""
        if body.get("messaging_product") != "whatsapp":
            raise invalid("The parameter messaging_product is required.")
        action = body.get("action")
        if action not in ("pre_accept", "accept", "reject", "terminate"):
            raise invalid("Param action must be one of {CONNECT, PRE_ACCEPT, ACCEPT, REJECT, TERMINATE}.")
        call = self._calls.get(str(body.get("call_id")))
        if call is None or call.phone_number_id != number:
            raise GraphError(100, "There is no call with this id.", http=400)
        call.actions.append(str(action))
        self.changed.set()
        if call.is_over:
            raise GraphError(100, "The call is over.", http=400)
        match action:
            case "pre_accept":
                await self._described(call, body)
                call.state = "pre_accepted"
            case "accept":
                await self._described(call, body)
                call.early = call.phone.frames
                call.state = "accepted"
                call.began_at = self._now()
            case "reject":
                self._end(call, "FAILED", "rejected")
            case _:
                self._end(call, "COMPLETED" if call.began_at is not None else "FAILED", "business")
        self._note(call)
        return {"messaging_product": "whatsapp", "success": True}

    async def _described(self, call: SimulatedCall, body: Json) -> None:
        if call.direction != "USER_INITIATED" or call.state == "accepted":
            raise GraphError(100, "The call cannot be accepted any more.", http=400)
        sdp = _session(body, "answer")
        if call.answer and sdp != call.answer:
            raise GraphError(100, "The session of accept differs from that of pre_accept.", http=400)
        if not call.answer:
            await self._understood(call.phone.answered(sdp))
            call.answer = sdp

    async def _understood(self, describing: Coroutine[Any, Any, Any]) -> Any:
        from channels.whatsapp.simulator.calls.phone import BROKEN

        try:
            return await describing
        except BROKEN as error:
            raise GraphError(100, f"SDP Validation error: {type(error).__name__}", http=400) from None

    async def business_calls(self, person: Person, number: str, body: Json) -> Json:
        """``action: connect``. Raises ``GraphError`` and ``CallsMissing``."""
        if not self.may_call(number, person.wa_id):
            raise GraphError(138006, http=401)
        sdp = _session(body, "offer")
        call = self._new(person, number, "BUSINESS_INITIATED")
        call.tracker = str(body.get("biz_opaque_callback_data") or "")
        try:
            call.offer = sdp
            call.answer = await self._understood(call.phone.answer(sdp))
        except GraphError:
            self._over(call, "refused")
            raise
        self._note(call)
        self.begin(self._ring(call), f"ring {call.id}")
        return {"messaging_product": "whatsapp", "calls": [{"id": call.id}]}

    async def _ring(self, call: SimulatedCall) -> None:
        plan = self.plan
        self._tell(call, webhooks.status(call, "RINGING", self._now()))
        if plan.early:
            self._describe(call)
        if plan.answers == "ring":
            return
        await asyncio.sleep(plan.ring_ms / 1000)
        if call.is_over:
            return
        if plan.answers == "decline":
            self._tell(call, webhooks.status(call, "REJECTED", self._now()))
            self._end(call, "FAILED", "declined")
            return
        self.accept(call)

    def accept(self, call: SimulatedCall) -> None:
        """The user takes the business's call."""
        if call.is_over or call.state == "accepted":
            return
        call.early = call.phone.frames
        call.state, call.began_at = "accepted", self._now()
        self._asked.pop((call.phone_number_id, call.person.wa_id), None)
        if not self.plan.early:
            self._describe(call)
        self._tell(call, webhooks.status(call, "ACCEPTED", self._now()))
        self._note(call)

    def _describe(self, call: SimulatedCall) -> None:
        business = self._business(call.phone_number_id)
        self._tell(call, webhooks.connect(call, business, call.answer, self._now()))

    # -- both ----------------------------------------------------------------------------------------------------------

    def fail(self, call: SimulatedCall, code: int) -> None:
        """The platform gives the call up."""
        self._end(call, "FAILED", "failed", GraphError(code))

    def _end(
        self, call: SimulatedCall, status: str, why: str, error: GraphError | None = None, *, times: int | None = None
    ) -> None:
        value = webhooks.terminate(call, self._business(call.phone_number_id), status, self._now(), error)
        self._over(call, why)
        self._tell(call, value, times)

    def _over(self, call: SimulatedCall, why: str) -> None:
        if not call.is_over:
            call.state, call.why = "over", why
            self._note(call)
            self.begin(call.phone.close(), f"close {call.id}")

    def _new(self, person: Person, number: str, direction: Direction) -> SimulatedCall:
        raw = b"\x1d\x18" + person.wa_id.encode() + secrets.token_bytes(16)
        id_ = "wacid." + base64.b64encode(raw).decode()
        call = SimulatedCall(id_, person, number, direction, self._phone())
        self._calls[call.id] = call
        if len(self._calls) > KEEP:
            oldest = next((one for one in self._calls.values() if one.is_over), None)
            if oldest is not None:
                del self._calls[oldest.id]
        return call

    def _phone(self) -> Phone:
        try:
            from channels.whatsapp.simulator.calls.phone import Phone
        except ImportError:
            raise CallsMissing(MISSING) from None
        return Phone(self.changed.set)

    def _note(self, call: SimulatedCall) -> None:
        self._journal.add("call", {"call": call.as_json()})
        self.changed.set()

    def _tell(self, call: SimulatedCall, value: Json, times: int | None = None) -> None:
        for _ in range(self.plan.duplicates if times is None else times):
            self._post(call.phone_number_id, call.person, value)

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=f"whatsapp-simulator: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget(self) -> None:
        """Everybody's telephone is gone."""
        for call in self._calls.values():
            self._over(call, "reset")
        self._calls.clear()
        self._permits.clear()
        self._asked.clear()
        self.plan = CallPlan()

    async def close(self) -> None:
        self.forget()
        while self._tasks:
            await asyncio.wait(list(self._tasks))


def _session(body: Json, kind: str) -> str:
    session = body.get("session")
    sdp = session.get("sdp") if isinstance(session, dict) else None
    if not isinstance(session, dict) or session.get("sdp_type") != kind or not isinstance(sdp, str):
        raise invalid(f"The parameter session with sdp_type '{kind}' is required.")
    if not sdp.endswith("\r\n"):
        raise GraphError(100, "SDP Validation error: lines end with CRLF.", http=400)
    if sdp.count("a=fingerprint:") != 1 or "a=fingerprint:sha-256 " not in sdp:
        raise GraphError(100, "SDP Validation error: there must be one fingerprint, by SHA-256.", http=400)
    return sdp
