"""Wall clocks go back now and then (NTP, a virtual machine that wakes up): no promise may hang on it."""

from __future__ import annotations

from tests.sessions.talk import T0, Talk


def test_turns_from_before_the_clock_went_back_are_not_too_many_in_a_minute() -> None:
    talk = Talk(max_turns_per_minute=2, debounce_ms=0)
    for at in (T0, T0 + 1, T0 - 3600, T0 - 3500):
        talk.now = at
        talk.ask()
        talk.do(talk.done("yes"))
    assert talk.state.handler == "bot"
    assert talk.state.bot_messages == 4
