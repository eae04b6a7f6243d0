"""SIP trunks in AgentPhone's words.

There a trunk is made with a user name and password, by which a switchboard calls our `terminationSipUri`; `origination`
is where our calls to it go. Its name is what people call it: channels know it by its id.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from omni.gateway.agentphone.answers import Fields, moment
from omni.gateway.agentphone.shapes import Camel, Snake
from omni.gateway.rest.trunks.keeping import KnownTrunk
from omni.model.sip import SipTrunk, Transport

_URI: Final = re.compile(
    r"(?P<scheme>sips?):(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]+\])(?P<port>:[0-9]{1,5})?"
    r"(?:;transport=(?P<transport>udp|tcp|tls))?",
    re.ASCII | re.IGNORECASE,
)


def _is_uri(uri: str) -> str:
    if "@" in uri:
        raise ValueError(
            f"{uri[:100]!r} has a user in it, and the number that is called goes there; leave out what is before the @"
        )
    if _URI.fullmatch(uri) is None:
        raise ValueError(f"{uri[:100]!r} is not the address of a switchboard; write sip:pbx.example.com;transport=tls")
    return uri


class OriginationUri(BaseModel):
    """`priority` and `weight` choose among several, and there is one: they are read, and change nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sip_uri: Annotated[str, Field(max_length=300), AfterValidator(_is_uri)]
    name: str | None = Field(default=None, max_length=200)
    priority: int | None = Field(default=None, ge=0, le=65_535)
    weight: int | None = Field(default=None, ge=0, le=65_535)


class Origination(BaseModel):
    """`{"uris": [{"sip_uri": …}]}`, or the one address itself. No address: nothing is called there any more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uris: tuple[OriginationUri, ...]

    @model_validator(mode="before")
    @classmethod
    def _may_be_one(cls, given: Any) -> Any:
        return {"uris": [given]} if isinstance(given, dict) and "sip_uri" in given else given

    @model_validator(mode="after")
    def _is_one(self) -> Origination:
        if len(self.uris) > 1:
            raise ValueError("there can be one address; give a name whose SRV records lead to several servers")
        return self

    @property
    def where(self) -> tuple[str | None, Transport | None]:
        """Host (with its port) and transport. None: there is no address, or it does not say by which."""
        if not self.uris:
            return None, None
        found = _URI.fullmatch(self.uris[0].sip_uri)
        assert found is not None, "it was read before"
        named = (found["transport"] or "").lower()
        transport: Transport | None = "tls" if found["scheme"].lower() == "sips" else _TRANSPORTS.get(named)
        return f"{found['host']}{found['port'] or ''}", transport


_TRANSPORTS: Final[dict[str, Transport]] = {"udp": "udp", "tcp": "tcp", "tls": "tls"}

Name = Annotated[str, Field(min_length=1, max_length=100)]


class TrunkBody(Camel):
    """Its clients send none."""

    name: Name | None = None


class TrunkChange(Snake):
    name: Name | None = None
    transfers: Literal["all", "sip", "none"] | None = None
    transfer_caller_id: Literal["transferee", "transferor"] | None = None
    origination: Origination | None = None

    @property
    def is_nothing(self) -> bool:
        return all(getattr(self, name) is None for name in type(self).model_fields)


def shown_trunk(known: KnownTrunk, uri: str | None, *, with_password: bool = False) -> Fields:
    """`uri` is where calls by SIP come in. `encrypted` is the signalling, both ways."""
    trunk = known.trunk
    goes_by_tls = trunk.host is None or trunk.transport == "tls"
    return {
        "id": trunk.name,
        "name": trunk.description or trunk.name,
        "provider": "omni",
        "encrypted": goes_by_tls and uri is not None and uri.endswith(";transport=tls"),
        "transport": trunk.transport,
        "mediaEncryption": trunk.srtp,
        "transfers": trunk.transfers,
        "transferCallerId": "transferee",
        "terminationSipUri": uri or "",
        "originationUris": _origination(trunk),
        "allowedIps": [{"cidr": str(network), "name": None} for network in trunk.allow],
        "proxyIps": [trunk.advertised_ip] if trunk.advertised_ip is not None else [],
        "credentials": _credentials(trunk, with_password=with_password),
        "createdAt": moment(known.created_at or 0.0),
    }


def _origination(trunk: SipTrunk) -> list[JsonValue]:
    if trunk.host is None:
        return []
    return [
        {"sip_uri": f"sip:{trunk.host};transport={trunk.transport}", "name": None, "priority": None, "weight": None}
    ]


def _credentials(trunk: SipTrunk, *, with_password: bool) -> list[JsonValue]:
    """The password itself only right after it was made."""
    if trunk.inbound_username is None or trunk.inbound_password is None:
        return []
    secret = trunk.inbound_password.get_secret_value()
    shown: Fields = {
        "username": trunk.inbound_username,
        "password": secret if with_password else None,
        "passwordLast4": secret[-4:] if len(secret) >= LONG else None,
        "credentialListName": None,
    }
    return [shown]


LONG: Final = 24
"""Of a password that is shorter even four characters would tell too much."""
