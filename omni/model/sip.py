"""How we reach telephone networks and switchboards by SIP: what is written in `omni.yaml`, or stored over REST."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    SerializationInfo,
    WithJsonSchema,
    field_serializer,
    field_validator,
    model_validator,
)

from omni.model.base import DEFAULT_ORG, Config, Value
from omni.model.channel import REVEAL
from omni.model.numbers import e164

Transport = Literal["udp", "tcp", "tls"]
Network = IPv4Network | IPv6Network

TRANSPORTS: Final[tuple[Transport, ...]] = ("udp", "tcp", "tls")
PORT: Final[dict[Transport, int]] = {"udp": 5060, "tcp": 5060, "tls": 5061}
REALM: Final = "omni"
"""What proofs are asked for in the name of, where no trunk's domain is called."""
EVERYWHERE: Final = ("0.0.0.0", "::")
"""Addresses to listen on that nobody can call."""


def _is_ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"{text[:60]!r} is not an IP address; write one as 203.0.113.7") from None


def _network(given: object) -> Network:
    if isinstance(given, IPv4Network | IPv6Network):
        return given
    try:
        return ip_network(given if isinstance(given, str) else "", strict=False)
    except ValueError:
        raise ValueError(f"{str(given)[:60]!r} is not a network; write one as 203.0.113.0/24") from None


AnyNetwork = Annotated[
    Network,
    PlainValidator(_network),
    PlainSerializer(str, when_used="json"),
    WithJsonSchema({"type": "string", "description": "A network or an address.", "examples": ["203.0.113.0/24"]}),
]
IpAddress = Annotated[str, AfterValidator(_is_ip)]


Password = Annotated[SecretStr, Field(min_length=1, max_length=256)]
UserName = Annotated[str, Field(pattern=r"^[^\s@:\"\\]{1,128}$")]


class TrunkFields(Config):
    """What can be said of a trunk, beside its name and whose it is."""

    model_config = ConfigDict(hide_input_in_errors=True)  # it has secrets in it

    description: str | None = Field(default=None, max_length=500)
    host: str | None = Field(default=None, pattern=r"^(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$")
    """A name or an address, with a port only where it is not the usual one: names without are looked up (SRV). None:
    calls come from there, and none go there."""
    transport: Transport = "udp"
    domain: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.:\[\]-]{1,253}$")
    """What stands behind the @ of our own address there; without it the host."""
    username: UserName | None = None
    password: Password | None = None
    register_: bool = Field(default=False, alias="register")
    """Whether we sign in there, so that calls find us."""
    register_seconds: int = Field(default=600, ge=60, le=86_400)
    allow: tuple[AnyNetwork, ...] = Field(default=(), max_length=500)
    inbound_username: UserName | None = None
    inbound_password: Password | None = None
    numbers: tuple[str, ...] = Field(default=(), max_length=10_000)
    """Numbers that are called through it, E.164. A phone channel may also name the trunk itself."""
    srtp: Literal["off", "optional", "required"] = "optional"
    """Encrypted sound: `optional` takes it when it is offered, `required` takes and offers nothing else."""
    transfers: Literal["all", "sip", "none"] = "all"
    """Whom the other side may be asked to call instead of us: anybody, SIP addresses only, or nobody."""
    refer: bool = False
    """Whether the other side may give a call to somebody else, whom we then call through this trunk."""
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

    @field_validator("host")
    @classmethod
    def _has_a_port(cls, host: str | None) -> str | None:
        port = "" if host is None or host.endswith("]") else host.rpartition(":")[2] if ":" in host else ""
        if port and not 0 < int(port) < 65_536:
            raise ValueError(f"{port} is not a port; one is 1 to 65535, or left out")
        return host

    @field_validator("numbers")
    @classmethod
    def _are_numbers(cls, numbers: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(e164(each) for each in numbers)

    @field_serializer("password", "inbound_password", when_used="json")
    def _secret(self, secret: SecretStr | None, context: SerializationInfo[Any]) -> str | None:
        if secret is None:
            return None
        return secret.get_secret_value() if context.context == REVEAL else "**********"


class SipTrunk(TrunkFields):
    """A provider, a switchboard or a proxy that calls come from and go to.

    Calls are taken from the networks in `allow`, and from whoever proves the `inbound_password`; nobody else is so much
    as answered. It belongs to one organisation: only that one's agents are called through it, and call.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    org: str = DEFAULT_ORG
    is_public: bool = False
    """Whether it may only be at addresses of the public internet."""

    @model_validator(mode="after")
    def _has_pairs(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError(f"the trunk {self.name!r} needs both username and password, or neither")
        if (self.inbound_username is None) != (self.inbound_password is None):
            raise ValueError(f"the trunk {self.name!r} needs both inbound_username and inbound_password, or neither")
        if self.register_ and self.username is None:
            raise ValueError(f"the trunk {self.name!r} is to register; give it username and password")
        if self.register_ and self.host is None:
            raise ValueError(f"the trunk {self.name!r} is to register; give it a host to sign in at")
        if self.host is None and not self.allow and self.inbound_username is None:
            raise ValueError(
                f"nobody could call through the trunk {self.name!r}, or be called; give it host, allow or "
                "inbound_username and inbound_password"
            )
        return self

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by: names are an organisation's own."""
        return self.org, self.name

    @property
    def address(self) -> tuple[str, int | None]:
        """The host without its port (empty when there is none), and the port when there is one."""
        host, port = self.host or "", ""
        if host.startswith("["):
            host, _, port = host.partition("]")
            host, port = host[1:], port.removeprefix(":")
        elif ":" in host:
            host, _, port = host.rpartition(":")
        return host, int(port) if port else None

    @property
    def realm(self) -> str:
        """What our address there ends with."""
        return self.domain or self.host or REALM

    @property
    def signing(self) -> tuple[object, ...]:
        """All that a registration depends on: it is another one when any of it changes."""
        return (
            self.register_, self.host, self.transport, self.domain, self.username, self.password,
            self.register_seconds, self.advertised_ip, self.verify_tls, self.is_public,
        )  # fmt: skip

    def changed(self, changes: TrunkFields) -> SipTrunk:
        """With what was set of `changes`; the rest stays. Raises ValidationError for a trunk that cannot be."""
        given = changes.model_dump(by_alias=True, exclude_unset=True)
        return SipTrunk.model_validate({**self.model_dump(by_alias=True), **given})


class StoredTrunk(Value):
    """A trunk that is not of the settings."""

    trunk: SipTrunk
    created_at: float = 0
    version: int = 0


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


def inbound_uri(listening: Sequence[SipListen], advertised: str | None, known_as: str) -> str | None:
    """Where others send their calls to us; None where SIP is not spoken. `advertised` is our address as the world sees
    it, `known_as` our name, for where we listen on every address. UDP before TCP before TLS, as switchboards do."""
    if not listening:
        return None
    one = min(listening, key=lambda each: TRANSPORTS.index(each.transport))
    host = advertised or (known_as if one.host in EVERYWHERE else one.host)
    shown = f"[{host}]" if ":" in host else host
    port = "" if one.port == PORT[one.transport] else f":{one.port}"
    return f"sip:{shown}{port}" + ("" if one.transport == "udp" else f";transport={one.transport}")
