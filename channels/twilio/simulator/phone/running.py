"""One call from its first ring to its end: what Twilio does with the TwiML it is given."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import urljoin

from channels.twilio.simulator.phone.call import Exchange, SimulatedCall
from channels.twilio.simulator.phone.dial import reach
from channels.twilio.simulator.phone.stream import Stream, stream_order
from channels.twilio.simulator.phone.twiml import TwimlError, Verb, parse
from channels.twilio.simulator.signing import headers

log = logging.getLogger(__name__)


class Running:
    """Owns the call's task. `end`, `redirect` and `stop` are for others; `ended` is told when the task is over."""

    def __init__(self, calls: Exchange, call: SimulatedCall, ended: Callable[[Running], None]) -> None:
        self.call = call
        self._calls = calls
        self._ended = ended
        self._task: asyncio.Task[None] | None = None
        self._work: asyncio.Task[None] | None = None
        self._next: tuple[str | None, str] | None = None
        self._is_ending = False
        self._base = ""
        self._amd: asyncio.Task[None] | None = None

    # what others do

    def take_in(self, url: str) -> None:
        self._begin(self._inbound(url))

    def take_out(self, order: Mapping[str, str]) -> None:
        self._begin(self._outbound(order))

    def end(self) -> None:
        """The call is ended from outside."""
        self._is_ending = True
        self._interrupt()

    def redirect(self, text: str | None, url: str) -> None:
        self._next = (text, url)
        self._interrupt()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _begin(self, life: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.create_task(self._live(life), name="twilio-simulator-call")
        self._task.add_done_callback(self._report)

    def _report(self, task: asyncio.Task[None]) -> None:
        """A fault of the stand-in itself must be seen."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the call %s broke in the stand-in", self.call.sid, exc_info=error)
            self._calls.report("broken", {"sid": self.call.sid, "why": repr(error)})

    async def _live(self, life: Coroutine[Any, Any, None]) -> None:
        try:
            await life
            if not self.call.is_over:
                unanswered = self.call.answered_at is None
                self._calls.set_status(self.call, "canceled" if unanswered else "completed")
            if self._amd is not None:
                await self._amd
        finally:
            if self._amd is not None:
                self._amd.cancel()
                await asyncio.gather(self._amd, return_exceptions=True)
            self._ended(self)

    def _interrupt(self) -> None:
        for stream in self.call.streams:
            stream.interrupt()
        if self._work is not None and not any(stream.is_open for stream in self.call.streams):
            self._work.cancel()

    # from the first ring

    async def _inbound(self, url: str) -> None:
        call = self.call
        self._calls.set_status(call, "ringing")
        status, text = await self._fetch(url)
        if status != 200:
            call.error, call.answered = 11200, status
            self._calls.report("call-error", {"sid": call.sid, "error": 11200, "status": status})
            self._calls.set_status(call, "failed")
            return
        await self._do_all(text)

    async def _outbound(self, order: Mapping[str, str]) -> None:
        call, plan = self.call, self.call.person.plan
        sip = {"SipResponseCode": str(plan.sip)} if plan.sip is not None else {}
        if await self._waits(plan.dial_ms):
            return
        self._calls.set_status(call, "initiated")
        if plan.outcome == "failed":
            call.error = plan.error or 13224
            self._calls.set_status(call, "failed", ErrorCode=str(call.error), **sip)
            return
        if await self._waits(plan.dial_ms):
            return
        if plan.outcome == "busy":
            self._calls.set_status(call, "busy", **({"SipResponseCode": "486"} | sip))
            return
        self._calls.set_status(call, "ringing")
        longest = float(order.get("Timeout", "60")) * 1000
        if await self._waits(min(plan.ring_ms, longest)):
            return
        if plan.outcome == "no-answer" or plan.ring_ms > longest:
            self._calls.set_status(call, "no-answer", **({"SipResponseCode": "487"} | sip))
            return
        self._calls.set_status(call, "in-progress", SipResponseCode="200")
        if order.get("MachineDetection") and order.get("AsyncAmd") == "true":
            self._amd = asyncio.create_task(self._detect(order), name="twilio-simulator-amd")
        text = order.get("Twiml")
        if text is None:
            _, text = await self._fetch(order["Url"])
        await self._do_all(text)

    async def _waits(self, ms: float) -> bool:
        """Whether the call was ended meanwhile."""
        self._work = asyncio.create_task(asyncio.sleep(ms / 1000))
        await asyncio.gather(self._work, return_exceptions=True)
        return self._is_ending

    async def _detect(self, order: Mapping[str, str]) -> None:
        plan = self.call.person.plan
        await asyncio.sleep(plan.amd_ms / 1000)
        form = {
            "CallSid": self.call.sid,
            "AccountSid": self.call.account,
            "AnsweredBy": plan.machine,
            "MachineDetectionDuration": str(plan.amd_ms),
        }
        self._calls.webhooks.post(order.get("AsyncAmdStatusCallback", ""), list(form.items()))

    # TwiML

    async def _do_all(self, text: str) -> None:
        """This TwiML, and whatever the call is redirected to meanwhile."""
        while True:
            self._work = asyncio.create_task(self._do(text), name="twilio-simulator-twiml")
            try:
                await asyncio.wait({self._work})
            finally:
                if not self._work.done():
                    self._work.cancel()
                    await asyncio.gather(self._work, return_exceptions=True)
            if not self._work.cancelled() and (error := self._work.exception()) is not None:
                if not isinstance(error, TwimlError):
                    raise error
                self.call.error = int(str(error)[:5])
                self._calls.report("call-error", {"sid": self.call.sid, "error": str(error)})
            if self._is_ending or self._next is None or self.call.caller.left:
                return
            given, url = self._next
            self._next = None
            if given is None:
                _, given = await self._fetch(url)
            text = given

    async def _do(self, text: str) -> None:
        for verb in parse(text):
            self.call.verbs.append(verb.name)
            following = await self._verb(verb)
            if following is not None:
                await self._do(following)
                return
            if self.call.is_over or self._is_ending or self._next is not None or self.call.caller.left:
                return

    async def _verb(self, verb: Verb) -> str | None:
        """Do it; the TwiML that goes on instead of the next verb, when it asked for some."""
        call = self.call
        if verb.name == "Reject":
            if call.answered_at is None:
                self._calls.set_status(call, "busy" if verb.attributes.get("reason") == "busy" else "failed")
            else:
                self._is_ending = True
            return None
        if call.answered_at is None:
            self._calls.set_status(call, "in-progress")
        match verb.name:
            case "Connect":
                return await self._connect(verb)
            case "Dial":
                return await self._dial(verb)
            case "Play" if "digits" in verb.attributes:
                call.keys += verb.attributes["digits"].replace("w", "").replace("W", "")
            case "Say":
                call.said.append(verb.text)
            case "Pause":
                await asyncio.sleep(float(verb.attributes.get("length", "1")))
            case "Hangup":
                self._is_ending = True
            case "Redirect":
                return (await self._fetch(verb.text))[1]
            case _:
                self._calls.report("call-warning", {"sid": call.sid, "verb": verb.name, "why": "not done here"})
        return None

    async def _connect(self, verb: Verb) -> str | None:
        call, calls = self.call, self._calls
        order = stream_order(verb, account=call.account, call=call.sid, stream=calls.sid("MZ"))
        stream = Stream(order, call.caller, call.person.faults, calls.dice, calls.report)
        call.streams.append(stream)
        assert calls.session is not None
        end = await stream.run(calls.session, self._signature(order.url))
        if end == "refused":
            call.error = 31920
        if end == "cut":
            self._is_ending = True  # as when the wire to the person breaks as well
        action = verb.attributes.get("action")
        if action and end == "closed":
            return (await self._fetch(action))[1]
        return None

    def _signature(self, url: str) -> dict[str, str]:
        settings, how = self._calls.settings, self.call.person.faults.signature
        if how == "missing":
            return {}
        token = settings.auth_token if how == "valid" else "somebody-else's-token"
        return headers(url, (), auth_token=token, signing_key=settings.signing_key if how == "valid" else "")

    async def _dial(self, verb: Verb) -> str | None:
        noun = next((each for each in verb.nouns if each.name in ("Number", "Sip")), Verb("Number", {}, verb.text))
        child = self._calls.child(self.call, verb.attributes.get("callerId", self.call.from_), noun.text)
        word = await reach(self._calls, child, noun, float(verb.attributes.get("timeout", "30")))
        action = verb.attributes.get("action")
        if not action or self.call.caller.left:
            return None
        form = {
            "DialCallStatus": word,
            "DialCallSid": child.sid,
            "DialCallDuration": "1" if word == "completed" else "0",
        }
        return (await self._fetch(action, form))[1]

    async def _fetch(self, url: str, more: Mapping[str, str] | None = None) -> tuple[int, str]:
        self._base = urljoin(self._base, url)
        return await self._calls.webhooks.ask(self._base, list({**self.call.form(), **(more or {})}.items()))
