"""The rules of a call with sound, without any sound: what its voice reports, and what that makes of the log."""

from __future__ import annotations

from typing import Any

from omni.model.entry import (
    BotCorrected,
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallEnded,
    CallRejected,
    CallRinging,
    CallStarted,
    HandoffActive,
    ReplyRejected,
    TurnContinued,
    TurnEnded,
    TurnStarted,
    UserSaid,
)
from omni.model.inbound import EndCall, Pause, ProgramReply, ProgramStream, SendMessage
from omni.model.message import Message
from sessions.history import lines_for
from sessions.state import CallState
from sessions.steps import (
    AbortTurn,
    BeginTurn,
    CallAnswered,
    CallOver,
    HangUp,
    Speak,
    SpeakAlong,
    SpokenTurn,
    Tick,
    TurnCut,
    TurnDone,
    WentOn,
    Withdraw,
    Witnessed,
)
from tests.sessions.talk import Talk


class Spoken(Talk):
    """A telephone call; `rings` before anybody has answered it."""

    def __init__(self, *, rings: bool = False, **agent: Any) -> None:
        super().__init__(**agent)
        channel = "phone:+49301000"
        self.log.clear()
        self.state = CallState(
            id="wa-1",
            org="default",
            agent="desk",
            channel=channel,
            transport="phone",
            conversation=f"default/desk/{channel}/ct-1",
            contact="ct-1",
            home="voice:w1",
        )
        ends = {"direction": "inbound", "from": "+4917", "to": "+49301000", "channel": channel, "contact": "ct-1"}
        self.append((CallRinging if rings else CallStarted).model_validate(ends))

    def speak(self, message: str, text: str, turn: int = 1, replaces: str | None = None) -> None:
        self.do(SpokenTurn(self.new_id("k"), turn, message, text, 0.9, 0.7, 200.0, 600.0, "en", replaces))

    def saw(self, *facts: Any) -> None:
        self.do(Witnessed(self.new_id("k"), facts))

    def went_on(self, was: str, message: str, turn: int = 1) -> None:
        self.do(WentOn(self.new_id("k"), turn, was, message))

    def stream(self, act: Any, to: str = "", **more: Any) -> None:
        self.do(ProgramStream(**self.to_call(message_id="m1", act=act, in_reply_to=to, **more)))

    def history(self) -> list[tuple[str, str]]:
        return [(line.role, line.content) for line in lines_for(self.state, ())]


def test_a_turn_is_put_to_the_brain_at_once():
    talk = Spoken()
    talk.speak("m1", "book a table")
    assert [type(fact) for fact in talk.facts(UserSaid, TurnStarted)] == [UserSaid, TurnStarted]
    assert talk.did(BeginTurn)
    assert talk.is_generating
    assert talk.turn is not None
    assert talk.turn.answers == ("m1",)


def test_a_turn_that_goes_on_is_one_turn_in_the_history():
    talk = Spoken()
    talk.speak("m1", "book a table")
    talk.went_on("m1", "m2")
    assert talk.did(AbortTurn)
    assert talk.effects[0].answers == ("m1",), "only what answered the old words is cut"
    talk.speak("m2", "book a table for four", replaces="m1")
    assert talk.history() == [("user", "book a table for four")]
    assert talk.state.unanswered == ("m2",)
    assert [fact.turn for fact in talk.facts(TurnStarted)] == [1, 1]


def test_words_that_were_only_guessed_at_leave_the_turn_before_alone():
    talk = Spoken()
    talk.speak("m1", "book a table")
    talk.went_on("guess", "m2", turn=2)
    assert talk.is_generating
    assert not talk.did(AbortTurn)
    talk.do(TurnDone(talk.new_id("rep"), 1, has_spoken=True))
    assert [(fact.turn, fact.outcome) for fact in talk.facts(TurnEnded)] == [(1, "answered")]


def test_words_that_were_only_guessed_at_leave_a_program_its_turn():
    talk = Spoken(brain="client")
    talk.speak("m1", "book a table")
    talk.went_on("guess", "m2", turn=2)
    assert talk.state.offered is not None
    talk.do(ProgramReply(**talk.to_call(message_id="r1", in_reply_to="m1", message=Message.of("for how many"))))
    assert talk.facts(ReplyRejected) == []
    assert talk.did(Speak)


def test_the_history_has_what_was_heard():
    talk = Spoken()
    talk.speak("m1", "tell me")
    talk.saw(BotSaid(id="b1", text="one two three", turn=1))
    assert talk.history() == [("user", "tell me")], "not before it is heard"
    talk.saw(
        BotInterrupted(
            id="b1", text="one two", at_word=2, played_ms=2400, last_word="two", reason="user_spoke", kept=True
        )
    )
    assert talk.history()[-1] == ("assistant", "one two")
    assert [fact.supersedes for fact in talk.facts(BotCorrected)] == [talk.log[3].seq]
    talk.saw(BotSaid(id="b2", text="four five", turn=1))
    talk.saw(
        BotInterrupted(id="b2", text="four", at_word=1, played_ms=300, last_word="four", reason="early", kept=False)
    )
    assert talk.history()[-1] == ("assistant", "one two"), "what was cut early was never said"
    talk.saw(BotSaid(id="b3", text="six", turn=1))
    talk.saw(BotFinished(id="b3", text="six seven", duration_ms=900))
    assert talk.history()[-1] == ("assistant", "six seven")


def test_an_interruption_ends_the_turn_that_was_being_answered_and_no_other():
    talk = Spoken()
    talk.speak("m1", "tell me")
    talk.do(TurnCut(talk.new_id("k"), 7))
    assert talk.is_generating
    talk.do(TurnCut(talk.new_id("k"), 1))
    assert talk.did(AbortTurn)
    assert [fact.turn for fact in talk.facts(TurnEnded)] == [1]
    assert talk.state.unanswered == ()


def test_what_is_said_while_a_person_has_the_call_is_written_down_alone():
    talk = Spoken()
    talk.speak("m1", "tell me")
    talk.do(Pause(**talk.to_call(by="ann")))
    assert talk.did(AbortTurn)
    assert talk.did(Withdraw)
    talk.speak("m2", "who is there", turn=2)
    assert talk.facts(UserSaid)[-1].paused
    assert not talk.did(BeginTurn)
    assert talk.turn is None


def test_a_persons_words_are_spoken_behind_the_silence_of_the_bot():
    talk = Spoken()
    talk.speak("m1", "tell me")
    talk.do(SendMessage(**talk.to_call(by="ann", message=Message.of("ann here"))))
    assert [type(effect) for effect in talk.effects] == [AbortTurn, Withdraw, Speak]
    assert not talk.effects[-1].is_logged
    assert talk.facts(HandoffActive)
    assert talk.sent == []


def test_a_stream_ends_its_turn_as_it_begins_and_is_rejected_when_it_comes_too_late():
    talk = Spoken(brain="client")
    talk.speak("m1", "book a table")
    talk.stream("start", "m1")
    assert [type(effect) for effect in talk.effects] == [SpeakAlong]
    assert talk.effects[0].turn == 1
    assert [fact.turn for fact in talk.facts(TurnEnded)] == [1]
    talk.stream("add", text="for ")
    assert (talk.effects[0].act, talk.effects[0].text) == ("add", "for ")
    talk.stream("end", error="it broke")
    assert talk.effects[0].fallback == talk.agent.fallback
    talk.speak("m2", "are you there", turn=2)
    talk.stream("start", "m1")
    assert not talk.did(SpeakAlong)
    assert [(fact.in_reply_to, fact.expected) for fact in talk.facts(ReplyRejected)] == [("m1", "m2")]


def test_a_program_that_never_comes_costs_the_caller_fifteen_seconds():
    talk = Spoken(brain="client", fallback="nobody is here")
    talk.speak("m1", "book a table")
    for _ in range(2):
        talk.later(5)
        assert not talk.did(HangUp)
    talk.later(6)
    assert [type(effect) for effect in talk.effects] == [Speak, HangUp]
    assert talk.effects[1].after_speech
    assert talk.facts(TurnEnded)[-1].outcome == "failed"


def test_a_call_that_rings_begins_once():
    talk = Spoken(rings=True)
    assert talk.state.is_ringing
    talk.do(CallAnswered(talk.new_id("k"), "+49301000"))
    talk.do(CallAnswered(talk.new_id("k"), "+49301000"))
    assert len(talk.facts(CallStarted)) == 1
    assert not talk.state.is_ringing


def test_a_call_that_nobody_took_lasted_no_time():
    for reason, rejects in (("busy", True), ("rejected", True), ("canceled", False)):
        talk = Spoken(rings=True)
        talk.now += 20
        talk.do(CallOver(talk.new_id("k"), reason, {}))
        assert bool(talk.facts(CallRejected)) == rejects
        assert [(fact.reason, fact.duration) for fact in talk.facts(CallEnded)] == [(reason, 0)]


def test_nothing_follows_the_end():
    talk = Spoken()
    talk.speak("m1", "book a table")
    talk.do(CallOver(talk.new_id("k"), "hangup", {"e2e": {"p50": 0.3}}))
    assert talk.did(AbortTurn)
    ended = len(talk.log)
    talk.saw(BotSaid(id="b1", text="late", turn=1))
    talk.speak("m2", "late", turn=2)
    talk.do(TurnDone(talk.new_id("rep"), 1, has_spoken=True))
    talk.do(Tick())
    assert len(talk.log) == ended
    assert talk.log[-1].fact.metrics["e2e"] == {"p50": 0.3}


def test_an_operator_ends_a_call_by_asking_its_voice():
    talk = Spoken()
    talk.do(EndCall(**talk.to_call(by="ann", reason="hangup")))
    assert [effect.reason for effect in talk.effects] == ["hangup"]
    assert talk.facts(CallEnded) == [], "its voice says when it is over"


def test_a_continued_turn_that_never_started_changes_nothing():
    talk = Spoken()
    talk.went_on("guess", "m1", turn=1)
    assert [fact.was for fact in talk.facts(TurnContinued)] == ["guess"]
    assert talk.state.continued_turn is None
