"""A connected program: turns offered to it, what it may say, and what becomes of a turn it does not answer."""

from __future__ import annotations

import pytest

from omni.model.entry import BotSaid, ReplyRejected, TurnContinued, TurnEnded, TurnStarted, UserSaid
from omni.model.inbound import ProgramArrived
from sessions.rules.program import ALONE_SECONDS, OFFER_EVERY
from sessions.rules.turns import owed_turn, resumed
from sessions.steps import OfferAgain
from tests.sessions.talk import Desk, Tick


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_turn_is_offered_with_the_words_it_is_about(desk: Desk) -> None:
    id_ = desk.hear_and_offer("where is my order?")
    started = desk.facts(TurnStarted)[-1]
    assert (started.turn, started.answers, started.offered, started.text) == (1, (id_,), True, "where is my order?")
    assert desk.turn is not None
    assert desk.turn.phase == "offered"


def test_the_reply_ends_the_turn_under_its_own_id(desk: Desk) -> None:
    reply = desk.reply(desk.hear_and_offer(), "soon")
    desk.do(reply)
    said = desk.facts(BotSaid)[-1]
    assert (said.id, said.text) == (reply.message_id, "soon")
    assert desk.outcomes() == ["answered"]
    assert desk.state.unanswered == ()
    assert desk.turn is None
    assert desk.sent == ["soon"]


def test_a_second_reply_of_the_same_program_is_said_too(desk: Desk) -> None:
    id_ = desk.hear_and_offer()
    desk.do(desk.reply(id_, "one moment"))
    desk.do(desk.reply(id_, "here it is"))
    assert [said.text for said in desk.facts(BotSaid)] == ["one moment", "here it is"]
    assert desk.outcomes() == ["answered"]


def test_of_two_connections_with_the_same_turn_one_answers(desk: Desk) -> None:
    id_ = desk.hear_and_offer()
    desk.do(desk.reply(id_, "first", program="c1"))
    desk.do(desk.reply(id_, "again", program="c2"))
    assert [said.text for said in desk.facts(BotSaid)] == ["first"]
    assert desk.facts(ReplyRejected)[-1].in_reply_to == id_


def test_a_reply_to_what_the_user_has_gone_on_from_is_rejected(desk: Desk) -> None:
    old = desk.hear_and_offer("I want")
    desk.hear("two pizzas")
    new = desk.facts(UserSaid)[-1].id
    desk.do(desk.reply(old, "sure, what?"))
    rejected = desk.facts(ReplyRejected)[-1]
    assert (rejected.in_reply_to, rejected.expected) == (old, new)
    assert not desk.facts(BotSaid)


def test_a_user_who_goes_on_continues_the_turn_under_its_number(desk: Desk) -> None:
    first = desk.hear_and_offer("I want")
    second = desk.hear_and_offer("two pizzas")
    assert [fact.turn for fact in desk.facts(TurnContinued)] == [1]
    started = desk.facts(TurnStarted)
    assert [(fact.turn, fact.answers) for fact in started] == [(1, (first,)), (1, (first, second))]
    assert started[-1].text == "I want\ntwo pizzas"
    desk.do(desk.reply(second))
    assert desk.facts(TurnEnded)[-1].answers == (first, second)


def test_speaking_beside_the_turn_does_not_end_it(desk: Desk) -> None:
    id_ = desk.hear_and_offer()
    desk.do(desk.reply("", "one moment"))
    assert desk.state.unanswered == (id_,)
    assert not desk.outcomes()
    desk.do(desk.reply(id_, "done"))
    assert [said.text for said in desk.facts(BotSaid)] == ["one moment", "done"]


def test_nothing_to_say_ends_the_turn_in_silence(desk: Desk) -> None:
    desk.do(desk.reply(desk.hear_and_offer(), None))
    assert desk.outcomes() == ["silent"]
    assert not desk.facts(BotSaid)


def test_a_program_that_fails_ends_the_turn_with_the_fallback_once(desk: Desk) -> None:
    id_ = desk.hear_and_offer()
    desk.do(desk.broken(id_))
    assert desk.sent == [desk.agent.fallback]
    (ended,) = desk.facts(TurnEnded)
    assert (ended.outcome, ended.answers, ended.error) == ("failed", (id_,), "the program failed: ValueError")
    assert [said.turn for said in desk.facts(BotSaid)] == [ended.turn]
    assert (desk.turn, desk.state.unanswered) == (None, ())
    assert not desk.do(desk.broken(id_)).facts


def test_without_a_fallback_a_program_that_fails_ends_the_turn_without_a_word() -> None:
    desk = Desk(fallback=None)
    desk.do(desk.broken(desk.hear_and_offer()))
    assert desk.outcomes() == ["failed"]
    assert not desk.facts(BotSaid)


@pytest.mark.parametrize("case", ["replied", "nothing to say", "the user went on", "paused", "the model has it", "say"])
def test_a_failure_that_nobody_waits_for_does_nothing(desk: Desk, case: str) -> None:
    id_ = desk.hear_and_offer()
    match case:
        case "replied":
            desk.do(desk.reply(id_))
        case "nothing to say":
            desk.do(desk.reply(id_, None))
        case "the user went on":
            desk.hear("and another thing")
        case "paused":
            desk.do(desk.pause())
        case "the model has it":
            desk.do(desk.configure(brain="llm"))
            desk.do(Tick())
            assert desk.is_generating
        case _:
            id_ = ""
    turn = desk.turn
    step = desk.do(desk.broken(id_))
    assert (step.facts, step.effects, desk.turn) == ((), (), turn)


def test_a_failure_before_the_cue_counts(desk: Desk) -> None:
    desk.agent = desk.agent.model_copy(update={"debounce_ms": 600})
    desk.hear("hello")
    desk.do(desk.broken(desk.facts(UserSaid)[-1].id))
    assert desk.words()[1:] == ["turn.start", "bot.speaking", "bot.finished", "turn.end"]
    assert desk.turn is None


def test_what_a_program_that_failed_still_says_is_said(desk: Desk) -> None:
    id_ = desk.hear_and_offer()
    desk.do(desk.broken(id_))
    desk.do(desk.reply(id_, "found it after all"))
    assert desk.sent == ["found it after all"]


def test_a_reply_before_its_cue_counts(desk: Desk) -> None:
    desk.agent = desk.agent.model_copy(update={"debounce_ms": 600})
    desk.hear("hello")
    desk.do(desk.reply(desk.facts(UserSaid)[-1].id, "hi"))
    assert desk.turn is None
    assert desk.outcomes() == ["answered"]
    assert [fact.offered for fact in desk.facts(TurnStarted)] == [False]


def test_a_program_says_nothing_while_a_person_has_the_call(desk: Desk) -> None:
    id_ = desk.hear_and_offer()
    desk.do(desk.pause())
    desk.do(desk.reply(id_))
    desk.do(desk.reply(""))
    assert not desk.facts(BotSaid)
    assert len(desk.facts(ReplyRejected)) == 2


def test_what_is_not_for_the_model_is_not_in_its_memory(desk: Desk) -> None:
    desk.do(desk.reply("", "a joke", in_history=False))
    assert [said.text for said in desk.facts(BotSaid)] == ["a joke"]
    assert all(line.text != "a joke" for line in desk.state.lines)


def test_an_offer_is_told_again_and_again(desk: Desk) -> None:
    desk.hear_and_offer()
    assert not desk.later(OFFER_EVERY - 0.1).effects
    assert desk.later(0.2).effects == (OfferAgain(1),)
    assert len(desk.facts(TurnStarted)) == 1


def test_a_program_that_comes_is_offered_the_turn_at_once(desk: Desk) -> None:
    desk.hear_and_offer()
    came = ProgramArrived(**desk.head(partition=0))
    assert desk.do(came).effects == (OfferAgain(1),)
    desk.do(desk.reply(desk.facts(UserSaid)[-1].id))
    assert desk.do(came).effects == ()


def test_a_program_that_says_nothing_is_not_waited_for_for_ever(desk: Desk) -> None:
    desk.hear_and_offer()
    desk.later(desk.agent.turn_timeout_s + 1)
    assert desk.outcomes() == ["silent"]
    assert not desk.facts(BotSaid)


def test_its_patience_begins_when_the_program_came(desk: Desk) -> None:
    desk.since = None
    desk.hear_and_offer()
    desk.later(200)
    desk.since = desk.now
    desk.later(desk.agent.turn_timeout_s - 1)
    assert not desk.outcomes()
    desk.later(OFFER_EVERY)
    assert desk.outcomes() == ["silent"]


def test_the_fallback_speaks_once_for_a_program_that_does_not_come(desk: Desk) -> None:
    desk.since = None
    desk.hear_and_offer()
    desk.later(ALONE_SECONDS - 1)
    assert not desk.facts(BotSaid)
    desk.later(OFFER_EVERY)
    assert [said.text for said in desk.facts(BotSaid)] == [desk.agent.fallback]
    assert desk.outcomes() == ["failed"]
    desk.later(ALONE_SECONDS)
    assert len(desk.facts(BotSaid)) == 1


def test_a_worker_that_takes_the_call_over_offers_the_same_turn(desk: Desk) -> None:
    desk.hear_and_offer()
    desk.turn = owed_turn(desk.state, desk.around)
    step = desk.do(Tick())
    assert step.facts == ()
    assert step.effects == (OfferAgain(1),)
    assert resumed(desk.state, desk.turn, desk.around) == desk.turn
