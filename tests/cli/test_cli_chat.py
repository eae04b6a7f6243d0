"""`omni chat`: how a conversation looks, piped and typed."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from omni.cli.address import Address
from omni.cli.chat.events import (
    CalledTool,
    ChatEvent,
    Done,
    Failed,
    Handoff,
    HumanWrote,
    Token,
    ToolCalls,
    ToolResult,
    chat_event,
    frame,
)
from omni.cli.chat.screen import Screen, visible
from tests.brains.llm_server import LlmServer, Reply, says


def _token(text: str) -> Token:
    return Token(event="llm.chat.token", session_id="s", text=text)


def _done(text: str) -> Done:
    return Done(event="llm.chat.done", session_id="s", text=text)


def _shown(capsys: pytest.CaptureFixture[str], *events: ChatEvent) -> str:
    screen = Screen("desk")
    for event in events:
        screen.show(event)
    return capsys.readouterr().out


def test_words_are_added_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    assert _shown(capsys, _token("Hel"), _token("Hello"), _done("Hello")) == "desk ‹ Hello\n"
    assert _shown(capsys, _done("Hello")) == "desk ‹ Hello\n"
    assert _shown(capsys, _token("Hel"), _done("Hello")) == "desk ‹ Hello\n"


def test_tools_stand_on_lines_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    called = CalledTool(name="book", arguments='{"n": 2}')
    events = (
        _token("One moment."),
        ToolCalls(event="llm.chat.tool_call", session_id="s", tool_calls=(called,)),
        ToolResult(event="llm.chat.tool_result", session_id="s", name="book", result="done\n" + 300 * "x"),
        _token("One moment.\nBooked."),
        _done("One moment.\nBooked."),
    )
    lines = _shown(capsys, *events).splitlines()
    assert lines[:2] == ["desk ‹ One moment.", '  · book({"n": 2})']
    assert lines[2].startswith("  · book → done ⏎ xxx")
    assert len(lines[2]) < 230
    assert lines[3:] == ["desk ‹ Booked."]


def test_words_that_were_taken_back_are_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    shown = _shown(capsys, _token("Your orde"), _token("No"), _done("No."))
    assert shown == "desk ‹ Your orde\n  · (takes that back)\ndesk ‹ No.\n"


def test_a_failure_and_a_silence_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    failed = Failed(event="llm.chat.error", session_id="s", error="the model\nis away")
    assert _shown(capsys, _token("Hm"), failed) == "desk ‹ Hm\n  ✗ the model ⏎ is away\n"
    assert _shown(capsys, _done("")) == "  (nothing said)\n"


def test_what_a_colleague_writes_and_does_stands_among_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    paused = Failed(event="llm.chat.error", session_id="s", error="a person has this conversation", paused=True)
    shown = _shown(
        capsys,
        _token("Let me"),
        Handoff(event="llm.chat.handoff", session_id="s", state="active", by="Ada\x1b[2J"),
        paused,
        HumanWrote(event="llm.chat.human", session_id="s", text="Hi,\nhere I am\x07", by="Ada"),
        Handoff(event="llm.chat.handoff", session_id="s", state="released", by="Ada"),
        Handoff(event="llm.chat.handoff", session_id="s", state="requested", by="bot"),
    )
    assert shown.splitlines() == [
        "desk ‹ Let me",
        "  · Ada\\x1b[2J has the conversation; the agent is silent",
        "  · a person has this conversation",
        "Ada ‹ Hi,",
        "here I am\\x07",
        "  · Ada gave the conversation back to the agent",
        "  · a person is asked for",
    ]


def test_a_terminal_obeys_nobody_else() -> None:
    assert visible("a\x1b[2Jb\x07\nc\td\r\ne\u202e") == "a\\x1b[2Jb\\x07\nc\td\ne\\u202e"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "7" * 5000,
        '{"event": "call.started"}',
        '{"event": ["llm.chat.done"]}',
        '{"event": "llm.chat.done"}',
        '{"event": "llm.chat.done", "session_id": 7, "text": "x"}',
        '{"event": "llm.chat.token", "session_id": "s", "text": null}',
    ],
)
def test_a_frame_that_is_not_as_it_must_be_is_no_event(text: str) -> None:
    told = frame(text)
    name = told.get("event")
    assert chat_event(told if isinstance(name, str) else {}) is None


async def test_texts_are_piped_in_line_by_line(omni: Any, address: Address) -> None:
    omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key}
    done = await omni("chat", "echo", typed="hello\n\n/what\n//slash\n/new\nMENU\n/quit\nnever said\n")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "echo ‹ You said: hello"
    assert lines[1].startswith("/reset or /new")
    assert lines[2:] == ["echo ‹ You said: /slash", "A new conversation.", "echo ‹ Soup", "Bread"]


async def test_frames_are_printed_as_json(omni: Any, address: Address) -> None:
    done = await omni("chat", "echo", "--json", "--server", address.url, "--api-key", address.key, typed="hello\n")
    assert done.status == 0, done.err
    told = [json.loads(line) for line in done.out.splitlines()]
    assert [one["event"] for one in told] == ["llm.chat.started", "llm.chat.token", "llm.chat.done"]
    assert told[-1]["text"] == "You said: hello"


async def test_an_answer_that_failed_is_status_1_in_a_pipe(omni: Any, address: Address) -> None:
    omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key}
    done = await omni("chat", "nobody", typed="hello\n")
    assert done.status == 1
    assert "Agent 'nobody' is not online" in done.out


async def test_a_key_that_was_saved_is_found_the_next_time(omni: Any, address: Address) -> None:
    omni.variables["OMNI_URL"] = address.url
    missing = await omni("chat", "echo", typed="")
    assert missing.status == 2
    assert "omni keys create" in missing.err
    wrong = await omni("chat", "echo", "--api-key", "pk_wrong", "--save", typed="")
    assert wrong.status == 2
    assert "refuses the API key" in wrong.err
    saved = await omni("chat", "echo", "--api-key", address.key, "--save", typed="")
    assert "credentials.json" in saved.err
    assert (await omni("chat", "echo", typed="hi\n")).out == "echo ‹ You said: hi\n"


async def test_an_agent_need_not_be_named_where_one_program_is_connected(omni: Any, address: Address) -> None:
    omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key}
    done = await omni("chat", typed="hi\n")
    assert done.status == 2
    assert "omni chat AGENT (no program is connected)" in done.err


class Terminal:
    """Somebody at the keyboard of a process."""

    def __init__(self, process: asyncio.subprocess.Process, keyboard: int) -> None:
        self.process = process
        self._keyboard = keyboard
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._came = asyncio.Event()
        self.seen = ""
        asyncio.get_running_loop().add_reader(keyboard, self._read)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the process has closed its side
            self.seen += self._decoder.decode(os.read(self._keyboard, 65_536))
        self._came.set()

    async def until(self, text: str) -> str:
        """Everything that was shown up to `text`; what comes after it is seen the next time."""
        while text not in self.seen:
            self._came.clear()
            await self._came.wait()
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def type(self, text: str) -> None:
        os.write(self._keyboard, text.encode())


@asynccontextmanager
async def _terminal(omni: Any, *words: str) -> AsyncIterator[Terminal]:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "omni", *words, cwd=omni.folder, env={**omni.environment(), "TERM": "xterm"},
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_a_conversation_at_the_keyboard(omni: Any, address: Address, llm: LlmServer) -> None:
    omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key}
    llm.will(Reply(says("I think", finish=None).events, then="hang"))
    async with _terminal(omni, "chat", "thinker") as terminal:
        assert "Write to thinker." in await terminal.until("/quit")
        await terminal.until("you › ")
        terminal.type("hello\n")
        await terminal.until("I think")
        terminal.process.send_signal(signal.SIGINT)
        await terminal.until("(given up)")
        await terminal.until("you › ")
        terminal.type("/quit\n")
        assert await terminal.process.wait() == 0


async def test_a_colleague_is_seen_while_one_types(omni: Any, address: Address) -> None:
    omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key, "NO_COLOR": "1"}
    omni.variables["OMNI_STORE_URL"] = f"sqlite:///{omni.folder / 'server.db'}"
    async with _terminal(omni, "chat", "echo") as terminal:
        await terminal.until("you › ")
        terminal.type("hello\n")
        await terminal.until("You said: hello")
        await terminal.until("you › ")
        terminal.type("I am ty")
        await terminal.until("I am ty")
        assert (await omni("send", "last", "Hi, Ada here", "--by", "Ada")).status == 0
        shown = await terminal.until("Ada ‹ Hi, Ada here")
        assert "· Ada has the conversation; the agent is silent" in shown
        await terminal.until("you › I am ty")
        terminal.type("ping\n")
        await terminal.until("· a person has this conversation; the agent is paused")
        await terminal.until("you › ")
        assert (await omni("resume", "last", "--by", "Ada")).status == 0
        await terminal.until("· Ada gave the conversation back to the agent")
        await terminal.until("you › ")
        terminal.type("who?\n")
        await terminal.until("echo ‹ You said: who?")
        await terminal.until("you › ")
        terminal.type("/quit\n")
        assert await terminal.process.wait() == 0


async def test_colours_are_for_terminals_and_not_for_no_color(omni: Any, address: Address) -> None:
    omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key}
    async with _terminal(omni, "chat", "echo") as terminal:
        await terminal.until("you › ")
        terminal.type("hello\n")
        assert "\x1b[32m" in await terminal.until("You said: hello")
        await terminal.until("you › ")
        terminal.type("\x04")
        assert await terminal.process.wait() == 0
    omni.variables["NO_COLOR"] = "1"
    async with _terminal(omni, "chat", "echo") as terminal:
        await terminal.until("you › ")
        terminal.type("hello\n")
        assert "\x1b[3" not in await terminal.until("You said: hello")
        await terminal.until("you › ")
        terminal.type("/quit\n")
        assert await terminal.process.wait() == 0
