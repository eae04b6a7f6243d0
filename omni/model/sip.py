"""How we reach telephone networks and switchboards by SIP: what the operator of a server writes in `omni.yaml`."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, SecretStr, field_validator, model_validator

from omni.model.base import DEFAULT_ORG, Config
from omni.model.numbers import e164

Transport = Literal["udp", "tcp", "tls"]
Network = IPv4Network | IPv6Network

TRANSPORTS: Final[tuple[Transport, ...]] = ("udp", "tcp", "tls")
PORT: Final[dict[Transport, int]] = {"udp": 5060, "tcp": 5060, "tls": 5061}


def _is_ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"{text[:60]!r} is not an IP address; write one as 203.0.113.7") from None


def _networks(given: object) -> object:
    if not isinstance(given, list | tuple):
        return given
    found = []
    for each in given:
        try:
            found.append(ip_network(str(each), strict=False))
        except ValueError:
            raise ValueError(f"{str(each)[:60]!r} is not a network; write one as 203.0.113.0/24") from None
    return tuple(found)


IpAddress = Annotated[str, AfterValidator(_is_ip)]


class SipTrunk(Config):
    """A provider, a switchboard or a proxy that calls come from and go to.

    Calls are taken from the networks in `allow`, and from whoever proves the `inbound_password`; nobody else is so much
    as answered. It belongs to one organisation: only that one's agents are called through it, and call.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # it has secrets in it

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    org: str = DEFAULT_ORG
    host: str = Field(pattern=r"^(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$")
    """A name or an address, with a port only where it is not the usual one: names without are looked up (SRV)."""
    transport: Transport = "udp"
    domain: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.:\[\]-]{1,253}$")
    """What stands behind the @ of our own address there; without it the host."""
    username: str | None = Field(default=None, pattern=r"^[^\s@:\"\\]{1,128}$")
    password: SecretStr | None = None
    register_: bool = Field(default=False, alias="register")
    """Whether we sign in there, so that calls find us."""
    register_seconds: int = Field(default=600, ge=60, le=86_400)
    allow: Annotated[tuple[Network, ...], BeforeValidator(_networks)] = ()
    inbound_username: str | None = Field(default=None, pattern=r"^[^\s@:\"\\]{1,128}$")
    inbound_password: SecretStr | None = None
    numbers: tuple[str, ...] = ()
    """Numbers that are called through it, E.164. A phone channel may also name the trunk itself."""
    srtp: Literal["off", "optional", "required"] = "optional"
    """Encrypted sound: `optional` takes it when it is offered, `required` takes and offers nothing else."""
    max_calls: int = Field(default=30, ge=0, le=1_000)
    invites_per_minute: int = Field(default=120, ge=1, le=100_000)
    """From one address."""
    options_per_minute: int = Field(default=60, ge=1, le=100_000)
    advertised_ip: IpAddress | None = None
    """Our address as the trunk sees it, where that is not the server's own `sip_advertised_ip`."""
    verify_tls: bool = True
    """Whether its certificate has to be valid for `host`."""
    session_seconds: int = Field(default=1800, ge=90, le=86_400)
    """How long a call lives without either side saying that it still does (RFC 4028)."""

    @field_validator("numbers")
    @classmethod
    def _are_numbers(cls, numbers: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(e164(each) for each in numbers)

    @model_validator(mode="after")
    def _has_pairs(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError(f"the trunk {self.name!r} needs both username and password, or neither")
        if (self.inbound_username is None) != (self.inbound_password is None):
            raise ValueError(f"the trunk {self.name!r} needs both inbound_username and inbound_password, or neither")
        if self.register_ and self.username is None:
            raise ValueError(f"the trunk {self.name!r} is to register; give it username and password")
        return self

    @property
    def address(self) -> tuple[str, int | None]:
        """The host without its port, and the port when there is one."""
        host, port = self.host, ""
        if host.startswith("["):
            host, _, port = host.partition("]")
            host, port = host[1:], port.removeprefix(":")
        elif ":" in host:
            host, _, port = host.rpartition(":")
        return host, int(port) if port else None

    @property
    def realm(self) -> str:
        """What our address there ends with."""
        return self.domain or self.host


class SipListen(Config):
    """An address that calls come in on."""

    transport: Transport
    host: str
    port: int = Field(ge=0, le=65535)


def listens(text: str) -> tuple[SipListen, ...]:
    """`203.0.113.7:5060` is UDP and TCP; `udp://…`, `tcp://…` and `tls://…` are what they say, with commas between.
    Raises ValueError."""
    found: list[SipListen] = []
    for each in filter(None, (part.strip() for part in text.split(","))):
        scheme, is_given, rest = each.rpartition("://")
        host, _, port = rest.rpartition(":") if rest.rpartition(":")[2].isdigit() else (rest, "", "")
        host = host.strip("[]")
        names = [one for one in TRANSPORTS if one == scheme] if is_given else ["udp", "tcp"]
        try:
            ip_address(host)
        except ValueError:
            names = []
        if not names:
            raise ValueError(f"{each!r} is not an address to listen on; write 203.0.113.7:5060 or tls://0.0.0.0:5061")
        found += [
            SipListen(transport=name, host=host, port=int(port) if port else PORT[name])
            for name in TRANSPORTS
            if name in names
        ]
    return tuple(found)
