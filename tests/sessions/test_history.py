"""What a brain is told of the conversation so far."""

from __future__ import annotations

import pytest

from sessions.brains.base import Line
from sessions.history import RECAP_CHARACTERS, RECAP_LINES, Memory, asked, lines_for, recap_of
from sessions.steps import ToolFinished
from tests.sessions.talk import PICTURE, Talk


@pytest.fixture
def talk() -> Talk:
    return Talk(debounce_ms=0)


def shape(lines: tuple[Line, ...]) -> list[str]:
    return [f"{line.role}: {line.content}" if not line.tool_calls else "calls" for line in lines]


def test_history_is_what_came_before_the_question(talk: Talk) -> None:
    talk.ask("one")
    talk.do(talk.done("answer"))
    talk.ask("two")
    assert talk.turn is not None
    assert shape(lines_for(talk.state, talk.turn.answers)) == ["user: one", "assistant: answer"]
    assert [message.text for message in asked(talk.state, talk.turn.answers)] == ["two"]


def test_questions_are_asked_oldest_first_and_whole(talk: Talk) -> None:
    talk.hear("", PICTURE)
    talk.hear("what is it?")
    first, second = asked(talk.state, talk.state.unanswered)
    assert first.parts[0] == PICTURE
    assert second.text == "what is it?"


def test_what_people_said_to_each_other_is_remembered(talk: Talk) -> None:
    talk.do(talk.pause())
    talk.hear("is anybody there?")
    talk.do(talk.send("yes, Ann"))
    talk.do(talk.resume(note="refund granted"))
    told = shape(lines_for(talk.state, ()))
    assert told[1:3] == ["user: is anybody there?", "assistant: yes, Ann"]
    assert told[3].startswith("system: ")
    assert "refund granted" in told[3]


def test_every_tool_call_is_followed_by_its_result(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.tool("a"))
    talk.do(talk.tool("b"))
    talk.do(talk.tool_done("b"))
    talk.do(talk.tool_done("a"))
    talk.do(talk.done("found"))
    lines = lines_for(talk.state, ())
    assert [call.id for call in lines[1].tool_calls] == ["a", "b"]
    assert [line.tool_call_id for line in lines[2:4]] == ["a", "b"]
    assert [line.role for line in lines] == ["user", "assistant", "tool", "tool", "assistant"]


def test_tool_call_that_was_cut_has_a_result_that_says_so(talk: Talk) -> None:
    talk.ask()
    talk.do(talk.tool("a"))
    talk.hear("never mind")
    assert lines_for(talk.state, ())[2].content == "interrupted before it answered"


def test_tool_ids_that_an_endpoint_uses_again_keep_their_own_results(talk: Talk) -> None:
    for number in (1, 2):
        talk.ask()
        talk.do(talk.tool("call_0"))
        report = talk.tool_done("call_0")
        talk.do(ToolFinished(report.key, report.turn, "call_0", "look", f"result {number}", 1, is_error=False))
        talk.do(talk.done("found"))
    results = [line.content for line in lines_for(talk.state, ()) if line.role == "tool"]
    assert results == ["result 1", "result 2"]


def test_rounds_of_one_turn_are_told_apart(talk: Talk) -> None:
    talk.ask()
    for _ in range(2):
        talk.do(talk.tool("call_0"))
        talk.do(talk.tool_done("call_0"))
    talk.do(talk.done("found"))
    assert [line.role for line in lines_for(talk.state, ())][1:5] == ["assistant", "tool", "assistant", "tool"]


def test_memory_reads_like_the_lines_it_makes(talk: Talk) -> None:
    talk.ask("one")
    talk.do(talk.done("answer"))
    memory = Memory(talk.state, ())
    assert len(memory) == 2
    assert tuple(memory) == memory[0:2] == lines_for(talk.state, ())
    assert memory[-1].content == "answer"


def test_recap_is_short_and_without_tools(talk: Talk) -> None:
    assert recap_of(talk.state) is None
    for number in range(20):
        talk.ask(f"question {number} " + "x" * 1000)
        talk.do(talk.tool(f"t{number}"))
        talk.do(talk.tool_done(f"t{number}"))
        talk.do(talk.done(f"answer {number}"))
    recap = recap_of(talk.state)
    assert recap is not None
    _, *told = recap.split("\n")
    assert len(told) == RECAP_LINES
    assert told[-1] == "You: answer 19"
    assert all(len(line) <= RECAP_CHARACTERS + len("Customer: ") for line in told)


def test_recap_of_an_earlier_call_comes_first(talk: Talk) -> None:
    talk.state = talk.state.model_copy(update={"recap": "Earlier: hello"})
    talk.ask("again")
    assert shape(lines_for(talk.state, talk.state.unanswered)) == ["system: Earlier: hello"]


def test_recap_does_not_repeat_deleted_words(talk: Talk) -> None:
    message = talk.hear("my card is 4242")
    talk.do(talk.revoke(message.provider_id))
    assert "4242" not in (recap_of(talk.state) or "")
