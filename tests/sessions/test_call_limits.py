"""Limits of a session in writing (wire protocol §6.10): only where they are set, warned of, and never while somebody on
our side has the conversation."""

from __future__ import annotations

from typing import Any

import pytest

from omni.model.behaviour import Overrides
from omni.model.entry import SessionIdleWarning, SessionTimeout
from omni.model.inbound import Configure
from sessions.fold import fold_all
from sessions.rules.ending import next_wake
from sessions.rules.limits import GOODBYE_SECONDS, Limits, limits_of
from tests.sessions.talk import HOUR, T0, Desk, Talk

DEFAULTS = {"idle_timeout_seconds": 60}
"""As a call by phone has them: 15 s of warning before the timeout, 10 s of grace after it."""


def limited(**limits: Any) -> Talk:
    """A conversation with limits, whose bot has just answered."""
    talk = Talk(audio={"session_limits": limits})
    talk.ask()
    talk.do(talk.done("hi"))
    return talk


def rings(talk: Talk) -> float:
    """Let time pass until the alarm rings, and deal with it; how long that took."""
    at = next_wake(talk.state, talk.around)
    assert at is not None
    passed, talk.now = at - talk.now, at
    talk.do(talk.wake())
    return round(passed, 3)


def said_of_limits(talk: Talk) -> list[tuple[float, bool]]:
    return [(fact.remaining_seconds, fact.is_last) for fact in talk.facts(SessionIdleWarning)]


def test_a_conversation_without_limits_ends_as_its_agent_says() -> None:
    talk = Talk()
    talk.ask()
    talk.do(talk.done("hi"))
    assert next_wake(talk.state, talk.around) == talk.now + talk.agent.idle_timeout_s
    rings(talk)
    assert talk.words()[-2:] == ["call.ended", "call.summary"]
    assert not talk.facts(SessionIdleWarning, SessionTimeout)


def test_silence_is_warned_of_twice_and_then_ends_the_call() -> None:
    talk = limited(**DEFAULTS)
    assert rings(talk) == 45
    assert rings(talk) == 15
    assert said_of_limits(talk) == [(15, False), (10, True)]
    assert rings(talk) == 10
    assert [fact.reason for fact in talk.facts(SessionTimeout)] == ["idle_timeout"]
    assert talk.state.is_open, "a program may say goodbye"
    assert rings(talk) == GOODBYE_SECONDS
    assert (talk.state.is_open, talk.state.reason) == (False, "idle_timeout")
    assert next_wake(talk.state, talk.around) is None


@pytest.mark.parametrize(
    ("limits", "warnings", "times"),
    [
        ({"idle_warning_seconds": 0}, [(10, True)], [60, 10]),
        ({"idle_grace_seconds": 0}, [(15, False)], [45, 15]),
        ({"idle_warning_seconds": 0, "idle_grace_seconds": 0}, [], [60]),
        ({"idle_warning_seconds": 90}, [(10, True)], [60, 10]),
    ],
)
def test_a_warning_of_no_seconds_is_none(limits: dict[str, Any], warnings: Any, times: list[float]) -> None:
    talk = limited(**DEFAULTS, **limits)
    assert [rings(talk) for _ in times] == times
    assert said_of_limits(talk) == warnings
    assert talk.facts(SessionTimeout)


def test_an_alarm_that_rings_late_shortens_no_warning() -> None:
    talk = limited(**DEFAULTS)
    talk.now += HOUR
    talk.do(talk.wake())
    assert said_of_limits(talk) == [(15, False)]
    talk.now += 14
    assert not talk.do(talk.wake()).facts
    talk.now += 300
    talk.do(talk.wake())
    assert said_of_limits(talk) == [(15, False), (10, True)]
    assert not talk.do(talk.wake()).facts


@pytest.mark.parametrize("stage", [1, 2, 3])
@pytest.mark.parametrize("act", ["write", "react"])
def test_a_sign_of_life_takes_the_warning_back_and_another_may_come(stage: int, act: str) -> None:
    talk = limited(**DEFAULTS)
    for _ in range(stage):
        rings(talk)
    if act == "write":
        talk.ask("still here")
        talk.do(talk.done("fine"))
    else:
        talk.do(talk.react("wamid-1"))
    assert (talk.state.warned, talk.state.timed_out) == (None, None)
    assert rings(talk) == 45
    assert said_of_limits(talk)[-1] == (15, False)


def test_what_the_bot_says_after_a_warning_is_no_sign_of_life() -> None:
    talk = Desk(audio={"session_limits": DEFAULTS})
    asked = talk.hear_and_offer()
    talk.do(talk.reply(asked))
    assert rings(talk) == 45
    talk.now += 5
    talk.do(talk.reply("", "Are you still there?"))
    assert rings(talk) == 10
    assert said_of_limits(talk) == [(15, False), (10, True)]


def test_what_the_bot_says_before_a_warning_begins_the_silence_anew() -> None:
    talk = Desk(audio={"session_limits": DEFAULTS})
    talk.do(talk.reply(talk.hear_and_offer()))
    talk.now += 40
    talk.do(talk.reply("", "Your taxi is on its way."))
    assert rings(talk) == 45


@pytest.mark.parametrize("who", ["human", "nobody", "paused person", "paused agent"])
def test_limits_rest_while_the_bot_does_not_have_the_conversation(who: str) -> None:
    talk = limited(**DEFAULTS, max_duration_seconds=100)
    rings(talk)
    match who:
        case "human":
            talk.do(talk.pause())
        case "nobody":
            talk.ask("a person, please")
            talk.do(talk.done("One moment.", hands_over=True))
        case "paused person":
            talk.do(talk.pause_person())
        case _:
            talk.do(talk.pause_agent())
    talk.now += 0.5 * HOUR
    assert not talk.do(talk.wake()).facts
    assert talk.state.is_open
    assert (next_wake(talk.state, talk.around) or 0) > talk.now, "an alarm that changes nothing must not ring at once"


def test_limits_count_again_after_the_hand_back() -> None:
    talk = limited(**DEFAULTS)
    rings(talk)
    talk.do(talk.pause())
    talk.now += HOUR
    talk.do(talk.resume())
    assert rings(talk) == 45
    assert said_of_limits(talk)[-1] == (15, False)


def test_silence_does_not_count_while_an_answer_is_owed() -> None:
    talk = Talk(audio={"session_limits": {"idle_timeout_seconds": 1, "max_duration_seconds": 2}}, turn_timeout_s=100)
    talk.ask("a hard one")
    talk.now += 50
    assert not talk.do(talk.wake()).facts
    assert talk.is_generating


def test_a_conversation_that_lasts_too_long_ends() -> None:
    talk = limited(max_duration_seconds=600)
    for _ in range(3):
        talk.now += 190
        talk.ask("more")
        talk.do(talk.done("yes"))
    assert rings(talk) == pytest.approx(T0 + 600 - talk.log[-2].ts)
    assert [fact.reason for fact in talk.facts(SessionTimeout)] == ["max_duration"]
    rings(talk)
    assert talk.state.reason == "max_duration"


def test_a_message_after_the_last_word_is_answered_before_the_call_ends() -> None:
    talk = limited(max_duration_seconds=600)
    rings(talk)
    talk.ask("wait")
    assert not talk.do(talk.wake()).facts
    talk.do(talk.done("for what?"))
    assert talk.state.is_open
    talk.now += GOODBYE_SECONDS
    talk.do(talk.wake())
    assert talk.state.reason == "max_duration"


def test_the_agents_own_idle_time_is_replaced_by_the_limit_and_not_by_a_duration() -> None:
    talk = limited(idle_timeout_seconds=10 * HOUR)
    assert rings(talk) == 10 * HOUR - 15
    talk = limited(max_duration_seconds=10 * HOUR)
    assert rings(talk) == talk.agent.idle_timeout_s
    assert talk.state.reason == "idle_timeout"


def test_new_limits_of_a_call_count_from_now_on() -> None:
    talk = Desk(audio={"session_limits": DEFAULTS})
    talk.do(talk.reply(talk.hear_and_offer()))
    for _ in range(3):
        rings(talk)
    overrides = Overrides(audio={"session_limits": {"idle_timeout_seconds": 300}})
    talk.do(Configure(**talk.to_call(overrides=overrides)))
    assert (talk.state.warned, talk.state.timed_out) == (None, None)
    assert rings(talk) == 300 - 15 - 70


@pytest.mark.parametrize("said", [None, [], {"idle_timeout_seconds": "60"}, {"idle_timeout_seconds": -1}, {"a": True}])
def test_what_is_no_limit_is_none(said: Any) -> None:
    talk = Talk(audio={"session_limits": said} if said is not None else {})
    assert limits_of(talk.agent) == Limits()
    assert next_wake(talk.state, talk.around) == talk.now + talk.agent.idle_timeout_s


def test_a_log_with_limits_folds_to_the_same_state_whenever_it_is_read() -> None:
    talk = limited(**DEFAULTS)
    for _ in range(3):
        rings(talk)
    assert fold_all(talk.empty, talk.log) == talk.state
    assert talk.state == type(talk.state).model_validate_json(talk.state.model_dump_json(exclude_none=True))
