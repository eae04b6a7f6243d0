"""What a program does with the line of a call with sound: hold, mute, keys, another number, and whether it is taken."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from omni.gateway.client.codec import answers
from omni.gateway.client.codec.view import CallView, Event
from omni.gateway.client.configs.reading import ConfigError
from omni.gateway.client.frames import (
    AudioCommand,
    CallDecision,
    CallDtmf,
    CallForward,
    CallSwitch,
)
from omni.gateway.client.sockets import Socket
from omni.live.told import Told
from omni.model.inbound import Forward, Hold, Mute, PressKeys, TakeCall, ToCall
from omni.model.numbers import e164

_NO_KEY: Final = re.compile(r"[^0-9*#A-Dw,]")
_SIP: Final = re.compile(r"sips?:[^\s@]+@[^\s@]+")
LONGEST_KEYS: Final = 64
LONGEST_MESSAGE: Final = 2_000

Head = Callable[[Told], dict[str, Any]]
Put = Callable[[ToCall], Awaitable[None]]


class Calling:
    def __init__(self, socket: Socket, put: Put, head: Head) -> None:
        self._socket = socket
        self._put = put
        self._head = head

    async def handle(self, frame: AudioCommand, told: Told, view: CallView) -> None:
        if not view.has_sound:
            self._socket.send(not_audio(frame.event, view))
            return
        try:
            command = self._command(frame, self._head(told))
        except ConfigError as error:
            self._socket.send(answers.error("CALL_ERROR", f"{frame.event}: {error}", **ids(view)))
            return
        await self._put(command)

    def _command(self, frame: AudioCommand, head: dict[str, Any]) -> ToCall:
        """Raises ConfigError."""
        match frame:
            case CallSwitch(event="call.hold" | "call.unhold"):
                return Hold(**head, on=frame.event == "call.hold")
            case CallSwitch():
                return Mute(**head, on=frame.event == "call.mute")
            case CallDtmf():
                return PressKeys(**head, digits=keys(frame.digits))
            case CallForward():
                message = (frame.message or "")[:LONGEST_MESSAGE]
                return Forward(**head, to=target(frame.to), message=message, announce=bool(frame.announce))
            case CallDecision():
                is_busy = frame.reason == "busy"
                accept = frame.event == "call.accept"
                return TakeCall(**head, accept=accept, reason="busy" if is_busy else "rejected")
            case _:
                raise ConfigError(ROUTING)


ROUTING: Final = "this server does not hand calls from agent to agent; give the caller to a number with call.forward"


def keys(digits: str) -> str:
    """Keys to press. What was to be pressed may be somebody's secret: the sentence names only what is wrong with it.

    Raises ConfigError.
    """
    wrong = "".join(sorted(set(_NO_KEY.findall(digits))))
    if wrong:
        raise ConfigError(f"{wrong[:10]!r} cannot be pressed; use 0-9, * and #, and w or , for half a second's pause")
    if not 0 < len(digits) <= LONGEST_KEYS:
        raise ConfigError(f"{len(digits)} keys cannot be pressed at once; press from 1 to {LONGEST_KEYS}")
    return digits


def target(to: str) -> str:
    """Whom to call, or to give a call to: a number as E.164, or a SIP address. Raises ConfigError."""
    typed = to.strip()
    if typed.startswith(("sip:", "sips:")):
        if _SIP.fullmatch(typed) is None:
            raise ConfigError(f"{typed[:64]!r} is no SIP address; write sip:user@host")
        return typed
    try:
        return e164(typed[:64])
    except ValueError as error:
        raise ConfigError(str(error)) from None


def ids(view: CallView) -> dict[str, str]:
    return {"agent_id": view.agent_id, "call_id": view.call, "session_id": view.call}


def not_audio(event: str, view: CallView) -> Event:
    """The refusal of a command that needs sound."""
    sentence = f"{event} is for calls with sound; {view.call} is a conversation in writing ({view.transport})"
    return answers.error("NOT_AN_AUDIO_CALL", sentence, **ids(view))
