"""Statuses of calls, in the one direction in which calls go."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from channels.phone.reception import FINAL, CallProgress

_REMEMBERED: Final = 20_000


class Forward:
    """What was told about each call so far. A status that comes late, or twice, is left out: nothing leads back from an
    answered call to a ringing one, and nothing follows the end."""

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._told: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._remembered = remembered

    def is_news(self, told: CallProgress) -> bool:
        """Whether this status leads on; it is remembered when it does."""
        stage = _stage(told)
        if stage is None:
            return True  # it does not belong to the order: who answered, what became of a transfer
        sequence = -1 if told.sequence is None else told.sequence
        stage_before, sequence_before = self._told.get(told.call, (-1, -1))
        if stage <= stage_before or (sequence >= 0 and sequence <= sequence_before and stage < _END):
            return False
        self._told[told.call] = (stage, max(sequence, sequence_before))
        self._told.move_to_end(told.call)
        if len(self._told) > self._remembered:
            self._told.popitem(last=False)
        return True

    def forget(self, told: CallProgress) -> None:
        """Nobody took note: the next time it is told is the first."""
        if _stage(told) is not None:
            self._told.pop(told.call, None)


_END: Final = 3


def _stage(told: CallProgress) -> int | None:
    if told.status in FINAL:
        return _END
    return {"ringing": 1, "answered": 2}.get(told.status)
