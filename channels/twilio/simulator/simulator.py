"""The simulated account as one object: state, and what each party can do to it.

The REST side (``rest.py``) and the control side (``control.py``) are HTTP readings of this class.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from channels.twilio.simulator.faults import Faults
from channels.twilio.simulator.phone.call import Refused
from channels.twilio.simulator.phone.calls import Calls
from channels.twilio.simulator.settings import SimulatorSettings
from channels.twilio.simulator.webhooks import Webhooks

STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START = frozenset({"START", "YES", "UNSTOP"})
HELP = frozenset({"HELP", "INFO"})


@dataclass(slots=True)
class SentMessage:
    """A message of the server under test. ``fetched`` are its files as they were fetched: status, type, bytes."""

    seq: int
    at: float
    sid: str
    to: str
    sender: str
    service: str
    body: str
    media: tuple[str, ...]
    callback: str
    segments: int
    status: str = "queued"
    error: int | None = None
    fetched: list[tuple[int, str, bytes]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        names = ("seq", "at", "sid", "to", "sender", "service", "body", "media", "callback", "segments", "status")
        return {**{name: getattr(self, name) for name in names}, "error": self.error}


class Simulator:
    """Call ``start`` inside a running loop before use and ``close`` at the end; ``create_app`` does both."""

    def __init__(self, settings: SimulatorSettings | None = None) -> None:
        self.settings = settings or SimulatorSettings()
        self.statuses = self.settings.statuses
        self.faults = Faults()
        self.stopped: set[str] = set()
        self.closing = asyncio.Event()
        self._dice = random.Random(self.settings.seed)
        self.webhooks = Webhooks(self.settings, self._dice, self.report)
        self._numbers = count(1)
        self._run = secrets.token_hex(12)
        self.calls = Calls(self.settings, self.webhooks, self._dice, self.report, self.sid)
        self._sent: deque[SentMessage] = deque(maxlen=self.settings.keep)
        self._by_sid: OrderedDict[str, SentMessage] = OrderedDict()
        self._inbound: OrderedDict[str, list[tuple[str, str]]] = OrderedDict()
        self.files: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self._events: deque[dict[str, Any]] = deque(maxlen=self.settings.keep)
        self._news = asyncio.Event()

    async def start(self) -> None:
        await self.webhooks.start()
        await self.calls.start()

    def begin_closing(self) -> None:
        """Let hanging requests and long polls end, so that the server can stop."""
        self.closing.set()
        self._tell()

    async def close(self) -> None:
        self.begin_closing()
        await self.calls.close()
        await self.webhooks.close()

    def reset(self) -> None:
        """Forget messages, opt-outs, files and faults."""
        self.webhooks.forget()
        self.faults.clear()
        for kept in (self.stopped, self._sent, self._by_sid, self._inbound, self.files, self._events):
            kept.clear()

    def sid(self, prefix: str) -> str:
        """A new id, in no other run either: a server remembers for good which calls and messages it has had."""
        return f"{prefix}{next(self._numbers):08x}{self._run}"

    # -- the server under test -----------------------------------------------------------------------------------------

    def accept(self, form: dict[str, list[str]]) -> SentMessage:
        """Take a message, or raise ``Refused``."""
        one = {name: values[0] for name, values in form.items()}
        to, body, media = one.get("To", ""), one.get("Body", ""), tuple(form.get("MediaUrl", ()))
        sender, service = one.get("From", ""), one.get("MessagingServiceSid", "")
        self._check(to, body, media, sender, service, one.get("StatusCallback", ""))
        message = SentMessage(
            seq=next(self._numbers),
            at=time.time(),
            sid=self.sid("MM" if media else "SM"),
            to=to,
            sender=sender or self.settings.number,
            service=service,
            body=body,
            media=media,
            callback=one.get("StatusCallback", ""),
            segments=_segments(body),
        )
        self._sent.append(message)
        self._by_sid[message.sid] = message
        while len(self._by_sid) > self.settings.keep:
            self._by_sid.popitem(last=False)
        self.report("sent", message.as_json())
        return message

    def _check(self, to: str, body: str, media: tuple[str, ...], sender: str, service: str, callback: str) -> None:
        if not to.startswith("+") or not to[1:].isdigit() or not 7 <= len(to[1:]) <= 15:
            raise Refused(21211, f"The 'To' number {to} is not a valid phone number.")
        if not sender and not service:
            raise Refused(21603, "A 'From' phone number is required.")
        if sender and sender not in (self.settings.number, *self.settings.more_numbers):
            raise Refused(21606, f"The 'From' phone number provided ({sender}) is not a valid number for this account.")
        if service and service != self.settings.messaging_service_sid:
            raise Refused(21705, "The Messaging Service Sid is invalid.")
        if not body and not media:
            raise Refused(21619, "A text message body or media urls must be specified.")
        if len(body) > 1600:
            raise Refused(21617, "The concatenated message body exceeds the 1600 character limit.")
        for url in (*media, callback):
            if url and urlsplit(url).scheme not in ("http", "https"):
                raise Refused(21609, f"The url {url} is not valid.")
        if to in self.stopped:
            raise Refused(21610, "Attempt to send to unsubscribed recipient")

    def plan(self, message: SentMessage, failure: int | None = None) -> None:
        """Report what becomes of a message, by the plan."""
        plan = self.statuses
        if plan.mode != "auto" and failure is None:
            return
        last = "delivered" if failure is None else "undelivered"
        times = [plan.queued_ms, plan.sent_ms, plan.delivered_ms]
        if plan.shuffle:
            self._dice.shuffle(times)
        for word, ms in zip(("queued", "sent", last), times, strict=True):
            times_told = 2 if self._dice.random() < plan.duplicates else 1
            self.tell(message, word, failure if word == last else None, after=ms / 1000, times=times_told)

    def tell(
        self, message: SentMessage, word: str, error: int | None = None, *, after: float = 0.0, times: int = 1
    ) -> None:
        """Post one status."""
        message.status, message.error = word, error or message.error
        fields = [
            ("AccountSid", self.settings.account_sid),
            ("ApiVersion", "2010-04-01"),
            ("From", message.sender),
            ("MessageSid", message.sid),
            ("MessageStatus", word),
            ("SmsSid", message.sid),
            ("SmsStatus", word),
            ("To", message.to),
            *([("MessagingServiceSid", message.service)] if message.service else []),
            *([("ErrorCode", str(error))] if error is not None else []),
        ]
        if message.callback:
            self.webhooks.post(message.callback, fields, after=after, times=times)
        self.report("status", {"sid": message.sid, "status": word, "error": error})

    def find(self, sid: str) -> SentMessage | None:
        return self._by_sid.get(sid)

    def sent(self, to: str | None = None) -> list[SentMessage]:
        return [message for message in self._sent if to in (None, message.to)]

    async def wait_sent(self, number: int = 1, *, to: str | None = None, timeout: float = 10.0) -> list[SentMessage]:
        """The messages, once there are so many."""
        async with asyncio.timeout(timeout):
            while len(found := self.sent(to)) < number:
                await self._news.wait()
        return found

    # -- the people ----------------------------------------------------------------------------------------------------

    def texts(
        self,
        sender: str,
        body: str = "",
        *,
        files: tuple[tuple[str, bytes], ...] = (),
        fields: Mapping[str, str] | None = None,
        times: int = 1,
    ) -> str:
        """A person writes; ``files`` are types and bytes, ``fields`` further fields of the form. Returns the id."""
        message_id = self.sid("MM" if files else "SM")
        opt_out = self._opt_out(sender, body)
        form = {
            "AccountSid": self.settings.account_sid,
            "ApiVersion": "2010-04-01",
            "Body": body,
            "From": sender,
            "MessageSid": message_id,
            "NumMedia": str(len(files)),
            "NumSegments": str(_segments(body)),
            "SmsMessageSid": message_id,
            "SmsSid": message_id,
            "SmsStatus": "received",
            "To": self.settings.number,
            **({"OptOutType": opt_out} if opt_out and self.settings.opt_out_type else {}),
        }
        for place, (mime, content) in enumerate(files):
            media_id = self.sid("ME")
            self.files[media_id] = (mime, content)
            path = f"/2010-04-01/Accounts/{self.settings.account_sid}/Messages/{message_id}/Media/{media_id}"
            form[f"MediaUrl{place}"] = f"https://api.twilio.com{path}"
            form[f"MediaContentType{place}"] = mime
        posted = list({**form, **(fields or {})}.items())
        self._inbound[message_id] = posted
        self.report("inbound", {"sid": message_id, "from": sender, "body": body, "files": len(files)})
        again = 2 if self._dice.random() < self.webhooks.plan.duplicates else 1
        self.webhooks.post(self.settings.webhook_url, posted, times=max(times, again))
        return message_id

    def repeat(self, message_id: str) -> None:
        """Post a person's message once more, word for word."""
        self.webhooks.post(self.settings.webhook_url, self._inbound[message_id])

    def _opt_out(self, sender: str, body: str) -> str:
        word = body.strip().upper()
        if word in STOP:
            self.stopped.add(sender)
            return "STOP"
        if word in START and (word != "YES" or sender in self.stopped):
            self.stopped.discard(sender)
            return "START"
        return "HELP" if word in HELP else ""

    # -- what happened -------------------------------------------------------------------------------------------------

    def report(self, kind: str, facts: dict[str, Any]) -> None:
        self._events.append({"id": next(self._numbers), "at": time.time(), "type": kind, **facts})
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        return [event for event in self._events if event["id"] > after]

    async def wait_events(self, after: int, seconds: float) -> list[dict[str, Any]]:
        """What happened since ``after``, waiting a while for something to happen."""
        if not (found := self.events(after)) and not self.closing.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                return []
            found = self.events(after)
        return found


def _segments(text: str) -> int:
    """Roughly: text beyond ASCII is counted in UTF-16."""
    alone, joined = (160, 153) if text.isascii() else (70, 67)
    units = len(text.encode("utf-16-le")) // 2
    return 1 if units <= alone else -(-units // joined)
