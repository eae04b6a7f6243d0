"""The business numbers we serve, and the secrets their webhooks are signed with.

A `Directory` is an immutable snapshot. Whoever knows the agents makes a new one when they change, and hands
`routes` a function that returns the newest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache

from channels.whatsapp.signature import AppSecrets
from omni.model.agent import Agent
from omni.model.channel import WhatsAppChannel
from omni.model.numbers import canonical, digits


@lru_cache(maxsize=4096)
def _display_key(display: str) -> str:
    return canonical(digits(display))


@dataclass(frozen=True, slots=True)
class Line:
    """A business number and all a webhook needs to know of it, computed once.

    `secrets` are the places (in the directory's `AppSecrets`) of the secrets that may speak for this number.
    """

    org: str
    agent: str
    channel: WhatsAppChannel
    channel_id: str
    key_prefix: str
    routing_prefix: str
    waba_id: str | None
    secrets: frozenset[int]

    def display_key(self, display: str) -> str:
        return _display_key(display[:40])


class Directory:
    """Numbers by id."""

    def __init__(self, numbers: Iterable[tuple[str, str, WhatsAppChannel]]) -> None:
        """`numbers` are (organisation, agent slug, channel); a number named twice belongs to the last."""
        listed = {channel.phone_number_id: (org, agent, channel) for org, agent, channel in numbers}
        places: dict[str, int] = {}
        tokens: dict[bytes, None] = {}
        self._lines: dict[str, Line] = {}
        self._own: dict[str, set[str]] = {}
        for phone_number_id, (org, agent, channel) in listed.items():
            accepted = [channel.app_secret.get_secret_value()]
            if channel.previous_app_secret is not None:
                accepted.append(channel.previous_app_secret.get_secret_value())
            tokens[channel.verify_token.get_secret_value().encode()] = None
            if channel.phone:
                self._own.setdefault(org, set()).add(canonical(digits(channel.phone)))
            self._lines[phone_number_id] = Line(
                org=org,
                agent=agent,
                channel=channel,
                channel_id=channel.id,
                key_prefix=f"wa:{phone_number_id}:",
                routing_prefix=f"whatsapp:{org}:",
                waba_id=channel.waba_id,
                secrets=frozenset(places.setdefault(secret, len(places)) for secret in accepted if secret),
            )
        self.secrets = AppSecrets(places)
        self.verify_tokens = tuple(token for token in tokens if token)

    def own_keys(self, org: str) -> Collection[str]:
        """The canonical keys of an organisation's numbers that are configured with their phone. Another's say nothing
        here: anybody may name a number as theirs, and could silence who writes from it."""
        return self._own.get(org, ())

    @classmethod
    def of(cls, agents: Iterable[Agent]) -> Directory:
        return cls(
            (agent.org, agent.slug, channel)
            for agent in agents
            for channel in agent.channels
            if isinstance(channel, WhatsAppChannel)
        )

    def __len__(self) -> int:
        return len(self._lines)

    def find(self, phone_number_id: str) -> Line | None:
        return self._lines.get(phone_number_id)
