"""Whose sound is believed, and where ours goes (a phone behind a router sends from another address than it says)."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Final

SETTLING: Final = 2.0
"""Seconds after the first packet in which another permitted address may still take over."""
SILENT: Final = 3.0
"""The one who was believed has sent nothing for so long: their router may have given them another port."""

Address = tuple[str, int]


class Latch:
    """`signalled` is where they said their sound is; `neighbour` is where their signalling comes from. Nobody outside
    those, or the first one's /24, is ever believed, but who holds the keys of an encrypted sound."""

    def __init__(self, signalled: Address, neighbour: str) -> None:
        self.target = signalled
        self._nets = {signalled[0], neighbour, _net(signalled[0])}
        self._since: float | None = None
        self._heard = 0.0

    def permits(self, ip: str) -> bool:
        return ip in self._nets or _net(ip) in self._nets

    def takes(self, sender: Address, now: float, *, has_keys: bool = False) -> bool:
        """Whether a packet counts."""
        if sender == self.target and self._since is not None:
            self._heard = now
            return True
        if not (has_keys or self.permits(sender[0])):
            return False
        if self._since is None:
            self._since = now
        elif now - self._since > SETTLING and now - self._heard <= SILENT:
            return False
        self.target, self._heard = sender, now
        return True


def _net(ip: str) -> str:
    parsed = ip_address(ip)
    return ip if isinstance(parsed, IPv6Address) else ip.rpartition(".")[0] + "."
