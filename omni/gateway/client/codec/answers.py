"""Our answers to commands: acknowledgements, refusals, and what a socket is told of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import JsonValue

from omni.gateway.client.codec.view import Event

PROTOCOL_VERSION: Final = "2"


def connected(org: str, connection: str) -> Event:
    return {
        "event": "connected",
        "org_id": org,
        "connection_id": connection,
        "protocol_version": PROTOCOL_VERSION,
    }


def ping() -> Event:
    return {"event": "ping"}


def pong(now: float) -> Event:
    return {"event": "pong", "timestamp": now}


def error(code: str, sentence: str, **about: Any) -> Event:
    """`about` are the fields of this code; those without a value are left out."""
    known = {name: value for name, value in about.items() if value is not None}
    return {"event": "error", "code": code, "error": sentence, **known}


# registration


def agent(event: str, agent_id: str) -> Event:
    """`agent.created`, `agent.configured`, `agent.resumed`."""
    return {"event": event, "agent_id": agent_id}


def displaced(agent_id: str, reason: str) -> Event:
    return {"event": "agent.displaced", "agent_id": agent_id, "reason": reason}


def channel(event: str, agent_id: str, ref: str | None, kind: str | None = None) -> Event:
    """`channel.added`, `channel.configured`, `channel.removed`; `ref` is what the program wrote."""
    return {"event": event, "agent_id": agent_id, **({"type": kind} if kind else {}), **({"ref": ref} if ref else {})}


def phone_in_use(agent_id: str, ref: str, owner: str) -> Event:
    """A number that another agent has; `ref` is what the program wrote."""
    sentence = f"the number {ref} belongs to {owner}; remove it there first"
    return error("PHONE_IN_USE", sentence, agent_id=agent_id, phone=ref, owner=owner)


def conflict(agent_id: str, *, retry_after: float, is_alive: bool | None) -> Event:
    """Another program has the agent. `is_alive` None: it could not be found out."""
    sentence = f"another program is connected as {agent_id!r}; stop it, or take another name"
    about = {"agent_id": agent_id, "retry_after_s": retry_after, "holder_alive": is_alive}
    return error("AGENT_CONFLICT", sentence, **about)


def conflict_for_good(agent_id: str) -> Event:
    sentence = f"another program is connected as {agent_id!r} and stays; stop it, or take another name"
    return error("AGENT_CONFLICT_FATAL", sentence, agent_id=agent_id, holder_alive=True)


def at_capacity(agent_id: str, used: int, limit: int) -> Event:
    sentence = f"SERVER_AT_CAPACITY: this server has {used} agents connected and takes {limit}; try again later"
    return error("SERVER_AT_CAPACITY", sentence, agent_id=agent_id, used=used, limit=limit)


# a live call


def history(event: str, about: Mapping[str, Any], data: Mapping[str, JsonValue]) -> Event:
    """`history.data` or `history.updated`; `about` are the ids, as the request had them."""
    return {"event": event, **about, **data}


def history_refused(event: str, about: Mapping[str, Any], problem: str) -> Event:
    empty: dict[str, Any] = {"messages": []} if event == "history.data" else {}
    return {"event": event, **about, **empty, "count": 0, "error": problem}


def session_configured(agent_id: str, call: str, *, success: bool) -> Event:
    ids = {"agent_id": agent_id, "call_id": call, "session_id": call}
    return {"event": "session.configured", **ids, "success": success}


def taken_over(event: str, agent_id: str, *, session: str | None = None, contact: str | None = None) -> Event:
    """`session.paused`, `session.resumed` or `session.sent`; neither session nor contact: the whole agent."""
    scope = {"session_id": session, "contact": contact}
    return {"event": event, "agent_id": agent_id, **{name: value for name, value in scope.items() if value}}


# what this server cannot do


def dial_failed(
    agent_id: str, call: str, ends: Mapping[str, str], at: float, *, metadata: JsonValue, reason: str, sentence: str
) -> Event:
    """The end of an outbound call that never began: the only answer that a program waiting for one hears."""
    return {
        "event": "call.ended",
        "agent_id": agent_id,
        "call_id": call,
        "session_id": call,
        "direction": "outbound",
        "transport": "phone",
        "reason": reason,
        "error": sentence,
        **ends,
        "metadata": metadata or {},
        "messages": [],
        "duration_seconds": 0,
        "started_at": at,
        "ended_at": at,
    }


def line_error(number: str, sentence: str) -> Event:
    code = "LINE_CONFIG_ERROR"
    return {"event": "line.error", "agent_id": f"line:{number}", "number": number, "code": code, "error": sentence}


def line_destroyed(number: str) -> Event:
    return {"event": "line.destroyed", "agent_id": f"line:{number}", "number": number}


# a chat, as whoever began it with `llm.chat` reads it


def chat_started(session: str, agent_id: str, model: str) -> Event:
    return {"event": "llm.chat.started", "session_id": session, "agent_id": agent_id, "model": model}


def chat_token(session: str, token: str, text: str) -> Event:
    """`token` is new, `text` all of the answer so far."""
    return {"event": "llm.chat.token", "session_id": session, "token": token, "text": text}


def chat_tool_call(session: str, calls: Sequence[Mapping[str, str]]) -> Event:
    return {"event": "llm.chat.tool_call", "session_id": session, "tool_calls": list(calls)}


def chat_tool_result(session: str, id_: str, name: str, result: str) -> Event:
    about = {"session_id": session, "tool_call_id": id_, "name": name}
    return {"event": "llm.chat.tool_result", **about, "result": result}


def chat_done(session: str, text: str, model: str) -> Event:
    return {"event": "llm.chat.done", "session_id": session, "text": text, "model": model}


def chat_error(session: str, sentence: str, *, paused: bool = False) -> Event:
    """`paused`: a person has the conversation, and reads what was said."""
    return {"event": "llm.chat.error", "session_id": session, "error": sentence, **({"paused": True} if paused else {})}


def chat_human(session: str, message_id: str, text: str, by: str) -> Event:
    """A person on our side wrote, of their own accord: this is no answer to a text."""
    return {"event": "llm.chat.human", "session_id": session, "message_id": message_id, "text": text, "by": by}


def chat_handoff(session: str, state: Literal["requested", "active", "released"], by: str) -> Event:
    """A person is asked for, has the conversation, or gave it back to the agent."""
    return {"event": "llm.chat.handoff", "session_id": session, "state": state, "by": by}
