"""Who looks on, and at what: stream tokens see the agents (or the one call) they were made for, API keys their
organisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from omni.access.access import Access
from omni.access.tokens import PREFIXES, Token, TokenError
from omni.access.web import WRONG_KEY, bearer, credential
from omni.model.access import ApiKey
from omni.model.call import Call

NEEDS_TOKEN: Final = "a stream token is needed: get one from /stream/token, or send an API key as Authorization: Bearer"
NO_KEY_IN_URL: Final = (
    "?token= is no stream token; get one from /stream/token "
    "(an API key belongs into the Authorization header, and never into a URL)"
)
NO_CALL: Final = "there is no such call"
NO_AGENT: Final = "there is no such agent"
OTHER_AGENT: Final = "the token does not cover this agent; get one that names it in agent_id"
OTHER_CALL: Final = "the token covers one other call; get one without call_id, or with this call's"
ONE_CALL: Final = "the token covers one call, and not its agent's; get one with scope=observe and without call_id"
OWN_CALL: Final = "a token with scope participate covers its own call only; get one with scope=observe"

_TOKENS: Final = tuple(PREFIXES.values())


class RefusedError(Exception):
    """Not for this viewer, or not there. `status` is the HTTP status; sockets close with 4000 + it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whose `token` or `key` it is; exactly one of them."""

    token: Token | None = None
    key: ApiKey | None = None

    @property
    def org(self) -> str:
        if self.key is not None:
            return self.key.org
        assert self.token is not None
        return self.token.org

    @property
    def is_participant(self) -> bool:
        """True for the person the call is with."""
        return self.token is not None and self.token.scope == "participate"

    @property
    def may_control(self) -> bool:
        return self.token.may_control if self.token is not None else True

    @property
    def name(self) -> str:
        """How the log calls them when they act: as the token's metadata say, if they do."""
        said = (self.token.meta or {}).get("name") if self.token is not None else None
        return said[:100] if isinstance(said, str) and said.strip() else "supervisor"

    @property
    def only_agent(self) -> str | None:
        """The agent that is meant when none is named."""
        return self.token.agents[0] if self.token is not None and len(self.token.agents) == 1 else None

    def check_call(self, call: Call | None) -> Call:
        """The call, if the viewer may see it. Raises RefusedError: 404 also for a call of somebody else's."""
        if call is None or call.org != self.org:
            raise RefusedError(404, NO_CALL)
        token = self.token
        if token is not None:
            if call.agent not in token.agents:
                raise RefusedError(403, OTHER_AGENT)
            if token.scope == "participate" and token.call != call.id:
                raise RefusedError(403, OWN_CALL)
            if not token.covers(call.org, call.agent, call.id):
                raise RefusedError(403, OTHER_CALL)
        return call

    def check_agent(self, slug: str, *, is_there: bool) -> str:
        """The agent, if the viewer may follow all of its calls. Raises RefusedError."""
        token = self.token
        if token is not None:
            if slug not in token.agents:
                raise RefusedError(403, OTHER_AGENT)
            if token.scope == "participate":
                raise RefusedError(403, OWN_CALL)
            if token.call is not None:
                raise RefusedError(403, ONE_CALL)
        if not is_there:
            raise RefusedError(404, NO_AGENT)
        return slug


async def viewer_of(access: Access, request: web.Request) -> Viewer:
    """Who asks. A browser token is refused without being used up. Raises RefusedError and StoreError."""
    secret = credential(request)
    if secret is None:
        raise RefusedError(401, NEEDS_TOKEN)
    if secret.startswith(_TOKENS):
        try:
            return Viewer(token=access.tokens.open(secret, "stream"))
        except TokenError as error:
            raise RefusedError(401, str(error)) from None
    if bearer(request) is None:
        raise RefusedError(401, NO_KEY_IN_URL)
    key = await access.keys.find(secret)
    if key is None:
        raise RefusedError(401, WRONG_KEY)
    return Viewer(key=key)
