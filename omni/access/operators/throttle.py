"""Attempts to sign in, slowed down: after a few failures each one costs a longer wait.

Counted for each account and for each address, in the memory of one process, like every limit of ours: a brake on
guessing, not a quota. Nobody is ever locked out for good: an account's wait is at most a minute, an address from which
its owner has signed in before is counted by itself, so that strangers cannot keep them out, and a sign-in link or
the sign-in provider never waits for any of it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from omni.access.limits import Buckets

REMEMBERED: Final = 20_000
"""Names and familiar pairs each. Beyond that the one longest untouched is forgotten."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`free` attempts cost nothing; each further one waits twice as long, from `first` to `longest` seconds. All is
    forgotten `forget` seconds after the last."""

    free: int
    first: float
    longest: float
    forget: float

    def wait(self, failures: int) -> float:
        """Seconds between the last of so many failures and the next attempt."""
        over = failures - self.free
        return 0.0 if over < 0 else min(self.longest, self.first * 2.0 ** min(over, 30))


ACCOUNT: Final = Pace(free=5, first=1.0, longest=60.0, forget=3600.0)
ADDRESS: Final = Pace(free=20, first=1.0, longest=900.0, forget=3600.0)
"""An office shares one."""


FLOWS_PER_MINUTE: Final = 60
"""From one address."""


class Counted:
    """Failures by name. An attempt counts as one from its beginning, so that a hundred at once are a hundred."""

    def __init__(self, pace: Pace, ticks: Callable[[], float]) -> None:
        self._pace = pace
        self._ticks = ticks
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, name: str) -> float:
        number, at = self._known(name)
        return max(0.0, at + self._pace.wait(number) - self._ticks()) if number else 0.0

    def count(self, name: str) -> None:
        number, _ = self._known(name)
        self._failures[name] = (number + 1, self._ticks())
        self._failures.move_to_end(name)
        if len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def forgive(self, name: str, *, one: bool = False) -> None:
        """All of a name's failures, or `one`: the attempt that was none."""
        number, at = self._known(name)
        self._failures.pop(name, None)
        if one and number > 1:
            self._failures[name] = (number - 1, at)

    def _known(self, name: str) -> tuple[int, float]:
        number, at = self._failures.get(name, (0, 0.0))
        return (number, at) if self._ticks() < at + self._pace.forget else (0, 0.0)


class Throttle:
    def __init__(
        self, account: Pace = ACCOUNT, address: Pace = ADDRESS, *, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._accounts = Counted(account, ticks)
        self._addresses = Counted(address, ticks)
        self._flows = Buckets(FLOWS_PER_MINUTE, ticks=ticks)
        self._familiar: OrderedDict[tuple[str, str], None] = OrderedDict()

    def attempt(self, account: str, address: str) -> float:
        """0 when it may be tried now, and then it counts as a failure until `succeeded`; else the seconds until it
        may. An attempt that has to wait is not counted: whoever hammers waits no longer for it."""
        name = self._name(account, address)
        wait = max(self._accounts.wait(name), self._addresses.wait(address))
        if wait == 0:
            self._accounts.count(name)
            self._addresses.count(address)
        return wait

    def succeeded(self, account: str, address: str) -> None:
        """The account's failures are forgiven; of the address's only this attempt, or an account of one's own would
        buy any number of guesses at others'."""
        self._accounts.forgive(self._name(account, address))
        self._addresses.forgive(address, one=True)
        self._familiar[account, address] = None
        self._familiar.move_to_end((account, address))
        if len(self._familiar) > REMEMBERED:
            self._familiar.popitem(last=False)

    def withdrawn(self, account: str, address: str) -> None:
        """The attempt could not be judged (the store was away): it was none."""
        self._accounts.forgive(self._name(account, address), one=True)
        self._addresses.forgive(address, one=True)

    def flow(self, address: str) -> float:
        """0 when a sign-in through the provider may begin from this address, else the seconds until it may."""
        return self._flows.take(address)

    def _name(self, account: str, address: str) -> str:
        return f"{account} {address}" if (account, address) in self._familiar else account
