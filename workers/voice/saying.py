"""One message of ours in a call, as it is said: its words, its sound, and the facts that come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from omni.model.entry import BotFinished, BotInterrupted, BotSaid
from workers.voice.playout.facts import Cut
from workers.voice.tts.say import Utterance

Reason = Literal["user_spoke", "early", "cancelled"]


@dataclass(slots=True)
class Saying:
    """`turn` is what it answers. What is not logged is said, and nothing is told of it."""

    id: str
    turn: int | None
    in_history: bool
    is_logged: bool
    utterance: Utterance
    text: str = ""
    began: bool = False
    has_sound: bool = False

    def said(self) -> BotSaid:
        return BotSaid(id=self.id, text=self.text.strip(), turn=self.turn, in_history=self.in_history)

    def finished(self, duration_ms: float) -> BotFinished:
        return BotFinished(id=self.id, text=self.text.strip(), duration_ms=round(duration_ms, 1))

    def interrupted(self, cut: Cut, reason: Reason) -> BotInterrupted:
        return BotInterrupted(
            id=self.id,
            text=cut.heard_text,
            at_word=cut.words_spoken,
            played_ms=round(cut.played_ms, 1),
            last_word=cut.last_word,
            reason=reason,
            kept=reason != "early" and cut.words_spoken > 0,
        )
