"""The rows of the list of what AgentPhone's clients must be able to do, and which tests hold them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

F = TypeVar("F", bound=Callable[..., object])

ALL: Final = [*(str(n) for n in range(1, 35)), "34b", *(str(n) for n in range(35, 76))]

NEEDS_VOICE: Final = {
    "43": "an outbound call is answered at once, and its greeting heard before any webhook",
    "44": "a JSON answer is spoken",
    "45": "a streamed answer is spoken from its first chunk on",
    "46": "tokens are neither glued nor split",
    "47": "a webhook that misbehaves costs a turn, and not the call",
    "48": "barge-in stops speech and request",
    "49": "a hangup comes after the words",
    "50": "a transfer comes after the words",
    "51": "digits are pressed after the words",
    "52": "a call with a system_prompt is the model's, and ends with agent.call_ended",
    "54": "make_conversation is make with a system_prompt",
    "56": "status and transcript of a call under way",
    "58": "a call in progress is ended once",
    "60": "a live transcript with a long silence",
    "62": "recordings",
    "63": "busy, and no answer",
    "64": "an inbound call of a hosted agent",
    "65": "agent.call_ended",
    "66": "calls from a browser",
    "70": "SIP trunks",
}
"""Each is begun elsewhere where it can be: refusals, shapes, what a finished call answers."""

HELD: Final[set[str]] = set()


def row(*numbers: int | str) -> Callable[[F], F]:
    """The test holds these rows."""

    def note(test: F) -> F:
        HELD.update(str(number) for number in numbers)
        return test

    return note
