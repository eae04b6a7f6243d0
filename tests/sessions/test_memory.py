"""What a program does to a call's memory, prompt and settings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.model.behaviour import Overrides
from omni.model.entry import ToolAnswered, ToolCalled, UserSaid
from omni.model.inbound import Ask, Configure, EditHistory, SetContext
from sessions.briefing import prompt_of, vars_of
from sessions.history import lines_for
from sessions.memory import cleaned, remembered
from sessions.prompt import render
from sessions.rules.memory import MAX_CONTEXT
from sessions.state import CallState
from sessions.steps import Reply
from tests.sessions.talk import T0, Talk

ASK = Ask(desk="d1", id="r1")


@pytest.fixture
def talk() -> Talk:
    return Talk(prompt="Hi {{ who }} on {{ day }}.", vars={"who": "Bo"})


def edit(talk: Talk, act: str, **more: Any) -> EditHistory:
    return EditHistory(**talk.to_call(act=act, ask=ASK, **more))


def wire(state: CallState) -> list[dict[str, Any]]:
    return [line.wire() for line in lines_for(state, ())]


def prompt(talk: Talk) -> str:
    return prompt_of(talk.state, talk.agent.with_(talk.state.overrides), render, T0)


def test_what_was_added_is_read_back(talk: Talk) -> None:
    said = [{"role": "user", "content": "I called yesterday"}, {"role": "assistant", "content": "Yes, it shipped."}]
    talk.do(edit(talk, "add", messages=said))
    assert wire(talk.state) == said


def test_a_history_with_tools_survives_the_round_trip(talk: Talk) -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
    said: list[dict[str, Any]] = [
        {"role": "user", "content": "where?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "here", "tool_call_id": "t1"},
        {"role": "assistant", "content": "Here."},
    ]
    talk.do(edit(talk, "set", messages=said))
    assert wire(talk.state) == said


def test_what_a_model_would_refuse_is_left_out() -> None:
    orphan = {"id": "t9", "function": {"name": "look", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        {"role": "assistant", "content": "", "tool_calls": [orphan]},
        {"role": "tool", "content": "of nobody", "tool_call_id": "t8"},
        {"role": "user", "content": "   "},
        {"role": "robot", "content": "beep"},
        {"role": "user", "content": "hello", "source": "human"},
    ]
    assert cleaned(messages) == ({"role": "user", "content": "hello"},)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool", "system", "x"]) | _JSON},
        optional={
            "content": _JSON,
            "tool_call_id": st.sampled_from(["t1", "t2"]) | _JSON,
            "tool_calls": st.lists(
                st.fixed_dictionaries({"id": st.sampled_from(["t1", "t2"]), "name": st.just("look")}), max_size=2
            )
            | _JSON,
        },
    ),
    max_size=6,
)


@given(_MESSAGES)
def test_cleaning_anything_gives_something_a_model_takes(messages: list[dict[str, Any]]) -> None:
    clean = cleaned(messages)
    assert cleaned(clean) == clean
    remembered(clean, "h")
    open_: set[str] = set()
    for message in clean:
        calls = message.get("tool_calls") or []
        assert isinstance(calls, list)
        open_ |= {str(call["id"]) for call in calls if isinstance(call, dict)}
        if message["role"] == "tool":
            assert message["tool_call_id"] in open_
            open_.discard(str(message["tool_call_id"]))
        assert message["content"] or calls or message["role"] == "tool"
    assert not open_, "a model refuses a call without its result"


def test_a_result_before_its_call_is_none_of_it() -> None:
    call = {"role": "assistant", "tool_calls": [{"id": "t1", "name": "look"}]}
    result = {"role": "tool", "tool_call_id": "t1", "content": "x"}
    assert cleaned([result, call]) == ()
    assert [message["role"] for message in cleaned([call, call, result])] == ["assistant", "tool"]


def test_replacing_keeps_what_is_still_owed_an_answer(talk: Talk) -> None:
    talk.hear("old")
    talk.later(1)
    talk.do(talk.done("answered"))
    talk.hear("new")
    talk.do(edit(talk, "clear"))
    assert [line.text for line in talk.state.lines] == ["new"]
    assert talk.state.unanswered == (talk.facts(UserSaid)[-1].id,)


def test_a_leading_system_message_is_the_prompt(talk: Talk) -> None:
    talk.do(edit(talk, "set", messages=[{"role": "system", "content": "Be formal."}]))
    assert prompt(talk) == "Be formal."
    assert wire(talk.state) == []


def test_reading_changes_nothing_and_is_answered(talk: Talk) -> None:
    step = talk.do(edit(talk, "get"))
    assert step.facts == ()
    assert step.effects == (Reply(ASK, shows_history=True),)


def test_prompt_vars_and_contexts_make_the_prompt(talk: Talk) -> None:
    assert prompt(talk) == "Hi Bo on Friday."
    talk.do(edit(talk, "vars", vars={"who": "Ada"}))
    talk.do(edit(talk, "context", text="Orders: {{ none }}"))
    talk.do(SetContext(**talk.to_call(context="cart", text="2 pizzas", by="page")))
    assert prompt(talk).startswith("Hi Ada on Friday.\n\nOrders: {{ none }}\n\n## UI Context")
    talk.do(SetContext(**talk.to_call(context="cart", text="3 pizzas", by="page")))
    assert "2 pizzas" not in prompt(talk)
    talk.do(SetContext(**talk.to_call(context="cart", by="page")))
    assert "UI Context" not in prompt(talk)


def test_a_page_cannot_fill_the_prompt(talk: Talk) -> None:
    talk.do(SetContext(**talk.to_call(context="a", text="x" * MAX_CONTEXT, by="page")))
    step = talk.do(SetContext(**talk.to_call(context="b", text="y", by="page")))
    assert step.facts == ()


def test_a_call_has_settings_of_its_own(talk: Talk) -> None:
    talk.do(Configure(**talk.to_call(overrides=Overrides(language="es", vars={"tier": "gold"}), ask=ASK)))
    talk.do(Configure(**talk.to_call(overrides=Overrides(vars={"mood": "calm"}))))
    mine = talk.agent.with_(talk.state.overrides)
    assert mine.language == "es"
    assert mine.vars == {"who": "Bo", "tier": "gold", "mood": "calm"}
    assert talk.state.language == "es"


def test_settings_for_another_call_are_not_taken(talk: Talk) -> None:
    step = talk.do(Configure(**{**talk.to_call(overrides=Overrides(language="es")), "call": "wa-2"}))
    assert step.facts == ()
    assert step.effects == ()


def test_dates_are_told_in_the_agents_zone(talk: Talk) -> None:
    agent = talk.agent.model_copy(update={"timezone": "Asia/Tokyo"})
    assert vars_of(talk.state, agent, T0)["datetime"] == "2027-01-15 17:00"
    nowhere = agent.model_copy(update={"timezone": "Mars/Base"})
    assert vars_of(talk.state, nowhere, T0)["datetime"] == "2027-01-15 08:00"


def test_a_passing_tool_leaves_no_trace_in_the_memory(talk: Talk) -> None:
    talk.append(ToolCalled(id="t1", name="look", args={}, turn=1))
    talk.append(ToolCalled(id="t2", name="keep", args={}, turn=1))
    talk.append(ToolAnswered(id="t1", name="look", result="secret", ms=1, passing=True))
    talk.append(ToolAnswered(id="t2", name="keep", result="kept", ms=1))
    assert "secret" not in str(wire(talk.state))
    assert [call["function"]["name"] for line in wire(talk.state) for call in line.get("tool_calls", [])] == ["keep"]
