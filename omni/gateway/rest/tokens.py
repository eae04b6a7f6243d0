"""`/v1/tokens`: what a page or an observer gets instead of an API key."""

from __future__ import annotations

import json
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from omni.access.tokens import LIFETIMES, Scope
from omni.gateway.rest.errors import ApiError
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.routing import Route, Wanted, route
from omni.gateway.rest.shapes import AgentId, Asked, Nothing, Shown
from omni.gateway.tokens import LONGEST_CALL_ID, METADATA_BYTES, MOST_AGENTS, RefusedError, TokenMint, TokenRequest
from omni.model.slugs import slug_of


class TokenCreate(Asked):
    """`chat` opens one chat within a minute. `stream` lets its bearer look on (`observe`), write (`participate`) or
    take over (`supervise`) for an hour, in one call (`call_id`) or in all of the agents'. `metadata` is sealed in."""

    kind: Literal["chat", "stream", "webrtc"]
    agent_id: AgentId | None = None
    agent_ids: Annotated[tuple[AgentId, ...], Field(max_length=MOST_AGENTS)] = ()
    metadata: dict[str, JsonValue] | None = None
    scope: Scope | None = None
    call_id: str | None = Field(default=None, min_length=1, max_length=LONGEST_CALL_ID)

    @model_validator(mode="after")
    def _is_for_somebody(self) -> Self:
        if (self.agent_id is None) == (not self.agent_ids):
            raise ValueError("give agent_id, or agent_ids of a stream token")
        if self.agent_ids and self.kind != "stream":
            raise ValueError("only a stream token is for several agents; give agent_id")
        if self.metadata is not None and len(json.dumps(self.metadata).encode()) > METADATA_BYTES:
            raise ValueError(f"metadata is larger than {METADATA_BYTES} bytes; seal an id in and look the rest up")
        return self


class TokenShown(Shown):
    object: Literal["token"] = "token"
    token: str
    kind: str
    agent_ids: list[str]
    expires_in: int


class TokenRoutes:
    def __init__(self, kit: RestKit, mint: TokenMint) -> None:
        self._kit = kit
        self._mint = mint

    def routes(self) -> list[Route]:
        return [
            route(
                "POST", "/v1/tokens", self.create_token, tag="Tokens", summary="Mint a token for a page or an observer",
                body=TokenCreate, answer=TokenShown, status=201, errors=(404, 422),
            )
        ]  # fmt: skip

    async def create_token(self, wanted: Wanted[TokenCreate, Nothing]) -> TokenShown:
        """As `GET /chat/token` and `GET /stream/token` do. An agent that nobody answers for now is a 404."""
        body = wanted.body
        slugs = tuple(dict.fromkeys(slug for each in (body.agent_id, *body.agent_ids) if (slug := slug_of(each or ""))))
        if not slugs:
            raise ApiError(404, "not_found", "there is no such agent; GET /v1/agents lists those there are", "agent_id")
        request = TokenRequest(body.kind, slugs, body.metadata, body.scope, body.call_id)
        try:
            token = await self._mint.grant(wanted.by.key, request)
        except RefusedError as refused:
            code = "too_many_requests" if refused.status == 429 else "not_found"
            error = ApiError(refused.status, code, str(refused))
            error.headers.update(refused.headers)
            raise error from None
        return TokenShown(token=token, kind=body.kind, agent_ids=[*slugs], expires_in=int(LIFETIMES[body.kind]))
