"""What a program asks of one call: each command becomes an input of that call, in the order in which they came."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pydantic import JsonValue

from omni.gateway.client.acks import Acks
from omni.gateway.client.codec import answers, speech
from omni.gateway.client.codec.view import PROGRAM, CallView, Event
from omni.gateway.client.configs.agent import overrides_of
from omni.gateway.client.configs.reading import ConfigError, words
from omni.gateway.client.frames import (
    AudioCommand,
    BotCancel,
    BotClear,
    BotReply,
    BotReplyStream,
    CallHangup,
    Frame,
    HistoryAdd,
    HistoryAddContext,
    HistoryClear,
    HistoryFrame,
    HistoryGet,
    HistorySet,
    HistorySetInstructions,
    HistorySetVars,
    LlmReady,
    LlmToolResult,
    SessionConfigure,
    SetContext,
)
from omni.gateway.client.gear import Gear
from omni.gateway.client.outbox import Outbox
from omni.gateway.client.sockets import Socket
from omni.gateway.client.streams import Streams
from omni.gateway.client.tools import ToolAnswers
from omni.live.told import Answered, Told
from omni.model.inbound import Ask, Configure, EditHistory, EndCall, ProgramReply, ToCall, TurnReady
from omni.model.inbound import SetContext as KeepContext
from omni.model.message import Message

MAX_ERROR = 200
"""Characters of what a program says went wrong."""

NO_SUCH_CALL = "call_not_found"
NO_ANSWER = "the call did not answer in time; it may still do what was asked"


class Registrations(Protocol):
    """The agents of this socket."""

    async def call(self, call_id: str) -> tuple[Told, CallView] | None:
        """An open call of one of them, by its id. Raises StoreError."""

    def any_agent_id(self) -> str | None:
        """An agent as the program wrote it, for an answer about a call that nobody knows."""


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
        self.streams = Streams(socket, gear.teller)

    async def close(self) -> None:
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
                await self.streams.cancel(frame.call_id, frame.message_id)
            case BotClear():
                await self.streams.cancel(frame.call_id, None)
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
                await self._history(frame)
            case SessionConfigure():
                await self._configure(frame)
            case AudioCommand():
                await self._refuse_audio(frame)
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
        if frame.action == "chunk":
            await self.streams.add(frame)
        elif frame.action == "start":
            found = await self._registrations.call(frame.call_id)
            if found is not None:
                self.streams.start(*found, frame)
        elif (written := self.streams.finish(frame)) is not None:
            await self._say(
                written.told, written.message_id, written.in_reply_to, written.message, error=frame.error or None
            )

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

    # memory and settings

    async def _history(self, frame: HistoryFrame) -> None:
        event = "history.data" if isinstance(frame, HistoryGet) else "history.updated"
        ids = {"call_id": frame.call_id, "session_id": frame.call_id}
        about: dict[str, Any] = ids if frame.request_id is None else {**ids, "request_id": frame.request_id}
        try:
            found = await self._registrations.call(frame.call_id)
            edit = _edit_of(frame)
        except ConfigError as error:
            self._refuse_history(event, about, str(error))
            return
        if found is None:
            self._refuse_history(event, about, NO_SUCH_CALL)
            return
        told, view = found
        about = {"agent_id": view.agent_id, **about}

        async def send(ask: Ask) -> None:
            await self._outbox.put(EditHistory(**self.head(told), ask=ask, **edit))

        def settle(answered: Answered | None) -> None:
            problem = NO_ANSWER if answered is None else answered.error
            if answered is None or problem is not None:
                self._socket.send(answers.history_refused(event, about, problem or NO_ANSWER))
            else:
                self._socket.send(answers.history(event, about, answered.data))

        await self._acks.request(told.call, send, settle)

    def _refuse_history(self, event: str, about: Mapping[str, Any], problem: str) -> None:
        agent_id = self._registrations.any_agent_id()
        whose = {"agent_id": agent_id} if agent_id is not None else {}
        self._socket.send(answers.history_refused(event, {**whose, **about}, problem))

    def refuse_history(self, event: str, call_id: str, request_id: str | int | None, problem: str) -> None:
        """For a request that could not even be read."""
        about: dict[str, Any] = {"call_id": call_id, "session_id": call_id}
        if request_id is not None:
            about["request_id"] = request_id
        self._refuse_history("history.data" if event == "history.get" else "history.updated", about, problem)

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

    async def _refuse_audio(self, frame: AudioCommand) -> None:
        found = await self._registrations.call(frame.call_id)
        if found is not None:
            _, view = found
            self._socket.send(not_audio(frame.event, view))


def not_audio(event: str, view: CallView) -> Event:
    """The refusal of a command that needs sound."""
    sentence = f"{event} is for calls with sound; {view.call} is a conversation in writing ({view.transport})"
    about = {"agent_id": view.agent_id, "call_id": view.call, "session_id": view.call}
    return answers.error("NOT_AN_AUDIO_CALL", sentence, **about)


def _edit_of(frame: HistoryFrame) -> dict[str, Any]:
    """The change that a request asks for. Raises ConfigError."""
    match frame:
        case HistoryAdd():
            return {"act": "add", "messages": frame.messages}
        case HistorySet():
            return {"act": "set", "messages": frame.messages}
        case HistoryClear():
            return {"act": "clear"}
        case HistorySetInstructions():
            return {"act": "prompt", "prompt": frame.prompt}
        case HistorySetVars():
            return {"act": "vars", "vars": words(frame.vars, "vars") or {}}
        case HistoryAddContext():
            return {"act": "context", "text": frame.text}
        case _:
            return {"act": "get"}


def _as_text(value: JsonValue) -> str | None:
    """A context's value as the model reads it; null removes the context."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
