"""Who may come in, as whom, to which agent.

Three ways: a chat token; a page that the agent allows, without one; and the session that an earlier admission gave.
A session is for coming back within a day, on a new connection or over HTTP, as the same visitor with the same sealed
metadata. A visitor's identity has no end, but opens nothing by itself.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import Field, JsonValue, ValidationError

from channels.chat.frames import HelloFrame
from omni.access.access import Access
from omni.access.asking import Agents, Asking, thread_visitor, welcomes
from omni.access.limits import Buckets
from omni.access.tokens import Token, TokenError
from omni.access.visitors import Visitor as Identity
from omni.access.visitors import open_visitor, seal_visitor
from omni.live.visitor import Visitor
from omni.model.agent import Agent
from omni.model.base import DEFAULT_ORG, Value
from omni.model.inbound import Opening

SESSION_PREFIX: Final = "cts_"
SESSION_SECONDS: Final = 86_400.0
THREAD_KEY: Final = "threadId"
LANGUAGE_KEY: Final = "lang"
NAME_KEY: Final = "name"
MAX_THREAD: Final = 256
RETURNS_PER_MINUTE: Final = 120


class AdmissionError(Exception):
    """They may not come in; the text says why and what to do. `code` closes the socket, `status` answers HTTP."""

    def __init__(self, sentence: str, *, code: int, status: int, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status
        self.retry_after = retry_after


class Session(Value):
    """What a session's bearer may do. Times are epoch seconds; `meta` was sealed into the token it came from."""

    org: str
    agent: str
    visitor: str
    until: float
    meta: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def who(self) -> Visitor:
        name = self.meta.get(NAME_KEY)
        return Visitor(self.org, self.agent, self.visitor, name[:100] if isinstance(name, str) and name else None)

    @property
    def opening(self) -> Opening:
        language = self.meta.get(LANGUAGE_KEY)
        return Opening(metadata=self.meta, language=language if isinstance(language, str) and language else None)


@dataclass(frozen=True, slots=True)
class Admitted:
    """`session` and `identity` (of an anonymous visitor) are for the page to keep. `stays`: the conversation outlives
    the connection."""

    claim: Session
    agent: Agent
    stays: bool
    session: str | None = None
    identity: str | None = None


class Admission:
    def __init__(self, access: Access, agents: Agents, clock: Callable[[], float] = time.time) -> None:
        self._access = access
        self._agents = agents
        self._clock = clock
        self._returns = Buckets(RETURNS_PER_MINUTE)

    async def by_token(self, text: str, thread: str | None, asking: Asking) -> Admitted:
        """A browser client with a token; `thread` names a conversation to resume, unless the token does.

        Raises AdmissionError and StoreError.
        """
        token = await self._consumed(text, asking)
        claim, is_thread = self._claim(token, thread)
        return Admitted(claim, self._agent(token.org, token.agent), stays=is_thread)

    async def by_hello(self, hello: HelloFrame, asking: Asking) -> Admitted:
        """Omni's own page. Raises AdmissionError and StoreError."""
        if hello.session is not None:
            return self.by_session(hello.session)
        if hello.token is not None:
            token = await self._consumed(hello.token, asking)
            claim, is_thread = self._claim(token, None)
            agent = self._agent(token.org, token.agent)
            return self._keyed(claim, agent) if is_thread else self._known(claim, agent, hello.visitor)
        if hello.agent is None:
            raise AdmissionError('Say hello with an "agent", a "token" or a "session".', code=4401, status=401)
        self._take(self._access.limits.keyless_mints, f"{asking.address} {hello.agent}")
        agent = self._welcoming(hello.org, hello.agent, asking)
        claim = Session(org=agent.org, agent=agent.slug, visitor="", until=self._clock() + SESSION_SECONDS)
        return self._known(claim, agent, hello.visitor)

    def by_session(self, text: str) -> Admitted:
        """Somebody who comes back. Raises AdmissionError."""
        claim = _session_of(self._access.sealer.unseal(SESSION_PREFIX, text))
        if claim is None or self._clock() >= claim.until:
            raise AdmissionError("The session is over; open a new one.", code=4401, status=401)
        self._take(self._returns, claim.visitor)
        return Admitted(claim, self._agent(claim.org, claim.agent), stays=True, session=text)

    async def _consumed(self, text: str, asking: Asking) -> Token:
        """The token, used up."""
        try:
            token = self._access.tokens.open(text, "chat")
            if token.scope != "participate":
                raise AdmissionError(
                    f"This token may only {token.scope}; get one with the scope participate.", code=4403, status=403
                )
            if token.origin is not None:  # minted without a key: nobody vouches for whoever brings it
                self._take(self._access.limits.opens, asking.address)
                if token.origin != asking.origin:
                    raise AdmissionError("The token was given to another page.", code=4403, status=403)
            await self._access.tokens.consume(token)
        except TokenError as error:
            sentence = str(error)
            raise AdmissionError(f"{sentence[:1].upper()}{sentence[1:]}.", code=4401, status=401) from None
        return token

    def _claim(self, token: Token, thread: str | None) -> tuple[Session, bool]:
        """What a token lets its bearer do, and whether it names a conversation to come back to."""
        meta = token.meta or {}
        sealed = meta.get(THREAD_KEY)
        visitor = f"v-{secrets.token_hex(12)}"
        is_thread = True
        if isinstance(sealed, str) and sealed:
            visitor = thread_visitor(token.agent, "sealed", sealed)
        elif thread and len(thread) <= MAX_THREAD:
            visitor = thread_visitor(token.agent, "page", thread)
        else:
            is_thread = False
        until = self._clock() + SESSION_SECONDS
        return Session(org=token.org, agent=token.agent, visitor=visitor, until=until, meta=meta), is_thread

    def _known(self, claim: Session, agent: Agent, identity: str | None) -> Admitted:
        """An anonymous visitor: who they were the last time, or somebody new."""
        sealer = self._access.sealer
        known = open_visitor(sealer, identity, org=claim.org, agent=claim.agent)
        if known is None:
            known = Identity(id=f"v-{secrets.token_hex(12)}", org=claim.org, agent=claim.agent, since=self._clock())
            identity = seal_visitor(sealer, known)
        return self._keyed(claim.model_copy(update={"visitor": known.id}), agent, identity)

    def _keyed(self, claim: Session, agent: Agent, identity: str | None = None) -> Admitted:
        payload: dict[str, JsonValue] = {"v": 1, **claim.model_dump(mode="json")}
        sealed = self._access.sealer.seal(SESSION_PREFIX, payload)
        return Admitted(claim, agent, stays=True, session=sealed, identity=identity)

    def _agent(self, org: str, slug: str) -> Agent:
        agent = next((one for one in self._agents() if (one.org, one.slug) == (org, slug)), None)
        if agent is None:
            raise AdmissionError(f"There is no agent {slug!r} (any more).", code=4404, status=404)
        return agent

    def _welcoming(self, org: str | None, slug: str, asking: Asking) -> Agent:
        """The agent of that name that talks to this page without a token; that of the default organisation first."""
        named = [one for one in self._agents() if one.slug == slug and org in (None, one.org)]
        found = [one for one in named if welcomes(one, asking, "chat")]
        if found:
            return min(found, key=lambda one: (one.org != DEFAULT_ORG, one.org))
        if not named:
            raise AdmissionError(f"There is no agent {slug!r}.", code=4404, status=404)
        raise AdmissionError(
            f"This page may not talk to the agent {slug!r}: add its origin to the agent's allowed_origins, "
            "or bring a token.",
            code=4403,
            status=403,
        )

    def _take(self, buckets: Buckets, name: str) -> None:
        wait = buckets.take(name)
        if wait:
            raise AdmissionError(
                f"Too many conversations were opened; try again in {math.ceil(wait)} s.",
                code=4429,
                status=429,
                retry_after=wait,
            )


def _session_of(payload: Mapping[str, JsonValue] | None) -> Session | None:
    if payload is None or payload.get("v") != 1:
        return None
    try:
        return Session.model_validate(payload)
    except ValidationError:
        return None
