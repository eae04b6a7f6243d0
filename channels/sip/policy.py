"""Who may talk to us at all. Scanners find an open port within minutes: whoever is not of a trunk gets no answer, and
little of our time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final, Literal

from aiosipua.message import SipRequest

from channels.sip.digest import Challenger
from channels.sip.directory import number
from channels.sip.messages import uri_of
from omni.access.limits import Buckets
from omni.model.sip import REALM, SipTrunk

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

Key = tuple[str, str]
Reaches = Callable[[SipTrunk, SipRequest], bool]
"""Whether a call through a trunk is for anybody."""


class Policy:
    """`reaches` tells whom of several trunks at one address a call is meant for: an address proves nothing of an
    organisation, but a number is one's own."""

    def __init__(
        self, trunks: Sequence[SipTrunk], challenger: Challenger, reaches: Reaches = lambda trunk, request: False
    ) -> None:
        self._challenger = challenger
        self._reaches = reaches
        self._strangers = Buckets(STRANGERS_PER_MINUTE, capacity=5_000)
        self._learned: dict[Key, set[str]] = {}
        self._known: dict[str, tuple[SipTrunk, ...]] = {}
        self._trunks: tuple[SipTrunk, ...] = ()
        self._proving: list[SipTrunk] = []
        self._invites: dict[Key, tuple[int, Buckets]] = {}
        self._options: dict[Key, tuple[int, Buckets]] = {}
        self.follow(trunks)

    def follow(self, trunks: Sequence[SipTrunk]) -> None:
        """These are the trunks from now on. What was counted of one goes on."""
        self._trunks = tuple(trunks)
        self._proving = [trunk for trunk in trunks if trunk.inbound_username is not None]
        self._known.clear()
        self._invites = _counted(self._invites, ((each.key, each.invites_per_minute) for each in trunks))
        self._options = _counted(self._options, ((each.key, each.options_per_minute) for each in trunks))

    def learn(self, trunk: SipTrunk, ip: str) -> None:
        """The address of a registrar that knows us: where no network is given, its calls come from there."""
        self._learned.setdefault(trunk.key, set()).add(ip)
        self._known.clear()

    def forget(self, key: Key) -> None:
        """We are not signed in any more."""
        if self._learned.pop(key, None) is not None:
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
                if any(parsed in net for net in trunk.allow)
                or (not trunk.allow and ip in self._learned.get(trunk.key, ()))
            )
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[ip] = found
        return found

    def judge(self, request: SipRequest, ip: str) -> Verdict:
        """A request that belongs to no call of ours."""
        trunk = self._meant(self._of(ip), request)
        if self._proving and request.method == "INVITE" and (trunk is None or not self._reaches(trunk, request)):
            if trunk is not None and self._challenger.claimed(request) is not None and self._strangers.take(ip) > 0:
                return Verdict("limited", trunk)  # who guesses, guesses as slowly as a stranger
            proven = self._proven(request, is_stranger=trunk is None)
            if isinstance(proven, Verdict):
                return proven
            trunk = proven or trunk
        if trunk is None:
            return SILENCE
        limits = {"INVITE": self._invites, "OPTIONS": self._options}.get(request.method)
        if limits is not None and limits[trunk.key][1].take(ip) > 0:
            return Verdict("limited", trunk)
        return Verdict("welcome", trunk)

    def _meant(self, trunks: tuple[SipTrunk, ...], request: SipRequest) -> SipTrunk | None:
        """Of several at one address, the one that somebody is called through; else the one that has the number or the
        domain."""
        if len(trunks) > 1:
            uri = uri_of(request.uri)
            called = number(uri.user or "")
            reached = next((trunk for trunk in trunks if self._reaches(trunk, request)), None)
            if reached is not None:
                return reached
            for trunk in trunks:
                if called in trunk.numbers or uri.host.lower() == trunk.realm.lower():
                    return trunk
        return next(iter(trunks), None)

    def _proven(self, request: SipRequest, *, is_stranger: bool) -> SipTrunk | Verdict | None:
        """Whose password is proven; None where none is asked for. Whoever has an address of some trunk is asked only
        where a password would lead to somebody."""
        realm = self._realm(request)
        claimed = self._challenger.claimed(request)
        if claimed is not None:
            name = claimed.params.get("username")
            for trunk in self._proving:
                if trunk.inbound_username != name or trunk.inbound_password is None:
                    continue
                secret = trunk.inbound_password.get_secret_value()
                found = self._challenger.check(request, realm, trunk.inbound_username or "", secret)
                if found:
                    return trunk
                if found is None:
                    return Verdict("challenge", trunk, self._challenger.challenge(realm, stale=True))
        if not is_stranger and not any(self._reaches(each, request) for each in self._proving):
            return None
        return Verdict("challenge", self._proving[0], self._challenger.challenge(realm))

    def _realm(self, request: SipRequest) -> str:
        """What a proof is asked for in the name of: the domain that is called, if it is a trunk's. Else nobody's:
        strangers are not told who has trunks here. Whose password it is shows the proof."""
        host = uri_of(request.uri).host.lower()
        return next((host for trunk in self._proving if (trunk.domain or "").lower() == host), REALM)


def _counted(
    known: Mapping[Key, tuple[int, Buckets]], rates: Iterable[tuple[Key, int]]
) -> dict[Key, tuple[int, Buckets]]:
    found: dict[Key, tuple[int, Buckets]] = {}
    for key, rate in rates:
        had = known.get(key)
        found[key] = had if had is not None and had[0] == rate else (rate, Buckets(rate, capacity=5_000))
    return found
