"""What every model shares: frozen values that ignore fields they do not know."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

DEFAULT_ORG = "default"
"""The organisation of a single-tenant installation."""


class Value(BaseModel):
    """An immutable value. Unknown fields are ignored, so an older release can read a newer one's records."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Config(BaseModel):
    """An immutable value that a person wrote: a misspelt field is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
