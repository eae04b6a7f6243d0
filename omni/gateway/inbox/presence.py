"""Who has which conversation open, and who types there. Pure: time comes as an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from omni.live.inbox import Here, Left

REFRESH_SECONDS: Final = 10.0
FORGET_SECONDS: Final = 30.0
"""A page that its gateway speaks of no more is taken for closed."""

TYPING_SECONDS: Final = 8.0
"""Whoever typed last so long ago types no more."""


@dataclass(frozen=True, slots=True)
class _Page:
    operator: str
    typing_until: float
    until: float


class Presence:
    def __init__(self) -> None:
        self._pages: dict[str, dict[str, _Page]] = {}

    def here(self, news: Here, now: float) -> bool:
        """Whether this changes who is there, or who types."""
        before = self.shown(news.conversation, now)
        page = _Page(news.operator, now + TYPING_SECONDS if news.typing else 0.0, now + FORGET_SECONDS)
        self._pages.setdefault(news.conversation, {})[news.page] = page
        return self.shown(news.conversation, now) != before

    def left(self, news: Left, now: float) -> bool:
        before = self.shown(news.conversation, now)
        pages = self._pages.get(news.conversation, {})
        pages.pop(news.page, None)
        if not pages:
            self._pages.pop(news.conversation, None)
        return self.shown(news.conversation, now) != before

    def forget(self, now: float, before: float) -> list[str]:
        """Let go of what was not refreshed; the conversations for which something has changed since `before`."""
        changed: list[str] = []
        for conversation, pages in list(self._pages.items()):
            was = self.shown(conversation, before)
            for name in [name for name, page in pages.items() if page.until <= now]:
                del pages[name]
            if not pages:
                del self._pages[conversation]
            if self.shown(conversation, now) != was:
                changed.append(conversation)
        return changed

    def types(self, conversation: str, operator: str, now: float) -> bool:
        pages = self._pages.get(conversation, {}).values()
        return any(page.operator == operator and min(page.typing_until, page.until) > now for page in pages)

    def shown(self, conversation: str, now: float) -> list[JsonValue]:
        """`[{"operator", "typing"}]`, each operator once."""
        found: dict[str, bool] = {}
        for page in self._pages.get(conversation, {}).values():
            if page.until > now:
                found[page.operator] = found.get(page.operator, False) or page.typing_until > now
        return [{"operator": operator, "typing": typing} for operator, typing in sorted(found.items())]
