"""What was said on a call, as far as this program knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

Message: TypeAlias = dict[str, Any]
"""OpenAI's form: `{"role": "user" | "assistant" | "system" | "tool", "content": …}`."""


class Transcript:
    """Lines are added once for each message id: several events tell the same fact."""

    def __init__(self) -> None:
        self.lines: list[Message] = []
        self._heard: dict[str, Message] = {}
        self._said: dict[str, Message] = {}
        self._unnamed: list[Message] = []
        self._speaking = ""
        self._words: list[str] = []
        self._text = ""

    def heard(self, message_id: str, text: str) -> None:
        """The user said something; the same message again is what it is now."""
        self._add("user", self._heard, message_id, text)
        self._unnamed.clear()

    def renamed(self, was: str, message_id: str) -> None:
        """What the user said goes on under another id."""
        if (line := self._heard.pop(was, None)) is not None:
            self._heard[message_id] = line

    def has_heard(self, text: str) -> bool:
        """Whether the user's words since the bot spoke, or the last of them, are this text."""
        words: list[str] = []
        for line in reversed(self.lines):
            if line["role"] != "user":
                break
            words.insert(0, line["content"])
            if "\n".join(words) == text:
                return True
        return False

    def said(self, message_id: str, text: str) -> None:
        """The bot said something; the same message again is how much of it was heard.

        A text channel tells its answers without their ids as well: the same text is the same message then.
        """
        twin = next((line for line in self._unnamed if line["content"] == text), None)
        if twin is not None:
            self._said.setdefault(message_id, twin)
            return
        if not message_id and any(line["content"] == text for line in self._since_the_user_spoke()):
            return
        self._add("assistant", self._said, message_id, text)
        if not message_id and text:
            self._unnamed.append(self.lines[-1])

    def _since_the_user_spoke(self) -> Iterable[Message]:
        for line in reversed(self.lines):
            if line["role"] == "user":
                return
            yield line

    def _add(self, role: str, known: dict[str, Message], message_id: str, text: str) -> None:
        if not text:
            return
        if message_id and message_id in known:
            known[message_id]["content"] = text
            return
        line = {"role": role, "content": text}
        self.lines.append(line)
        if message_id:
            known[message_id] = line

    def replace(self, messages: Iterable[Message]) -> None:
        """The server's own list is the truth: the lines of user and assistant in it are the transcript."""
        self.lines = spoken(messages)
        self._heard.clear()
        self._said.clear()
        self._unnamed.clear()

    # --- what the bot is saying right now ---

    @property
    def current_bot_text(self) -> str:
        return " ".join(self._words) if self._words else self._text

    def speaking(self, message_id: str, text: str) -> None:
        self._speaking, self._text = message_id, text
        self._words.clear()

    def word(self, message_id: str, word: str) -> None:
        if message_id == self._speaking:
            self._words.append(word)

    def silent(self) -> None:
        self.speaking("", "")


def spoken(messages: Iterable[Message]) -> list[Message]:
    """The lines of user and assistant that have words."""
    return [
        {"role": one["role"], "content": one["content"]}
        for one in messages
        if one.get("role") in {"user", "assistant"} and one.get("content")
    ]
