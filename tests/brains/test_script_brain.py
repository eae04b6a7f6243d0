"""The `script` brain: what its rules make a bot say, and that no expression and no text can hold it up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from omni.model.agent import Agent, ScriptRule
from omni.model.behaviour import Tool
from omni.model.message import Button, Buttons, Message
from sessions.brains.base import BrainError, Break, Finish, HandOver, Say, Show, ToolOutcome
from sessions.brains.script import ScriptBrain
from sessions.brains.search import MAX_TEXT, expression

TOOLS = (Tool(name="order_status"),)


def agent_of(*rules: dict[str, Any], **rest: Any) -> Agent:
    return Agent(slug="a", brain="script", script=tuple(ScriptRule(**rule) for rule in rules), tools=TOOLS, **rest)


async def test_the_first_rule_that_matches_answers(turn_of: Any, answer: Any) -> None:
    agent = agent_of({"when": "(?i)hours", "say": "9 to 5"}, {"when": ".*", "say": "You said: {{ text }}"})
    assert await answer(ScriptBrain(), turn_of(agent, "Your HOURS?")) == [Say("9 to 5")]
    assert await answer(ScriptBrain(), turn_of(agent, "moin")) == [Say("You said: moin")]


async def test_without_a_rule_nobody_answers(turn_of: Any, answer: Any) -> None:
    assert await answer(ScriptBrain(), turn_of(agent_of({"when": "x", "say": "y"}), "hello")) == []


async def test_groups_and_variables_fill_in_and_a_turns_own_win(turn_of: Any, answer: Any) -> None:
    rule = {"when": r"i am (?P<name>\w+)(?P<rest>!)?", "say": "{{ name }} at {{ shop }} in {{ city }}{{ rest }}"}
    agent = agent_of(rule, vars={"shop": "ACME", "city": "Rome"})
    assert await answer(ScriptBrain(), turn_of(agent, "i am Ann", city="Bern")) == [
        Say("Ann at ACME in Bern{{ rest }}")
    ]


async def test_what_a_user_writes_is_never_a_template(turn_of: Any, answer: Any) -> None:
    agent = agent_of({"when": "(?P<all>.*)", "say": "{{ text }} {{ all }}"}, vars={"secret": "s"})
    assert await answer(ScriptBrain(), turn_of(agent, "{{ secret }}")) == [Say("{{ secret }} {{ secret }}")]


async def test_a_tool_runs_first_and_its_result_can_be_said(turn_of: Any, answer: Any, used: Any) -> None:
    used.outcome = lambda name, arguments: ToolOutcome({"state": "on its way"})
    rule = {
        "when": r"order (?P<number>\d+)",
        "tool": "order_status",
        "arguments": {"number": "{{ number }}"},
        "say": "Your order is {{ result.state }}.",
    }
    assert await answer(ScriptBrain(), turn_of(agent_of(rule), "order 77", number=7)) == [
        Say("Your order is on its way.")
    ]
    assert [(name, arguments) for _, name, arguments in used.calls] == [("order_status", {"number": "77"})]


async def test_tool_ids_differ_between_turns(turn_of: Any, answer: Any, used: Any) -> None:
    agent = agent_of({"when": ".", "tool": "order_status"})
    for number in (1, 2):
        await answer(ScriptBrain(), turn_of(agent, number=number))
    assert len({id_ for id_, _, _ in used.calls}) == 2


async def test_a_failed_tool_is_an_error_and_nothing_is_said(turn_of: Any, answer: Any, used: Any) -> None:
    used.outcome = lambda name, arguments: ToolOutcome("it is closed", is_error=True)
    agent = agent_of({"when": ".", "tool": "order_status", "say": "It is {{ result.state }}"})
    with pytest.raises(BrainError, match=r"order_status.*it is closed"):
        await answer(ScriptBrain(), turn_of(agent))


async def test_several_texts_are_several_messages_and_buttons_are_one_of_their_own(turn_of: Any, answer: Any) -> None:
    show = Buttons(body="Hello {{ name }}, choose", buttons=(Button(id="1", title="One"),))
    agent = agent_of({"when": ".", "say": ("One.", "{{ '' }}", "Two."), "show": show}, vars={"name": "Ann"})
    shown = show.model_copy(update={"body": "Hello Ann, choose"})
    assert await answer(ScriptBrain(), turn_of(agent)) == [
        Say("One."),
        Break(),
        Say("Two."),
        Show(Message(parts=(shown,))),
    ]


async def test_hand_over_and_end_come_last(turn_of: Any, answer: Any) -> None:
    agent = agent_of({"when": "human", "say": "Wait.", "handoff": True}, {"when": "bye", "say": "Bye.", "end": True})
    said, handed = await answer(ScriptBrain(), turn_of(agent, "a human"))
    assert said == Say("Wait.")
    assert isinstance(handed, HandOver)
    assert await answer(ScriptBrain(), turn_of(agent, "bye")) == [Say("Bye."), Finish()]


async def test_thinking_can_be_cancelled(turn_of: Any, answer: Any) -> None:
    task = asyncio.create_task(answer(ScriptBrain(), turn_of(agent_of({"when": ".", "say": "x", "wait_ms": 60_000}))))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(a+)+$", "a" * 60 + "b"),
        (r"(a|aa)*c", "a" * 60),
        (r"(a?){64}b", "a" * 64),
        ("a?" * 40 + "b", "a" * 40),
        (r".*x.*y.*z", "xy" * 2000),
        (r"(\s+\w+)*!", " a" * 2000),
        (r"(?=(a+)+b)x", "a" * 60),
    ],
)
async def test_an_expression_that_explodes_does_not_hold_the_loop(
    pattern: str,
    text: str,
    turn_of: Any,
    answer: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("sessions.brains.search.MAX_SECONDS", 0.2)
    assert expression(pattern).longest < len(text)
    agent = agent_of({"when": pattern, "say": "no"}, {"when": ".*", "say": "yes"})
    assert await answer(ScriptBrain(), turn_of(agent, text)) == [Say("yes")]


async def test_a_search_apart_finds_what_a_search_at_once_finds() -> None:
    wanted, text = expression(r"(?P<a>(\w+ )+)(?P<b>äöü 👋)(?P<c>x)?"), "one two äöü 👋"
    assert await wanted.search_apart(text) == wanted.search(text) == {"a": "one two ", "b": "äöü 👋"}
    assert await expression(r"(\w+ )+z").search_apart("one two") is None


async def test_a_search_apart_ends_with_its_turn() -> None:
    task = asyncio.create_task(expression(r"(a+)+$").search_apart("a" * 60 + "b"))
    for _ in range(50):  # the child is on its way by then, or about to be
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "pattern", [r"(?i)\b(human|person)\b", r"order (?P<id>\d+)", r"^\s*(?:hi|hello|hey)[\s!.]*$", ".*", "", "é|ü"]
)
def test_ordinary_expressions_are_searched_at_once(pattern: str) -> None:
    assert expression(pattern).longest > 2000


async def test_only_the_beginning_of_a_long_text_is_searched(turn_of: Any, answer: Any) -> None:
    agent = agent_of({"when": "x", "say": "found"})
    assert await answer(ScriptBrain(), turn_of(agent, "a" * MAX_TEXT + "x")) == []
    assert await answer(ScriptBrain(), turn_of(agent, "a" * (MAX_TEXT - 1) + "x")) == [Say("found")]
