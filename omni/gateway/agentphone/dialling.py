"""Spoken calls are placed: what is asked of whoever can, and the voice workers, who do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from pydantic import JsonValue

from omni.gateway.agentphone.errors import not_here
from omni.gateway.rest.calls.placing import Placed, has_voice, place
from omni.gateway.rest.kit import RestKit
from omni.model.agent import Agent
from omni.model.behaviour import Overrides
from omni.model.channel import PhoneChannel
from omni.model.ids import new_call_id

NO_VOICE: Final = (
    "nobody can be called from this server, which has no voice; write to them with POST /v1/messages instead, or have "
    "its operator install omni-server[local-speech] and start omni serve --role voice"
)
WEB_CALL_SECONDS: Final = 30.0
"""So long a browser may take to begin a call that it was promised."""


@dataclass(frozen=True, slots=True)
class CallOrder:
    """One outbound call, judged and complete. `line` is what it comes from, `to` E.164, `by` who wants it, `key` names
    the request for good; `hosted_prompt` makes a model answer this call whatever the agent's brain is, `greeting` None
    is the agent's own and empty is silence; `tier` is the size of the model."""

    agent: Agent
    line: PhoneChannel
    to: str
    by: str
    key: str
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
        """Begin to call; returns the id of the call while the phone still rings. Raises Refusal and ApiError."""

    async def web_call(
        self, agent: Agent, metadata: Mapping[str, JsonValue], variables: Mapping[str, str]
    ) -> tuple[str, str]:
        """The id that a browser's call will have, and the token that begins it (POST /webrtc/offer) within
        WEB_CALL_SECONDS. Raises Refusal."""


class VoiceDialler:
    """Asks the voice workers. `may_speak`: one may start here, though none is alive yet."""

    def __init__(self, kit: RestKit, *, may_speak: bool) -> None:
        self._kit = kit
        self._may_speak = may_speak

    async def dial(self, order: CallOrder) -> str:
        if not self._may_speak and not await has_voice(self._kit):
            raise not_here(NO_VOICE)
        placed = Placed(
            agent=order.agent,
            line=order.line,
            to=order.to,
            by=order.by,
            key=order.key,
            greeting=order.greeting,
            overrides=overrides_of(order),
        )
        return await place(self._kit, placed)

    async def web_call(
        self, agent: Agent, metadata: Mapping[str, JsonValue], variables: Mapping[str, str]
    ) -> tuple[str, str]:
        if not self._may_speak and not await has_voice(self._kit):
            raise not_here(NO_VOICE)
        call = new_call_id("rtc")
        token = self._kit.access.tokens.mint(
            "webrtc",
            agent.org,
            (agent.slug,),
            meta=dict(metadata),
            opens=call,
            variables=dict(variables),
            lifetime=WEB_CALL_SECONDS,
        )
        return call, token


def overrides_of(order: CallOrder) -> Overrides:
    """What this call has otherwise than its agent. Pure."""
    own = order.agent.audio
    audio: dict[str, JsonValue] = {"media": {**_object(own.get("media")), "recording": order.is_recorded}}
    if order.voice:
        provider, colon, voice = order.voice.partition(":")
        audio["voice"] = {**_object(own.get("voice")), **({"provider": provider} if colon else {}),
                          "voice_id": voice if colon else provider}  # fmt: skip
    named = {
        "model_tier": order.tier,
        "call_screening_identity": order.screening_identity,
        "call_screening_purpose": order.screening_purpose,
    }
    return Overrides(
        brain="llm" if order.hosted_prompt is not None else None,
        prompt=order.hosted_prompt,
        vars=dict(order.variables) or None,
        audio={**audio, **{name: value for name, value in named.items() if value is not None}},
    )


def _object(value: JsonValue) -> dict[str, JsonValue]:
    return dict(value) if isinstance(value, dict) else {}
