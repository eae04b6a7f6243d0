"""Whether an agent is there for whoever wants to talk to it."""

from __future__ import annotations

from omni.live.presence import Presence
from omni.model.agent import Agent


def is_online(presence: Presence, org: str, slug: str, agent: Agent | None) -> bool:
    """An agent whose program answers is there while the program is connected. For one with a brain of the server's
    own (a model, rules, a webhook) the server answers, connected or not."""
    if agent is not None and agent.brain != "client":
        return True
    return presence.program(org, slug) is not None
