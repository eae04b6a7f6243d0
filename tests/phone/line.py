"""A number at Twilio, and the far ends that tests need: an ear that notes, a switchboard and a reception that decide
as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from channels.audio import Ear, Leg
from channels.phone.directory import Directory, Line
from channels.phone.reception import Admission, Answer, CallProgress, IncomingCall, ReturnedCall
from channels.twilio.account import Account
from omni.model.channel import PhoneChannel

NUMBER = "+12025550142"
ADA = "+12025550171"
DESK = "+12025550188"
ACCOUNT = "AC" + "5" * 32
TOKEN = "an-auth-token-0f9b7731"
CALL = "CA" + "1" * 32
PUBLIC = "https://bots.example.com"


T = TypeVar("T")


async def until(condition: Callable[[], T], seconds: float = 5.0) -> T:
    """What `condition` returns, as soon as that is true."""
    async with asyncio.timeout(seconds):
        while not (found := condition()):
            await asyncio.sleep(0.005)
    return found


def channel_of(**more: Any) -> PhoneChannel:
    given = {"number": NUMBER, "account_sid": ACCOUNT, "auth_token": TOKEN, **more}
    return PhoneChannel.model_validate(given)


def line_of(org: str = "default", agent: str = "desk", **more: Any) -> Line:
    channel = channel_of(**more)
    account = Account.of(channel)
    assert account is not None
    return Line(org, agent, channel, account)


def directory_of(*lines: Line) -> Directory:
    return Directory(lines or (line_of(),))


@dataclass
class Listener:
    """An ear. `news` is set when something was heard."""

    frames: list[tuple[bytes, float]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def heard(self, pcm: bytes, at: float) -> None:
        self.frames.append((pcm, at))
        self.news.set()

    def pressed(self, digit: str) -> None:
        self.keys.append(digit)
        self.news.set()

    def played(self, mark: str) -> None:
        self.marks.append(mark)
        self.news.set()

    def gone(self, reason: str) -> None:
        self.ends.append(reason)
        self.news.set()

    @property
    def times(self) -> list[float]:
        return [at for _, at in self.frames]


@dataclass
class Board:
    """A switchboard that admits each of its tokens once, and greets."""

    tokens: set[str] = field(default_factory=lambda: {"tok-1"})
    greeting: bytes = b""
    ears: list[Listener] = field(default_factory=list)
    legs: list[Leg] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def connect(self, token: str, call: str, leg: Leg) -> Ear | None:
        if token not in self.tokens:
            return None
        self.tokens.discard(token)
        ear = Listener()
        self.ears.append(ear)
        self.legs.append(leg)
        self.calls.append(call)
        if self.greeting:
            leg.play(self.greeting)
        return ear


@dataclass
class Desk:
    """A reception. `answers` are given in turn, the last one again and again; an exception is raised."""

    answers: list[Admission | Exception] = field(default_factory=lambda: [Answer("tok-1", "wss://w.example.com/m")])
    waits: asyncio.Event | None = None
    offered: list[IncomingCall] = field(default_factory=list)
    back: list[ReturnedCall] = field(default_factory=list)
    told: list[CallProgress] = field(default_factory=list)

    async def offer(self, call: IncomingCall) -> Admission:
        self.offered.append(call)
        if self.waits is not None:
            await self.waits.wait()
        return self._next()

    async def returned(self, call: ReturnedCall) -> Admission:
        self.back.append(call)
        return self._next()

    async def progress(self, progress: CallProgress) -> None:
        self.told.append(progress)

    def _next(self) -> Admission:
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer
