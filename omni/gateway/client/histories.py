"""What a program asks of a call's memory: each request is answered exactly once, with its own id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from omni.gateway.client.acks import Acks
from omni.gateway.client.codec import answers
from omni.gateway.client.codec.view import CallView
from omni.gateway.client.configs.reading import ConfigError, words
from omni.gateway.client.frames import (
    HistoryAdd,
    HistoryAddContext,
    HistoryClear,
    HistoryFrame,
    HistoryGet,
    HistorySet,
    HistorySetInstructions,
    HistorySetVars,
)
from omni.gateway.client.sockets import Socket
from omni.live.told import Answered, Told
from omni.model.inbound import Ask, EditHistory, ToCall

NO_SUCH_CALL: Final = "call_not_found"
NO_ANSWER: Final = "the call did not answer in time; it may still do what was asked"


class Registrations(Protocol):
    """The agents of this socket."""

    async def call(self, call_id: str) -> tuple[Told, CallView] | None:
        """An open call of one of them, by its id. Raises StoreError."""

    def any_agent_id(self) -> str | None:
        """An agent as the program wrote it, for an answer about a call that nobody knows."""


class Histories:
    def __init__(
        self,
        socket: Socket,
        registrations: Registrations,
        acks: Acks,
        put: Callable[[ToCall], Awaitable[None]],
        head: Callable[[Told], dict[str, Any]],
    ) -> None:
        self._socket = socket
        self._registrations = registrations
        self._acks = acks
        self._put = put
        self._head = head

    async def handle(self, frame: HistoryFrame) -> None:
        """Raises StoreError."""
        event = "history.data" if isinstance(frame, HistoryGet) else "history.updated"
        ids = {"call_id": frame.call_id, "session_id": frame.call_id}
        about: dict[str, Any] = ids if frame.request_id is None else {**ids, "request_id": frame.request_id}
        try:
            found = await self._registrations.call(frame.call_id)
            edit = _edit_of(frame)
        except ConfigError as error:
            self._refuse(event, about, str(error))
            return
        if found is None:
            self._refuse(event, about, NO_SUCH_CALL)
            return
        told, view = found
        about = {"agent_id": view.agent_id, **about}

        async def send(ask: Ask) -> None:
            await self._put(EditHistory(**self._head(told), ask=ask, **edit))

        def settle(answered: Answered | None) -> None:
            problem = NO_ANSWER if answered is None else answered.error
            if answered is None or problem is not None:
                self._socket.send(answers.history_refused(event, about, problem or NO_ANSWER))
            else:
                self._socket.send(answers.history(event, about, answered.data))

        await self._acks.request(told.call, send, settle)

    def refuse(self, event: str, call_id: str, request_id: str | int | None, problem: str) -> None:
        """For a request that could not even be read."""
        about: dict[str, Any] = {"call_id": call_id, "session_id": call_id}
        if request_id is not None:
            about["request_id"] = request_id
        self._refuse("history.data" if event == "history.get" else "history.updated", about, problem)

    def _refuse(self, event: str, about: Mapping[str, Any], problem: str) -> None:
        agent_id = self._registrations.any_agent_id()
        whose = {"agent_id": agent_id} if agent_id is not None else {}
        self._socket.send(answers.history_refused(event, {**whose, **about}, problem))


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
