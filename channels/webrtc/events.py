"""What a page is told of its call: one object with `event` for each thing that happens. Pure.

Names and fields are those that browser clients of this protocol read (docs/browser-calls.md has the list). A page draws
a message as its words are heard, so nothing is told of a message that is not being spoken, and of each either
`bot.finished` or `bot.interrupted` once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from omni.live.speech import AudioMetrics, BotWord, Hearing, SpeechEnded, SpeechStarted, TurnPaused, TurnResumed
from omni.live.told import Signal, Told
from omni.model.entry import (
    BotCorrected,
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallEnded,
    CallForwarded,
    CallHeld,
    CallMuted,
    CallStarted,
    CallUnheld,
    CallUnmuted,
    Entry,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    SessionIdleWarning,
    SessionTimeout,
    ToolAnswered,
    ToolCalled,
    TurnStarted,
    UserSaid,
)

Event = dict[str, Any]


@dataclass
class PageView:
    """What the page knows: `speaking` are the messages it was told of and not the end of, with their text."""

    speaking: dict[str, str] = field(default_factory=dict)
    has_ended: bool = False

    def told(self, told: Told) -> Iterator[Event]:
        """The events of some news, in order."""
        for entry in told.entries:
            if not self.has_ended:
                yield from self._entry(told, entry)
        for signal in told.signals:
            if not self.has_ended:
                yield from self._signal(signal)

    def _entry(self, told: Told, entry: Entry) -> Iterator[Event]:
        fact = entry.fact
        match fact:
            case CallStarted():
                yield {"event": "call.started", "call_id": told.call, "agent_id": told.agent}
            case UserSaid():
                said = {"event": "user.message", "message_id": fact.id, "text": fact.text}
                yield _with(said, turn_id=fact.turn, replaces=fact.replaces)
            case TurnStarted():
                yield _with({"event": "turn.end", "turn_id": fact.turn}, probability=fact.probability)
            case BotSaid():
                self.speaking[fact.id] = fact.text
                source = "human" if fact.by is not None else None
                yield _with({"event": "bot.speaking", "message_id": fact.id, "text": fact.text}, source=source)
            case BotCorrected() if fact.id in self.speaking:
                self.speaking[fact.id] = fact.text
            case BotFinished() if fact.id in self.speaking:
                text = self.speaking.pop(fact.id)
                yield {"event": "bot.finished", "message_id": fact.id, "text": text if fact.text is None else fact.text}
            case BotInterrupted() if fact.id in self.speaking:
                del self.speaking[fact.id]
                yield {
                    "event": "bot.interrupted",
                    "message_id": fact.id,
                    "text": fact.text,
                    "words_spoken": fact.at_word,
                    "reason": fact.reason,
                }
            case ToolCalled():
                call = {"id": fact.id, "name": fact.name, "arguments": _text(fact.args or {})}
                yield {"event": "llm.tool_call", "call_id": told.call, "msg_id": fact.round, "tool_calls": [call]}
            case ToolAnswered():
                yield _tool_result(told.call, fact)
            case SessionIdleWarning():
                yield {
                    "event": "session.idle_warning",
                    "remaining_seconds": fact.remaining_seconds,
                    "idle_timeout_seconds": fact.idle_timeout_seconds,
                }
            case SessionTimeout():
                yield {"event": "session.timeout", "reason": fact.reason}
            case CallHeld() | CallUnheld() | CallMuted() | CallUnmuted():
                yield {"event": fact.type}
            case HandoffRequested() | HandoffActive():
                yield {"event": "session.paused", "active": isinstance(fact, HandoffActive)}
            case HandoffReleased():
                yield {"event": "session.resumed"}
            case CallForwarded():
                yield {"event": "call.forwarded", "to": fact.to}
            case CallEnded():
                self.has_ended = True
                yield {"event": "call.ended", "reason": fact.reason, "duration_seconds": fact.duration}
            case _:
                pass

    def _signal(self, signal: Signal) -> Iterator[Event]:
        match signal:
            case SpeechStarted():
                yield {"event": "speech.started"}
            case SpeechEnded():
                yield {"event": "speech.ended"}
            case Hearing():
                yield {"event": "user.speaking", "message_id": signal.message, "text": signal.text}
            case TurnPaused():
                yield {"event": "turn.pause", "probability": signal.probability}
            case TurnResumed():
                yield {"event": "turn.resumed"}
            case BotWord() if signal.message in self.speaking:
                place = {"word_index": signal.index, "start_time": signal.start, "end_time": signal.end}
                yield {"event": "bot.word", "message_id": signal.message, "word": signal.word, **place}
            case AudioMetrics():
                levels = {"energy_db": signal.energy_db, "rms": signal.rms, "peak": signal.peak}
                voice = {"is_speech": signal.is_speech, "vad_prob": signal.vad_prob}
                yield {"event": "audio.metrics", "source": signal.source, **levels, **voice}
            case _:
                pass


def _tool_result(call: str, fact: ToolAnswered) -> Event:
    """Both ways in which pages read it: flat, and as a list of one."""
    result = _text(fact.result)
    return {
        "event": "llm.tool_result",
        "call_id": call,
        "tool_call_id": fact.id,
        "name": fact.name,
        "result": result,
        "results": [{"tool_call_id": fact.id, "result": result}],
    }


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _with(event: Event, **more: object) -> Event:
    return event | {name: value for name, value in more.items() if value is not None}
