"""A message as it is sent."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from omni.gateway.agentphone.shapes import Snake

Link = Annotated[str, Field(pattern=r"^https://", max_length=2_000)]
Address = Annotated[str, Field(min_length=1, max_length=200)]


class MessageBody(Snake):
    """To one address; `from_number` says from where before `number_id`, and that before `agent_id`. `send_style` and
    what is WhatsApp's alone (`buttons`, `list`, `cta`, `template`) is read so that it can be refused."""

    to_number: Address | None = None
    recipients: Annotated[tuple[Address, ...], Field(min_length=2, max_length=32)] | None = None
    body: str | None = Field(default=None, max_length=20_000)
    media_urls: Annotated[tuple[Link, ...], Field(min_length=1, max_length=20)] | None = None
    media_url: Link | None = None
    from_number: str | None = Field(default=None, max_length=40)
    number_id: str | None = Field(default=None, max_length=100)
    agent_id: str | None = Field(default=None, max_length=64)
    reply_to_message_id: str | None = Field(default=None, max_length=200)
    send_style: str | None = Field(default=None, max_length=40)
    channel: Literal["sms", "mms", "whatsapp"] | None = None
    buttons: JsonValue = None
    list: JsonValue = None
    cta: JsonValue = None
    template: JsonValue = None

    @property
    def media(self) -> tuple[str, ...]:
        return self.media_urls or ((self.media_url,) if self.media_url is not None else ())

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if (self.to_number is None) == (self.recipients is None):
            raise ValueError("give exactly one of to_number and recipients")
        for name in ("buttons", "list", "cta", "template"):
            if getattr(self, name) is not None:
                raise ValueError(f"{name} is sent with POST /v1/messages of omni's own API (interactive, template)")
        if not (self.body or "").strip() and not self.media:
            raise ValueError("there is nothing to send; give body or media_urls")
        return self


class ReactionBody(Snake):
    """`love`, `like`, `dislike`, `laugh`, `emphasize`, `question`, or one emoji."""

    reaction: str = Field(min_length=1, max_length=32)
