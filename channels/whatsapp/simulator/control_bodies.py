"""Bodies of control requests that belong to no other module."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from channels.whatsapp.simulator.ids import Json
from channels.whatsapp.simulator.webhooks import Signature


class RawWebhook(BaseModel):
    """A webhook made by hand: a ``value`` to wrap, or the exact text of a body."""

    model_config = ConfigDict(extra="forbid")

    value: Json | None = None
    field: str = "messages"
    raw: str | None = None
    signature: Signature = "valid"

    @model_validator(mode="after")
    def _one_of(self) -> RawWebhook:
        if (self.value is None) == (self.raw is None):
            raise ValueError("give either 'value' or 'raw'")
        return self


class StatusReport(BaseModel):
    """A status to report now."""

    model_config = ConfigDict(extra="forbid")

    id: str
    status: str = Field(min_length=1, max_length=40)
    code: int | None = None
    details: str = ""


class WindowChange(BaseModel):
    """Open a window for 24 hours from now, or close it."""

    model_config = ConfigDict(extra="forbid")

    wa_id: str = Field(pattern=r"^\+?[0-9]{5,15}$")
    action: Literal["open", "close"]
    phone_number_id: str | None = None


class NewPerson(BaseModel):
    """Somebody to write to or from; replaces a person with the same number."""

    model_config = ConfigDict(extra="forbid")

    wa_id: str = Field(pattern=r"^[0-9]{5,15}$")
    name: str = Field(min_length=1, max_length=200)
    username: str = ""
    phone_hidden: bool = False
    user_id: str | None = None
