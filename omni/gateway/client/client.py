"""One connected program: its frames, taken one after the other, and what each is handed to."""

from __future__ import annotations

from omni.gateway.client.agents import Agents
from omni.gateway.client.channels import Channels
from omni.gateway.client.chats import Chats
from omni.gateway.client.codec import answers
from omni.gateway.client.codec.view import Event
from omni.gateway.client.commands import CallCommands
from omni.gateway.client.dialing import Dialling
from omni.gateway.client.frames import (
    AgentConfigure,
    AgentCreate,
    AgentRemove,
    AgentResume,
    CallBridge,
    CallDial,
    ChannelAdd,
    ChannelConfigure,
    ChannelRemove,
    DevConfig,
    Frame,
    LineCreate,
    LineDestroy,
    LlmChat,
    Ping,
    Takeover,
)
from omni.gateway.client.gear import Gear
from omni.gateway.client.outbox import Outbox
from omni.gateway.client.parsing import Malformed, parse
from omni.gateway.client.registry import Registry
from omni.gateway.client.sockets import Socket
from omni.gateway.client.takeovers import Takeovers
from omni.live.told import Told
from omni.model.inbound import TurnReady

NO_LINES = "this server has no phone lines without an agent; add the number to an agent as a phone channel"


class Client:
    """Lives from the key that was accepted to the end of the connection."""

    def __init__(self, gear: Gear, registry: Registry, socket: Socket) -> None:
        self._gear = gear
        self._socket = socket
        self._outbox = Outbox(gear.commands, gear.limits.waiting)
        self._agents = Agents(gear, registry, socket)
        self._channels = Channels(gear, socket, self._agents)
        self._commands = CallCommands(gear, socket, self._outbox, self._agents)
        self._takeovers = Takeovers(gear, socket, self._outbox, self._agents, self._commands.head, registry.spawn)
        self._dialling = Dialling(gear, socket, self._agents)
        self._chats = Chats(gear, socket)

    async def serve(self) -> None:
        """Deal with frames until the connection ends, each before the next."""
        while (text := await self._socket.receive()) is not None:
            frame = parse(text)
            if isinstance(frame, Malformed):
                self._complain(frame)
            elif frame is not None:
                taken = frame
                await self._socket.guard(lambda taken=taken: self._handle(taken))  # type: ignore[misc]

    async def close(self) -> None:
        """Give everything back that the program had; what it asked for before still goes out."""
        await self._channels.close()
        await self._agents.close()
        await self._chats.close()
        await self._dialling.close()
        await self._commands.close()
        await self._outbox.close()

    async def _handle(self, frame: Frame) -> None:
        match frame:
            case Ping():
                self._socket.send(answers.pong(self._gear.clock()))
            case AgentCreate():
                await self._agents.create(frame, self)
            case AgentConfigure():
                await self._agents.configure(frame)
            case AgentResume():
                await self._agents.resume(frame, self)
            case AgentRemove():
                await self._agents.remove(frame)
            case ChannelAdd():
                await self._channels.add(frame)
            case ChannelConfigure():
                await self._channels.configure(frame)
            case ChannelRemove():
                await self._channels.remove(frame)
            case DevConfig():
                await self._channels.route_callers(frame)
            case Takeover():
                await self._takeovers.handle(frame)
            case LlmChat():
                await self._chats.handle(frame, is_ours=self._agents.find(frame.agent_id) is not None)
            case CallDial():
                await self._dialling.dial(frame)
            case CallBridge():
                self._dialling.bridge(frame)
            case LineCreate():
                self._socket.send(answers.line_error(frame.number, NO_LINES))
            case LineDestroy():
                self._socket.send(answers.line_destroyed(frame.number))
            case _:
                await self._commands.handle(frame)

    def _complain(self, frame: Malformed) -> None:
        """The error that the protocol names for the command, else a sentence that names the field."""
        if frame.event.startswith("history.") and frame.call_id is not None:
            self._commands.histories.refuse(frame.event, frame.call_id, frame.request_id, frame.problem)
        elif frame.event.startswith("line.") and frame.number is not None:
            self._socket.send(answers.line_error(frame.number, frame.problem))
        else:
            code = "REGISTRATION_ERROR" if frame.event == "agent.create" else "BAD_FRAME"
            about = {"agent_id": frame.agent_id, "call_id": frame.call_id}
            self._socket.send(answers.error(code, frame.problem, **about))

    # what became of calls (`omni.gateway.client.feed.Witness`)

    async def user_went_on(self, call: str) -> None:
        await self._commands.spoken.take_back(call)
        await self._commands.streams.abort(call, "turn_continued")

    async def was_taken_over(self, call: str) -> None:
        await self._commands.spoken.take_back(call)
        await self._commands.streams.abort(call, "paused")

    def was_rejected(self, call: str, message_id: str) -> None:
        self._commands.spoken.cut(call, message_id)
        self._commands.streams.bury(call, message_id)

    def was_cut(self, call: str, message_id: str) -> bool:
        return self._commands.spoken.cut(call, message_id)

    def is_streamed(self, call: str, message_id: str) -> bool:
        return self._commands.spoken.knows(call, message_id)

    def has_ended(self, call: str) -> None:
        self._commands.spoken.forget(call)
        self._commands.streams.forget(call)

    async def unprepared(self, told: Told, turn: int) -> None:
        await self._outbox.put(TurnReady(**self._commands.head(told), turn=turn))

    def started(self, contact: str, event: Event) -> Event:
        return self._chats.greeted(contact, event)

    def as_dialled(self, event: Event) -> Event:
        return self._dialling.as_typed(event)
