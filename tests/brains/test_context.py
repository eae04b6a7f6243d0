"""What of a conversation a model reads."""

from __future__ import annotations

from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from sessions.brains.base import Line, ToolCall
from sessions.brains.context import cut_to, tokens_in, tokens_of, trim


def user(text: str) -> Line:
    return Line(role="user", content=text)


def bot(text: str, *ids: str) -> Line:
    calls = tuple(ToolCall(id=id_, name="t", arguments="{}") for id_ in ids)
    return Line(role="assistant", content=text, tool_calls=calls)


def result(id_: str) -> Line:
    return Line(role="tool", content="r", tool_call_id=id_)


def system(text: str) -> Line:
    return Line(role="system", content=text)


LINES = st.lists(
    st.one_of(
        st.builds(user, st.text(max_size=30)),
        st.builds(bot, st.text(max_size=30)),
        st.builds(bot, st.text(max_size=3), st.sampled_from("abc")),
        st.builds(bot, st.text(max_size=3), st.sampled_from("ab"), st.just("c")),
        st.builds(result, st.sampled_from("abcd")),
        st.builds(system, st.text(max_size=10)),
    ),
    max_size=30,
)


@given(LINES, st.integers(1, 20), st.integers(0, 200))
def test_calls_and_results_are_together_or_not_there(lines: list[Line], messages: int, tokens: int) -> None:
    kept = trim(lines, max_messages=messages, max_tokens=tokens)
    open_ids: set[str] = set()
    for line in kept:
        if line.role == "tool":
            assert line.tool_call_id in open_ids
            open_ids.discard(line.tool_call_id or "")
        else:
            assert not open_ids
            open_ids = {call.id for call in line.tool_calls}
    assert not open_ids


@given(LINES, st.integers(1, 20), st.integers(0, 200))
def test_the_newest_user_message_and_what_follows_stay(lines: list[Line], messages: int, tokens: int) -> None:
    kept = trim(lines, max_messages=messages, max_tokens=tokens)
    newest = [line for line in lines if line.role == "user"][-1:]
    assert [line for line in kept if line.role == "user"][-1:] == newest
    leading = list(takewhile(lambda line: line.role == "system", lines))
    assert list(kept[: len(leading)]) == leading


@given(st.lists(st.builds(user, st.text(max_size=50)), min_size=1), st.integers(1, 20), st.integers(0, 300))
def test_both_limits_hold_and_the_newest_are_kept(lines: list[Line], messages: int, tokens: int) -> None:
    kept = trim(lines, max_messages=messages, max_tokens=tokens)
    assert len(kept) <= messages
    assert len(kept) == 1 or sum(map(tokens_of, kept)) <= tokens
    assert list(kept) == lines[len(lines) - len(kept) :]


def test_a_call_and_its_results_count_as_one_message() -> None:
    lines = [user("old"), user("1"), bot("", "a", "b"), result("a"), result("b"), bot("done"), user("2")]
    assert trim(lines, max_messages=4, max_tokens=10_000) == tuple(lines[1:])
    assert trim(lines, max_messages=2, max_tokens=10_000) == tuple(lines[5:])


def test_what_a_model_would_refuse_is_mended() -> None:
    lines = [result("x"), bot("let me see", "a", "b"), result("a"), user("and?")]
    assert trim(lines, max_messages=10, max_tokens=10_000) == (bot("let me see"), user("and?"))


def test_other_scripts_cost_more_a_character() -> None:
    assert tokens_in("") == 0
    assert tokens_in("a" * 300) == 100
    assert tokens_in("я" * 300) == 300
    assert tokens_in("漢" * 300) == 450
    assert tokens_in("👋" * 300) == 600
    assert tokens_in("a" * 300 + "漢" * 300) == 550


@given(st.text(), st.integers(0, 200))
def test_a_cut_says_so(text: str, tokens: int) -> None:
    cut = cut_to(text, tokens)
    assert cut == text if tokens_in(text) <= tokens else cut.endswith("characters long]")
