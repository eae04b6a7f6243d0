"""Who may talk to us at all. Scanners find an open port within minutes: whoever is not of a trunk gets no answer, and
little of our time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final, Literal

from aiosipua.message import SipRequest

from channels.sip.digest import Challenger
from channels.sip.directory import number
from channels.sip.messages import uri_of
from omni.access.limits import Buckets
from omni.model.sip import SipTrunk

STRANGERS_PER_MINUTE: Final = 240
"""Messages of one address that belongs to no trunk, before they are not even read."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`welcome` with its trunk; `challenge` to prove who they are, with the header's value; `limited` asked too often;
    `silence`: no answer."""

    word: Literal["welcome", "challenge", "limited", "silence"]
    trunk: SipTrunk | None = None
    challenge: str = ""


SILENCE: Final = Verdict("silence")


class Policy:
    def __init__(self, trunks: Sequence[SipTrunk], challenger: Challenger) -> None:
        self._trunks = tuple(trunks)
        self._challenger = challenger
        self._proving = [trunk for trunk in trunks if trunk.inbound_username is not None]
        self._learned: dict[str, set[str]] = {}
        self._known: dict[str, tuple[SipTrunk, ...]] = {}
        self._strangers = Buckets(STRANGERS_PER_MINUTE, capacity=5_000)
        self._invites = {trunk.name: Buckets(trunk.invites_per_minute, capacity=5_000) for trunk in trunks}
        self._options = {trunk.name: Buckets(trunk.options_per_minute, capacity=5_000) for trunk in trunks}

    def learn(self, trunk: SipTrunk, ip: str) -> None:
        """The address of a registrar that knows us: where no network is given, its calls come from there."""
        if not trunk.allow:
            self._learned.setdefault(trunk.name, set()).add(ip)
            self._known.clear()

    def is_known(self, ip: str) -> bool:
        return bool(self._of(ip))

    def admits(self, ip: str) -> bool:
        """Whether what comes from there is read."""
        return bool(self._of(ip)) or self._strangers.take(ip) == 0

    def _of(self, ip: str) -> tuple[SipTrunk, ...]:
        found = self._known.get(ip)
        if found is None:
            parsed = ip_address(ip)
            if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
                parsed = parsed.ipv4_mapped
            found = tuple(
                trunk
                for trunk in self._trunks
                if any(parsed in net for net in trunk.allow) or ip in self._learned.get(trunk.name, ())
            )
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[ip] = found
        return found

    def judge(self, request: SipRequest, ip: str) -> Verdict:
        """A request that belongs to no call of ours."""
        trunks = self._of(ip)
        if trunks:
            trunk = self._meant(trunks, request)
        elif request.method == "INVITE" and self._proving:
            proven = self._proven(request)
            if isinstance(proven, Verdict):
                return proven
            trunk = proven
        else:
            return SILENCE
        buckets = {"INVITE": self._invites, "OPTIONS": self._options}.get(request.method)
        if buckets is not None and buckets[trunk.name].take(ip) > 0:
            return Verdict("limited", trunk)
        return Verdict("welcome", trunk)

    def _meant(self, trunks: tuple[SipTrunk, ...], request: SipRequest) -> SipTrunk:
        """Of several at one address, the one that has the number that is called."""
        if len(trunks) > 1:
            uri = uri_of(request.uri)
            called = number(uri.user or "")
            for trunk in trunks:
                if called in trunk.numbers or uri.host.lower() == trunk.realm.lower():
                    return trunk
        return trunks[0]

    def _proven(self, request: SipRequest) -> SipTrunk | Verdict:
        claimed = self._challenger.claimed(request)
        if claimed is not None:
            for trunk in self._proving:
                if trunk.inbound_username != claimed.params.get("username") or trunk.inbound_password is None:
                    continue
                secret = trunk.inbound_password.get_secret_value()
                found = self._challenger.check(request, trunk.realm, trunk.inbound_username or "", secret)
                if found:
                    return trunk
                if found is None:
                    return Verdict("challenge", trunk, self._challenger.challenge(trunk.realm, stale=True))
        trunk = self._asked(request)
        return Verdict("challenge", trunk, self._challenger.challenge(trunk.realm))

    def _asked(self, request: SipRequest) -> SipTrunk:
        """Whose password is asked for: that of the domain that is called."""
        host = uri_of(request.uri).host.lower()
        return next((trunk for trunk in self._proving if trunk.realm.lower() == host), self._proving[0])
