"""An agent as AgentPhone's clients write it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from omni.gateway.agentphone.shapes import Camel, E164OrEmpty

RESERVED: Final = frozenset({"end_call", "transfer_call", "send_message", "press_digits"})
"""Names of abilities that every agent has."""

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
VoiceMode = Literal["webhook", "hosted"]
ModelTier = Literal["turbo", "balanced", "max"]


def _is_free(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name!r} is a built-in ability; choose another name")
    return name


class CustomTool(Camel):
    """A function of a hosted agent, run by a POST to `url`."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$"), AfterValidator(_is_free)]
    description: str = Field(default="", max_length=1_024)
    url: str = Field(pattern=r"^https?://", max_length=2_048)
    method: Literal["GET", "POST"] = "POST"
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)
    parameters: dict[str, JsonValue] = Field(default={"type": "object", "properties": {}})
    timeout_ms: int = Field(default=10_000, ge=1_000, le=120_000)
    speak_during_execution: bool = False
    execution_message: str | None = Field(default=None, max_length=500)


class AgentFields(Camel):
    """What may be said of an agent. In a PATCH, what is left out stays; null, or an empty text, takes it back."""

    description: str | None = Field(default=None, max_length=500)
    voice_mode: VoiceMode | None = None
    model_tier: ModelTier | None = None
    system_prompt: str | None = Field(default=None, max_length=200_000)
    begin_message: str | None = Field(default=None, max_length=20_000)
    voice: str | None = Field(default=None, max_length=200)
    transfer_number: E164OrEmpty | None = None
    voicemail_message: str | None = Field(default=None, max_length=1_000)
    stt_mode: Literal["fast", "accurate"] | None = None
    ambient_sound: Literal["none", "office", "coffee-shop", "outdoor"] | None = None
    denoising_mode: Literal["noise-cancellation", "noise-and-background-speech-cancellation"] | None = None
    max_silence_ms: int | None = Field(default=None, ge=10_000, le=3_600_000)
    enable_messaging: bool | None = None
    enable_backchannel: bool | None = None
    interruption_sensitivity: float | None = Field(default=None, ge=0, le=1)
    voice_speed: float | None = Field(default=None, ge=0.5, le=2)
    language: str | None = Field(default=None, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)
    custom_tools: Annotated[tuple[CustomTool, ...], Field(max_length=20)] | None = None
    call_screening_identity: str | None = Field(default=None, max_length=100)
    call_screening_purpose: str | None = Field(default=None, max_length=300)


class AgentCreate(AgentFields):
    name: Name


class AgentPatch(AgentFields):
    name: Name | None = None
