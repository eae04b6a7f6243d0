"""SIP in the voice role: opened where the settings say that it is spoken; and numbers, some of which are called by SIP
and some through Twilio."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from channels.audio import Carrier, Order, Switchboard, Transfer
from omni.model.agent import Agent
from omni.model.channel import Channel, PhoneChannel, SipChannel
from omni.model.sip import SipTrunk, inbound_uri
from omni.settings import Settings, SettingsError

if TYPE_CHECKING:
    from channels.sip.carrier import SipCarrier
    from channels.sip.service import SipService

log = logging.getLogger("omni.sip")

MISSING: Final = "OMNI_SIP_BIND is set, and SIP needs more packages: pip install 'omni-server[sip]'"

Reroute = Callable[[str, str, str], str | None]


def make_sip(
    settings: Settings,
    switchboard: Switchboard,
    agents: Callable[[], Sequence[Agent]],
    trunks: tuple[SipTrunk, ...],
    reroute: Reroute,
) -> SipService | None:
    """Not open yet; None where SIP is not spoken. `trunks` are those of the beginning. Raises SettingsError."""
    if not settings.sip_bind:
        return None
    if importlib.util.find_spec("aiosipua") is None:
        raise SettingsError(MISSING)
    from channels.sip.service import SipService, SipSettings

    told = SipSettings(
        listens=settings.sip_listens,
        trunks=trunks,
        advertised=settings.sip_advertised_ip,
        cert=settings.sip_tls_cert,
        key=settings.sip_tls_key,
        ports=settings.sip_ports,
    )
    return SipService(told, switchboard, agents, reroute=reroute)


def sip_uri(settings: Settings, url: str) -> str | None:
    """Where others send their calls, by all that the settings say of it; `url` is our public address."""
    return inbound_uri(settings.sip_listens, settings.sip_advertised_ip, urlsplit(url).hostname or "localhost")


async def open_sip(sip: SipService) -> SipCarrier:
    """Raises SettingsError."""
    from channels.sip.service import SipError

    try:
        carrier = await sip.open()
    except SipError as error:
        raise SettingsError(str(error)) from None
    log.info("SIP is spoken on %s", ", ".join(f"{kind} {host}:{port}" for kind, (host, port) in sip.bound.items()))
    return carrier


def warn_of_unknown(agents: Sequence[Agent], trunks: Sequence[SipTrunk]) -> None:
    """Of channels that go by a trunk that there is not: nobody can call them, and they call nobody."""
    known = {trunk.key for trunk in trunks}
    for agent in agents:
        for channel in agent.channels:
            named = channel.trunk if isinstance(channel, PhoneChannel | SipChannel) else None
            if named is not None and (agent.org, named) not in known:
                log.warning(
                    "%s of the agent %s goes by the SIP trunk %r, and there is none of that name: "
                    "add one to sip_trunks, or over REST",
                    channel.id,
                    agent.slug,
                    named,
                )


class PhoneCarriers:
    """Calls of numbers: by SIP where a trunk has the number, else through Twilio."""

    kind = "phone"

    def __init__(self, twilio: Carrier, sip: SipCarrier) -> None:
        self._twilio = twilio
        self._sip = sip

    async def dial(self, order: Order) -> str:
        carrier: Carrier = self._sip if self._sip.carries(order.org, order.channel) else self._twilio
        return await carrier.dial(order)

    async def hang_up(self, channel: Channel, call: str) -> None:
        await self._of(call).hang_up(channel, call)

    async def transfer(self, channel: Channel, call: str, transfer: Transfer) -> None:
        await self._of(call).transfer(channel, call, transfer)

    async def press(self, channel: Channel, call: str, digits: str) -> bool:
        return await self._of(call).press(channel, call, digits)

    def _of(self, call: str) -> Carrier:
        return self._sip if self._sip.has(call) else self._twilio
