"""The rules of a conversation, one test each: `sessions.decide` and `sessions.fold` played by hand."""

from __future__ import annotations

from typing import Any

import pytest

from omni.model.entry import (
    BotSaid,
    CallEnded,
    CallSummary,
    Custom,
    DeliveryLost,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HumanChanged,
    HumanSaid,
    MediaStored,
    ToolAnswered,
    ToolCalled,
    TurnEnded,
    TurnStarted,
    UserEdited,
    UserRevoked,
    UserSaid,
)
from omni.model.message import Media, Message
from sessions.history import asked, lines_for
from sessions.rules.ending import next_wake
from sessions.rules.turns import owed_turn, resumed
from sessions.state import WINDOW_MARGIN
from sessions.steps import BeginTurn, LiveTurn, Step
from tests.sessions.talk import DAY, HOUR, PICTURE, T0, VOICE, AbortTurn, Dispatch, Talk, Tick, Withdraw, replace


@pytest.fixture
def talk() -> Talk:
    return Talk()


def put_to_the_brain(talk: Talk) -> str:
    """The words of the turn that is at work."""
    assert talk.turn is not None
    assert talk.is_generating
    return "|".join(message.text for message in asked(talk.state, talk.turn.answers))


def content(message: Message | None) -> Media:
    assert message is not None
    part = message.parts[0]
    assert isinstance(part, Media)
    return part


# --- what opens a turn, and when --------------------------------------------------------------------------------------


def test_turn_begins_when_the_debounce_is_over(talk: Talk) -> None:
    talk.hear()
    assert talk.turn is not None
    assert (talk.turn.phase, talk.turn.due) == ("waiting", T0 + 0.6)
    assert not talk.later(0.599).effects
    step = talk.later(0.002)
    assert [type(effect) for effect in step.effects] == [BeginTurn]


def test_rapid_messages_are_one_turn(talk: Talk) -> None:
    talk.hear("one")
    talk.later(0.5)
    talk.hear("two")
    talk.later(0.5)
    assert not talk.is_generating
    talk.later(0.1)
    assert put_to_the_brain(talk) == "one|two"


def test_debounce_has_a_cap() -> None:
    talk = Talk(debounce_ms=600, max_debounce_ms=2_000)
    for _ in range(4):
        assert not talk.is_generating
        talk.hear()
        talk.later(0.5)
    assert talk.is_generating
    assert talk.now == T0 + 2


def test_debounce_of_zero_begins_at_once() -> None:
    talk = Talk(debounce_ms=0)
    talk.hear()
    talk.do(Tick())
    assert talk.is_generating


def test_newer_message_cancels_and_joins_both_texts(talk: Talk) -> None:
    talk.ask("one")
    talk.hear("two")
    assert talk.did(AbortTurn)
    talk.later(0.6)
    assert put_to_the_brain(talk) == "one|two"
    talk.do(talk.done("both"))
    assert not talk.state.unanswered
    assert talk.words().count("turn.end") == 1


def test_who_writes_faster_than_the_brain_thinks_is_answered_all_the_same(talk: Talk) -> None:
    talk.ask("m0")
    for n in range(1, 9):
        talk.hear(f"m{n}")
        talk.later(0.6)
    asked = put_to_the_brain(talk)
    assert asked == "|".join(f"m{n}" for n in range(6))
    talk.do(talk.done("those"))
    assert len(talk.state.unanswered) == 3
    talk.settle()
    assert put_to_the_brain(talk) == "m6|m7|m8"


def test_newer_message_after_a_first_answer_asks_only_the_new_one(talk: Talk) -> None:
    talk.ask("one")
    talk.do(talk.said("about one"))
    talk.hear("two")
    assert talk.did(AbortTurn)
    talk.later(0.6)
    assert put_to_the_brain(talk) == "two"
    assert [ended.outcome for ended in talk.facts(TurnEnded)] == ["answered"]


def test_message_without_words_is_recorded_and_not_answered(talk: Talk) -> None:
    talk.hear("  \n ")
    assert talk.turn is None
    assert talk.facts(UserSaid)
    assert not talk.state.unanswered
    assert talk.state.waiting_since is None, "nobody has to answer nothing"


def test_platform_time_of_late_and_reordered_messages_never_turns_the_clock_back(talk: Talk) -> None:
    talk.hear("new", sent_at=T0)
    talk.hear("late", sent_at=T0 - 5 * HOUR)
    talk.hear("from a phone whose clock is ahead", sent_at=T0 + DAY)
    assert talk.state.last_user_at == T0
    talk.later(1)
    assert put_to_the_brain(talk).startswith("new|late|")


# --- files ------------------------------------------------------------------------------------------------------------


def test_files_are_waited_for_but_not_for_ever() -> None:
    talk = Talk(media_wait_ms=20_000)
    talk.hear("", PICTURE)
    talk.later(0.6)
    assert not talk.is_generating
    assert talk.turn is not None
    assert talk.turn.due == T0 + 20
    talk.later(19.3)
    assert not talk.is_generating
    talk.later(0.2)
    assert talk.is_generating


def test_turn_begins_as_soon_as_the_last_file_is_there(talk: Talk) -> None:
    talk.hear("", PICTURE, VOICE)
    id_ = talk.state.unanswered[0]
    talk.later(0.7)
    talk.do(talk.file_came(id_, 0))
    talk.do(Tick())
    assert not talk.is_generating
    talk.do(talk.file_came(id_, 1, transcript="what the voice said", voice=True))
    talk.do(Tick())
    assert "what the voice said" in put_to_the_brain(talk)


def test_file_that_comes_early_does_not_cut_the_debounce_short(talk: Talk) -> None:
    talk.hear("", PICTURE)
    talk.do(talk.file_came(talk.state.unanswered[0]))
    assert talk.turn is not None
    assert talk.turn.due == T0 + 0.6


def test_file_that_cannot_be_had_ends_the_waiting(talk: Talk) -> None:
    talk.hear("", PICTURE)
    talk.later(0.7)
    talk.do(talk.file_came(talk.state.unanswered[0], blob=None, problem="it expired"))
    talk.do(Tick())
    assert talk.is_generating


def test_files_are_fetched_also_while_a_person_has_the_call(talk: Talk) -> None:
    talk.do(talk.pause())
    talk.hear("", VOICE)
    assert [effect.job.part for effect in talk.effects] == [0]


def test_file_for_an_earlier_call_is_not_taken_for_this_one(talk: Talk) -> None:
    talk.do(talk.file_came("msg-of-yesterday", call="wa-0"))
    assert not talk.facts(MediaStored)


# --- edits, deletions, reactions --------------------------------------------------------------------------------------


def test_edit_is_not_a_second_question(talk: Talk) -> None:
    message = talk.ask("hous")
    talk.do(talk.done("a house?"))
    talk.do(talk.edit(message.provider_id, text="house"))
    talk.settle()
    assert talk.turn is None
    assert not talk.state.unanswered
    assert [line.content for line in lines_for(talk.state, ())] == ["house", "a house?"]


def test_edit_before_the_turn_begins_is_what_the_brain_reads(talk: Talk) -> None:
    message = talk.hear("hous")
    talk.do(talk.edit(message.provider_id, text="house"))
    talk.later(0.6)
    assert put_to_the_brain(talk) == "house"


def test_edited_caption_reaches_the_brain_with_the_stored_file(talk: Talk) -> None:
    message = talk.hear("", PICTURE)
    talk.do(talk.file_came(talk.state.unanswered[0]))
    talk.do(talk.edit(message.provider_id, PICTURE.model_copy(update={"caption": "look again"})))
    talk.later(0.6)
    assert put_to_the_brain(talk) == "[image] look again"
    assert content(talk.state.lines[0].content).blob == "blob-1"


def test_edit_of_a_message_never_seen_is_recorded(talk: Talk) -> None:
    talk.do(talk.edit("wamid-unknown", text="x"))
    (fact,) = talk.facts(UserEdited)
    assert fact.id is None
    assert not talk.state.lines


def test_revoked_message_is_not_answered(talk: Talk) -> None:
    message = talk.ask("secret")
    talk.do(talk.revoke(message.provider_id))
    assert talk.did(AbortTurn)
    talk.settle()
    assert talk.turn is None
    assert not talk.state.unanswered
    assert "secret" not in str([line.text for line in talk.state.lines])
    assert "secret" not in talk.state.last_text


def test_revoked_message_leaves_the_others_of_its_turn(talk: Talk) -> None:
    talk.hear("one")
    message = talk.hear("two")
    talk.later(0.6)
    talk.do(talk.revoke(message.provider_id))
    talk.do(Tick())
    assert put_to_the_brain(talk) == "one"


def test_file_of_a_revoked_message_does_not_bring_it_back(talk: Talk) -> None:
    message = talk.hear("", VOICE)
    id_ = talk.state.unanswered[0]
    talk.do(talk.revoke(message.provider_id))
    assert not talk.state.awaited
    talk.do(talk.file_came(id_, transcript="secret", voice=True))
    assert talk.state.lines[0].text == "[message deleted by the user]"


def test_deletion_that_came_before_its_message_deletes_it(talk: Talk) -> None:
    message = talk.heard("secret")
    talk.do(talk.revoke(message.provider_id))
    talk.do(message)
    talk.settle()
    assert talk.turn is None
    assert talk.facts(UserRevoked)
    assert "secret" not in str([line.text for line in talk.state.lines])


def test_reaction_opens_the_window_and_no_turn(talk: Talk) -> None:
    talk.now += HOUR
    talk.do(talk.react("wamid-x"))
    assert talk.turn is None
    assert talk.state.last_user_at == talk.now


# --- who may speak ----------------------------------------------------------------------------------------------------


def test_reply_is_not_sent_after_takeover(talk: Talk) -> None:
    talk.ask()
    answer = talk.done("too late")
    talk.do(talk.pause())
    assert talk.did(AbortTurn)
    assert talk.did(Withdraw)
    talk.do(answer)
    assert not talk.facts(BotSaid)
    assert talk.state.handler == "human"
    assert not talk.state.unanswered


def test_message_during_a_takeover_is_recorded_and_not_answered(talk: Talk) -> None:
    talk.do(talk.pause())
    talk.hear()
    talk.settle()
    assert talk.turn is None
    assert talk.facts(UserSaid)[0].paused
    assert talk.state.waiting_since == T0
    talk.do(talk.resume(note="be kind"))
    talk.settle()
    assert talk.turn is None, "what was said to the person is not answered after the fact"
    assert "be kind" in talk.state.lines[-1].text


def test_bot_answers_again_after_the_hand_back(talk: Talk) -> None:
    talk.do(talk.pause())
    talk.do(talk.resume())
    talk.ask("again")
    talk.do(talk.done("here I am"))
    assert talk.sent == ["here I am"]


def test_taking_over_twice_is_one_takeover(talk: Talk) -> None:
    talk.do(talk.pause())
    assert not talk.do(talk.pause()).facts
    assert talk.do(talk.pause("bob")).facts, "another person took it"
    assert talk.state.handled_by == "bob"


def test_hand_back_of_a_call_the_bot_has_is_nothing(talk: Talk) -> None:
    assert not talk.do(talk.resume()).facts


def test_stale_report_of_a_cut_turn_is_ignored(talk: Talk) -> None:
    talk.ask("one")
    answer, tool = talk.done("about one"), talk.tool()
    talk.hear("two")
    talk.do(answer)
    talk.do(tool)
    assert not talk.facts(BotSaid, ToolCalled)


def test_report_after_the_turn_was_answered_is_ignored(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.done("once", turn=1))
    assert not talk.do(talk.done("twice", turn=1)).facts


def test_answer_given_by_another_worker_ends_our_turn(talk: Talk) -> None:
    talk.ask()
    talk.append(TurnEnded(turn=1, answers=talk.state.unanswered))
    step = talk.do(talk.done("twice"))
    assert not step.facts
    assert talk.turn is None


@pytest.mark.parametrize("scope", ["agent", "person"])
def test_pause_of_agent_or_person_cuts_the_turn_and_forgoes_the_answer(talk: Talk, scope: str) -> None:
    talk.ask()
    answer = talk.done("too late")
    talk.do(talk.pause_agent() if scope == "agent" else talk.pause_person())
    assert talk.did(AbortTurn)
    assert talk.did(Withdraw)
    assert [fact.outcome for fact in talk.facts(TurnEnded)] == ["silent"]
    talk.do(answer)
    talk.do(talk.pause_agent(paused=False) if scope == "agent" else talk.pause_person(paused=False))
    talk.settle()
    assert talk.turn is None
    assert not talk.facts(BotSaid)


@pytest.mark.parametrize("report", ["said", "done", "tool"])
def test_report_that_finds_the_bot_paused_ends_the_turn(talk: Talk, report: str) -> None:
    """The agent's record may say it before the command comes: the turn must not stay at work for ever."""
    talk.ask()
    talk.pause_agent()
    talk.do(talk.tool() if report == "tool" else talk.said("x") if report == "said" else talk.done("x"))
    assert not talk.facts(BotSaid, ToolCalled)
    assert talk.turn is None
    assert not talk.state.unanswered


def test_turn_does_not_begin_while_the_bot_is_paused(talk: Talk) -> None:
    talk.hear()
    talk.pause_person()
    talk.later(0.6)
    assert not talk.did(BeginTurn)
    assert not talk.state.unanswered


def test_standby_is_never_answered(talk: Talk) -> None:
    talk.hear("for the other agent", mode="standby")
    talk.settle()
    assert talk.turn is None
    assert talk.facts(UserSaid)[0].paused
    assert talk.state.waiting_since is None


def test_persons_message_takes_the_call_over(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.send("a person here"))
    assert talk.did(AbortTurn)
    assert talk.did(Withdraw)
    assert talk.sent == ["a person here"]
    assert talk.words()[-2:] == ["handoff.active", "supervisor.said"]
    talk.hear("thanks")
    assert talk.turn is None


def test_persons_message_without_takeover_answers_and_leaves_the_bot_the_call(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.send("a person here", takes_over=False))
    assert talk.did(AbortTurn)
    assert not talk.facts(HandoffActive)
    assert not talk.state.unanswered
    talk.ask("next")
    talk.do(talk.done("the bot"))
    assert talk.sent == ["the bot"]


def test_seq_of_a_delivery_names_the_entry_that_asked_for_it(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.done("answer"))
    talk.do(talk.send("person"))
    for entry in talk.log:
        if isinstance(entry.fact, BotSaid | HumanSaid) and entry.fact.delivery is not None:
            assert entry.fact.delivery.seq == entry.seq


def test_echo_from_the_phone_takes_over(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.echo("I am typing on the phone"))
    assert talk.did(AbortTurn)
    assert not talk.sent, "it was sent already"
    assert talk.state.handled_by == "phone-app"


@pytest.mark.parametrize("because", ["agent", "standby"])
def test_echo_that_does_not_pause_only_answers(because: str) -> None:
    talk = Talk(echo_pauses=because != "agent")
    talk.ask()
    talk.do(talk.echo("answered", pauses=because != "standby"))
    assert talk.did(AbortTurn)
    assert talk.state.handler == "bot"
    assert not talk.state.unanswered


def test_echo_of_an_edit_changes_nothing_but_the_record(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.echo("x", act="edit", target="wamid-9"))
    assert talk.is_generating
    assert talk.facts(HumanChanged)


# --- answers ----------------------------------------------------------------------------------------------------------


def test_answer_is_logged_whole(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.done("hi", first_token=talk.now + 0.1))
    assert talk.words() == ["user.message", "turn.start", "bot.speaking", "bot.finished", "turn.end"]
    (ended,) = talk.facts(TurnEnded)
    assert ended.latency == {"e2e": 0.6, "first_token": 0.7}
    assert talk.sent == ["hi"]


def test_answer_in_several_messages_is_one_turn(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.said("one"))
    assert talk.state.unanswered, "the rest is still owed"
    talk.do(talk.done("two"))
    assert talk.words().count("turn.start") == talk.words().count("turn.end") == 1
    assert talk.state.bot_messages == 2


def test_fallback_text_is_sent_when_the_brain_fails() -> None:
    talk = Talk(fallback="Sorry.")
    talk.ask()
    talk.do(talk.done(error="the model is down"))
    assert talk.sent == ["Sorry."]
    assert talk.facts(TurnEnded)[0].outcome == "failed"


def test_fallback_text_does_not_follow_half_an_answer() -> None:
    talk = Talk(fallback="Sorry.")
    talk.ask()
    talk.do(talk.said("one"))
    talk.do(talk.done(error="cut"))
    assert not talk.sent
    assert talk.facts(TurnEnded)[0].outcome == "failed"


def test_without_a_fallback_text_a_failure_is_silent_and_settled() -> None:
    talk = Talk(fallback=None)
    talk.ask()
    talk.do(talk.done(error="down"))
    assert not talk.sent
    assert not talk.state.unanswered


def test_brain_that_says_nothing_has_answered(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.done())
    assert talk.facts(TurnEnded)[0].outcome == "silent"
    talk.settle()
    assert talk.turn is None


def test_handoff_ends_the_turn(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.done("a colleague comes", hands_over=True, reason="asked"))
    assert talk.words()[-2:] == ["turn.end", "handoff.requested"]
    assert (talk.state.handler, talk.state.waiting_since) == ("nobody", talk.now)
    talk.hear("hello?")
    assert talk.turn is None
    talk.do(talk.pause())
    assert talk.state.handler == "human"


def test_tool_calls_are_logged_with_their_turn(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.tool())
    talk.do(talk.tool_done())
    talk.do(talk.done("found"))
    assert talk.words()[1:5] == ["turn.start", "tool.call", "tool.result", "bot.speaking"]


def test_what_a_tool_did_is_logged_although_its_turn_was_cut(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.tool())
    talk.hear("wait")
    talk.do(talk.tool_done(turn=1))
    assert talk.facts(ToolAnswered)
    talk.later(0.6)
    assert talk.turn is not None
    assert talk.turn.number == 2, "turn 1 is in the log"


def test_two_bots_talking_are_handed_to_a_person() -> None:
    talk = Talk(debounce_ms=0, max_turns_per_minute=3)
    for _ in range(3):
        talk.hear()
        talk.do(Tick())
        talk.do(talk.done("hi"))
        talk.now += 10
    talk.hear()
    talk.do(Tick())
    assert [fact.by for fact in talk.facts(HandoffRequested)] == ["rate-guard"]
    assert talk.turn is None


def test_rate_guard_forgets_after_a_minute() -> None:
    talk = Talk(debounce_ms=0, max_turns_per_minute=3)
    for _ in range(9):
        talk.hear()
        talk.do(Tick())
        talk.do(talk.done("hi"))
        talk.now += 21
    assert not talk.facts(HandoffRequested)


# --- the service window -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("off", "is_open"), [(-1, True), (1, False)])
def test_window_closes_24_h_after_the_users_clock(talk: Talk, off: float, is_open: bool) -> None:
    talk.hear(sent_at=T0 - 3600)
    closes = talk.state.window_closes_at
    assert closes is not None
    assert closes == T0 - 3600 + DAY - WINDOW_MARGIN
    talk.do(talk.pause())
    talk.now = closes + off
    talk.do(talk.send("still there?"))
    (delivery,) = [effect.delivery for effect in talk.effects if isinstance(effect, Dispatch)]
    assert (talk.now < delivery.window_closes_at) is is_open


def test_refused_window_stays_closed_until_the_user_writes(talk: Talk) -> None:
    talk.hear()
    talk.do(talk.failed("window_closed"))
    assert talk.state.window_closes_at == 0
    talk.hear()
    assert (talk.state.window_closes_at or 0) > talk.now


def test_refusal_from_before_the_users_message_does_not_close_the_window_it_opened(talk: Talk) -> None:
    asked_at = talk.now
    talk.now += 5
    talk.hear()
    talk.do(talk.failed("window_closed", asked_at=asked_at))
    assert (talk.state.window_closes_at or 0) > talk.now
    talk.do(talk.failed("window_closed", asked_at=talk.now))
    assert talk.state.window_closes_at == 0


def test_failed_delivery_of_an_earlier_call_does_not_close_this_window(talk: Talk) -> None:
    talk.hear()
    talk.do(talk.failed("window_closed", call="wa-0"))
    assert not talk.facts(DeliveryLost)
    assert (talk.state.window_closes_at or 0) > talk.now


@pytest.mark.parametrize("opens", [True, False])
def test_notice_opens_the_window_when_the_user_acted(talk: Talk, opens: bool) -> None:
    talk.now += HOUR
    talk.do(talk.notice(opens_window=opens))
    assert talk.facts(Custom)
    assert talk.turn is None
    assert (talk.state.last_user_at == talk.now) is opens


# --- the alarm clock, and the end -------------------------------------------------------------------------------------


def rings(talk: Talk) -> float:
    at = next_wake(talk.state, talk.around)
    assert at is not None
    return at


def test_idle_call_ends(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.done("hi"))
    at = rings(talk)
    assert at == talk.now + talk.agent.idle_timeout_s
    talk.now = at - 1
    assert not talk.do(talk.wake()).facts
    talk.now = at
    talk.do(talk.wake())
    assert talk.words()[-2:] == ["call.ended", "call.summary"]
    assert talk.state.reason == "idle_timeout"
    assert next_wake(talk.state, talk.around) is None


def test_call_that_a_person_has_ends_with_the_window(talk: Talk) -> None:
    talk.hear()
    talk.do(talk.pause())
    assert rings(talk) == T0 + DAY
    talk.now = T0 + DAY
    talk.do(talk.wake())
    assert talk.state.reason == "window_expired"


def test_silent_person_hands_back_by_itself() -> None:
    talk = Talk(handoff_idle_s=900)
    talk.hear()
    talk.do(talk.pause())
    talk.do(talk.send("one moment"))
    talk.now = rings(talk)
    assert talk.now == T0 + 900
    talk.do(talk.wake())
    assert [fact.by for fact in talk.facts(HandoffReleased)] == ["idle"]
    assert talk.state.is_open
    assert talk.state.handler == "bot"


def test_handover_that_nobody_took_is_not_handed_back_by_itself() -> None:
    talk = Talk(handoff_idle_s=900)
    talk.ask()
    talk.do(talk.done(hands_over=True))
    talk.now += 1000
    assert not talk.do(talk.wake()).facts


def test_turn_owed_by_a_dead_worker_is_started_by_the_alarm(talk: Talk) -> None:
    talk.hear()
    talk.turn = None  # its worker died
    talk.now = rings(talk)
    talk.do(talk.wake())
    talk.settle()
    assert talk.is_generating


def test_turn_owed_while_paused_is_forgone(talk: Talk) -> None:
    talk.hear()
    talk.turn = None
    talk.pause_agent()
    talk.do(talk.wake())
    assert not talk.state.unanswered
    assert talk.facts(TurnEnded)[0].outcome == "silent"


def test_alarm_during_a_turn_changes_nothing(talk: Talk) -> None:
    talk.ask()
    talk.now += 10 * HOUR
    assert talk.do(talk.wake()) == Step(turn=talk.turn)


def test_summary_seals_the_log(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.end())
    assert talk.did(AbortTurn)
    assert talk.state.is_sealed
    later: list[Any] = [talk.heard(), talk.pause(), talk.done("late", turn=1), talk.send("x"), talk.wake(), Tick()]
    assert not any(talk.do(happening).facts for happening in later)
    assert talk.turn is None
    assert isinstance(talk.log[-1].fact, CallSummary)


def test_end_of_an_earlier_call_does_not_end_this_one(talk: Talk) -> None:
    talk.do(talk.end(call="wa-0"))
    assert talk.state.is_open


def test_brain_ends_the_call_after_its_last_words(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.done("bye", ends_call=True, reason="completed"))
    assert talk.sent == ["bye"]
    assert talk.words()[-3:] == ["turn.end", "call.ended", "call.summary"]
    (summary,) = talk.facts(CallSummary)
    assert summary.metrics["bot_messages"] == 1
    assert summary.metrics["turns"] == 1
    assert talk.facts(CallEnded)[0].duration == 0.6


# --- a turn in memory after the log was read again --------------------------------------------------------------------


def test_turn_at_work_goes_on_when_the_log_still_owes_it(talk: Talk) -> None:
    talk.ask()
    assert resumed(talk.state, talk.turn, talk.around) == talk.turn


def test_turn_at_work_is_begun_anew_when_the_log_owes_more(talk: Talk) -> None:
    talk.ask()
    turn = talk.turn
    assert turn is not None
    talk.turn = None
    talk.hear("two")  # logged by another worker
    again = resumed(talk.state, turn, talk.around)
    assert again == replace(turn, phase="waiting", answers=())


def test_answered_turn_is_not_owed(talk: Talk) -> None:
    assert owed_turn(talk.state, talk.around) is None
    assert resumed(talk.state, LiveTurn(1, "generating", T0, T0, ("msg-x",)), talk.around) is None


def test_turn_started_is_logged_before_the_first_word(talk: Talk) -> None:
    talk.ask()
    assert not talk.facts(TurnStarted)
    talk.do(talk.said("x"))
    assert talk.words()[1:3] == ["turn.start", "bot.speaking"]
