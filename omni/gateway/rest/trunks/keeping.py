"""SIP trunks of an organisation: those of the settings, which are only read here, and those in the store."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import Final

from pydantic import SecretStr

from omni.gateway.rest.errors import ApiError, conflict, invalid, missing
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.routing import Caller
from omni.model.channel import PhoneChannel, SipChannel
from omni.model.sip import Network, SipTrunk, StoredTrunk
from omni.outgoing.addresses import check_host
from omni.outgoing.errors import AddressRefusedError

NOT_SPOKEN: Final = (
    "this server does not speak SIP; set OMNI_SIP_BIND to the address that calls come in on (for the gateway, too, "
    "where roles are processes of their own)"
)
WIDEST: Final = {4: 16, 6: 32}
"""Of networks that anybody but the server's operator may take calls from."""
PRIVATE: Final = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7")))


@dataclass(frozen=True, slots=True)
class KnownTrunk:
    """`stored` None: it is of the settings."""

    trunk: SipTrunk
    stored: StoredTrunk | None

    @property
    def is_declared(self) -> bool:
        return self.stored is None

    @property
    def created_at(self) -> float | None:
        return None if self.stored is None else self.stored.created_at


class Trunks:
    """Methods raise ApiError, StoreError, and VersionConflictError when somebody else changes it at the same moment."""

    def __init__(self, kit: RestKit) -> None:
        self._kit = kit

    @property
    def inbound_uri(self) -> str | None:
        """Where the other sides send their calls; None where SIP is not spoken."""
        return self._kit.sip_uri()

    async def all(self, org: str) -> list[KnownTrunk]:
        """By name."""
        declared = {trunk.name: KnownTrunk(trunk, None) for trunk in self._kit.trunks.declared(org)}
        stored = {each.trunk.name: KnownTrunk(each.trunk, each) for each in await self._kit.store.trunks(org)}
        return [known for _, known in sorted({**stored, **declared}.items())]

    async def get(self, org: str, name: str) -> KnownTrunk:
        """Raises ApiError 404."""
        declared = next((trunk for trunk in self._kit.trunks.declared(org) if trunk.name == name), None)
        if declared is not None:
            return KnownTrunk(declared, None)
        stored = await self._kit.store.trunk(org, name)
        if stored is None:
            raise missing("SIP trunk", "GET /v1/sip-trunks lists them")
        return KnownTrunk(stored.trunk, stored)

    async def create(self, by: Caller, trunk: SipTrunk) -> KnownTrunk:
        """Raises ApiError 400, 409."""
        if self.inbound_uri is None:
            raise conflict("sip_not_spoken", NOT_SPOKEN)
        self._judge(trunk)
        name = trunk.name
        if any(name == one.name for one in self._kit.trunks.declared(trunk.org)):
            raise conflict("taken", f"the server's settings have a trunk called {name!r}; choose another name", "name")
        if await self._kit.store.trunk(trunk.org, name) is not None:
            raise conflict("taken", f"there is a trunk called {name!r}; change it, or choose another name", "name")
        await self._kit.audit(by, "trunk.create", name)
        return await self._saved(StoredTrunk(trunk=trunk, created_at=self._kit.clock()))

    async def change(self, by: Caller, name: str, change: Callable[[SipTrunk], SipTrunk]) -> KnownTrunk:
        """Raises ApiError 400, 404, 409, and whatever `change` raises."""
        stored = await self._stored(by.org, name)
        after = change(stored.trunk)
        self._judge(after)
        if after == stored.trunk:
            return KnownTrunk(after, stored)
        await self._kit.audit(by, "trunk.change", name)
        return await self._saved(stored.model_copy(update={"trunk": after}))

    async def rotate(self, by: Caller, name: str) -> KnownTrunk:
        """A new inbound password; the old one is good for nothing within seconds. Raises ApiError 404, 409."""
        stored = await self._stored(by.org, name)
        if stored.trunk.inbound_username is None:
            raise conflict("no_inbound_password", f"nobody proves a password to {name}; give it inbound_username first")
        after = stored.trunk.model_copy(update={"inbound_password": new_password()})
        await self._kit.audit(by, "trunk.rotate-password", name)
        return await self._saved(stored.model_copy(update={"trunk": after}))

    async def remove(self, by: Caller, name: str) -> None:
        """Calls that are under way go on. Raises ApiError 404, and 409 for one that a channel goes by."""
        stored = await self._stored(by.org, name)
        for agent in await self._kit.store.agents(by.org):
            for channel in agent.channels:
                if isinstance(channel, PhoneChannel | SipChannel) and channel.trunk == name:
                    raise conflict(
                        "in_use",
                        f"{channel.id} of the agent {agent.slug} goes by this trunk; connect that channel again "
                        "without it, or by another one, first",
                    )
        await self._kit.audit(by, "trunk.delete", name)
        await self._kit.store.remove_trunk(by.org, stored.trunk.name)
        await self._kit.trunks.changed()

    async def _stored(self, org: str, name: str) -> StoredTrunk:
        """Raises ApiError 404, and 409 for one of the settings."""
        known = await self.get(org, name)
        if known.stored is None:
            raise conflict("declared", f"the trunk {name!r} is in the server's settings; change it there (sip_trunks)")
        return known.stored

    async def _saved(self, stored: StoredTrunk) -> KnownTrunk:
        saved = await self._kit.store.save_trunk(stored)
        await self._kit.trunks.changed()
        return KnownTrunk(saved.trunk, saved)

    def _judge(self, trunk: SipTrunk) -> None:
        """What only the operator of the server may have. Raises ApiError 400."""
        allow_private = self._kit.trunks.allow_private
        for network in trunk.allow:
            widest = WIDEST[network.version]
            if network.prefixlen < widest and not (allow_private and _is_private(network)):
                raise invalid("allow", f"{network} is wider than /{widest}; name the networks that calls come from")
        if trunk.host is not None:
            try:
                check_host(trunk.address[0], allow_private=allow_private)
            except AddressRefusedError as error:
                raise ApiError(400, "address_refused", f"host: {error}", "host") from None


def new_password() -> SecretStr:
    """192 bits, of characters that every switchboard takes."""
    return SecretStr(secrets.token_hex(24))


def _is_private(network: Network) -> bool:
    if isinstance(network, IPv4Network):
        return any(network.subnet_of(each) for each in PRIVATE if isinstance(each, IPv4Network))
    return any(network.subnet_of(each) for each in PRIVATE if not isinstance(each, IPv4Network))
