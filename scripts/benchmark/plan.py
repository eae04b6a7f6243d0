"""How long a run measures, and where its processes live."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds, and numbers of things. `server_cores` None: processes cannot be pinned here."""

    name: str
    rounds: int
    round_seconds: float
    warm_up: float
    ack_seconds: float
    overload_seconds: float
    idle_points: tuple[int, ...]
    growth_points: tuple[int, ...]
    programs: int
    pages: int
    talk_seconds: float
    inbox_points: tuple[int, ...]
    inbox_seconds: float
    inbox_asks: int
    inbox_probes: int
    inbox_watch_seconds: float
    inbox_pushed: int
    rest_calls: int
    rest_requests: int
    rest_seconds: float
    voice_calls: tuple[int, ...]
    voice_floor_calls: tuple[int, ...]
    voice_seconds: float
    speech_callers: tuple[int, ...]
    speech_turns: int
    leg_calls: tuple[tuple[int, ...], tuple[int, ...]]
    """At a time: by Twilio and by SIP; from browsers."""
    leg_seconds: float
    soak_calls: int
    soak_quiet: float
    line_sentences: int
    line_rounds: int
    voice_detector: str = "silero"
    server_cores: set[int] | None = None


DEFAULT: Final = Plan(
    name="default",
    rounds=3,
    round_seconds=2.0,
    warm_up=0.5,
    ack_seconds=1.5,
    overload_seconds=10.0,
    idle_points=(1_000, 10_000, 20_000),
    growth_points=(10, 1_000, 10_000, 100_000),
    programs=1_000,
    pages=10_000,
    talk_seconds=3.0,
    inbox_points=(10_000,),
    inbox_seconds=5.0,
    inbox_asks=20,
    inbox_probes=100,
    inbox_watch_seconds=10.0,
    inbox_pushed=36_000,
    rest_calls=1_000_000,
    rest_requests=5_000,
    rest_seconds=6.0,
    voice_calls=(1, 10, 25, 50, 75, 100),
    voice_floor_calls=(1, 100),
    voice_seconds=20.0,
    speech_callers=(1, 2, 4, 8),
    speech_turns=6,
    leg_calls=((25, 100), (1, 8, 24, 48)),
    leg_seconds=15.0,
    soak_calls=500,
    soak_quiet=12.0,
    line_sentences=6,
    line_rounds=3,
)
QUICK: Final = Plan(
    name="quick",
    rounds=1,
    round_seconds=1.0,
    warm_up=0.3,
    ack_seconds=0.7,
    overload_seconds=3.0,
    idle_points=(500, 1_500, 2_500),
    growth_points=(10, 1_000, 5_000),
    programs=100,
    pages=1_000,
    talk_seconds=1.5,
    inbox_points=(2_000,),
    inbox_seconds=2.0,
    inbox_asks=10,
    inbox_probes=30,
    inbox_watch_seconds=3.0,
    inbox_pushed=6_000,
    rest_calls=50_000,
    rest_requests=1_000,
    rest_seconds=2.0,
    voice_calls=(1, 25, 100),
    voice_floor_calls=(100,),
    voice_seconds=12.0,
    speech_callers=(1, 4),
    speech_turns=4,
    leg_calls=((25,), (8,)),
    leg_seconds=10.0,
    soak_calls=100,
    soak_quiet=12.0,
    line_sentences=3,
    line_rounds=1,
)
TINY: Final = Plan(
    name="tiny",
    rounds=1,
    round_seconds=0.2,
    warm_up=0.1,
    ack_seconds=0.2,
    overload_seconds=0.5,
    idle_points=(20, 40, 60),
    growth_points=(5, 10, 20),
    programs=5,
    pages=20,
    talk_seconds=0.2,
    inbox_points=(30,),
    inbox_seconds=0.5,
    inbox_asks=2,
    inbox_probes=5,
    inbox_watch_seconds=0.5,
    inbox_pushed=200,
    rest_calls=2_000,
    rest_requests=20,
    rest_seconds=1.0,
    voice_calls=(2,),
    voice_floor_calls=(2,),
    voice_seconds=8.0,
    speech_callers=(1,),
    speech_turns=1,
    leg_calls=((2,), (1,)),
    leg_seconds=8.0,
    soak_calls=6,
    soak_quiet=0.5,
    line_sentences=1,
    line_rounds=1,
)
FULL: Final = replace(
    DEFAULT, name="full", inbox_points=(10_000, 100_000), inbox_watch_seconds=60.0, inbox_pushed=720_000
)
"""An hour of events for the inbox's page, and lists of a hundred thousand conversations on both stores."""


def chosen(arguments: argparse.Namespace) -> Plan:
    """The plan that was named on the command line, with what was said beside it."""
    plan = {"default": DEFAULT, "full": FULL, "quick": QUICK, "tiny": TINY}[arguments.plan]
    more: dict[str, Any] = {
        "rest_calls": arguments.rest_calls,
        "voice_calls": _numbers(arguments.voice_calls),
        "voice_floor_calls": _numbers(arguments.voice_calls),
        "voice_seconds": arguments.voice_seconds,
        "voice_detector": arguments.voice_detector,
        "speech_callers": _numbers(arguments.speech_callers),
    }
    return replace(plan, **{name: value for name, value in more.items() if value is not None})


def _numbers(said: str | None) -> tuple[int, ...] | None:
    return tuple(int(each) for each in said.split(",")) if said else None
