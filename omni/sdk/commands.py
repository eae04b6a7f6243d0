"""Commands as the server reads them: the one place that knows their wire names."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

Frame: TypeAlias = dict[str, Any]
"""One JSON object on the socket."""


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex[:12]}"


def _frame(name: str, **fields: Any) -> Frame:
    """A command without the fields that are None."""
    return {"event": name, **{key: value for key, value in fields.items() if value is not None}}


# --- the connection ---------------------------------------------------------------------------------------------------

PING: Frame = {"event": "ping"}
PONG: Frame = {"event": "pong"}


def connect(api_key: str) -> Frame:
    return _frame("connect", api_key=api_key)


# --- agents and channels ----------------------------------------------------------------------------------------------


def agent_create(agent: str, config: Mapping[str, Any]) -> Frame:
    return {**config, "event": "agent.create", "agent_id": agent}


def agent_configure(agent: str, config: Mapping[str, Any]) -> Frame:
    return {**config, "event": "agent.configure", "agent_id": agent}


def channel_add(agent: str, type_: str, ref: str | None, config: Mapping[str, Any]) -> Frame:
    return {**config, **_frame("channel.add", agent_id=agent, type=type_, ref=ref)}


def channel_configure(agent: str, ref: str, config: Mapping[str, Any]) -> Frame:
    return {**config, **_frame("channel.configure", agent_id=agent, ref=ref)}


def channel_remove(agent: str, ref: str, type_: str | None) -> Frame:
    return _frame("channel.remove", agent_id=agent, ref=ref, type=type_)


def dev_config(callers: Iterable[str]) -> Frame:
    return _frame("dev.config", callers=list(callers))


def session_pause(agent: str, session: str | None, contact: str | None) -> Frame:
    return _frame("session.pause", agent_id=agent, session_id=session, contact=contact)


def session_resume(agent: str, session: str | None, contact: str | None) -> Frame:
    return _frame("session.resume", agent_id=agent, session_id=session, contact=contact)


def session_send(agent: str, text: str, session: str | None, contact: str | None) -> Frame:
    return _frame("session.send", agent_id=agent, text=text, session_id=session, contact=contact)


# --- speech -----------------------------------------------------------------------------------------------------------


def bot_reply(call: str, message: str, text: str, in_reply_to: str, *, add_to_history: bool | None) -> Frame:
    return _frame(
        "bot.reply",
        call_id=call,
        message_id=message,
        text=text,
        in_reply_to=in_reply_to,
        add_to_history=add_to_history,
    )


def stream_start(call: str, message: str, in_reply_to: str) -> Frame:
    return _frame("bot.reply.stream", call_id=call, message_id=message, action="start", in_reply_to=in_reply_to)


def stream_chunk(call: str, message: str, token: str) -> Frame:
    return _frame("bot.reply.stream", call_id=call, message_id=message, action="chunk", token=token)


def stream_end(call: str, message: str, error: str | None = None) -> Frame:
    """`error`, of a stream without a word: why there is none."""
    return _frame("bot.reply.stream", call_id=call, message_id=message, action="end", error=error)


def bot_cancel(call: str, message: str | None) -> Frame:
    return _frame("bot.cancel", call_id=call, message_id=message)


def bot_clear(call: str) -> Frame:
    return _frame("bot.clear", call_id=call)


def goes_stale(frame: Frame) -> bool:
    """Whether a command means nothing to the next connection: a reply to a turn that will be offered again."""
    name = frame["event"]
    return name in {"bot.reply.stream", "llm.ready"} or (name == "bot.reply" and bool(frame.get("in_reply_to")))


# --- control of a call ------------------------------------------------------------------------------------------------


def call_command(name: str, call: str, **fields: Any) -> Frame:
    """`call.hangup`, `call.hold` and the like: a call, and at most a few fields."""
    return _frame(name, call_id=call, **fields)


def call_dial(agent: str, to: str, from_: str | None, **fields: Any) -> Frame:
    return {**_frame("call.dial", agent_id=agent, to=to, **fields), **({"from": from_} if from_ else {})}


def ringing_decision(name: str, agent: str, call: str, reason: str | None = None) -> Frame:
    return _frame(name, agent_id=agent, call_id=call, reason=reason)


def session_configure(call: str, config: Mapping[str, Any]) -> Frame:
    return {**config, "event": "session.configure", "session_id": call}


# --- the model's side -------------------------------------------------------------------------------------------------


def history(name: str, call: str, **fields: Any) -> Frame:
    """`history.get` and its family; a `request_id` is added when it is asked."""
    return _frame(f"history.{name}", call_id=call, **fields)


def tool_result(call: str, round_: str, results: Sequence[Mapping[str, Any]]) -> Frame:
    return _frame("llm.tool_result", call_id=call, msg_id=round_, results=list(results))


def llm_ready(call: str, agent: str, turn: int | None) -> Frame:
    return _frame("llm.ready", call_id=call, agent_id=agent, turn=turn)
