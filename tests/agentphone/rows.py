"""The rows of the list of what AgentPhone's clients must be able to do, and which tests hold them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

F = TypeVar("F", bound=Callable[..., object])

ALL: Final = [*(str(n) for n in range(1, 35)), "34b", *(str(n) for n in range(35, 76))]

WAITS: Final = {
    "66": "calls from a browser: the browser channel",
}
"""What they are answered meanwhile is held elsewhere."""

HELD: Final[set[str]] = set()


def row(*numbers: int | str) -> Callable[[F], F]:
    """The test holds these rows."""

    def note(test: F) -> F:
        HELD.update(str(number) for number in numbers)
        return test

    return note
