"""The seam of spoken calls: what is asked of whoever can place one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from omni.gateway.agentphone.errors import not_here
from omni.model.agent import Agent

NO_VOICE: Final = (
    "this server has no voice channel yet, so nobody can be called; write to them with POST /v1/messages instead"
)


@dataclass(frozen=True, slots=True)
class CallOrder:
    """One outbound call, judged and complete. `from_` and `to` are E.164; `hosted_prompt` makes a model answer this
    call whatever the agent's brain is, `greeting` None is the agent's own and empty is silence; `tier` is the size of
    the model."""

    agent: Agent
    from_: str
    to: str
    hosted_prompt: str | None = None
    greeting: str | None = None
    voice: str | None = None
    tier: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    is_recorded: bool = True
    screening_identity: str | None = None
    screening_purpose: str | None = None


class Dialler(Protocol):
    async def dial(self, order: CallOrder) -> str:
        """Begin to call; returns the id of the call, which is in the store, while the phone still rings. Raises
        Refusal."""

    async def web_call(self, agent: Agent, metadata: Mapping[str, object], variables: Mapping[str, str]) -> str:
        """The same for a call from a browser."""


class NoDialler:
    """Of a server without a voice channel."""

    async def dial(self, order: CallOrder) -> str:
        raise not_here(NO_VOICE)

    async def web_call(self, agent: Agent, metadata: Mapping[str, object], variables: Mapping[str, str]) -> str:
        raise not_here(NO_VOICE)
