"""What a sender does about a refusal: wait how long, or give up. Pure but for the dice it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from channels.base import Action, RefusedError
from omni.model.delivery import DeliveryError

RETRY_DELAYS: Final = (1.0, 4.0, 16.0, 60.0)
"""Seconds before the second to fifth try; the real wait is drawn between 0 and this (full jitter)."""

PAIR_TRIES: Final = 8
NUMBER_TRIES: Final = 20


@dataclass(slots=True)
class Patience:
    """How often one delivery was refused, by what the refusal asked for."""

    retries: int = 0
    pair: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class Again:
    """Try again in `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Lost:
    error: DeliveryError


def judge(refused: RefusedError, patience: Patience, draw: Callable[[], float]) -> Again | Lost:
    """What becomes of a delivery that was refused; `draw` gives numbers from 0 to 1.

    The waits of a pair, a number and a breaker are theirs: here they only count against the delivery's patience.
    """
    match refused.action:
        case Action.RETRY:
            allowed = len(RETRY_DELAYS)
            if refused.max_retries is not None:
                allowed = min(allowed, refused.max_retries)
            if patience.retries >= allowed:
                return Lost(error_of(refused))
            delay = RETRY_DELAYS[patience.retries] * draw()
            patience.retries += 1
            return Again(max(delay, refused.retry_after or 0.0))
        case Action.SLOW_PAIR:
            patience.pair += 1
            return Again(0) if patience.pair < PAIR_TRIES else Lost(error_of(refused))
        case Action.SLOW_NUMBER:
            patience.number += 1
            return Again(0) if patience.number < NUMBER_TRIES else Lost(error_of(refused))
        case Action.STOP_TOKEN | Action.STOP_NUMBER:
            return Again(0)
        case _:
            return Lost(error_of(refused))


def error_of(refused: RefusedError) -> DeliveryError:
    return DeliveryError(code=refused.code, reason=refused.reason, provider_code=refused.provider_code)
