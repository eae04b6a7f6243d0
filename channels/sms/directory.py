"""The numbers and messaging services we serve, by account. A `Directory` is an immutable snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from channels.twilio.account import Account
from omni.model.agent import Agent
from omni.model.channel import SmsChannel
from omni.model.numbers import canonical


@dataclass(frozen=True, slots=True)
class Line:
    """A number or service, and all a webhook needs to know of it. Its secrets are the channel's."""

    org: str
    agent: str
    channel: SmsChannel

    @property
    def account(self) -> Account:
        given = self.channel
        return Account(given.account_sid, given.auth_token, given.previous_auth_token, given.signing_key)

    @property
    def routing_prefix(self) -> str:
        return f"sms:{self.org}:"


class Directory:
    """Lines by account and number, or account and service."""

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self._lines: dict[tuple[str, str], list[Line]] = {}
        self._own: dict[str, set[str]] = {}
        for line in lines:
            channel = line.channel
            for name in (channel.number, channel.messaging_service_sid):
                if name is not None:
                    self._lines.setdefault((channel.account_sid, name), []).append(line)
            if channel.number is not None:
                self._own.setdefault(line.org, set()).add(canonical(channel.number[1:]))

    @classmethod
    def of(cls, agents: Iterable[Agent]) -> Directory:
        return cls(
            Line(agent.org, agent.slug, channel)
            for agent in agents
            for channel in agent.channels
            if isinstance(channel, SmsChannel)
        )

    def own_keys(self, org: str) -> Collection[str]:
        """The canonical keys of an organisation's own numbers. Another's say nothing here: anybody may name a number as
        theirs, and could silence who writes from it."""
        return self._own.get(org, ())

    def find(self, account: str, number: str, service: str) -> tuple[Line, ...]:
        """Those who may be meant, the number's before the service's. There are several when two organisations claim
        the same: the signature decides."""
        found = [*self._lines.get((account, number), ()), *self._lines.get((account, service), ())]
        return tuple(dict.fromkeys(found))
