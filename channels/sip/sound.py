"""The sound of one call, as the two sides describe it to each other: its ports, keys and offers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from channels.sip import sdp
from channels.sip.host import Host
from channels.sip.leg import SipLeg
from channels.sip.ports import Pair
from omni.model.sip import SipTrunk

if TYPE_CHECKING:
    from channels.sip.srtp import Srtp


class Sound:
    """`closed` and `lost` are the leg's. `far` is the other side's description, once there is one."""

    def __init__(self, host: Host, trunk: SipTrunk, *, closed: Callable[[], None], lost: Callable[[], None]) -> None:
        self.far: sdp.Far | None = None
        self._host = host
        self._trunk = trunk
        self._near: sdp.Near | None = None
        self._srtp: Srtp | None = None
        self._pair = Pair()
        self.leg = SipLeg(self._pair, host.ticker, patience=host.patience, closed=closed, lost=lost)

    async def open(self, towards: str) -> None:
        """Take ports. `towards` is an address of theirs. Raises NoPortError."""
        host = self._host
        await self._pair.open(host.rtp_host, host.ports, host.busy, self.leg.received, self.leg.reported)
        crypto = sdp.Crypto.new() if self._trunk.srtp == "required" else None
        session = secrets.randbits(31)
        address = host.sound_address(self._trunk, towards)
        self._near = sdp.Near(address, self._pair.port, session, session, crypto)

    def close(self) -> None:
        self._pair.close(self._host.busy)

    def offer(self, *, anew: bool = True) -> str:
        """What we offer; `anew` unless it is what we said last, and only a sign of life."""
        near = self._known
        if anew and self.far is not None:
            near = self._near = sdp.Near(near.ip, near.port, near.session, near.version + 1, near.crypto)
        direction = "sendrecv" if self.far is None or anew else sdp.mirrored(self.far.direction)
        return sdp.offer(near, far=self.far, direction=direction)

    def accepted(self, answer: str, neighbour: str) -> None:
        """What they made of our offer. `neighbour` is where their signalling comes from. Raises SdpError, and
        ImportError where encryption is not installed."""
        self._agree(sdp.accepted(sdp.read(answer), self._known), neighbour)

    def answer(self, offer: str, neighbour: str) -> str:
        """Our answer to what they offer, which counts from now on. Raises as `accepted` does."""
        theirs = sdp.read(offer)
        far = sdp.offered(theirs, self._trunk.srtp)
        near, crypto = self._known, None
        if far.crypto is not None:
            own = near.crypto or sdp.Crypto.new()
            crypto = sdp.Crypto(far.crypto.tag, own.key)
        version = near.version + 1 if self.far is not None else near.version
        self._near = sdp.Near(near.ip, near.port, near.session, version, crypto)
        self._agree(far, neighbour)
        return sdp.answer(theirs, far, self._near)

    @property
    def _known(self) -> sdp.Near:
        if self._near is None:
            raise RuntimeError("the call has no ports; await sound.open() first")
        return self._near

    def _agree(self, far: sdp.Far, neighbour: str) -> None:
        srtp, near = None, self._known
        if far.crypto is not None and near.crypto is not None:
            from channels.sip.srtp import Srtp

            srtp = self._srtp.renewed(near.crypto, far.crypto) if self._srtp else Srtp(near.crypto, far.crypto)
        self._srtp = srtp
        self.far = far
        self.leg.agree(far, srtp, neighbour)
