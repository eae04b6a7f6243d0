"""Live events of an agent's calls, for sockets that follow all of them.

They are `{"event", "callId", "agent", …}` with camelCase fields, as an SDK program's own streams send them to pages.
They have no `seq`: such a socket has one cursor, and it belongs to the agent's log.
"""

from __future__ import annotations

import re
from typing import Final

from pydantic import JsonValue

from omni.gateway.client.codec import sound
from omni.gateway.client.codec.view import CallView
from omni.gateway.streams.shown import shown
from omni.live.speech import BotWord
from omni.live.told import Told
from omni.model.call import SOUND
from omni.model.entry import Entry, SessionIdleWarning, SessionTimeout

LiveEvent = dict[str, JsonValue]

_MESSAGES: Final = frozenset({
    "user.message", "bot.speaking", "bot.finished", "bot.interrupted", "bot.corrected", "supervisor.said",
    "reply.rejected",
})  # fmt: skip
_NAMES: Final = {"agent_id": "agent", "session_id": None}
"""What programs are told under other names, or twice."""
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


def passing_events(told: Told) -> list[LiveEvent]:
    """What is too fleeting for a call's log: who can be heard, and the words as they are spoken."""
    transport = told.channel.partition(":")[0]
    if not told.signals or transport not in SOUND:
        return []
    said = {signal.message: "" for signal in told.signals if isinstance(signal, BotWord)}
    view = CallView(agent_id=told.agent, call=told.call, transport=transport, speaking=said)
    events = [event for signal in told.signals for event in sound.signalled(view, signal)]
    return [
        {_camel(known): value for name, value in event.items() if (known := _NAMES.get(name, name)) is not None}
        for event in events
    ]


def _camel(name: str) -> str:
    return _JOINT.sub(lambda match: match[1].upper(), name)
