"""One person on two channels: what they write while they speak is answered once, aloud; what the bot writes beside a
call goes where it may."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from omni.model.agent import Agent
from omni.model.behaviour import Tool
from omni.model.call import Call
from omni.model.contact import Contact, Identity, IdentityKind, Sender
from omni.model.entry import BotSaid, ContactChanged, ReplyRejected, UserSaid, UserWrote
from omni.model.inbound import GoneElsewhere, PersonWrote, WriteTo
from omni.model.message import Message
from sessions.history import lines_for
from sessions.past import spoken_in
from sessions.rules.takeover import taken_over
from sessions.steps import Around, Bring, LiveTurn
from sessions.writing import where
from tests.sessions.talk import ANA, T0, Talk

PHONE = "phone:+12025550142"


def a_call(**more: Any) -> Call:
    given = {
        "id": "CA1", "agent": "desk", "channel": PHONE, "transport": "phone",
        "conversation": f"default/desk/{PHONE}/ct-1",
        "contact": "ct-1", "home": "voice:w1", "started_at": T0, **more,
    }  # fmt: skip
    return Call.model_validate(given)


class Beside(Talk):
    """A conversation in writing whose person is on the phone with the same agent (or not: `spoken` None)."""

    spoken: Call | None = a_call()

    @property
    def around(self) -> Around:
        return replace(super().around, spoken=self.spoken)


@pytest.fixture
def talk() -> Beside:
    return Beside()


def brought(talk: Talk) -> list[PersonWrote]:
    return [each.wrote for each in talk.effects if isinstance(each, Bring)]


# --- what they write while they speak ---------------------------------------------------------------------------------


def test_what_is_written_in_a_call_is_brought_there_and_not_answered_here(talk: Beside) -> None:
    talk.hear("Main Street 7")
    (wrote,) = brought(talk)
    assert (wrote.call, wrote.home, wrote.channel) == ("CA1", "voice:w1", PHONE)
    assert (wrote.text, wrote.on, wrote.beside) == ("Main Street 7", talk.state.channel, talk.state.id)
    assert talk.turn is None
    assert talk.state.unanswered == ()
    assert talk.state.waiting_since is None, "nobody needs to look after it"
    assert talk.state.lines[-1].text == "Main Street 7", "the bot here knows of it later"


def test_it_is_brought_once_however_often_it_comes(talk: Beside) -> None:
    message = talk.hear("hello")
    first = brought(talk)
    talk.do(message)
    assert [one.key for one in first] == [one.key for one in brought(talk)], "the call takes a key once"


def test_after_the_call_the_bot_answers_in_writing_again(talk: Beside) -> None:
    talk.hear("Main Street 7")
    talk.spoken = None
    talk.hear("and now?")
    assert brought(talk) == []
    assert talk.turn is not None


def test_a_colleague_who_has_the_conversation_keeps_it_and_the_call_knows_all_the_same(talk: Beside) -> None:
    for fact in taken_over(talk.state, None, "ann").facts:
        talk.append(fact)
    talk.hear("Main Street 7")
    assert len(brought(talk)) == 1
    (said,) = talk.facts(UserSaid)
    assert said.mode == "live"
    assert talk.state.waiting_since is not None, "the colleague sees that somebody waits"


def test_in_a_group_and_where_somebody_else_answers_nothing_is_brought(talk: Beside) -> None:
    talk.hear("hi all", group="g1")
    assert brought(talk) == []
    talk.hear("hi", mode="standby")
    assert brought(talk) == []


# --- in the call ------------------------------------------------------------------------------------------------------


class Spoken(Talk):
    """The call."""

    def __init__(self, **agent: Any) -> None:
        super().__init__(**agent)
        self.state = self.state.model_copy(update={"id": "CA1", "transport": "phone", "channel": PHONE})


def wrote(text: str, **more: Any) -> PersonWrote:
    given = {
        "key": "w1@CA1", "agent": "desk", "channel": PHONE, "at": T0, "call": "CA1", "home": "voice:w1",
        "message_id": "msg_1", "on": "whatsapp:100", "beside": "wa-1", "text": text, "sent_at": T0, **more,
    }  # fmt: skip
    return PersonWrote.model_validate(given)


def test_the_brain_reads_what_was_written_from_its_next_turn_on() -> None:
    call = Spoken()
    call.do(wrote("Main Street 7"))
    (fact,) = call.facts(UserWrote)
    assert (fact.text, fact.channel, fact.beside) == ("Main Street 7", "whatsapp:100", "wa-1")
    (line,) = lines_for(call.state, ())
    assert (line.role, line.content) == ("system", "The user wrote to you on WhatsApp, while you speak: Main Street 7")
    (said,) = spoken_in(call.state)
    assert (said.by, said.text, said.transport) == ("user", "Main Street 7", "whatsapp")


def test_an_answer_that_is_being_given_goes_on() -> None:
    call = Spoken()
    call.turn = LiveTurn(1, "generating", first_at=T0, due=T0, answers=("m",))
    assert call.do(wrote("x")).effects == ()
    assert call.turn is not None


def test_what_was_meant_for_a_call_that_is_over_says_nothing_in_another() -> None:
    call = Spoken()
    assert call.do(wrote("x", call="CA0")).facts == ()


def test_a_live_call_goes_on_when_its_caller_is_merged_into_another_record() -> None:
    call = Spoken()
    gone = {
        "key": "m1", "agent": "desk", "channel": PHONE, "at": T0, "call": "CA1", "home": "voice:w1",
        "contact": "ct-9", "identities": ANA.identities,
    }  # fmt: skip
    call.do(GoneElsewhere.model_validate(gone))
    assert call.state.is_open
    assert call.state.contact == "ct-9"
    assert len(call.facts(ContactChanged)) == 1
    assert call.do(GoneElsewhere.model_validate({**gone, "key": "m2"})).facts == ()


# --- what the bot writes ----------------------------------------------------------------------------------------------


def bots_message(text: str = "Here is the link") -> WriteTo:
    person = Sender(identities=ANA.identities, routing=ANA.home)
    return WriteTo(
        key="cmd-1", agent="desk", channel="whatsapp:100", at=T0, person=person, by="bot", message=Message.of(text),
        is_bots=True,
    )  # fmt: skip


def test_what_the_bot_writes_from_a_call_is_the_bots_and_goes_out(talk: Beside) -> None:
    talk.hear("hello")
    talk.do(bots_message())
    (said,) = talk.facts(BotSaid)
    assert said.delivery is not None
    assert said.delivery.origin == "bot"
    assert talk.sent == ["Here is the link"]
    assert talk.state.handler == "bot"


def test_it_does_not_cut_what_the_bot_is_answering_there() -> None:
    talk = Talk()
    talk.hear("hello")
    talk.later(1)
    assert talk.is_generating
    talk.do(bots_message())
    assert talk.is_generating


def test_nothing_goes_out_where_a_colleague_has_the_conversation() -> None:
    talk = Talk()
    for fact in taken_over(talk.state, None, "ann").facts:
        talk.append(fact)
    talk.do(bots_message())
    assert talk.sent == []
    assert len(talk.facts(ReplyRejected)) == 1


# --- where it may write -----------------------------------------------------------------------------------------------

WHATSAPP = {"kind": "whatsapp", "phone_number_id": "100", "access_token": "t", "app_secret": "s", "verify_token": "v"}
SMS = {"kind": "sms", "number": "+12025550142", "account_sid": "AC" + "5" * 32, "auth_token": "t"}
AGENT = Agent.model_validate({"slug": "desk", "channels": [SMS, WHATSAPP]})
BOTH = ("whatsapp", "sms")
OPEN = a_call(id="wa-1", channel="whatsapp:100", transport="whatsapp", window_closes_at=T0 + 60)


def chosen(
    newest: dict[str, Call | None], kinds: tuple[str, ...] = BOTH, contact: Contact = ANA, here: str = PHONE
) -> str:
    found = where(AGENT, contact, here, kinds, newest, T0)
    return found if isinstance(found, str) else found.id


def test_whatsapp_while_its_window_is_open_and_sms_else() -> None:
    assert chosen({"whatsapp:100": OPEN}) == "whatsapp:100"
    assert chosen({}) == "sms:+12025550142"
    assert chosen({"whatsapp:100": OPEN}, ("sms", "whatsapp")) == "sms:+12025550142"


def test_a_closed_window_is_a_sentence_that_a_model_reads() -> None:
    closed = OPEN.model_copy(update={"window_closes_at": T0 - 1})
    assert "24 hours" in chosen({"whatsapp:100": closed}, ("whatsapp",))
    assert "24 hours" in chosen({}, ("whatsapp",))


def test_who_wrote_stop_gets_no_sms_and_may_still_be_spoken_with() -> None:
    stopped = ANA.model_copy(update={"opted_out": ("sms",)})
    assert "no messages" in chosen({}, ("sms",), stopped)
    assert chosen({"whatsapp:100": OPEN}, BOTH, stopped) == "whatsapp:100"
    assert not stopped.has_stopped("phone")


def test_a_colleagues_conversation_is_not_written_into() -> None:
    theirs = OPEN.model_copy(update={"handler": "human"})
    assert "colleague" in chosen({"whatsapp:100": theirs}, ("whatsapp",))
    ended = theirs.model_copy(update={"is_open": False})
    assert chosen({"whatsapp:100": ended}, ("whatsapp",)) == "whatsapp:100"


def test_a_person_without_a_number_cannot_be_written_to() -> None:
    visitor = ANA.model_copy(update={"identities": (Identity(kind=IdentityKind.VISITOR, value="v"),)})
    assert "number" in chosen({"whatsapp:100": OPEN}, BOTH, visitor)


def test_the_conversations_own_channel_is_no_other_one() -> None:
    assert "no other" in chosen({"whatsapp:100": OPEN}, ("whatsapp",), here="whatsapp:100")


# --- the tool ---------------------------------------------------------------------------------------------------------


def test_a_built_in_tool_has_its_own_parameters_and_the_agents_words() -> None:
    tool = Tool.model_validate({"name": "text_them", "builtin": "send_message", "description": "Only for links."})
    assert (tool.name, tool.description) == ("text_them", "Only for links.")
    assert tool.parameters["required"] == ["text"]
    assert Tool.model_validate_json(tool.model_dump_json()) == tool
    assert Tool.model_validate({"name": "send_message", "builtin": "send_message"}).description


def test_a_built_in_tool_has_no_address() -> None:
    with pytest.raises(ValueError, match="leave one of the two out"):
        Tool.model_validate({"name": "x", "builtin": "send_message", "url": "https://x.example"})
