"""Functions for the model: their schema, their arguments, their results."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from omni import Call, Omni, Tool, ToolError, ToolResult, tool
from omni.sdk import ConfigError, events
from omni.sdk.agent import Agent
from tests.sdk.scripted import CALL, Peer, ScriptedServer, begin_chat, started


class Item(BaseModel):
    sku: str
    count: int = 1


@dataclass
class Receipt:
    total: float
    due: date


@tool
async def order(items: list[Item], pay: Literal["card", "cash"] = "card", note: str | None = None) -> Receipt:
    """Orders things.

    Only what is in the catalogue.

    Args:
        items: What to order,
            each with its number.
        pay (str): How it is paid.

    Returns:
        The receipt.
    """
    if any(item.sku == "x" for item in items):
        raise ToolError("there is no x")
    return Receipt(total=2.5 * sum(item.count for item in items), due=date(2026, 1, 2))


def test_a_schema_is_made_of_types_and_docstring() -> None:
    assert order.name == "order"
    assert order.description == "Orders things.\n\nOnly what is in the catalogue."
    assert order.wire()["type"] == "function"
    assert order.wire()["function"]["parameters"] == {
        "type": "object",
        "additionalProperties": False,
        "required": ["items"],
        "properties": {
            "items": {
                "type": "array",
                "items": {"$ref": "#/$defs/Item"},
                "description": "What to order, each with its number.",
            },
            "pay": {"enum": ["card", "cash"], "type": "string", "default": "card", "description": "How it is paid."},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        },
        "$defs": {
            "Item": {
                "type": "object",
                "required": ["sku"],
                "properties": {"sku": {"type": "string"}, "count": {"type": "integer", "default": 1}},
            }
        },
    }


def test_names_that_models_of_pydantic_cannot_have_are_fine() -> None:
    @tool(name="odd-names", description="Odd.")
    def odd(schema: str, copy: int, _private: Annotated[bool, Field(description="Hush.")], title: str = "") -> None:
        """:param schema: A schema.
        :returns: nothing
        """

    assert (odd.name, odd.description) == ("odd-names", "Odd.")
    assert odd.parameters["properties"] == {
        "schema": {"type": "string", "description": "A schema."},
        "copy": {"type": "integer"},
        "_private": {"type": "boolean", "description": "Hush."},
        "title": {"type": "string", "default": ""},
    }


def test_a_tool_without_parameters_and_docstring() -> None:
    @tool
    def now(call: Call) -> str:
        return "now"

    assert now.wire()["function"] == {
        "name": "now",
        "description": "",
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    }
    assert now(None) == "now"  # type: ignore[arg-type]
    assert isinstance(now, Tool)


def _untyped(x) -> None: ...  # type: ignore[no-untyped-def]
def _starred(*x: str) -> None: ...
def _unknown(x: Nowhere) -> None: ...  # type: ignore[name-defined] # noqa: F821
def _weird(x: threading.Lock) -> None: ...


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (_untyped, "parameter 'x' of tool _untyped has no type; write for instance x: str"),
        (_starred, "parameter 'x' of tool _starred has no name for the model"),
        (_unknown, "types of tool _unknown cannot be read: name 'Nowhere' is not defined"),
        (_weird, "no schema can be made of the types of tool _weird"),
    ],
)
def test_what_cannot_be_a_tool_is_said_where_it_is_written(function: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        tool(function)


def test_a_name_that_models_do_not_take_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be called 'find order'"):
        tool(name="find order")(_starred)


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ('{"items": [{"sku": "a", "count": "2"}]}', {"total": 5.0, "due": "2026-01-02"}),
        ('{"items": [{"sku": "x"}]}', {"error": "there is no x"}),
        ('{"items": [{"count": 1}]}', {"error": "wrong arguments: items.0.sku: Field required"}),
        ("", {"error": "wrong arguments: items: Field required"}),
        (
            '{"items": [], "pay": "gold", "haste": 1}',
            {"error": "wrong arguments: pay: Input should be 'card' or 'cash'; haste: Extra inputs are not permitted"},
        ),
    ],
)
async def test_arguments_are_checked_before_the_function_runs(arguments: str, result: object) -> None:
    assert (await order.answer(arguments, None)).value == result


async def test_no_json_is_an_error_that_the_model_can_read() -> None:
    assert "Invalid JSON" in (await order.answer("{oops", None)).value["error"]


async def test_an_exception_is_a_result_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    @tool
    def fails(code: int) -> None:
        raise LookupError(f"no {code}")

    assert (await fails.answer('{"code": 7}', None)).value == {"error": "fails failed: no 7"}
    assert "no 7" in caplog.text
    caplog.clear()
    await order.answer('{"items": [{"sku": "x"}]}', None)
    assert not caplog.records  # a ToolError is meant for the model


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (b"\xff", r"\{'error': \"strange failed: its result cannot be sent to the server: 'utf-8' codec can't decode"),
        ({"\ud83d": 1}, r"\{'error': \"strange failed: its result cannot be sent to the server: 'utf-8' codec can't"),
        ([float("nan"), float("inf"), 1.5], r"\[None, None, 1\.5\]"),
        ({"what": object}, r"\{'what': \"<class 'object'>\"\}"),
    ],
    ids=["bytes", "half a character", "no number", "a class"],
)
async def test_whatever_a_function_returns_the_model_is_answered(value: object, result: str) -> None:
    @tool
    async def strange() -> object:
        return value

    assert re.match(result, repr((await strange.answer("{}", None)).value))


async def test_functions_that_may_block_run_in_a_thread() -> None:
    @tool
    def where() -> str:
        return threading.current_thread().name

    assert (await where.answer("{}", None)).value != threading.current_thread().name


async def test_more_arguments_go_where_the_function_takes_them() -> None:
    @tool
    def note(title: str, **rest: str) -> dict[str, str]:
        return {"title": title, **rest}

    assert (await note.answer('{"title": "a", "b": "c"}', None)).value == {"title": "a", "b": "c"}


# --- rounds -------------------------------------------------------------------------------------------------------


async def talking(omni: Omni, desk: Agent, server: ScriptedServer) -> tuple[Peer, Call]:
    came: asyncio.Queue[Call] = asyncio.Queue()
    desk.on("chat.started", came.put_nowait)
    peer = await started(omni, server)
    await begin_chat(peer)
    return peer, await came.get()


async def ask(peer: Peer, round_: str, *calls: tuple[str, str, object]) -> None:
    """The model asks for tools (id, name, arguments)."""
    asked = [{"id": id_, "name": name, "arguments": json.dumps(given)} for id_, name, given in calls]
    await peer.send("llm.tool_call", **CALL, msg_id=round_, tool_calls=asked)


async def test_a_round_is_run_together_and_answered_in_one_frame(omni: Omni, server: ScriptedServer) -> None:
    both = asyncio.Barrier(2)

    @tool
    async def wait_for_the_other(call: Call, n: int) -> str:
        """Waits."""
        await both.wait()
        return f"{n} in {call.id}"

    desk = omni.agent("desk", tools=[wait_for_the_other])
    seen: asyncio.Queue[tuple[events.ToolCalls, Call]] = asyncio.Queue()
    desk.on("llm.toolCall", lambda event, call: seen.put_nowait((event, call)))
    peer, call = await talking(omni, desk, server)
    await ask(peer, "tc_1", ("t1", "wait_for_the_other", {"n": 1}), ("t2", "wait_for_the_other", {"n": 2}))
    assert await peer.expect("llm.tool_result") == {
        "event": "llm.tool_result", "call_id": "chat-1", "msg_id": "tc_1",
        "results": [
            {"tool_call_id": "t1", "result": "1 in chat-1"}, {"tool_call_id": "t2", "result": "2 in chat-1"},
        ],
    }  # fmt: skip
    event, about = await seen.get()
    assert (event.msg_id, [one.args for one in event.tool_calls], about) == ("tc_1", [{"n": 1}, {"n": 2}], call)


async def test_a_round_that_comes_twice_runs_once(omni: Omni, server: ScriptedServer) -> None:
    runs = 0

    @tool
    async def count() -> int:
        nonlocal runs
        runs += 1
        return runs

    desk = omni.agent("desk", tools=[count])
    peer, _ = await talking(omni, desk, server)
    for round_ in ("tc_1", "tc_1", "tc_2"):
        await ask(peer, round_, ("t1", "count", {}))
    assert (await peer.expect("llm.tool_result"))["results"][0]["result"] == 1
    assert (await peer.expect("llm.tool_result"))["msg_id"] == "tc_2"
    assert runs == 2


async def test_flags_come_from_the_decorator_or_the_result(omni: Omni, server: ScriptedServer) -> None:
    @tool(ephemeral=True)
    def secret() -> str:
        return "hush"

    @tool
    def last() -> ToolResult:
        return ToolResult({"ok": 1}, no_followup=True)

    desk = omni.agent("desk", tools=[secret, last])
    peer, _ = await talking(omni, desk, server)
    await ask(peer, "tc_1", ("t1", "secret", {}), ("t2", "last", {}))
    assert (await peer.expect("llm.tool_result"))["results"] == [
        {"tool_call_id": "t1", "result": "hush", "ephemeral": True},
        {"tool_call_id": "t2", "result": {"ok": 1}, "no_followup": True},
    ]


async def test_a_tool_may_act_on_the_call_before_it_answers(omni: Omni, server: ScriptedServer) -> None:
    @tool
    def transfer(call: Call) -> str:
        """Gives the caller to a person."""
        call.say("Connecting you now.")
        call.forward("+15558675309")
        return "done"

    desk = omni.agent("desk", tools=[transfer])
    peer, _ = await talking(omni, desk, server)
    await ask(peer, "tc_1", ("t1", "transfer", {}))
    await peer.expect("llm.tool_result")
    assert peer.names()[-3:] == ["bot.reply", "call.forward", "llm.tool_result"]


async def test_tools_described_by_hand_are_left_to_their_handler(omni: Omni, server: ScriptedServer) -> None:
    @tool
    def mine() -> str:
        return "mine"

    desk = omni.agent("desk", tools=[mine, {"type": "function", "function": {"name": "by_hand"}}])

    @desk.on("llm.tool_call")
    def by_hand(event: events.ToolCalls, call: Call) -> None:
        call.tool_result(
            event.msg_id,
            [{"tool_call_id": one.id, "result": "by hand"} for one in event.tool_calls if one.name == "by_hand"],
        )

    peer, _ = await talking(omni, desk, server)
    await ask(peer, "tc_1", ("t1", "mine", {}), ("t2", "by_hand", {}))
    results = [one for _ in range(2) for one in (await peer.expect("llm.tool_result"))["results"]]
    assert sorted((one["tool_call_id"], one["result"]) for one in results) == [("t1", "mine"), ("t2", "by hand")]


async def test_a_tool_that_nobody_has_is_said_to_the_model(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer, _ = await talking(omni, desk, server)
    await ask(peer, "tc_1", ("t1", "teleport", {}))
    assert (await peer.expect("llm.tool_result"))["results"] == [
        {"tool_call_id": "t1", "result": {"error": "Unknown tool: teleport"}}
    ]


async def test_a_call_may_get_tools_of_its_own(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    @tool
    def vip() -> str:
        """For guests of honour."""
        return "champagne"

    peer, call = await talking(omni, desk, server)
    call.configure(tools=[vip])
    assert (await peer.expect("session.configure"))["tools"] == [vip.wire()]
    await ask(peer, "tc_1", ("t1", "vip", {}))
    assert (await peer.expect("llm.tool_result"))["results"][0]["result"] == "champagne"


async def test_a_slow_tool_holds_up_no_event(omni: Omni, server: ScriptedServer) -> None:
    may_end = asyncio.Event()

    @tool
    async def slow() -> str:
        await may_end.wait()
        return "done"

    desk = omni.agent("desk", tools=[slow])
    heard: asyncio.Queue[str] = asyncio.Queue()
    desk.on("user.message", lambda event: heard.put_nowait(event.text))
    peer, _ = await talking(omni, desk, server)
    await ask(peer, "tc_1", ("t1", "slow", {}))
    await peer.send("chat.message", **CALL, message_id="u2", text="hello?")
    assert await heard.get() == "hello?"
    may_end.set()
    await peer.expect("llm.tool_result")


def test_logging_is_quiet_unless_asked() -> None:
    assert logging.getLogger("omni.sdk").handlers == []
