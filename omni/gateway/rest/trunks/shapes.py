"""A SIP trunk as it is asked for (with its secrets) and shown (without)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from omni.gateway.rest.shapes import Shown
from omni.gateway.rest.trunks.keeping import KnownTrunk
from omni.model.sip import Transport, TrunkFields

SECRETS = frozenset({"password", "inbound_password"})


class TrunkCreate(TrunkFields):
    """`name` is its id, and what channels call it by. Of an `inbound_username` without a password one is made."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", examples=["office"])]


class TrunkPatch(TrunkFields):
    """What is left out stays; `null` takes away what may be left out at all."""


class TrunkShown(Shown):
    """`source` is `settings` for a trunk of the server's own settings, which is only changed there. `inbound_uri` is
    where the other side sends its calls."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: str
    object: Literal["sip_trunk"] = "sip_trunk"
    source: Literal["settings", "api"]
    description: str | None
    host: str | None
    transport: Transport
    domain: str | None
    username: str | None
    register_: bool = Field(alias="register")
    register_seconds: int
    allow: list[str]
    inbound_username: str | None
    inbound_uri: str | None
    numbers: list[str]
    srtp: Literal["off", "optional", "required"]
    transfers: Literal["all", "sip", "none"]
    refer: bool
    max_calls: int
    invites_per_minute: int
    options_per_minute: int
    advertised_ip: str | None
    verify_tls: bool
    session_seconds: int
    created: float | None = Field(description="Null for one of the settings.")


class TrunkWithPassword(TrunkShown):
    """The inbound password is shown now and never again; null where there is none."""

    inbound_password: str | None


def shown_trunk(known: KnownTrunk, inbound_uri: str | None) -> TrunkShown:
    trunk = known.trunk
    fields = trunk.model_dump(mode="json", by_alias=True, exclude={"name", "org", "is_public", *SECRETS})
    return TrunkShown.model_validate(
        {
            **fields,
            "id": trunk.name,
            "source": "settings" if known.is_declared else "api",
            "inbound_uri": inbound_uri,
            "created": known.created_at,
        }
    )


def with_password(known: KnownTrunk, inbound_uri: str | None) -> TrunkWithPassword:
    secret = known.trunk.inbound_password
    shown = shown_trunk(known, inbound_uri).model_dump(by_alias=True)
    password = None if secret is None else secret.get_secret_value()
    return TrunkWithPassword.model_validate({**shown, "inbound_password": password})
