"""Calls by SIP, as a `Carrier`: placed, ended, given away, and keys pressed in them."""

from __future__ import annotations

import logging
import re
from typing import Final

from channels.audio import CarrierError, Order, Transfer
from channels.sip.outgoing import Outgoing
from channels.sip.ports import NoPortError
from channels.sip.requests import Requests
from channels.sip.useragent import UserAgent
from omni.model.channel import Channel, PhoneChannel, SipChannel
from omni.model.sip import SipTrunk

log = logging.getLogger("omni.sip")

_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_ADDRESS: Final = re.compile(r"sips?:[^\s@<>\";?]{1,128}@[A-Za-z0-9.\[\]:-]{1,253}(;[A-Za-z0-9=;.-]{1,100})?", re.ASCII)


class SipCarrier:
    kind = "sip"

    def __init__(self, agent: UserAgent, requests: Requests) -> None:
        self._agent = agent
        self._requests = requests

    def carries(self, org: str, channel: Channel) -> bool:
        """Whether a channel's calls go by SIP; one that names a trunk does, also when there is none of that name."""
        names_one = isinstance(channel, PhoneChannel) and channel.trunk is not None
        return names_one or self._agent.directory().trunk_of(org, channel) is not None

    def has(self, call: str) -> bool:
        return call.startswith("sip-")

    async def dial(self, order: Order) -> str:
        what = f"the call to {_shown(order.to)} could not be placed"
        agent, channel = self._agent, order.channel
        if not isinstance(channel, PhoneChannel | SipChannel):
            raise TypeError(f"the SIP carrier was given the channel {channel.id!r}")
        trunk = agent.directory().trunk_of(order.org, channel)
        if trunk is None:
            raise CarrierError(f"{what}: no SIP trunk is set for {channel.id}; add one to sip_trunks, or over REST.")
        if trunk.host is None:
            raise CarrierError(f"{what}: the trunk {trunk.name} only brings calls; give it a host to call through it.")
        if agent.count(trunk) >= trunk.max_calls:
            raise CarrierError(f"{what}: the trunk {trunk.name} has {trunk.max_calls} calls, which is all it takes.")
        call = Outgoing(
            agent,
            agent.new_id(),
            order,
            trunk,
            uri=_uri(order.to, trunk.host, what),
            caller=_caller(order, channel, trunk),
            proxy=f"sip:{trunk.host};transport={trunk.transport}",
        )
        agent.calls[call.id] = call  # before anything is awaited: the trunk's places are counted
        try:
            await call.sound.open(trunk.address[0] if _is_ip(trunk.address[0]) else "192.0.2.1")
        except NoPortError as error:
            agent.forget(call.id)
            raise CarrierError(f"{what}: {error}.") from None
        except BaseException:
            agent.forget(call.id)
            raise
        agent.add(call)
        agent.begin(call.place(), f"place {call.id}")
        return call.id

    async def hang_up(self, channel: Channel, call: str) -> None:
        found = self._agent.calls.get(call)
        if found is not None:
            found.hang_up("hangup")

    async def transfer(self, channel: Channel, call: str, transfer: Transfer) -> None:
        """The other side is asked to call somebody else (REFER). Nothing can be said to whom it reaches."""
        what = f"the call could not be transferred to {_shown(transfer.to)}"
        found = self._agent.calls.get(call)
        if found is None or not found.is_talking:
            raise CarrierError(f"{what}: it is over.")
        _may_give(found.trunk, transfer.to, what)
        uri = _uri(transfer.to, found.trunk.host or found.peer, what)
        if transfer.announce:
            log.warning("the call %s is given away without its announcement: SIP has none", call)
        await found.give(uri, lambda status, code, detail: self._agent.tell(found.id, found.org, status, code, detail))

    async def press(self, channel: Channel, call: str, digits: str) -> bool:
        """As events, where the other side takes them; False: as tones in the sound."""
        found = self._agent.calls.get(call)
        if found is None or not found.sound.leg.takes_keys:
            return False
        await found.sound.leg.press(digits)
        return True


def _may_give(trunk: SipTrunk, to: str, what: str) -> None:
    is_address = _NUMBER.fullmatch(to) is None
    if trunk.transfers == "none":
        raise CarrierError(f"{what}: the trunk {trunk.name} takes no transfers.")
    if trunk.transfers == "sip" and not is_address:
        raise CarrierError(f"{what}: the trunk {trunk.name} takes transfers to SIP addresses only.")


def _uri(to: str, host: str, what: str) -> str:
    if _NUMBER.fullmatch(to) is not None:
        return f"sip:{to}@{host}"
    if _ADDRESS.fullmatch(to) is not None:
        return to
    raise CarrierError(f"{what}: write a number as +12025550142, or a SIP address as sip:desk@example.com.")


def _caller(order: Order, channel: PhoneChannel | SipChannel, trunk: SipTrunk) -> str:
    if isinstance(channel, PhoneChannel):
        own = order.from_ if _NUMBER.fullmatch(order.from_) else channel.number
        return f"sip:{own}@{trunk.realm}"
    return channel.uri


def _is_ip(host: str) -> bool:
    return host.replace(".", "").isdigit() or ":" in host


def _shown(to: str) -> str:
    return ascii(to)[1:-1][:60]
