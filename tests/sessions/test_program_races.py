"""Turns that a program was asked, and that another brain, a person or nobody answers after all."""

from __future__ import annotations

import pytest

from omni.model.entry import BotSaid, Fact, TurnContinued, TurnEnded, TurnStarted, UserRevoked, UserSaid
from omni.model.inbound import EditHistory
from sessions.fold import fold_all
from sessions.history import asked
from sessions.rules.program import ALONE_SECONDS, OFFER_EVERY
from sessions.rules.turns import owed_turn
from tests.sessions.talk import Desk, Tick


@pytest.fixture
def desk() -> Desk:
    return Desk()


def texts(desk: Desk) -> list[str]:
    return [said.text for said in desk.facts(BotSaid)]


def since(desk: Desk, place: int) -> list[Fact]:
    return [entry.fact for entry in desk.log[place:]]


def test_a_reply_to_what_was_asked_before_a_person_took_over_is_rejected_afterwards(desk: Desk) -> None:
    desk.do(desk.reply(desk.hear_and_offer("one"), "first"))
    id_ = desk.hear_and_offer("two")
    desk.do(desk.pause())
    desk.do(desk.resume())
    desk.do(desk.reply(id_, "late"))
    assert texts(desk) == ["first"]


def test_what_a_person_has_answered_without_taking_over_the_program_does_not_answer_too(desk: Desk) -> None:
    desk.do(desk.reply(desk.hear_and_offer("one"), "first"))
    id_ = desk.hear_and_offer("two")
    desk.do(desk.send("a person", takes_over=False))
    desk.do(desk.reply(id_, "late"))
    assert texts(desk) == ["first"]


def test_a_program_does_not_go_on_with_its_answer_after_a_person_wrote(desk: Desk) -> None:
    id_ = desk.hear_and_offer("one")
    desk.do(desk.reply(id_, "first"))
    desk.do(desk.send("a person", takes_over=False))
    desk.do(desk.reply(id_, "second"))
    assert texts(desk) == ["first"]


def test_a_nameless_program_does_not_answer_after_the_fallback(desk: Desk) -> None:
    desk.since = None
    id_ = desk.hear_and_offer()
    desk.later(ALONE_SECONDS + 1)
    desk.do(desk.reply(id_, "late", program=""))
    assert texts(desk) == [desk.agent.fallback]


def test_a_message_that_was_taken_back_is_not_answered(desk: Desk) -> None:
    desk.do(desk.reply(desk.hear_and_offer("one"), "first"))
    heard = desk.hear("two")
    desk.do(Tick())
    id_ = desk.facts(UserSaid)[-1].id
    before = len(desk.log)
    desk.do(desk.revoke(heard.provider_id))
    assert [type(fact) for fact in since(desk, before)] == [TurnContinued, UserRevoked]
    desk.do(desk.reply(id_, "late"))
    assert texts(desk) == ["first"]
    assert desk.turn is None


def test_when_the_newest_message_is_taken_back_the_one_before_is_asked_about_at_once(desk: Desk) -> None:
    first = desk.hear_and_offer("one")
    heard = desk.hear("two")
    desk.do(Tick())
    before = len(desk.log)
    desk.do(desk.revoke(heard.provider_id))
    desk.settle()
    assert [type(fact) for fact in since(desk, before)] == [TurnContinued, UserRevoked, TurnStarted]
    started = desk.facts(TurnStarted)[-1]
    assert (started.turn, started.answers, started.text) == (1, (first,), "one")
    desk.do(desk.reply(first, "answer"))
    assert texts(desk) == ["answer"]


def test_when_an_older_message_is_taken_back_the_program_is_not_asked_twice_about_the_newest(desk: Desk) -> None:
    heard = desk.hear("one")
    newest = desk.hear_and_offer("two")
    before = len(desk.log)
    desk.do(desk.revoke(heard.provider_id))
    desk.settle()
    assert [type(fact) for fact in since(desk, before)] == [UserRevoked]
    desk.do(desk.reply(newest, "answer"))
    assert desk.facts(TurnEnded)[-1].answers == (newest,)


def test_a_user_who_goes_on_when_the_worker_has_just_died_continues_the_turn(desk: Desk) -> None:
    desk.hear_and_offer("I want")
    desk.turn = owed_turn(desk.state, desk.around)
    desk.hear_and_offer("two pizzas")
    assert [fact.turn for fact in desk.facts(TurnContinued)] == [1]
    assert [fact.turn for fact in desk.facts(TurnStarted)] == [1, 1]


def test_a_reply_that_comes_when_the_worker_has_just_died_ends_the_turn_it_answers(desk: Desk) -> None:
    id_ = desk.hear_and_offer()
    desk.turn = owed_turn(desk.state, desk.around)
    desk.do(desk.reply(id_))
    assert (desk.facts(BotSaid)[-1].turn, desk.facts(TurnEnded)[-1].turn) == (1, 1)
    assert desk.turn is None


def test_a_turn_that_is_offered_when_the_bot_is_paused_ends_under_its_number(desk: Desk) -> None:
    desk.hear_and_offer()
    desk.pause_agent()
    desk.later(OFFER_EVERY)
    assert [(fact.turn, fact.outcome) for fact in desk.facts(TurnEnded)] == [(1, "silent")]


def test_a_program_that_was_asked_is_not_asked_any_more_once_a_model_answers(desk: Desk) -> None:
    id_ = desk.hear_and_offer()
    desk.do(desk.configure(brain="llm"))
    desk.settle()
    assert desk.is_generating
    assert [fact.turn for fact in desk.facts(TurnContinued)] == [1]
    desk.do(desk.reply(id_, "late"))
    desk.do(desk.done("the model's"))
    desk.do(desk.reply(id_, "later"))
    assert texts(desk) == ["the model's"]
    assert [fact.turn for fact in desk.facts(TurnStarted)] == [1, 2]


def test_a_reply_that_is_quicker_than_the_change_of_brain_is_the_answer(desk: Desk) -> None:
    id_ = desk.hear_and_offer()
    desk.agent = desk.agent.model_copy(update={"brain": "llm"})
    desk.do(desk.reply(id_, "hi"))
    assert desk.outcomes() == ["answered"]
    assert desk.turn is None
    desk.later(OFFER_EVERY)
    assert texts(desk) == ["hi"]


def test_what_a_model_answers_the_program_does_not_answer_too() -> None:
    desk = Desk(brain="llm")
    desk.ask("hello")
    desk.do(desk.configure(brain="client"))
    id_ = desk.facts(UserSaid)[-1].id
    desk.do(desk.reply(id_, "the program's"))
    desk.do(desk.done("the model's"))
    assert texts(desk) == ["the model's"]
    assert not desk.is_generating
    desk.do(desk.reply(desk.hear_and_offer("and now?"), "the program's"))
    assert texts(desk) == ["the model's", "the program's"]


def test_a_tool_may_speak_while_the_model_is_at_work() -> None:
    desk = Desk(brain="llm")
    desk.ask("hello")
    desk.do(desk.reply(desk.facts(UserSaid)[-1].id, "one moment"))
    assert desk.is_generating
    desk.do(desk.done("here it is"))
    assert texts(desk) == ["one moment", "here it is"]


def test_who_goes_on_again_and_again_before_an_answer_is_no_bot() -> None:
    desk = Desk(max_turns_per_minute=3)
    for word in ["one", "two", "three", "four", "five"]:
        desk.hear_and_offer(word)
    assert desk.state.handler == "bot"
    assert desk.turn is not None
    assert desk.turn.phase == "offered"


def test_a_question_is_not_forgotten_for_a_long_history(desk: Desk) -> None:
    desk.hear_and_offer("what was it?")
    old = ({"role": "user", "content": "before"},) * 200
    desk.do(EditHistory(**desk.to_call(act="add", messages=old)))
    assert [message.text for message in asked(desk.state, desk.state.unanswered)] == ["what was it?"]
    assert fold_all(desk.empty, desk.log) == desk.state
