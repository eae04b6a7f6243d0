"""One call's turn taking: events in, and the rules' decisions carried out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from workers.voice.turns import words as turns
from workers.voice.turns.machine import step
from workers.voice.turns.state import Policy, Talk


class Doer(Protocol):
    def do(self, action: turns.Action, talk: Talk) -> None:
        """Carry it out. What it makes happen at once is looked at afterwards. `talk` is how things stood before."""


class Talking:
    """Events are taken one at a time, in the order in which they happen."""

    def __init__(self, policy: Policy, new_id: Callable[[], str], doer: Doer) -> None:
        self.policy = policy
        self.talk = Talk()
        self._new_id = new_id
        self._doer = doer
        self._waiting: list[turns.Event] = []
        self._is_at_it = False

    def happens(self, event: turns.Event) -> None:
        self._waiting.append(event)
        if self._is_at_it:
            return
        self._is_at_it = True
        try:
            while self._waiting:
                before = self.talk
                self.talk, actions = step(before, self._waiting.pop(0), self.policy, self._new_id)
                for action in actions:
                    self._doer.do(action, before)
        finally:
            self._is_at_it = False
