"""SIP as a whole: opened by the process that has the sound of calls, and closed by it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiosipua.message import SipRequest

from channels.audio import Switchboard
from channels.sip.carrier import SipCarrier
from channels.sip.digest import Challenger
from channels.sip.directory import Directory
from channels.sip.dispatch import Dispatch
from channels.sip.host import Reroute
from channels.sip.policy import Policy
from channels.sip.registration import Registration
from channels.sip.registrations import Registrations
from channels.sip.requests import Requests
from channels.sip.resolving import Resolver
from channels.sip.sockets import Sockets, contexts
from channels.sip.useragent import NAME, UserAgent
from omni.model.sip import SipListen, SipTrunk, Transport

if TYPE_CHECKING:
    from omni.model.agent import Agent


class SipError(Exception):
    """SIP could not be opened; the text is a sentence with the mend."""


@dataclass(frozen=True, slots=True)
class SipSettings:
    """`trunks` are those of the beginning; `cert` and `key` are PEM files; `ports` are for sound; `patience` is how
    long a call may be without any, in seconds; `scale` shortens every timer of SIP, for tests."""

    listens: tuple[SipListen, ...]
    trunks: tuple[SipTrunk, ...] = ()
    advertised: str | None = None
    cert: str | None = None
    key: str | None = None
    ports: range = range(20_000, 30_000)
    patience: float = 60.0
    scale: float = 1.0


class SipService:
    def __init__(
        self,
        settings: SipSettings,
        switchboard: Switchboard,
        agents: Callable[[], Sequence[Agent]],
        *,
        reroute: Reroute = lambda org, channel, caller: None,
        resolver: Resolver | None = None,
    ) -> None:
        self._settings = settings
        self._agents = agents
        self._trunks = settings.trunks
        self._known: tuple[tuple[Agent, ...], Directory] | None = None
        self.policy = Policy(self._trunks, Challenger(), self._reaches)
        host = settings.listens[0].host if settings.listens else "127.0.0.1"
        self.agent = UserAgent(
            switchboard,
            self._directory,
            ports=settings.ports,
            rtp_host=host,
            advertised=settings.advertised,
            reroute=reroute,
            patience=settings.patience,
            scale=settings.scale,
        )
        self._resolver = resolver or Resolver()
        self._sockets: Sockets | None = None
        self._registrations: Registrations | None = None

    @property
    def bound(self) -> dict[Transport, tuple[str, int]]:
        """Where each transport listens."""
        return dict(self._sockets.bound) if self._sockets is not None else {}

    def _directory(self) -> Directory:
        agents = tuple(self._agents())
        known = self._known
        if (
            known is None
            or len(known[0]) != len(agents)
            or any(a is not b for a, b in zip(known[0], agents, strict=True))
        ):
            known = self._known = (agents, Directory.of(agents, self._trunks))
        return known[1]

    def _reaches(self, trunk: SipTrunk, invite: SipRequest) -> bool:
        return self._directory().called(trunk, invite) is not None

    def follow(self, trunks: Sequence[SipTrunk]) -> None:
        """These are the trunks from now on, for calls that begin; one that has begun keeps the trunk it began with."""
        self._trunks = tuple(trunks)
        self._known = None
        self.policy.follow(self._trunks)
        if self._registrations is not None and not self.agent.is_stopping:
            self._registrations.follow(self._trunks)

    @property
    def registrations(self) -> list[Registration]:
        """Where we are signed in, or try to be."""
        return [] if self._registrations is None else self._registrations.running

    async def open(self) -> SipCarrier:
        """Raises SipError."""
        settings = self._settings
        try:
            tls = await asyncio.to_thread(contexts, settings.cert, settings.key)
        except (OSError, ssl.SSLError) as error:
            raise SipError(f"OMNI_SIP_TLS_CERT {settings.cert!r} cannot be used: {error}") from None
        sockets = Sockets(
            Dispatch(self.agent, self.policy).received,
            admits=self.policy.admits,
            is_known=self.policy.is_known,
            tls=tls,
        )
        try:
            await sockets.open(settings.listens)
        except OSError as error:
            await sockets.close()
            raise SipError(f"OMNI_SIP_BIND: cannot listen there ({error.strerror or error})") from None
        self._sockets = sockets
        requests = Requests(
            self.agent.transactions, sockets, self._resolver, advertised=settings.advertised, agent=NAME
        )
        self.agent.requests = requests
        self._registrations = Registrations(requests, self.policy.learn, self.policy.forget, self.agent.begin)
        self._registrations.follow(self._trunks)
        return SipCarrier(self.agent, requests)

    async def drain(self) -> None:
        """No new calls: we sign out, and those in hand go on."""
        self.agent.drain()
        if self._registrations is not None:
            await self._registrations.stop()

    async def close(self) -> None:
        """Those in hand are ended."""
        await self.drain()
        await self.agent.stop()
        if self._sockets is not None:
            await self._sockets.close()
