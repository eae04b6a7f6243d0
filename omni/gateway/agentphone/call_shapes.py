"""A call as it is placed and looked for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue

from omni.gateway.agentphone.agent_shapes import ModelTier
from omni.gateway.agentphone.shapes import E164, Camel, Window, plus

Variables = Annotated[dict[str, Annotated[str, Field(max_length=4_000)]], Field(max_length=100)]


class MakeCall(Camel):
    agent_id: str = Field(max_length=64)
    to_number: E164
    from_number_id: str | None = Field(default=None, max_length=100)
    initial_greeting: str | None = Field(default=None, max_length=20_000)
    voice: str | None = Field(default=None, max_length=200)
    system_prompt: str | None = Field(default=None, max_length=200_000)
    model_tier: ModelTier | None = None
    variables: Variables | None = None
    disable_recording: bool = False
    call_screening_identity: str | None = Field(default=None, max_length=100)
    call_screening_purpose: str | None = Field(default=None, max_length=300)


class WebCall(Camel):
    agent_id: str = Field(max_length=64)
    metadata: dict[str, JsonValue] | None = Field(default=None, max_length=50)
    variables: Variables | None = None


def _hyphened(value: object) -> object:
    return value.replace("_", "-") if isinstance(value, str) else value


CallState = Literal["ringing", "in-progress", "completed", "failed", "busy", "no-answer"]


class CallList(Window):
    status: Annotated[CallState, BeforeValidator(_hyphened)] | None = None
    direction: Literal["inbound", "outbound", "web"] | None = None
    type: Literal["pstn", "web"] | None = None
    search: Annotated[str, Field(max_length=200), BeforeValidator(plus)] | None = None
