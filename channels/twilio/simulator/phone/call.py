"""One call as it stands, and what its run needs of the exchange."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import aiohttp

from channels.twilio.simulator.phone.people import Caller, Person
from channels.twilio.simulator.phone.stream import Stream
from channels.twilio.simulator.settings import SimulatorSettings
from channels.twilio.simulator.webhooks import Webhooks

ENDS: Final = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
Report = Callable[[str, dict[str, Any]], None]


class Refused(Exception):
    """An error answer of the REST API."""

    def __init__(self, code: int, message: str, http: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.http = http


@dataclass
class SimulatedCall:
    """`status` is Twilio's word. `statuses` are all it has had, `verbs` the TwiML that was done, `said` the words of
    `<Say>`, `keys` those that the far end pressed towards the person, `error` Twilio's code where it failed."""

    sid: str
    account: str
    direction: str
    from_: str
    to: str
    person: Person
    caller: Caller
    fields: Mapping[str, str] = field(default_factory=dict)
    callback: str = ""
    events: frozenset[str] = frozenset()
    parent: str = ""
    began: float = 0.0
    answered_at: float | None = None
    ended_at: float | None = None
    status: str = "queued"
    statuses: list[str] = field(default_factory=list)
    told: int = 0
    verbs: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    keys: str = ""
    error: int | None = None
    answered: int | None = None
    """The HTTP status of a webhook that brought no TwiML; 0 when it brought nothing."""
    streams: list[Stream] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    """REST requests that made or changed it, as they came."""

    @property
    def is_over(self) -> bool:
        return self.status in ENDS

    @property
    def stream(self) -> Stream:
        """The newest one. Raises LookupError when there was none."""
        if not self.streams:
            raise LookupError(f"the call {self.sid} had no stream; its TwiML was {self.verbs}")
        return self.streams[-1]

    def form(self) -> dict[str, str]:
        """What every webhook about it says."""
        return {
            "CallSid": self.sid,
            "AccountSid": self.account,
            "From": self.from_,
            "To": self.to,
            "Caller": self.from_,
            "Called": self.to,
            "CallStatus": self.status,
            "Direction": self.direction,
            "ApiVersion": "2010-04-01",
            **({"ParentCallSid": self.parent} if self.parent else {}),
            **self.fields,
        }

    def as_json(self) -> dict[str, Any]:
        names = ("sid", "direction", "to", "status", "statuses", "verbs", "said", "keys", "error", "asked")
        shown = {name: getattr(self, name) for name in names}
        heard = [stream.heard for stream in self.streams]
        return {
            **shown,
            "from": self.from_,
            "streams": len(heard),
            "heard_ms": sum(len(one.played) for one in heard) // 8,
            "voiced_ms": sum(one.voiced_ms for one in heard),
        }


class Exchange(Protocol):
    """What a call's own task asks of the book of calls (`Calls`)."""

    settings: SimulatorSettings
    webhooks: Webhooks
    dice: random.Random
    report: Report
    sid: Callable[[str], str]
    session: aiohttp.ClientSession | None

    def child(self, parent: SimulatedCall, from_: str, to: str) -> SimulatedCall:
        """The other leg of a `<Dial>`."""

    def set_status(self, call: SimulatedCall, word: str, **more: str) -> None:
        """A status of a call, told to whoever asked for it."""
