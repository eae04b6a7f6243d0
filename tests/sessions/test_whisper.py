"""A supervisor tells the bot something that the customer does not see."""

from __future__ import annotations

from omni.model.entry import HumanWhispered
from omni.model.inbound import Whisper
from sessions.history import lines_for
from tests.sessions.talk import Talk


def test_the_bot_hears_it_and_the_customer_does_not() -> None:
    talk = Talk()
    step = talk.do(Whisper(**talk.to_call(by="eva", text="She is a VIP.")))
    assert step.facts == (HumanWhispered(text="She is a VIP.", by="eva"),)
    assert step.effects == ()
    [line] = [line.wire() for line in lines_for(talk.state, ())]
    assert line == {"role": "system", "content": "A colleague tells you, and not the user: She is a VIP."}


def test_it_changes_nothing_about_who_answers() -> None:
    talk = Talk()
    talk.hear("hello")
    before = (talk.state.handler, talk.state.unanswered, talk.turn)
    talk.do(Whisper(**talk.to_call(by="eva", text="be kind")))
    assert (talk.state.handler, talk.state.unanswered, talk.turn) == before


def test_what_was_whispered_to_an_earlier_call_is_not_for_the_next() -> None:
    talk = Talk()
    step = talk.do(Whisper(**(talk.to_call(by="eva", text="be kind") | {"call": "wa-0"})))
    assert step.facts == ()
