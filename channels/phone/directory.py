"""The phone numbers we serve, by account. A `Directory` is an immutable snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from channels.twilio.account import Account, account_of
from omni.model.agent import Agent
from omni.model.base import DEFAULT_ORG
from omni.model.channel import Channel, PhoneChannel


@dataclass(frozen=True, slots=True)
class Line:
    """A number, and all a webhook needs to know of it."""

    org: str
    agent: str
    channel: PhoneChannel
    account: Account


@dataclass(frozen=True, slots=True)
class Owner:
    """An account of ours, whatever number it is about."""

    account: Account


class Directory:
    """Numbers whose account is known. A channel that names none has that of an SMS channel with the same number in its
    organisation; in the operator's own organisation also that of the server's settings (`stock`). Another
    organisation's account is never used: anybody may name a number as theirs.
    """

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self._lines: dict[tuple[str, str], list[Line]] = {}
        self._owners: dict[str, dict[str, Owner]] = {}
        self._by_number: dict[str, list[Line]] = {}
        for line in lines:
            self._lines.setdefault((line.account.sid, line.channel.number), []).append(line)
            self._by_number.setdefault(line.channel.number, []).append(line)
            known = self._owners.setdefault(line.account.sid, {})
            known[line.account.auth_token.get_secret_value()] = Owner(line.account)

    @classmethod
    def of(cls, agents: Iterable[Agent], stock: Iterable[Channel] = ()) -> Directory:
        agents, stock = tuple(agents), tuple(stock)
        of_org: dict[str, list[Channel]] = {}
        for agent in agents:
            of_org.setdefault(agent.org, []).extend(agent.channels)
        of_org.setdefault(DEFAULT_ORG, []).extend(stock)
        return cls(
            Line(agent.org, agent.slug, channel, account)
            for agent in agents
            for channel in agent.channels
            if isinstance(channel, PhoneChannel)
            and (account := Account.of(channel) or account_of(channel.number, of_org[agent.org])) is not None
        )

    def find(self, account: str, *numbers: str) -> tuple[Line, ...]:
        """Those who may be meant, in the order of the numbers. There are several when two organisations claim the same:
        the signature decides."""
        return tuple(dict.fromkeys(line for number in numbers for line in self._lines.get((account, number), ())))

    def owners(self, sid: str | None = None) -> tuple[Owner, ...]:
        """Every account, or the ones with this id: two may say so, and differ in the secret."""
        chosen = self._owners.values() if sid is None else [self._owners.get(sid, {})]
        return tuple(owner for known in chosen for owner in known.values())

    def account(self, channel: PhoneChannel) -> Account | None:
        """The account that places calls for a channel. None also when organisations disagree about a number whose
        channel names no account."""
        own = Account.of(channel)
        if own is not None:
            return own
        known = {line.account.sid: line.account for line in self._by_number.get(channel.number, ())}
        return next(iter(known.values())) if len(known) == 1 else None
