"""A conversation: what is known of it, and what a program may do in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from omni.sdk import commands
from omni.sdk.answer import Answer, Sent
from omni.sdk.config import own_tools, wire_config
from omni.sdk.emitter import Emitter
from omni.sdk.errors import CallEndedError, ConfigError
from omni.sdk.events import Turn
from omni.sdk.plain import plain
from omni.sdk.reply import Port, ReplyStream, Utterance
from omni.sdk.speech import Speech
from omni.sdk.state import CallState, Transport
from omni.sdk.tools import Tool
from omni.sdk.transcript import Message

T = TypeVar("T")


class Call(Emitter["Call"]):
    """One conversation on any channel, from its start to its end.

    Every command is given at once; what it returns may be awaited, and need not be. Commands on a call that has ended
    do nothing. A lost connection does not end a call: replies being made are dropped, because their turn is offered
    again, and the call goes on when the socket is back. Commands may be given from other threads, too.
    """

    def __init__(self, state: CallState, port: Port) -> None:
        super().__init__()
        self._state = state
        self._port = port
        self._speech = Speech(state.id, port)
        self._tools: dict[str, Tool[..., Any]] = {}
        self._over = False

    # --- what is known ---

    @property
    def id(self) -> str:
        return self._state.id

    @property
    def agent_id(self) -> str:
        return self._state.agent_id

    @property
    def from_(self) -> str:
        """The user's number or SIP address (WhatsApp: digits without `+`); `webrtc` or `chat` where there is none."""
        return self._state.from_

    @property
    def to(self) -> str:
        return self._state.to

    @property
    def direction(self) -> Literal["inbound", "outbound"]:
        return self._state.direction

    @property
    def transport(self) -> Transport:
        return self._state.transport

    @property
    def language(self) -> str | None:
        return self._state.language

    @property
    def contact_name(self) -> str:
        """How the user calls themselves; empty where a channel does not say."""
        return self._state.contact_name

    @property
    def metadata(self) -> dict[str, Any]:
        """What the token, the channel or `agent.dial` gave the call."""
        return self._state.metadata

    @property
    def transcript(self) -> list[Message]:
        """What user and bot said: `[{"role": "user", "content": …}, …]`."""
        return [dict(line) for line in self._state.transcript.lines]

    @property
    def messages(self) -> list[Message]:
        """The model's history, complete with tools once the call has ended; until then the transcript."""
        messages = self._state.messages
        return self.transcript if messages is None else [dict(line) for line in messages]

    @property
    def current_bot_text(self) -> str:
        """What the bot has said of the message it is saying; still there in handlers of `bot.finished`."""
        return self._state.transcript.current_bot_text

    @property
    def started_at(self) -> float:
        """Epoch seconds."""
        return self._state.started_at

    @property
    def ended_at(self) -> float | None:
        """Epoch seconds; None until the call has ended, as `duration` and `reason`."""
        return self._state.ended_at

    @property
    def duration(self) -> float | None:
        """Seconds."""
        return self._state.duration

    @property
    def reason(self) -> str | None:
        """Why the call ended: `hangup`, `idle_timeout`, `max_duration`, `chat_completed`, `window_expired`, …"""
        return self._state.reason

    # --- speech ---

    def say(self, text: str, *, add_to_history: bool | None = None) -> Utterance:
        """Says something, whatever the user said last. `await` waits until it is said.

        It is always in the transcript; `add_to_history=False` keeps it from the model.
        """
        return self._speech.say(text, "", add_to_history=add_to_history)

    def reply(self, text: str, turn: Turn | None = None) -> Utterance:
        """Answers the user's message that is being handled (or `turn`); refused when the user has said more since."""
        return self._speech.say(text, self._answers(turn))

    def reply_stream(self, turn: Turn | None = None) -> ReplyStream:
        """Answers as `reply` does, token by token: `async with call.reply_stream(turn) as stream: …`."""
        return self._speech.stream(self._answers(turn))

    def _answers(self, turn: Turn | None) -> str:
        return turn.message_id if turn is not None else self._state.last_message_id

    def cancel(self, message_id: str | None = None) -> Sent:
        """Takes a message back; without an id the one being said."""
        return self._send(commands.bot_cancel(self.id, message_id))

    def clear(self) -> Sent:
        """Silence: what is being said stops, and what waits is dropped."""
        return self._send(commands.bot_clear(self.id))

    def tool_result(self, msg_id: str, results: Sequence[Mapping[str, Any]]) -> Sent:
        """Answers `llm.tool_call` by hand: `[{"tool_call_id": …, "result": any JSON}, …]`."""
        return self._send(commands.tool_result(self.id, msg_id, [_result(one) for one in results]))

    # --- control ---

    def hangup(self, reason: str | None = None) -> Sent:
        """Ends the call at once. To let a goodbye be heard: `await call.say("Bye!")` before."""
        return self._send(commands.call_command("call.hangup", self.id, reason=reason))

    def forward(self, to: str, *, message: str = "", announce: bool = False) -> Sent:
        """Gives the call to another number. `message` is said to the caller first; with `announce` to whom it goes."""
        return self._send(commands.call_command("call.forward", self.id, to=to, message=message, announce=announce))

    def send_dtmf(self, digits: str) -> Sent:
        """Presses keys: `0-9`, `*`, `#`; `w` and `,` wait. Raises ConfigError for anything else."""
        if not digits or set(digits) - set("0123456789*#w,"):
            raise ConfigError(f"{digits!r} cannot be pressed on a phone; use 0-9, * and #")
        return self._send(commands.call_command("call.dtmf", self.id, digits=digits))

    def hold(self) -> Sent:
        """Music for the caller, who is not listened to; a reply ends it."""
        return self._send(commands.call_command("call.hold", self.id))

    def unhold(self) -> Sent:
        return self._send(commands.call_command("call.unhold", self.id))

    def mute(self) -> Sent:
        """The caller is not listened to; what was said meanwhile comes with `call.unmuted`."""
        return self._send(commands.call_command("call.mute", self.id))

    def unmute(self) -> Sent:
        return self._send(commands.call_command("call.unmute", self.id))

    # --- configuration, prompt, history ---

    def configure(self, **config: Any) -> Sent:
        """Changes voice, stt, language, llm, prompt, tools … of this call, from its next turn or utterance on."""
        wire = wire_config(config)
        self._tools |= own_tools(config.get("tools"))
        return self._send(commands.session_configure(self.id, wire))

    def set_prompt(self, text: str) -> Answer[int]:
        """Another system prompt, in this call only."""
        return self._change("set_instructions", prompt=text)

    async def set_prompt_file(self, path: str | Path) -> int:
        """`set_prompt` with what is in a file. Raises OSError when it cannot be read."""
        text = await asyncio.to_thread(Path(path).read_text, encoding="utf-8")
        return await self.set_prompt(text)

    def set_prompt_vars(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> Answer[int]:
        """Values for `{{name}}` in the prompt: `set_prompt_vars(name="Ada")`, or a dictionary."""
        return self._change("set_vars", vars=plain({**(values or {}), **more}, "a prompt variable", fallback=str))

    def add_context(self, text: str) -> Answer[int]:
        """Adds a block after the prompt."""
        return self._change("add_context", text=text)

    def get_history(self) -> Answer[list[Message]]:
        """The conversation as the model sees it, system prompt first."""
        return self._ask("get", messages_of)

    def add_history(self, messages: Sequence[Mapping[str, Any]]) -> Answer[int]:
        """Adds messages to the model's history; gives how many there are now, as every change does."""
        return self._change("add", messages=plain([dict(one) for one in messages], "a message"))

    def set_history(self, messages: Sequence[Mapping[str, Any]]) -> Answer[int]:
        """Replaces the history; a leading system message replaces the prompt."""
        return self._change("set", messages=plain([dict(one) for one in messages], "a message"))

    def clear_history(self) -> Answer[int]:
        """Forgets the history; the prompt stays."""
        return self._change("clear")

    def _change(self, name: str, **fields: Any) -> Answer[int]:
        return self._ask(name, lambda frame: int(frame.get("count") or 0), **fields)

    def _ask(self, name: str, read: Callable[[commands.Frame], T], **fields: Any) -> Answer[T]:
        if self._over:
            return Answer.failed(CallEndedError(f"call {self.id} has ended: history.{name} came too late"))
        return self._port.ask(commands.history(name, self.id, **fields), read)

    def _send(self, frame: commands.Frame) -> Sent:
        return Sent(_nothing) if self._over else self._port.send(frame)

    def __repr__(self) -> str:
        return f"Call(id={self.id!r}, transport={self.transport!r}, from_={self.from_!r})"


def messages_of(frame: commands.Frame) -> list[Message]:
    """The messages of a `history.data` frame."""
    return [dict(one) for one in frame.get("messages") or ()]


def _result(result: Mapping[str, Any]) -> dict[str, Any]:
    """A tool's result with the wire's names, however the program spelt them."""
    names = {"toolCallId": "tool_call_id", "noFollowup": "no_followup"}
    named = {names.get(key, key): value for key, value in result.items()}
    if "tool_call_id" not in named:
        raise ConfigError('a tool result is {"tool_call_id": …, "result": …}; this one has no tool_call_id')
    return {**named, "result": plain(named.get("result"), "a tool's result", fallback=str)}


async def _nothing() -> None:
    """The call is over: there is nothing to wait for."""
