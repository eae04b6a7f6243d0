"""How fast we may send: one gate for a number, one for each pair of a number and a person.

Both are virtual schedules (GCRA): a gate remembers the time at which it will be empty again and nothing else.
Times are seconds that never go back. Nothing here waits: `wait` says how long to, `take` spends one send.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_BURST_SECONDS: Final = 0.25
"""A quiet number may send a quarter of a second's worth at once: at 60 a second that stays under a ceiling of 80."""

_RECOVERY_PER_SECOND: Final = 0.02
"""Share of the full rate that a slowed number regains in a second without refusals."""

_SLOWEST: Final = 1 / 64
_LONGEST_BACKOFF: Final = 32.0


class NumberRate:
    """At most `rate` sends a second. A refusal halves it and stops the number for a moment; it recovers gradually."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._share = 1.0
        self._empty_at = 0.0
        self._blocked_until = 0.0
        self._strikes = 0
        self._seen = 0.0

    def current(self, now: float) -> float:
        """Sends a second that are allowed now."""
        if self._share < 1 and now > max(self._seen, self._blocked_until):
            since = max(self._seen, self._blocked_until)
            self._share = min(1.0, self._share + (now - since) * _RECOVERY_PER_SECOND)
            if self._share == 1:
                self._strikes = 0
        self._seen = now
        return self.rate * self._share

    def wait(self, now: float) -> float:
        rate = self.current(now)
        burst = max(0.0, rate * _BURST_SECONDS - 1) / rate
        return max(0.0, self._empty_at - burst - now, self._blocked_until - now)

    def take(self, now: float) -> None:
        self._empty_at = max(self._empty_at, now) + 1 / self.current(now)

    def slow_down(self, now: float, retry_after: float | None = None) -> None:
        """The provider said that this is too much. Sends that were on their way together count as one refusal."""
        if now < self._blocked_until:
            return
        self._share = max(_SLOWEST, self._share / 2)
        backoff = min(_LONGEST_BACKOFF, 2.0**self._strikes)
        self._strikes += 1
        self._blocked_until = now + max(backoff, retry_after or 0.0)


@dataclass(slots=True)
class _Pace:
    empty_at: float = 0.0
    blocked_until: float = 0.0
    strikes: int = 0


class PairRates:
    """`burst` sends at once to one person and one more every `interval` seconds; 0 switches that off.

    A refusal holds the pair for 1, 4, 16, … seconds, whatever the schedule says.
    """

    def __init__(self, prune_at: int = 10_000) -> None:
        self._paces: dict[tuple[str, str], _Pace] = {}
        self._prune_at = prune_at

    def __len__(self) -> int:
        return len(self._paces)

    def wait(self, pair: tuple[str, str], interval: float, burst: int, now: float) -> float:
        pace = self._paces.get(pair)
        if pace is None:
            return 0.0
        return max(0.0, pace.empty_at - (burst - 1) * interval - now, pace.blocked_until - now)

    def take(self, pair: tuple[str, str], interval: float, now: float) -> None:
        if not interval:
            return
        pace = self._pace(pair, now)
        pace.empty_at = max(pace.empty_at, now) + interval

    def slow_down(self, pair: tuple[str, str], now: float, retry_after: float | None = None) -> float:
        """Hold the pair; returns for how long."""
        pace = self._pace(pair, now)
        held = max(4.0 ** min(pace.strikes, 4), retry_after or 0.0)
        pace.strikes += 1
        pace.blocked_until = max(pace.blocked_until, now + held)
        return held

    def went_well(self, pair: tuple[str, str]) -> None:
        pace = self._paces.get(pair)
        if pace is not None:
            pace.strikes = 0

    def _pace(self, pair: tuple[str, str], now: float) -> _Pace:
        pace = self._paces.get(pair)
        if pace is None:
            if len(self._paces) >= self._prune_at:
                self._prune(now)
            pace = self._paces[pair] = _Pace()
        return pace

    def _prune(self, now: float) -> None:
        """Forget the pairs that are free again, and look again when there are twice as many as are not."""
        self._paces = {
            pair: pace for pair, pace in self._paces.items() if pace.empty_at > now or pace.blocked_until > now
        }
        self._prune_at = max(10_000, 2 * len(self._paces))
