"""`omni calls tail`: a live log, from the store beside a server and over the network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from omni.cli.address import Address
from omni.cli.chat.client import connected
from omni.cli.show_observed import observed_line
from tests.brains.llm_server import LlmServer, calls, says

SECONDS = 20.0


@asynccontextmanager
async def _tail(omni: Any, ended: Callable[..., Any], *words: str) -> AsyncIterator[Callable[[str], Any]]:
    """`await until("text")` returns the first line with that text after the one that was looked for before."""
    process = await omni.start("calls", "tail", *words)

    async def until(text: str) -> str:
        while True:
            line = (await process.stdout.readline()).decode()
            assert line, (await process.stderr.read()).decode()
            if text in line:
                return str(line)

    try:
        yield until
    finally:
        await ended(process)


@pytest.fixture(params=["store", "server"])
def where(request: pytest.FixtureRequest, omni: Any, address: Address) -> str:
    """Variables with which the log is read from the store, or followed over the network."""
    if request.param == "store":
        omni.variables["OMNI_STORE_URL"] = f"sqlite:///{omni.folder / 'server.db'}"
    else:
        omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key}
    return str(request.param)


async def test_what_is_said_is_shown_as_it_is_said(
    omni: Any, where: str, address: Address, llm: LlmServer, ended: Callable[..., Any]
) -> None:
    llm.will(calls(("book_table", '{"party_size": 2}')), says("Booked \x1b[31mred."))
    async with connected(address) as client:
        conversation = client.conversation("echo")
        await conversation.ask("before", SECONDS)
        async with _tail(omni, ended) as until:
            await until("before")
            await conversation.ask("ahoy", SECONDS)
            assert "visitor  ahoy" in await until("›")
            assert "bot  You said: ahoy" in await until("‹")
            await client.conversation("thinker").ask("a table", SECONDS)
            await until("call started by visitor")
            assert 'book_table {"party_size": 2}' in await until("⚙")
            assert "Booked \\x1b[31mred." in await until("‹")


async def test_a_call_that_comes_and_goes_at_once_is_shown(
    omni: Any, where: str, address: Address, ended: Callable[..., Any]
) -> None:
    async with connected(address) as client:
        await client.conversation("echo").ask("first", SECONDS)
    async with _tail(omni, ended) as until:
        await until("first")
        for text in ("one", "two"):
            async with connected(address) as client:
                await client.conversation("echo").ask(text, SECONDS)
            await until(f"visitor  {text}")
            await until("call ended")


async def test_only_one_agent_is_shown(omni: Any, where: str, address: Address, ended: Callable[..., Any]) -> None:
    async with connected(address) as client, _tail(omni, ended, "--agent", "echo", "--json") as until:
        await client.conversation("thinker").ask("not this", SECONDS)
        await client.conversation("echo").ask("ahoy", SECONDS)
        assert json.loads(await until(""))["type"] == "call.started"
        said = json.loads(await until("user.message"))
        assert (said["agent"], said["data"]["text"]) == ("echo", "ahoy")


async def test_one_call_is_shown_up_to_its_end(omni: Any, address: Address) -> None:
    omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key}
    async with connected(address) as client:
        await client.conversation("echo").ask("ahoy", SECONDS)
        call = json.loads((await omni("calls", "tail", "--json", "--no-follow")).out.splitlines()[0])["call"]
        following = asyncio.create_task(omni("calls", "tail", call))
        await client.conversation("echo").ask("another call", SECONDS)
    done = await following
    assert done.status == 0, done.err
    assert "visitor  ahoy" in done.out
    assert "call ended: disconnected" in done.out
    assert "another call" not in done.out


async def test_what_cannot_be_followed_is_a_sentence(omni: Any, address: Address) -> None:
    omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key}
    for words, sentence in (
        (("nowhere",), "404"),
        (("last",), "name the call by its id"),
        (("--api-key", "pk_wrong"), "refuses the API key"),
    ):
        done = await omni("calls", "tail", *words)
        assert done.status == 2
        assert sentence in done.err


@pytest.mark.parametrize(
    ("type_", "data", "shown"),
    [
        ("supervisor.said", {"text": "Hi", "by": "tess"}, "‹ tess  Hi"),
        ("tool.result", {"result": {"a": 1}, "ms": 7, "error": True}, '⚙ {"a": 1} after 7 ms'),
        ("handoff.requested", {"by": "bot"}, "! a person is asked for by bot"),
        ("handoff.active", {"by": "tess"}, "! tess has the conversation"),
        ("handoff.released", {"by": "tess"}, "! tess gave the conversation back"),
        ("delivery.failed", {"code": "window_closed"}, "✗ not delivered (window_closed)"),
        ("turn.end", {"outcome": "failed"}, "✗ no answer"),
        ("call.ended", {"reason": "idle", "duration": 61}, "call ended: idle, after 1 min"),
        ("user.message", {"text": ["a", 7]}, "['a', 7]"),
        ("call.ended", {"duration": "long"}, "after 0 s"),
        ("something.new", {"a": "\x1b"}, '· something.new {"a": "\\u001b"}'),
        ("turn.start", {}, None),
        ("bot.finished", None, None),
    ],
)
def test_every_kind_of_entry_has_its_line(type_: str, data: Any, shown: str | None) -> None:
    line = observed_line({"seq": 1, "ts": 0.0, "call": "chat-1", "agent": "desk", "type": type_, "data": data}, {})
    assert (line is None) == (shown is None)
    if line is not None and shown is not None:
        assert shown in "".join(part.partition("m")[2] if n else part for n, part in enumerate(line.split("\x1b[")))
