"""Counters that benchmarks and chaos runs read."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable

from channels.whatsapp.simulator.ids import Json


class Stats:
    """What came in through the Graph side since the last reset. Trackers are ``biz_opaque_callback_data`` values."""

    def __init__(self, keep_trackers: int, now: Callable[[], float]) -> None:
        self._keep_trackers = keep_trackers
        self._now = now
        self._seconds: deque[list[int]] = deque(maxlen=61)
        self._trackers: OrderedDict[str, int] = OrderedDict()
        self.requests: Counter[str] = Counter()
        self.errors: Counter[int] = Counter()
        self.accepted = 0
        self.duplicates = 0
        self.user_messages = 0
        self.first_accepted_at = 0.0
        self.last_accepted_at = 0.0

    def count_accepted(self, tracker: str) -> None:
        now = self._now()
        self.accepted += 1
        self.first_accepted_at = self.first_accepted_at or now
        self.last_accepted_at = now
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1][1] += 1
        else:
            self._seconds.append([second, 1])
        if not tracker or not self._keep_trackers:
            return
        seen = self._trackers.get(tracker, 0)
        self._trackers[tracker] = seen + 1
        if seen:
            self.duplicates += 1
        elif len(self._trackers) > self._keep_trackers:
            self._trackers.popitem(last=False)

    def trackers(self, at_least: int, limit: int) -> dict[str, int]:
        """Trackers that were accepted at least so many times, oldest first."""
        found: dict[str, int] = {}
        for tracker, times in self._trackers.items():
            if times >= at_least:
                found[tracker] = times
                if len(found) >= limit:
                    break
        return found

    def times_accepted(self, tracker: str) -> int:
        return self._trackers.get(tracker, 0)

    def as_json(self) -> Json:
        now = int(self._now())
        return {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "distinct_trackers": len(self._trackers),
            "user_messages": self.user_messages,
            "requests": dict(self.requests),
            "errors": {str(code): times for code, times in self.errors.items()},
            "accepted_last_second": next((n for second, n in self._seconds if second == now - 1), 0),
            "accepted_per_second": {str(second): n for second, n in self._seconds},
            "first_accepted_at": self.first_accepted_at,
            "last_accepted_at": self.last_accepted_at,
        }
