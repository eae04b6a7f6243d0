"""What a program asks of one call: each command becomes an input of that call, in the order in which they came."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import JsonValue

from omni.gateway.client.acks import Acks
from omni.gateway.client.calling import Calling
from omni.gateway.client.codec import answers, speech
from omni.gateway.client.codec.view import PROGRAM
from omni.gateway.client.configs.agent import overrides_of
from omni.gateway.client.configs.reading import ConfigError
from omni.gateway.client.frames import (
    AudioCommand,
    BotCancel,
    BotClear,
    BotReply,
    BotReplyStream,
    CallHangup,
    Frame,
    HistoryFrame,
    LlmReady,
    LlmToolResult,
    SessionConfigure,
    SetContext,
)
from omni.gateway.client.gear import Gear
from omni.gateway.client.histories import Histories, Registrations
from omni.gateway.client.outbox import Outbox
from omni.gateway.client.sockets import Socket
from omni.gateway.client.spoken import SpokenStreams
from omni.gateway.client.streams import Streams
from omni.gateway.client.tools import ToolAnswers
from omni.live.told import Answered, Told
from omni.model.inbound import Ask, Configure, EndCall, Hush, ProgramReply, ToCall, TurnReady
from omni.model.inbound import SetContext as KeepContext
from omni.model.message import Message

MAX_ERROR = 200
"""Characters of what a program says went wrong."""


class CallCommands:
    """The commands of one socket. Those for calls that are unknown, over, or somebody else's are dropped without a
    word: programs send a few after every call."""

    def __init__(self, gear: Gear, socket: Socket, outbox: Outbox, registrations: Registrations) -> None:
        self._gear = gear
        self._socket = socket
        self._outbox = outbox
        self._registrations = registrations
        self._acks = Acks(gear.hub, gear.timing.ack)
        self._tools = ToolAnswers(outbox.put, gear.timing.unknown_tool)
        self.histories = Histories(socket, registrations, self._acks, outbox.put, self.head)
        self._calling = Calling(socket, outbox.put, self.head)
        self.streams = Streams(socket, gear.teller)
        self.spoken = SpokenStreams(socket.id, self.head, outbox.put)

    async def close(self) -> None:
        await self.spoken.close()
        await self._acks.close()
        await self._tools.close()

    def head(self, told: Told) -> dict[str, Any]:
        """What every input for a call begins with."""
        return {
            "key": self._gear.new_id("cmd"),
            "org": told.org,
            "agent": told.agent,
            "channel": told.channel,
            "at": self._gear.clock(),
            "call": told.call,
            "home": told.home,
        }

    async def handle(self, frame: Frame) -> bool:
        """False for a frame that is no command of a call. Raises StoreError."""
        match frame:
            case BotReply():
                await self._reply(frame)
            case BotReplyStream():
                await self._stream(frame)
            case BotCancel():
                await self._cancel(frame, frame.message_id)
            case BotClear():
                await self._cancel(frame, None, everything=True)
            case CallHangup():
                await self._put(
                    frame.call_id, lambda head: EndCall(**head, by=PROGRAM, reason=frame.reason or "hangup")
                )
            case SetContext():
                text = _as_text(frame.value)
                await self._put(frame.call_id, lambda head: KeepContext(**head, context=frame.key, text=text))
            case LlmReady():
                await self._put(frame.call_id, lambda head: TurnReady(**head, turn=frame.turn))
            case LlmToolResult():
                found = await self._registrations.call(frame.call_id)
                if found is not None:
                    await self._tools.take(frame, self.head(found[0]))
            case HistoryFrame():
                await self.histories.handle(frame)
            case SessionConfigure():
                await self._configure(frame)
            case AudioCommand():
                found = await self._registrations.call(frame.call_id)
                if found is not None:
                    await self._calling.handle(frame, *found)
            case _:
                return False
        return True

    async def _put(self, call_id: str, make: Callable[[dict[str, Any]], ToCall]) -> None:
        found = await self._registrations.call(call_id)
        if found is not None:
            await self._outbox.put(make(self.head(found[0])))

    # speech

    async def _reply(self, frame: BotReply) -> None:
        if self.streams.is_dead(frame.call_id, frame.message_id):
            return
        found = await self._registrations.call(frame.call_id)
        if found is None:
            return
        told, view = found
        in_reply_to = frame.in_reply_to or ""
        message = Message.of(frame.text) if frame.text.strip() else None
        if message is None:
            self._socket.send(speech.finished(view, frame.message_id))
        if message is not None or in_reply_to:
            in_history = frame.add_to_history is not False
            await self._say(told, frame.message_id, in_reply_to, message, in_history=in_history)

    async def _stream(self, frame: BotReplyStream) -> None:
        if self.spoken.knows(frame.call_id, frame.message_id):
            if frame.action != "start":
                await self.spoken.go_on(frame, MAX_ERROR)
        elif frame.action == "chunk":
            await self.streams.add(frame)
        elif frame.action == "start":
            found = await self._registrations.call(frame.call_id)
            if found is not None and found[1].has_sound:
                await self.spoken.start(found[0], frame)
            elif found is not None:
                self.streams.start(*found, frame)
        elif (written := self.streams.finish(frame)) is not None:
            await self._say(
                written.told, written.message_id, written.in_reply_to, written.message, error=frame.error or None
            )

    async def _cancel(self, frame: BotCancel | BotClear, message_id: str | None, *, everything: bool = False) -> None:
        """What is spoken is taken back where it is spoken; what became of it stands in the log."""
        found = await self._registrations.call(frame.call_id)
        if found is None or not found[1].has_sound:
            await self.streams.cancel(frame.call_id, message_id)
            return
        if message_id is not None:
            self.spoken.cut(frame.call_id, message_id)
        await self._outbox.put(Hush(**self.head(found[0]), message_id=message_id, everything=everything))

    async def _say(
        self,
        told: Told,
        message_id: str,
        in_reply_to: str,
        message: Message | None,
        *,
        in_history: bool = True,
        error: str | None = None,
    ) -> None:
        """The key is the message's own: said twice, it is heard once."""
        head = self.head(told) | {"key": f"reply:{told.call}:{message_id}"}
        reply = ProgramReply(
            **head,
            message_id=message_id,
            in_reply_to=in_reply_to,
            message=message,
            in_history=in_history,
            program=self._socket.id,
            error=error[:MAX_ERROR] if error is not None else None,
        )
        await self._outbox.put(reply)

    # settings

    async def _configure(self, frame: SessionConfigure) -> None:
        found = await self._registrations.call(frame.session_id)
        if found is None:
            return
        told, view = found
        try:
            overrides = overrides_of(frame.config)
        except ConfigError as error:
            about = {"agent_id": view.agent_id, "call_id": told.call, "session_id": told.call}
            self._socket.send(answers.error("CONFIG_ERROR", f"session.configure: {error}", **about))
            return

        async def send(ask: Ask) -> None:
            await self._outbox.put(Configure(**self.head(told), overrides=overrides, ask=ask))

        def settle(answered: Answered | None) -> None:
            success = answered is not None and answered.error is None
            self._socket.send(answers.session_configured(view.agent_id, told.call, success=success))

        await self._acks.request(told.call, send, settle)


def _as_text(value: JsonValue) -> str | None:
    """A context's value as the model reads it; null removes the context."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
