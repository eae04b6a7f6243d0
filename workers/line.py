"""A line: everything that sends of one business number have in common."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from omni.model.channel import Channel, SmsChannel, WhatsAppChannel, has_account
from workers.breaker import Breaker
from workers.clock import Clock
from workers.pacing import NumberRate

TOKEN_PROBE_EVERY = 30.0
NUMBER_PROBE_EVERY = 600.0


class DrainingError(Exception):
    """The worker stops: what is not sent yet goes back to the queue."""


class HeldError(Exception):
    """It will be a while until this can be sent, and others have no room: it goes to the end of the queue."""


@dataclass(frozen=True, slots=True)
class Route:
    """A configured channel, and the agent that owns it."""

    channel: Channel
    org: str
    agent: str


class Channels(Protocol):
    """The channels as they are configured now. Looked up before every send, so it must answer from memory mostly."""

    async def route(self, org: str, channel: str, agent: str) -> Route | None:
        """None when no agent of the organisation has such a channel (any more). A channel with an account is found by
        it, whichever agent has it now; one without (web chat) is the named agent's own."""


class Line:
    """Order of business at one number: who came first goes first, and nobody goes while a breaker is tripped.

    Only the head of the line waits for the rate or for one of the slots that all numbers share, so the numbers take
    turns at the slots, and a number that has to slow down holds none while it waits.
    """

    def __init__(self, rate: float, number: Breaker, token: Breaker, slots: asyncio.Semaphore, clock: Clock) -> None:
        self.rate = NumberRate(rate)
        self.number = number
        self.token = token
        self._slots = slots
        self._clock = clock
        self._turnstile = asyncio.Lock()

    def is_open(self) -> bool:
        return not (self.number.is_tripped or self.token.is_tripped)

    @property
    def held_for(self) -> float:
        """Seconds since it was closed; 0 when it is open."""
        return max(self.token.held_for, self.number.held_for)

    async def wait_open(self, seconds: float) -> bool:
        return await self.token.wait(seconds) and await self.number.wait(seconds)

    @asynccontextmanager
    async def turn(self, stopping: asyncio.Event) -> AsyncGenerator[None]:
        """Wait for one's turn and have a slot inside. Raises DrainingError when the worker stops first."""
        async with self._turnstile:
            while (wait := self.rate.wait(self._clock.ticks())) > 0 and not stopping.is_set():
                await self._clock.wait(stopping, wait)
            await self._slots.acquire()
            self.rate.take(self._clock.ticks())
        try:
            if stopping.is_set():
                raise DrainingError
            yield
        finally:
            self._slots.release()


class Lines:
    """The lines by channel id, and the breakers of the tokens that lines may share."""

    def __init__(self, slots: int, clock: Clock, probe_every: float = TOKEN_PROBE_EVERY) -> None:
        self._probe_every = probe_every
        self._slots = asyncio.Semaphore(slots)
        self._clock = clock
        self._lines: dict[str, Line] = {}
        self._tokens: dict[str, Breaker] = {}

    def of(self, route: Route) -> Line:
        channel = route.channel
        token = self._token(route)
        name = _name_of(route)
        line = self._lines.get(name)
        if line is None:
            number = Breaker(f"the number {channel.id}", self._clock, NUMBER_PROBE_EVERY)
            line = Line(_rate_of(channel), number, token, self._slots, self._clock)
            self._lines[name] = line
        line.token = token
        line.rate.rate = _rate_of(channel)
        return line

    async def stop(self) -> None:
        for breaker in (*self._tokens.values(), *(line.number for line in self._lines.values())):
            await breaker.stop()

    def _token(self, route: Route) -> Breaker:
        name = credentials_of(route)
        breaker = self._tokens.get(name)
        if breaker is None:
            breaker = Breaker(f"the credentials of {route.channel.id}", self._clock, self._probe_every)
            self._tokens[name] = breaker
        return breaker


def _name_of(route: Route) -> str:
    """An account is one line whichever agent has it; a channel without one is a line for each agent."""
    agent = "" if has_account(route.channel.id) else route.agent
    return f"{route.org}/{agent}/{route.channel.id}"


def credentials_of(route: Route) -> str:
    """What channels with the same credentials have in common; says nothing about the credentials."""
    channel = route.channel
    if isinstance(channel, WhatsAppChannel):
        digest = hashlib.blake2s(channel.access_token.get_secret_value().encode(), digest_size=16)
        if channel.app_secret_proof:  # a token that is refused with a wrong secret may be well with the right one
            digest.update(b"\0" + channel.app_secret.get_secret_value().encode())
        return digest.hexdigest()
    if isinstance(channel, SmsChannel):
        account = f"{channel.account_sid}\0{channel.auth_token.get_secret_value()}"
        return hashlib.blake2s(account.encode(), digest_size=16).hexdigest()
    return _name_of(route)


def pair_of(channel: Channel) -> tuple[float, int]:
    """Seconds between two messages to one person, and how many may go at once."""
    if isinstance(channel, WhatsAppChannel):
        return channel.pair_interval, channel.pair_burst
    return 0.0, 1


def _rate_of(channel: Channel) -> float:
    return channel.rate if isinstance(channel, WhatsAppChannel | SmsChannel) else 1000.0
