"""What a supervisor may do to the call they watch. Every success is an entry of its log; a refusal is a frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import JsonValue

from omni.bus.base import BusError
from omni.gateway.client.calling import target
from omni.gateway.client.configs.reading import ConfigError
from omni.gateway.streams.viewers import Viewer
from omni.model.call import SOUND, Call
from omni.model.inbound import Forward, Whisper
from omni.model.message import Message
from omni.store.base import Store, StoreError
from sessions.commands import Commands

VERBS: Final = ("say", "whisper", "takeover", "release", "transfer", "end")
LONGEST_TEXT: Final = 8192
"""Bytes of what is said or whispered."""


class VerbRefusedError(Exception):
    """The verb does nothing; the text says why, and the mend."""


class Supervisor:
    """One observer of one call."""

    def __init__(self, viewer: Viewer, call: str, store: Store, commands: Commands) -> None:
        self._viewer = viewer
        self._call = call
        self._store = store
        self._commands = commands

    async def hear(self, said: Any) -> dict[str, JsonValue] | None:
        """Do what a frame asks; the frame of a refusal. What has no verb is passed over."""
        verb = said.get("verb") if isinstance(said, dict) else None
        if verb is None:
            return None
        try:
            await self._do(verb, said)
        except VerbRefusedError as refusal:
            return refused(verb, str(refusal))
        except (BusError, StoreError):
            return refused(verb, "the server cannot do it right now; try again in a moment")
        return None

    async def _do(self, verb: JsonValue, said: Mapping[str, Any]) -> None:
        if verb not in VERBS:
            raise VerbRefusedError(f"there is no such verb; use {', '.join(VERBS)}")
        if not self._viewer.may_control:
            raise VerbRefusedError("this token may only look on; get one with scope=supervise")
        call = await self._store.call(self._call)
        if call is None or not call.is_open:
            raise VerbRefusedError("the call has ended")
        by = self._viewer.name
        match verb:
            case "say":
                await self._commands.send(call, by, Message.of(_text(said)), takes_over=False)
            case "whisper":
                await self._commands.issue(Whisper(**self._commands.head(call), by=by, text=_text(said)))
            case "takeover":
                await self._commands.pause(call, by)
            case "release":
                await self._commands.resume(call, by)
            case "end":
                await self._commands.end(call, by)
            case _:
                await self._commands.issue(Forward(**self._commands.head(call), to=_whom(call, said)))


def refused(verb: JsonValue, text: str) -> dict[str, JsonValue]:
    return {"type": "error", "verb": verb if isinstance(verb, str) else None, "error": text}


def _text(said: Mapping[str, Any]) -> str:
    text = said.get("text")
    if not isinstance(text, str) or not text.strip():
        raise VerbRefusedError('text is missing; send what is to be said, like {"verb":"say","text":"Hello"}')
    if len(text.encode("utf-8", "replace")) > LONGEST_TEXT:
        raise VerbRefusedError(f"text is longer than {LONGEST_TEXT} bytes; send it in parts")
    return text


def _whom(call: Call, said: Mapping[str, Any]) -> str:
    """The number or SIP address that a call is transferred to."""
    if call.transport not in SOUND:
        raise VerbRefusedError(
            f"a conversation by {call.transport} cannot be transferred: only phone calls can; use takeover instead"
        )
    to = said.get("to")
    if not isinstance(to, str):
        raise VerbRefusedError('to is missing; send whom to call, like {"verb":"transfer","to":"+12025550142"}')
    try:
        return target(to)
    except ConfigError as error:
        raise VerbRefusedError(str(error)) from None
