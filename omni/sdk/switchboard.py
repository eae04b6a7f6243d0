"""Which of a program's agents a frame is for."""

from __future__ import annotations

import logging

from omni.sdk import commands
from omni.sdk.agent import Agent
from omni.sdk.config import slug
from omni.sdk.errors import ConfigError
from omni.sdk.line import Line
from omni.sdk.registration import REFUSALS
from omni.sdk.stream import Streams

log = logging.getLogger("omni.sdk")


class Switchboard:
    """The program's agents, by the names under which the server knows them."""

    def __init__(self, line: Line, streams: Streams) -> None:
        self._line = line
        self._streams = streams
        self._agents: dict[str, Agent] = {}

    @property
    def agents(self) -> list[Agent]:
        return list(self._agents.values())

    def add(self, agent: Agent) -> None:
        """Raises ConfigError for a second agent of a name."""
        if agent.slug in self._agents:
            raise ConfigError(f"this program has an agent {agent.slug!r} already; the server cannot tell two apart")
        self._agents[agent.slug] = agent
        if self._line.is_open:
            agent._registration.opened()

    def opened(self) -> None:
        for agent in self.agents:
            agent._registration.opened()

    def lost(self) -> None:
        for agent in self.agents:
            agent._registration.lost()
        self._line.lost()
        for agent in self.agents:
            agent._desk.lost()

    def take(self, frame: commands.Frame) -> None:
        """A frame of the server's."""
        if frame["event"] == "ping":
            self._line.push(commands.PONG)
            return
        agent = self._agent_of(frame)
        self._line.answered(frame, agent.name if agent is not None else "")
        if agent is None:
            if frame["event"] == "error":
                log.warning("the server says: %s (%s)", frame.get("error"), frame.get("code"))
        elif not self._registers(agent, frame):
            self._streams.offer(frame, agent.name)
            agent._take(frame)

    def _registers(self, agent: Agent, frame: commands.Frame) -> bool:
        """Whether a frame was about the agent's registration."""
        name, code = frame["event"], frame.get("code")
        if name in {"agent.created", "agent.resumed"}:
            agent._registration.created()
            if self._line.connection > 1:
                agent._desk.returned()
        elif name == "error" and code in REFUSALS:
            agent._registration.refused(frame)
        elif name == "error" and code == "PHONE_IN_USE":
            agent._registration.channels.pop(str(frame.get("phone")), None)
            log.warning("%s: %s is not ours: %s", agent.name, frame.get("phone"), frame.get("error"))
        elif name == "agent.displaced":
            log.warning("%s was given to another program: %s", agent.name, frame.get("reason"))
        else:
            return False
        return True

    def _agent_of(self, frame: commands.Frame) -> Agent | None:
        """Whom a frame is for: by the agent's name, else by the call's."""
        if name := frame.get("agent_id"):
            return self._agents.get(slug(str(name)))
        call_id = str(frame.get("call_id") or frame.get("session_id") or "")
        return next((agent for agent in self.agents if agent._desk.has(call_id)), None)
