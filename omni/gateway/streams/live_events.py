"""Live events of an agent's calls, for sockets that follow all of them.

They are `{"event", "callId", "agent", …}` with camelCase fields, as an SDK program's own streams send them to pages.
They have no `seq`: such a socket has one cursor, and it belongs to the agent's log.
"""

from __future__ import annotations

import re
from typing import Final

from pydantic import JsonValue

from omni.gateway.streams.shown import shown
from omni.model.entry import Entry, SessionIdleWarning, SessionTimeout

LiveEvent = dict[str, JsonValue]

_MESSAGES: Final = ("user.message", "bot.speaking", "bot.finished", "supervisor.said", "reply.rejected")
_JOINT: Final = re.compile(r"_([a-z0-9])")


def live_event(entry: Entry) -> LiveEvent | None:
    """None for an entry that is not for observers, and for a session's limits: those are the program's to act on."""
    envelope = shown(entry) if not isinstance(entry.fact, SessionIdleWarning | SessionTimeout) else None
    if envelope is None:
        return None
    data = envelope["data"]
    assert isinstance(data, dict)
    fields = {_camel(name): value for name, value in data.items()}
    if entry.fact.type in _MESSAGES and "id" in fields:
        fields["messageId"] = fields.pop("id")
    return {"event": entry.fact.type, "callId": entry.call, "agent": entry.agent, "ts": entry.ts, **fields}


def _camel(name: str) -> str:
    return _JOINT.sub(lambda match: match[1].upper(), name)
