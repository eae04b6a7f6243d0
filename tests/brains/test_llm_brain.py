"""The `llm` brain against a model's server: what a customer gets, whatever the server does."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import JsonValue, SecretStr

from omni.model.agent import Agent
from omni.model.behaviour import LlmEndpoint, LlmSettings, Tool
from sessions.brains.base import (
    BrainError,
    Break,
    HandOver,
    Line,
    Restart,
    Say,
    ToolCall,
    ToolOutcome,
    TurnOverError,
)
from sessions.brains.endpoint import LlmDefaults
from sessions.brains.llm import LlmBrain

KEY = "sk-very-secret-1"
TOOLS = (Tool(name="weather", description="The weather"), Tool(name="clock"), Tool(name="fail"))


def agent_of(tools: tuple[Tool, ...] = TOOLS, **llm: Any) -> Agent:
    context = {name: llm.pop(name) for name in ("context_tokens", "context_window") if name in llm}
    return Agent(slug="a", brain="llm", llm=LlmSettings(**llm), tools=tools, **context)


@pytest.fixture
async def brain(llm: Any) -> AsyncIterator[LlmBrain]:
    brain = LlmBrain(LlmDefaults(llm.base_url, SecretStr(KEY), "default-model"), backoff=0)
    yield brain
    await brain.close()


def said(chunks: list[Any]) -> str:
    """What a channel sends that sends only complete messages."""
    text = ""
    for chunk in chunks:
        if isinstance(chunk, Say):
            text += chunk.text
        elif isinstance(chunk, Restart):
            text = text[: text.rindex("\n") + 1] if "\n" in text else ""
        elif isinstance(chunk, Break):
            text += "\n"
    return text


async def test_text_is_yielded_as_it_streams(brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any) -> None:
    llm.will(reply.says("Good ", "morning", "!"))
    assert await answer(brain, turn_of(agent_of())) == [Say("Good "), Say("morning"), Say("!")]


async def test_the_request_has_prompt_history_text_tools_and_parameters(
    brain: LlmBrain, llm: Any, turn_of: Any, answer: Any
) -> None:
    agent = agent_of(temperature=0.25, max_tokens=77, model="own", extra={"top_p": 0.5, "stream": False, "n": 3})
    history = (Line(role="user", content="hi"), Line(role="assistant", content="Hello"))
    await answer(brain, turn_of(agent, "and now?", history=history))
    [body] = llm.requests
    assert body["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "and now?"},
    ]
    assert (body["model"], body["temperature"], body["max_tokens"], body["top_p"]) == ("own", 0.25, 77, 0.5)
    assert body["stream"] is True
    assert "n" not in body
    names = [tool["function"]["name"] for tool in body["tools"]]
    assert names == ["weather", "clock", "fail", "hand_over_to_human"]
    assert llm.keys == [KEY]


@pytest.mark.parametrize("size", [1, 3, 7, 50])
async def test_bytes_may_come_in_any_pieces(
    size: int, brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.says("Grüße ", "你好 ", "👋", in_pieces_of=size))
    assert said(await answer(brain, turn_of(agent_of()))) == "Grüße 你好 👋"


async def test_connections_are_kept_and_closed(brain: LlmBrain, llm: Any, turn_of: Any, answer: Any) -> None:
    for _ in range(3):
        await answer(brain, turn_of(agent_of()))
    assert len(llm.requests) == 3
    assert len(llm.connections) == 1


async def test_tools_run_and_their_results_go_back(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any, used: Any
) -> None:
    used.outcome = lambda name, arguments: ToolOutcome({"name": name, "of": arguments["city"]})
    llm.will(
        reply.calls(("weather", '{"city": "Rome"}'), ("clock", '{"city": "Bern"}'), text="One moment."),
        reply.says("Sunny."),
    )
    chunks = await answer(brain, turn_of(agent_of()))
    assert chunks == [Say("One moment."), Break(), Say("Sunny.")]
    assert used.calls == [
        ("call_weather_0", "weather", {"city": "Rome"}),
        ("call_clock_1", "clock", {"city": "Bern"}),
    ]
    call, first, second = llm.requests[1]["messages"][-3:]
    assert call["content"] == "One moment."
    assert [c["function"]["name"] for c in call["tool_calls"]] == ["weather", "clock"]
    assert (first["tool_call_id"], json.loads(first["content"])["of"]) == ("call_weather_0", "Rome")
    assert (second["tool_call_id"], json.loads(second["content"])["of"]) == ("call_clock_1", "Bern")


async def test_tools_of_a_round_run_side_by_side_and_answer_in_order(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    second_ran = asyncio.Event()

    async def use_tool(_id: str, name: str, _arguments: JsonValue) -> ToolOutcome:
        if name == "weather":
            await second_ran.wait()  # would wait for ever if they ran one after the other
        second_ran.set()
        return ToolOutcome(name)

    llm.will(reply.calls(("weather", "{}"), ("clock", "")))
    await answer(brain, turn_of(agent_of(), use_tool=use_tool))
    assert [m["content"] for m in llm.requests[1]["messages"][-2:]] == ["weather", "clock"]


@pytest.mark.parametrize("broken", ['{"city": "Ro', "[1]", "NaN", "[" * 5000])
async def test_broken_arguments_become_an_error_the_model_can_read(
    broken: str, brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any, used: Any
) -> None:
    llm.will(reply.calls(("weather", broken)), reply.says("Sorry."))
    assert said(await answer(brain, turn_of(agent_of()))) == "Sorry."
    assert used.calls == []
    assert "arguments" in llm.requests[1]["messages"][-1]["content"]


async def test_an_unknown_tool_is_an_error_the_model_can_read(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any, used: Any
) -> None:
    llm.will(reply.calls(("teleport", "{}")))
    await answer(brain, turn_of(agent_of()))
    assert used.calls == []
    assert "weather, clock" in llm.requests[1]["messages"][-1]["content"]


async def test_a_failed_tool_is_told_to_the_model(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any, used: Any
) -> None:
    used.outcome = lambda name, arguments: ToolOutcome("no such city", is_error=True)
    llm.will(reply.calls(("weather", "{}")))
    await answer(brain, turn_of(agent_of()))
    assert llm.requests[1]["messages"][-1]["content"] == "Error: no such city"


async def test_a_large_result_is_cut_to_the_context(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any, used: Any
) -> None:
    used.outcome = lambda name, arguments: ToolOutcome("x" * 200_000)
    llm.will(reply.calls(("weather", "{}")))
    await answer(brain, turn_of(agent_of(context_tokens=1000)))
    content = llm.requests[1]["messages"][-1]["content"]
    assert len(content) <= 1500
    assert content.endswith("[cut here: it was 200,000 characters long]")


async def test_after_the_last_round_the_model_must_answer(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any, used: Any
) -> None:
    llm.will(reply.calls(("weather", "{}")), reply.calls(("weather", "{}")), reply.says("Enough."))
    assert said(await answer(brain, turn_of(agent_of(tool_rounds=2)))) == "Enough."
    assert [len(body.get("tools", [])) for body in llm.requests] == [4, 4, 0]
    assert len(used.calls) == 2
    assert len({id_ for id_, _, _ in used.calls}) == 2  # the server repeats ids; the log must not


@pytest.mark.parametrize("ids", [[None, None], ["0", "0"], ["old", "new"]])
async def test_ids_of_tool_calls_are_unlike_all_others(
    ids: list[str | None], brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any, used: Any
) -> None:
    past = ToolCall(id="old", name="clock", arguments="{}")
    history = (
        Line(role="assistant", content="", tool_calls=(past,)),
        Line(role="tool", content="noon", tool_call_id="old"),
    )
    llm.will(reply.calls(("weather", "{}"), ("clock", "{}"), ids=ids))
    await answer(brain, turn_of(agent_of(), history=history))
    used_ids = [id_ for id_, _, _ in used.calls]
    assert len({"old", *used_ids}) == 3
    assert [m["tool_call_id"] for m in llm.requests[1]["messages"][-2:]] == used_ids


async def test_a_hand_over_ends_the_turn_and_no_tool_of_its_round_runs(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any, used: Any
) -> None:
    llm.will(reply.calls(("weather", "{}"), ("hand_over_to_human", '{"reason": "angry"}'), text="A colleague comes."))
    assert await answer(brain, turn_of(agent_of())) == [Say("A colleague comes."), HandOver("angry")]
    assert used.calls == []
    assert len(llm.requests) == 1


async def test_a_hand_over_with_broken_arguments_is_a_hand_over(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.calls(("hand_over_to_human", '{"rea')))
    assert await answer(brain, turn_of(agent_of(tools=()))) == [HandOver(None)]


async def test_a_turn_that_is_over_stops_the_brain(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    async def use_tool(_id: str, _name: str, _arguments: JsonValue) -> ToolOutcome:
        raise TurnOverError

    llm.will(reply.calls(("weather", "{}"), ("clock", "{}")))
    with pytest.raises(TurnOverError):
        await answer(brain, turn_of(agent_of(), use_tool=use_tool))
    assert len(llm.requests) == 1


@pytest.mark.parametrize("then", ["cut", "end"])
async def test_a_stream_that_breaks_off_is_asked_again_and_said_once(
    then: str, brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.says("Half a", finish=None, then=then), reply.says("A whole answer."))
    chunks = await answer(brain, turn_of(agent_of()))
    assert chunks == [Say("Half a"), Restart(), Say("A whole answer.")]


async def test_a_message_that_was_complete_is_not_said_again(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any, used: Any
) -> None:
    llm.will(
        reply.calls(("clock", "{}"), text="Let me look."),
        reply.says("It is", finish=None, then="cut"),
        reply.says("It is noon."),
    )
    chunks = await answer(brain, turn_of(agent_of()))
    assert chunks == [Say("Let me look."), Break(), Say("It is"), Restart(), Say("It is noon.")]
    assert len(used.calls) == 1


@pytest.mark.parametrize("then", ["cut", "end", "hang"])
async def test_a_stream_that_breaks_after_its_last_word_is_whole(
    then: str, brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.says("All said.", then=then))
    assert await answer(brain, turn_of(agent_of())) == [Say("All said.")]
    assert len(llm.requests) == 1


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
async def test_a_passing_failure_is_tried_again(
    status: int, brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.refuses(status, retry_after_ms="1"), reply.says("Yes."))
    assert said(await answer(brain, turn_of(agent_of()))) == "Yes."


@pytest.mark.parametrize(
    ("status", "code"), [(400, None), (401, None), (403, None), (404, None), (422, None), (429, "insufficient_quota")]
)
async def test_a_lasting_failure_is_not_tried_again(
    status: int, code: str | None, brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.refuses(status, code=code))
    with pytest.raises(BrainError, match=str(status)):
        await answer(brain, turn_of(agent_of(retries=5)))
    assert len(llm.requests) == 1


async def test_a_server_that_asks_for_a_long_wait_is_passed_over(
    brain: LlmBrain, llm: Any, llm_2: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.refuses(429, retry_after="3600"))
    llm_2.will(reply.says("From the other."))
    agent = agent_of(retries=5, failover=(LlmEndpoint(base_url=llm_2.base_url, model="m2"),))
    assert said(await answer(brain, turn_of(agent))) == "From the other."
    assert len(llm.requests) == 1


async def test_endpoints_are_tried_in_order_and_a_broken_one_once_a_turn(
    brain: LlmBrain, llm: Any, llm_2: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(*[reply.refuses(500)] * 2)
    llm_2.will(reply.calls(("clock", "{}")), reply.says("Noon."))
    agent = agent_of(failover=(LlmEndpoint(base_url=llm_2.base_url, model="m2"),))
    assert said(await answer(brain, turn_of(agent))) == "Noon."
    assert len(llm.requests) == 2
    assert [body["model"] for body in llm_2.requests] == ["m2", "m2"]


async def test_a_stream_cut_in_the_middle_fails_over(
    brain: LlmBrain, llm: Any, llm_2: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.says("From the", finish=None, then="cut"))
    llm_2.will(reply.says("Fine."))
    agent = agent_of(retries=0, failover=(LlmEndpoint(base_url=llm_2.base_url, model="m2"),))
    assert await answer(brain, turn_of(agent)) == [Say("From the"), Restart(), Say("Fine.")]


async def test_a_refused_connection_fails_over(llm: Any, reply: Any, turn_of: Any, answer: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        brain = LlmBrain(LlmDefaults(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", None, "m"), backoff=0)
        llm.will(reply.says("Here."))
        agent = agent_of(failover=(LlmEndpoint(base_url=llm.base_url),))
        assert said(await answer(brain, turn_of(agent))) == "Here."
        with pytest.raises(BrainError, match="cannot be reached"):
            await answer(brain, turn_of(agent_of()))
        await brain.close()


async def test_a_slow_first_token_fails_over_at_once(
    brain: LlmBrain, llm: Any, llm_2: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.Reply(then="hang"))
    llm_2.will(reply.says("Quick."))
    agent = agent_of(first_token_timeout=0.5, retries=5, failover=(LlmEndpoint(base_url=llm_2.base_url, model="m2"),))
    assert said(await answer(brain, turn_of(agent))) == "Quick."
    assert len(llm.requests) == 1
    await llm.gone.wait()


async def test_a_role_is_not_a_first_token(brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any) -> None:
    llm.will(reply.Reply((reply.chunk({"role": "assistant", "content": ""}),), then="hang"))
    with pytest.raises(BrainError, match=r"said nothing within 0\.05 s"):
        await answer(brain, turn_of(agent_of(first_token_timeout=0.05, retries=0)))


@pytest.mark.parametrize("then", ["hang", "repeat"])
async def test_an_answer_that_never_ends_is_given_up(
    then: str, brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.says("and on ", finish=None, then=then))
    with pytest.raises(BrainError, match=r"did not finish|more than"):
        await answer(brain, turn_of(agent_of(timeout=0.5, retries=0)))
    await llm.gone.wait()


async def test_a_flood_is_bounded(brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any) -> None:
    llm.will(reply.says("x" * 50_000, finish=None, then="repeat"))
    with pytest.raises(BrainError, match="more than 100,000 characters"):
        await answer(brain, turn_of(agent_of(retries=0)))
    await llm.gone.wait()


async def test_a_line_that_never_ends_is_bounded(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.Reply(raw=b"data: " + b"x" * 3_000_000))
    with pytest.raises(BrainError, match="more than an answer can be"):
        await answer(brain, turn_of(agent_of(retries=0)))


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {not json}\n\n",
        b'data: "text"\n\n',
        b"data: []\n\n",
        b'data: {"choices": 5}\n\n',
        b'data: {"choices": [5]}\n\n',
        b'data: {"choices": [{"delta": "text"}]}\n\n',
        b'data: {"choices": [{"delta": {"content": {"a": 1}}}]}\n\n',
        b'data: {"choices": [{"delta": {"tool_calls": 7}}]}\n\n',
        b'data: {"choices": [{"delta": {"tool_calls": [null, {}, {"function": 3}]}}]}\n\n',
        b'data: {"error": {"message": "overloaded"}}\n\n',
        b'data: {"error": "overloaded"}\n\n',
        b"data: \xff\xfe\n\n",
        b"data: " + b"[" * 100_000 + b"\n\n",
        b"\x00\x01\x02",
        b"data: [DONE]\n\n",
        b"event: ping\n\n: nothing\n\n",
        b"",
    ],
)
async def test_garbage_is_an_error_and_tried_elsewhere(
    garbage: bytes, brain: LlmBrain, llm: Any, llm_2: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(*[reply.Reply(raw=garbage)] * 2)
    llm_2.will(reply.says("Clean."))
    agent = agent_of(failover=(LlmEndpoint(base_url=llm_2.base_url, model="m2"),))
    assert said(await answer(brain, turn_of(agent))) == "Clean."


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/json"])
async def test_a_page_instead_of_a_stream_is_named(
    kind: str, brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.Reply(raw=b"<html>Welcome</html>", content_type=kind))
    with pytest.raises(BrainError, match=r"is its address right"):
        await answer(brain, turn_of(agent_of()))
    assert len(llm.requests) == 1


async def test_an_empty_answer_is_tried_again_and_then_an_error(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.says(), reply.says(" \n", finish="content_filter"))
    with pytest.raises(BrainError, match="empty answer"):
        await answer(brain, turn_of(agent_of()))


async def test_silence_after_something_was_said_is_fine(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.calls(("clock", "{}"), text="Done!"), reply.says())
    assert await answer(brain, turn_of(agent_of())) == [Say("Done!"), Break()]


async def test_closing_the_answer_closes_the_stream_at_once(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any
) -> None:
    llm.will(reply.says("Once upon", finish=None, then="hang"))
    chunks = brain.answer(turn_of(agent_of()))
    assert await anext(chunks) == Say("Once upon")
    await chunks.aclose()
    await llm.gone.wait()


@pytest.mark.parametrize("text", [(), ("Once upon",)])
async def test_cancelling_the_answer_closes_the_stream_at_once(
    text: tuple[str, ...], brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.says(*text, finish=None, then="hang"))
    task = asyncio.create_task(answer(brain, turn_of(agent_of())))
    await llm.came.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await llm.gone.wait()


async def test_keys_are_not_in_errors(
    brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    llm.will(reply.refuses(401, message=f"Incorrect API key provided: {KEY}"))
    with pytest.raises(BrainError) as refused:
        await answer(brain, turn_of(agent_of()))
    llm.will(*[reply.Reply((json.dumps({"error": {"message": f"bad {KEY}"}}).encode(),))] * 2)
    with pytest.raises(BrainError) as reported:
        await answer(brain, turn_of(agent_of()))
    assert KEY not in f"{refused.value} {reported.value} {caplog.text}"
    assert "**********" in str(refused.value)


async def test_a_key_comes_from_the_named_variable(
    brain: LlmBrain, llm: Any, llm_2: Any, turn_of: Any, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_MODEL_KEY", "sk-other\n")
    await answer(brain, turn_of(agent_of(base_url=llm_2.base_url, model="m", api_key_env="OTHER_MODEL_KEY")))
    assert llm_2.keys == ["sk-other"]


async def test_the_settings_key_is_only_sent_to_the_settings_server(
    brain: LlmBrain, llm_2: Any, turn_of: Any, answer: Any
) -> None:
    await answer(brain, turn_of(agent_of(base_url=llm_2.base_url, model="m")))
    assert llm_2.keys == ["none"]


async def test_an_empty_variable_is_named_and_the_next_endpoint_answers(
    brain: LlmBrain, llm: Any, turn_of: Any, answer: Any
) -> None:
    await answer(brain, turn_of(agent_of(api_key_env="NO_SUCH_KEY", failover=(LlmEndpoint(),))))
    assert len(llm.requests) == 1
    with pytest.raises(BrainError, match="NO_SUCH_KEY is empty"):
        await answer(brain, turn_of(agent_of(api_key_env="NO_SUCH_KEY")))


@pytest.mark.parametrize("url", ["localhost:8000/v1", "http://", "ftp://h/v1", "http://[::1", "not an address"])
async def test_an_odd_address_is_an_error(url: str, turn_of: Any, answer: Any) -> None:
    brain = LlmBrain(LlmDefaults(url, SecretStr("sk-üñ"), "m"), backoff=0)
    with pytest.raises(BrainError, match=r"no model answered|has no model"):
        await answer(brain, turn_of(agent_of()))
    await brain.close()


async def test_old_messages_leave_the_context_first(brain: LlmBrain, llm: Any, turn_of: Any, answer: Any) -> None:
    history = tuple(Line(role="user" if n % 2 else "assistant", content=f"{n} " + "word " * 50) for n in range(40))
    await answer(brain, turn_of(agent_of(context_tokens=1000), "the newest", history=history))
    [body] = llm.requests
    assert body["messages"][0] == {"role": "system", "content": "Be kind."}
    assert body["messages"][-1] == {"role": "user", "content": "the newest"}
    assert body["messages"][-2]["content"].startswith("39 ")
    assert 5 < len(body["messages"]) < 15


async def test_failures_are_counted_by_reason(brain: LlmBrain, llm: Any, reply: Any, turn_of: Any, answer: Any) -> None:
    def counted(reason: str) -> float:
        labels = {"brain": "llm", "reason": reason}
        return REGISTRY.get_sample_value("omni_brain_errors_total", labels) or 0

    before = counted("server"), counted("cut")
    llm.will(reply.refuses(503), reply.says("x", finish=None, then="cut"))
    with pytest.raises(BrainError):
        await answer(brain, turn_of(agent_of()))
    assert (counted("server"), counted("cut")) == (before[0] + 1, before[1] + 1)
