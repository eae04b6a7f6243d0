"""Who may call, as whom: with a token of a developer's server's, from a page that the agent allows, or back into a call
that goes on."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from omni.access.access import Access
from omni.access.asking import Agents, Asking, thread_visitor, welcomes
from omni.access.limits import Buckets
from omni.access.tokens import Token, TokenError
from omni.access.visitors import Visitor, open_visitor, seal_visitor
from omni.model.agent import Agent
from omni.model.base import DEFAULT_ORG
from omni.model.contact import Identity, IdentityKind, Sender
from omni.model.inbound import Opening

TICKET_PREFIX: Final = "rtk_"
TICKET_SECONDS: Final = 4 * 3_600.0
THREAD_KEY: Final = "threadId"
LANGUAGE_KEY: Final = "lang"
NAME_KEY: Final = "name"
RETURNS_PER_MINUTE: Final = 20


class AdmissionError(Exception):
    """They may not call; the text says why and what to do. `code` is a word for programs."""

    def __init__(
        self, status: int, sentence: str, retry_after: float | None = None, *, code: str | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after = retry_after
        self.code = code


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may call. `identity` is for their page to keep; `token` is used up when the call is offered."""

    agent: Agent
    visitor: str
    meta: Mapping[str, JsonValue] = field(default_factory=dict)
    identity: str | None = None
    token: Token | None = None

    @property
    def sender(self) -> Sender:
        """The same person as in the web chat of the same browser."""
        name = self.meta.get(NAME_KEY)
        known = Identity(kind=IdentityKind.VISITOR, value=self.visitor)
        routing = f"chat:{self.agent.org}:{self.visitor}"
        named = name[:100] if isinstance(name, str) and name else None
        return Sender(identities=(known,), routing=routing, name=named)

    def opening(self, said: Mapping[str, JsonValue]) -> Opening:
        """`said` is what the page says of itself; what was sealed into the token wins."""
        language = self.meta.get(LANGUAGE_KEY)
        return Opening(
            metadata={**said, **self.meta}, language=language if isinstance(language, str) and language else None
        )


class Admission:
    def __init__(self, access: Access, agents: Agents, clock: Callable[[], float] = time.time) -> None:
        self._access = access
        self._agents = agents
        self._clock = clock
        self._returns = Buckets(RETURNS_PER_MINUTE)

    def by_token(self, text: str, asking: Asking) -> Caller:
        """The bearer of a token, which is not used up by looking. Raises AdmissionError."""
        self._take(self._access.limits.opens, asking.address)
        try:
            token = self._access.tokens.open(text, "webrtc")
        except TokenError as error:
            raise AdmissionError(401, str(error)) from None
        if token.scope != "participate":
            raise AdmissionError(403, f"this token may only {token.scope}; get one with the scope participate")
        if token.origin is not None and token.origin != asking.origin:
            raise AdmissionError(403, "the token was given to another page")
        agent = next((one for one in self._agents() if (one.org, one.slug) == (token.org, token.agent)), None)
        if agent is None:
            raise AdmissionError(404, f"Agent '{token.agent}' is not online")
        meta = token.meta or {}
        thread = meta.get(THREAD_KEY)
        visitor = thread_visitor(agent.slug, "sealed", thread) if isinstance(thread, str) and thread else _stranger()
        return Caller(agent, visitor, meta, token=token)

    async def consume(self, caller: Caller) -> None:
        """Raises AdmissionError and StoreError."""
        if caller.token is not None:
            try:
                await self._access.tokens.consume(caller.token)
            except TokenError as error:
                raise AdmissionError(401, str(error)) from None

    def by_page(self, slug: str, org: str | None, identity: str | None, asking: Asking) -> Caller:
        """A page that the agent allows; our own, where it has a channel for calls from browsers. Raises
        AdmissionError."""
        self._take(self._access.limits.opens, asking.address)
        self._take(self._access.limits.keyless_mints, f"{asking.address} {slug}")
        named = [one for one in self._agents() if one.slug == slug and org in (None, one.org)]
        if not named:
            raise AdmissionError(404, f"Agent '{slug}' is not online")
        found = [one for one in named if welcomes(one, asking, "webrtc")]
        if not found:
            raise AdmissionError(
                403,
                f"this page may not call the agent {slug!r}: add its origin to the agent's allowed_origins, "
                "or bring a token",
            )
        agent = min(found, key=lambda one: (one.org != DEFAULT_ORG, one.org))
        sealer = self._access.sealer
        known = open_visitor(sealer, identity, org=agent.org, agent=agent.slug)
        if known is None:
            known = Visitor(id=_stranger(), org=agent.org, agent=agent.slug, since=self._clock())
        return Caller(agent, known.id, identity=seal_visitor(sealer, known))

    def ticket(self, call: str) -> str:
        """What lets a page back into a call."""
        until = self._clock() + TICKET_SECONDS
        return self._access.sealer.seal(TICKET_PREFIX, {"v": 1, "call": call, "until": until})

    def by_ticket(self, text: str, asking: Asking) -> str:
        """The call that a page comes back into. Raises AdmissionError."""
        self._take(self._returns, asking.address)
        match self._access.sealer.unseal(TICKET_PREFIX, text):
            case {"v": 1, "call": str(call), "until": int() | float() as until} if self._clock() < until:
                return call
            case _:
                raise AdmissionError(401, "this call cannot be continued; call again")

    def _take(self, buckets: Buckets, name: str) -> None:
        wait = buckets.take(name)
        if wait:
            raise AdmissionError(429, f"too many calls; try again in {math.ceil(wait)} s", wait)


def _stranger() -> str:
    return f"v-{secrets.token_hex(12)}"
