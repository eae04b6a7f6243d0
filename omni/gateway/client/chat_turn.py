"""What whoever put a text to an agent with `llm.chat` is told: of the answer, and of people who step in."""

from __future__ import annotations

import asyncio
import json
from typing import Final

from omni.gateway.client.codec import answers
from omni.gateway.client.codec.view import Event
from omni.live.told import Words
from omni.model.entry import (
    BotSaid,
    CallEnded,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HumanSaid,
    ToolAnswered,
    ToolCalled,
    TurnEnded,
    UserSaid,
)

TAKEN_OVER: Final = "a person has this conversation; the agent is paused"


class ChatTurn:
    """One question, and what was told of its answer. Exactly one `done` or `error`."""

    def __init__(self, session: str, model: str, asked: str) -> None:
        self._session = session
        self._model = model
        self._ours: str | None = None
        self._said: dict[str, str] = {}
        self._tools: dict[str, str] = {}
        self.asked = asked
        self.over = asyncio.Event()

    @property
    def _text(self) -> str:
        return "\n".join(text for text in self._said.values() if text)

    def words(self, words: Words) -> list[Event]:
        if self._ours is None or self.over.is_set():
            return []
        if words.void:
            self._said.pop(words.id, None)
            return []
        self._said[words.id] = self._said.get(words.id, "") + words.text
        return [answers.chat_token(self._session, words.text, self._text)]

    def hear(self, fact: object) -> list[Event]:
        if self.over.is_set():
            return []
        match fact:
            case UserSaid() if fact.provider_id == self.asked:
                self._ours = fact.id
                return self._taken_over() if fact.paused else []
            case HandoffActive() if self._ours is not None:
                return self._taken_over()
            case BotSaid() if self._ours is not None:
                before = self._said.get(fact.id, "")
                self._said[fact.id] = fact.text
                rest = fact.text.removeprefix(before) if fact.text.startswith(before) else fact.text
                return [answers.chat_token(self._session, rest, self._text)] if rest else []
            case ToolCalled():
                arguments = json.dumps(fact.args or {}, ensure_ascii=False)
                call = {"id": fact.id, "name": fact.name, "arguments": arguments}
                return [answers.chat_tool_call(self._session, [call])]
            case ToolAnswered():
                result = fact.result if isinstance(fact.result, str) else json.dumps(fact.result, ensure_ascii=False)
                return [answers.chat_tool_result(self._session, fact.id, fact.name, result)]
            case TurnEnded() if self._ours is not None and self._ours in fact.answers:
                if fact.outcome == "failed" and not self._text:
                    return self._failed(fact.error or "the agent did not answer")
                return self._done()
            case CallEnded() if self._ours is not None:
                return self._done()
            case _:
                return []

    def _done(self) -> list[Event]:
        self.over.set()
        return [answers.chat_done(self._session, self._text, self._model)]

    def _failed(self, why: str) -> list[Event]:
        self.over.set()
        return [answers.chat_error(self._session, why)]

    def _taken_over(self) -> list[Event]:
        self.over.set()
        return [answers.chat_error(self._session, TAKEN_OVER, paused=True)]


def of_people(session: str, fact: object) -> list[Event]:
    """What people on our side do that whoever talks to the agent may see."""
    match fact:
        case HumanSaid():
            return [answers.chat_human(session, fact.id, fact.text, fact.by)]
        case HandoffRequested():
            return [answers.chat_handoff(session, "requested", fact.by)]
        case HandoffActive():
            return [answers.chat_handoff(session, "active", fact.by)]
        case HandoffReleased():
            return [answers.chat_handoff(session, "released", fact.by)]
        case _:
            return []
