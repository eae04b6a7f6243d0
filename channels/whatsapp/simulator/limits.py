"""The platform's rate limits. Source: WhatsApp Cloud API, messaging limits and throughput.

A business number sends 80 messages a second. A pair (number, user) sustains one message in 6 s and may burst 45, which
borrows from the quota to come.
"""

from __future__ import annotations

from collections import OrderedDict

PAIR_INTERVAL = 6.0
PAIR_BURST = 45


class Bucket:
    """Generic cell rate algorithm: one message an ``interval`` of seconds, ``burst`` of them at once."""

    __slots__ = ("_due",)

    def __init__(self) -> None:
        self._due = 0.0

    def take(self, now: float, interval: float, burst: float) -> bool:
        due = max(self._due, now)
        if due + interval - now > interval * burst + 1e-9:
            return False
        self._due = due + interval
        return True


class RateLimits:
    """Buckets of numbers and pairs. Times are epoch seconds."""

    def __init__(self) -> None:
        self._numbers: dict[str, Bucket] = {}
        self._pairs: OrderedDict[tuple[str, str], Bucket] = OrderedDict()

    def number_allows(self, phone_number_id: str, now: float, per_second: float) -> bool:
        return self._numbers.setdefault(phone_number_id, Bucket()).take(now, 1.0 / per_second, per_second)

    def pair_allows(self, phone_number_id: str, wa_id: str, now: float) -> bool:
        key = (phone_number_id, wa_id)
        bucket = self._pairs.setdefault(key, Bucket())
        self._pairs.move_to_end(key)
        if len(self._pairs) > 100_000:
            self._pairs.popitem(last=False)
        return bucket.take(now, PAIR_INTERVAL, PAIR_BURST)

    def clear(self) -> None:
        self._numbers.clear()
        self._pairs.clear()
