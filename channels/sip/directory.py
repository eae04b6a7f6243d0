"""Which agent a call is for, and which trunk a call of an agent's goes through. A `Directory` is an immutable snapshot.

Who calls is said by the trunk; who is called is looked for among the agents of the trunk's organisation only: anybody
may name a number as theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from aiosipua.message import SipRequest

from channels.sip.messages import address, address_of, has_option, uri_of
from omni.model.agent import Agent
from omni.model.channel import Channel, PhoneChannel, SipChannel
from omni.model.sip import SipTrunk

ANONYMOUS: Final = "anonymous"
_SHORT: Final = 200
_SEPARATORS: Final = re.compile(r"[-.() ]")


@dataclass(frozen=True, slots=True)
class Line:
    """An address of an agent's, and whose it is."""

    org: str
    agent: str
    channel: PhoneChannel | SipChannel


class Directory:
    def __init__(self, lines: Iterable[Line] = (), trunks: Sequence[SipTrunk] = ()) -> None:
        self._trunks = tuple(trunks)
        self._numbers: dict[tuple[str, str], Line] = {}
        self._addresses: dict[tuple[str, str], Line] = {}
        self._users: dict[tuple[str, str], list[Line]] = {}
        for line in lines:
            if isinstance(line.channel, PhoneChannel):
                self._numbers[line.org, line.channel.number] = line
                continue
            user, _, host = line.channel.uri.partition(":")[2].partition("@")
            self._addresses[line.org, f"{user}@{host.lower()}"] = line
            self._users.setdefault((line.org, user), []).append(line)

    @classmethod
    def of(cls, agents: Iterable[Agent], trunks: Sequence[SipTrunk]) -> Directory:
        found = (
            Line(agent.org, agent.slug, channel)
            for agent in agents
            for channel in agent.channels
            if isinstance(channel, PhoneChannel | SipChannel)
        )
        return cls(found, trunks)

    def called(self, trunk: SipTrunk, invite: SipRequest) -> Line | None:
        """Whom a call through this trunk is for: by the request's address; by To, where that is only our own."""
        for uri in (invite.uri, address(invite, "to").uri):
            found = uri_of(uri) if isinstance(uri, str) else uri
            line = self._line(trunk, unquote(found.user or ""), found.host.lower())
            if line is not None:
                return line
        return None

    def _line(self, trunk: SipTrunk, user: str, host: str) -> Line | None:
        line = self._numbers.get((trunk.org, number(user) or ""))
        if line is not None and self._comes_by(trunk, line.channel):
            return line
        line = self._addresses.get((trunk.org, f"{user}@{host}"))
        if line is not None and line.channel.trunk in (None, trunk.name):
            return line
        return next(
            (
                each
                for each in self._users.get((trunk.org, user), ())
                if (own := self.trunk_of(each.org, each.channel)) is not None and own.key == trunk.key
            ),
            None,
        )

    def _comes_by(self, trunk: SipTrunk, channel: PhoneChannel | SipChannel) -> bool:
        """Whether a number is called through a trunk: its own; any of the organisation's where it has none."""
        own = self.trunk_of(trunk.org, channel)
        return channel.trunk is None if own is None else own.key == trunk.key

    def trunk_of(self, org: str, channel: Channel) -> SipTrunk | None:
        """The trunk of a channel: the one that it names, that lists its number, or that has its domain; for an address
        also the only one there is. None: its calls do not go by SIP."""
        own = [trunk for trunk in self._trunks if trunk.org == org]
        if not isinstance(channel, PhoneChannel | SipChannel):
            return None
        if channel.trunk is not None:
            return next((trunk for trunk in own if trunk.name == channel.trunk), None)
        if isinstance(channel, PhoneChannel):
            return next((trunk for trunk in own if channel.number in trunk.numbers), None)
        host = channel.uri.rpartition("@")[2].lower()
        fitting = [trunk for trunk in own if host in (trunk.realm.lower(), trunk.address[0].lower())]
        return next(iter(fitting), own[0] if len(own) == 1 else None)


def number(user: str) -> str | None:
    """E.164 of what stands before the @, when it is a number of the world: `+12025550142`, `0012025550142`, and what
    is long enough to have its country in it."""
    plain = _SEPARATORS.sub("", user.partition(";")[0])
    if not plain.removeprefix("+").isdigit() or not plain.isascii():
        return None
    if not plain.startswith("+"):
        plain = f"+{plain[2:]}" if plain.startswith("00") else f"+{plain}" if 11 <= len(plain) <= 15 else plain
    return plain if plain.startswith("+") and 7 <= len(plain) <= 16 and plain[1] != "0" else None


def caller(invite: SipRequest) -> tuple[str, str | None]:
    """Who calls, as the trunk vouches for it: a number, a SIP address or `anonymous`; and their name."""
    asserted = [each for each in invite.headers.get("p-asserted-identity") if each]
    if has_option(invite, "privacy", "id") or has_option(invite, "privacy", "user"):
        return ANONYMOUS, None
    found = address_of(asserted[0]) if asserted else address(invite, "from")
    user, host = unquote(found.uri.user or ""), found.uri.host.lower()
    name = (found.display_name or "").strip()[:_SHORT] or None
    if user.lower() == ANONYMOUS or host in ("anonymous.invalid", "anonymous"):
        return ANONYMOUS, None
    known = number(user)
    if known is not None:
        return known, name
    return (f"sip:{user}@{host}"[:_SHORT] if user and re.fullmatch(r"[\x21-\x7e]+", user) else ANONYMOUS), name
