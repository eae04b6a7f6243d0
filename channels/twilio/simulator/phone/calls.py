"""Calls of the simulated account: placed by people or by the server under test, with their statuses.

A call's own task does its TwiML (`running.py`); this module is the book of calls, and what REST and control ask of it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from channels.twilio.simulator.phone.call import ENDS, Refused, Report, SimulatedCall
from channels.twilio.simulator.phone.people import Caller, Person, StreamFaults
from channels.twilio.simulator.phone.running import Running
from channels.twilio.simulator.settings import SimulatorSettings
from channels.twilio.simulator.webhooks import Webhooks

EVENTS: Final = {"initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}
"""By which name a status is asked for; every other one is `completed`."""


class Calls:
    """`start` inside a running loop before use, `close` at the end. `people` are those who behave in a way of their
    own when they are called, by number; `stranger` is everybody else."""

    def __init__(
        self,
        settings: SimulatorSettings,
        webhooks: Webhooks,
        dice: random.Random,
        report: Report,
        sid: Callable[[str], str],
    ) -> None:
        self.settings = settings
        self.webhooks = webhooks
        self.dice = dice
        self.report = report
        self.sid = sid
        self.people: dict[str, Person] = {}
        self.stranger = Person()
        self.session: aiohttp.ClientSession | None = None
        self._calls: OrderedDict[str, SimulatedCall] = OrderedDict()
        self._running: dict[str, Running] = {}
        self._news = asyncio.Event()

    async def start(self) -> None:
        self.session = aiohttp.ClientSession()

    async def close(self) -> None:
        await asyncio.gather(*(running.stop() for running in list(self._running.values())))
        self._tell()
        if self.session is not None:
            await self.session.close()
            self.session = None

    # -- people --------------------------------------------------------------------------------------------------------

    def place(
        self,
        from_: str,
        *,
        to: str = "",
        person: Person | None = None,
        script: Sequence[Any] = (),
        faults: StreamFaults | None = None,
        fields: Mapping[str, str] | None = None,
        url: str = "",
    ) -> SimulatedCall:
        """Somebody calls a number of the account; `fields` are further ones of the webhook's form."""
        given = person or Person(script=tuple(script), faults=faults or StreamFaults())
        call = self._made("inbound", from_, to or self.settings.number, given, fields=fields or {})
        call.callback = self.settings.voice_status_url
        call.events = frozenset({"completed"})
        self._run(call).take_in(url or self.settings.voice_url)
        return call

    def hang_up(self, call: SimulatedCall) -> None:
        """The person leaves, wherever the call is just now."""
        call.caller.hang_up()
        running = self._running.get(call.sid)
        if running is not None and not any(stream.is_open for stream in call.streams):
            running.end()

    def find(self, sid: str) -> SimulatedCall | None:
        return self._calls.get(sid)

    def all(self) -> list[SimulatedCall]:
        return list(self._calls.values())

    async def over(self, call: SimulatedCall, timeout: float = 30.0) -> SimulatedCall:
        """The call, once it is over and everything about it was told."""
        async with asyncio.timeout(timeout):
            while not call.is_over or call.sid in self._running:
                await self._news.wait()
        return call

    async def wait(self, number: int = 1, timeout: float = 10.0) -> list[SimulatedCall]:
        """All calls, once there are so many."""
        async with asyncio.timeout(timeout):
            while len(self._calls) < number:
                await self._news.wait()
        return self.all()

    # -- the server under test -----------------------------------------------------------------------------------------

    def create(self, form: Mapping[str, list[str]]) -> SimulatedCall:
        """`POST …/Calls.json`. Raises Refused."""
        one = {name: values[0] for name, values in form.items()}
        to, from_ = one.get("To", ""), one.get("From", "")
        self._check(to, from_, one)
        call = self._made("outbound-api", from_, to, self.people.get(to, self.stranger))
        call.callback = one.get("StatusCallback", "")
        call.events = frozenset(form.get("StatusCallbackEvent", ["completed"]))
        call.asked.append(one)
        self._run(call).take_out(one)
        return call

    def change(self, sid: str, form: Mapping[str, list[str]]) -> SimulatedCall:
        """`POST …/Calls/{sid}.json`. Raises Refused."""
        one = {name: values[0] for name, values in form.items()}
        call = self._calls.get(sid)
        if call is None:
            raise Refused(20404, f"The requested resource /Calls/{sid}.json was not found", 404)
        running = self._running.get(sid)
        if call.is_over or running is None:
            raise Refused(21220, "Call is not in-progress. Cannot redirect.")
        if len(one.get("Twiml", "")) > 4000:
            raise Refused(21635, "Twiml is longer than 4000 characters.")
        call.asked.append(one)
        word = one.get("Status", "")
        if word == "completed" or (word == "canceled" and call.answered_at is None):
            running.end()
        elif "Twiml" in one or "Url" in one:
            if call.answered_at is None:
                raise Refused(21220, "Call is not in-progress. Cannot redirect.")
            running.redirect(one.get("Twiml"), one.get("Url", ""))
        elif word != "canceled":
            raise Refused(21218, f"Invalid CallStatus {word!r}")
        return call

    def _check(self, to: str, from_: str, one: Mapping[str, str]) -> None:
        if not to:
            raise Refused(21201, "No 'To' number specified")
        is_number = to.startswith("+") and to[1:].isdigit() and 7 <= len(to[1:]) <= 15
        if not is_number and not to.startswith(("sip:", "sips:")):
            raise Refused(21211, f"The phone number you are attempting to call, {to}, is not valid.")
        if from_ not in (self.settings.number, *self.settings.more_numbers):
            raise Refused(21210, f"The source phone number provided, {from_}, is not yet verified for your account.")
        if ("Twiml" in one) == ("Url" in one):
            raise Refused(21205, "Either Url or Twiml is required, and not both.")
        if len(one.get("Twiml", "")) > 4000:
            raise Refused(21635, "Twiml is longer than 4000 characters.")
        for name in ("Url", "StatusCallback", "AsyncAmdStatusCallback"):
            if one.get(name) and urlsplit(one[name]).scheme not in ("http", "https"):
                raise Refused(21205, f"{name} is not a valid URL: {one[name]}")
        if to.startswith("+1900"):
            raise Refused(21215, f"Account not authorized to call {to}.")

    # -- both ----------------------------------------------------------------------------------------------------------

    def child(self, parent: SimulatedCall, from_: str, to: str) -> SimulatedCall:
        """The other leg of a `<Dial>`."""
        call = self._made("outbound-dial", from_, to, self.people.get(to, self.stranger))
        call.parent = parent.sid
        return call

    def _made(
        self, direction: str, from_: str, to: str, person: Person, *, fields: Mapping[str, str] | None = None
    ) -> SimulatedCall:
        call = SimulatedCall(
            sid=self.sid("CA"),
            account=self.settings.account_sid,
            direction=direction,
            from_=from_,
            to=to,
            person=person,
            caller=Caller(person.script),
            fields=fields or {},
            began=time.time(),
        )
        self._calls[call.sid] = call
        while len(self._calls) > self.settings.keep and next(iter(self._calls.values())).is_over:
            self._calls.popitem(last=False)
        self.report("call", {"sid": call.sid, "direction": direction, "from": from_, "to": to})
        self._tell()
        return call

    def _run(self, call: SimulatedCall) -> Running:
        running = self._running[call.sid] = Running(self, call, self._ended)
        return running

    def _ended(self, running: Running) -> None:
        self._running.pop(running.call.sid, None)
        self._tell()

    def set_status(self, call: SimulatedCall, word: str, **more: str) -> None:
        """A status of a call, told to whoever asked for it."""
        if call.is_over:
            return
        call.status = word
        call.statuses.append(word)
        if word == "in-progress":
            call.answered_at = time.time()
        if word in ENDS:
            call.ended_at = time.time()
            spoken = 0 if call.answered_at is None else round(call.ended_at - call.answered_at)
            more = {"CallDuration": str(spoken), "Duration": str(-(-spoken // 60)), **more}
        self.report("call-status", {"sid": call.sid, "status": word})
        if call.callback and EVENTS.get(word, "completed") in call.events:
            form = {
                **call.form(),
                "CallbackSource": "call-progress-events",
                "SequenceNumber": str(call.told),
                "Timestamp": formatdate(usegmt=True).replace("GMT", "+0000"),
                **more,
            }
            call.told += 1
            self.webhooks.post(call.callback, list(form.items()))
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def changed(self) -> None:
        """Return when a call has begun, changed or ended."""
        await self._news.wait()
