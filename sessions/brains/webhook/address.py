"""Whom the webhook brain asks for an agent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from omni.model.agent import Agent
from omni.model.webhook import Dialect, WebhookEndpoint
from sessions.brains.base import BrainError

Endpoints = Callable[[str], Awaitable[Sequence[WebhookEndpoint]]]
"""All endpoints of an organisation."""


async def no_endpoints(org: str) -> Sequence[WebhookEndpoint]:
    """Nobody has registered any."""
    return ()


@dataclass(frozen=True, slots=True)
class Address:
    """Whom to ask, and how. `endpoint` is the id of the registered endpoint, if it is one; without a secret requests
    are not signed."""

    url: str
    secret: SecretStr | None
    dialect: Dialect
    timeout_s: float
    context_limit: int
    endpoint: str | None = None
    fallback: str | None = None


def registered(
    endpoints: Sequence[WebhookEndpoint], agent: Agent, *, in_writing: bool = False
) -> WebhookEndpoint | None:
    """The endpoint that answers for an agent: its own, else the organisation's; of several the newest. In writing those
    of omni's dialect come first: AgentPhone's do not answer there."""
    able = [
        one
        for one in endpoints
        if one.org == agent.org and one.agent in (agent.slug, None) and one.answers and one.disabled_at is None
    ]

    def rank(one: WebhookEndpoint) -> tuple[bool, bool, float, str]:
        return (in_writing and one.dialect == "omni", one.agent is not None, one.created_at, one.id)

    return max(able, key=rank, default=None)


async def address_of(agent: Agent, endpoints: Endpoints, *, in_writing: bool) -> Address | None:
    """Whom to ask. None when somebody is there who is not asked: a registered endpoint of AgentPhone's dialect is told
    of every written message as an event, whose reply means nothing, and answers by sending messages.

    Raises BrainError, with the mend, when nobody is there, and StoreError.
    """
    own = agent.webhook
    fallback = own.fallback if own is not None else None
    if own is not None and own.url is not None:
        return Address(own.url, own.secret, own.dialect, own.timeout_s, own.context_limit, None, fallback)
    found = registered(await endpoints(agent.org), agent, in_writing=in_writing)
    if found is None:
        raise BrainError(
            f"agent {agent.slug!r} has the brain webhook and no address to ask; give it `webhook: {{url: https://…}}`, "
            "or register an endpoint for it"
        )
    if in_writing and found.dialect == "agentphone":
        return None
    return Address(found.url, found.secret, found.dialect, found.timeout_s, found.context_limit, found.id, fallback)
