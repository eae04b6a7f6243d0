"""The parts of `omni dev`: which files are watched, and a program that is kept running."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from omni.cli.dev import watching
from omni.cli.dev.program import LONGEST_LINE, Program
from omni.cli.dev.showing import arrivals, page_lines
from omni.cli.dev.supervision import keep_running
from omni.cli.dev.verb import _free_port
from omni.cli.dev.watching import Watcher, differences, snapshot
from omni.live.presence import Program as Connected

POLL = 0.01


def _files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def test_a_bot_is_made_of_its_program_and_what_stands_beside_it(tmp_path: Path) -> None:
    watched = {"bot", "tools.py", "prompt.md", "texts/es.yaml", ".env", "texts/deep/er.jinja"}
    _files(tmp_path, *watched)
    _files(tmp_path, "history.json", "omni.db", "bot.log", "notes.txt", ".hidden.py", ".git/a.py", "__pycache__/a.py")
    _files(tmp_path, "node_modules/a.md", "venv/pyvenv.cfg", "venv/lib/a.py", "omni-data/omni.yaml")
    assert {str(path.relative_to(tmp_path)) for path in snapshot(tmp_path / "bot")} == watched


def test_written_made_and_removed_files_are_differences(tmp_path: Path) -> None:
    names = ("written.py", "removed.py", "same.py")
    _files(tmp_path, *names)
    before = snapshot(tmp_path / "written.py")
    os.utime(tmp_path / "written.py", (1, 1))
    (tmp_path / "removed.py").unlink()
    _files(tmp_path, "made.py")
    changed = differences(before, snapshot(tmp_path / "written.py"))
    assert [path.name for path in changed] == ["made.py", "removed.py", "written.py"]


async def test_changes_are_told_once_and_together(tmp_path: Path) -> None:
    _files(tmp_path, "bot.py")
    watcher = Watcher(tmp_path / "bot.py", POLL)
    await watcher.begin()
    _files(tmp_path, "a.py", "b.py")
    assert [path.name for path in await watcher.changed()] == ["a.py", "b.py"]
    _files(tmp_path, "c.py")
    assert [path.name for path in await watcher.changed()] == ["c.py"]


async def test_nothing_is_told_while_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _files(tmp_path, "bot.py")
    watcher = Watcher(tmp_path / "bot.py", POLL)
    await watcher.begin()
    looks: list[Path] = []
    monkeypatch.setattr(watching, "snapshot", lambda program: looks.append(program) or snapshot(program))
    told = asyncio.create_task(watcher.changed())
    while len(looks) < 5:
        await asyncio.sleep(POLL)
    assert not told.done()
    _files(tmp_path, "a.py")
    assert [path.name for path in await told] == ["a.py"]


def _python(text: str, heard: list[str]) -> Program:
    return Program((sys.executable, "-c", text), {"GREETING": "hi"}, heard.append)


async def test_what_a_program_writes_is_heard_line_by_line() -> None:
    heard: list[str] = []
    program = _python(
        "import os, sys\n"
        "print(os.environ['GREETING'], sys.stdin.read() or 'no input')\n"
        "sys.stderr.write('to stderr\\r\\n')\n"
        "sys.stdout.buffer.write(b'half \\xff' + b'x' * 200_000 + b'\\nlast')\n",
        heard,
    )
    await program.start()
    assert await program.ended() == "ended with status 0"
    assert heard[:2] == ["hi no input", "to stderr"]
    assert heard[-1] == "last"
    long = "".join(heard[2:-1])
    assert long == "half \ufffd" + "x" * 200_000
    assert len(heard) > 3
    assert all(len(line) <= LONGEST_LINE + 65_536 for line in heard)


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("raise SystemExit(3)", "ended with status 3"),
        ("import os; os.kill(os.getpid(), 9)", "was ended by SIGKILL"),
    ],
)
async def test_how_a_program_ended_is_told_in_words(text: str, how: str) -> None:
    program = _python(text, [])
    await program.start()
    assert await program.ended() == how


async def test_a_program_that_will_not_end_is_ended_with_all_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omni.cli.dev.program.GRACE_SECONDS", 0.1)
    begun = asyncio.Event()
    heard: list[str] = []

    def hear(line: str) -> None:
        heard.append(line)
        if len(heard) == 2:
            begun.set()

    text = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.fork()\n"
        "os.write(1, b'%d\\n' % os.getpid())\n"  # in one piece: two of them write at once
        "time.sleep(60)\n"
    )
    program = Program((sys.executable, "-c", text), {}, hear)
    await program.start()
    await begun.wait()
    await program.stop()
    for pid in map(int, heard):
        while _runs(pid):
            await asyncio.sleep(0.01)
    await program.stop()  # has nothing to do


def _runs(pid: int) -> bool:
    """Whether the process is there; one that has ended and that nobody has asked after is not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


class Stage:
    """A bot's file that a test writes, and everything that is heard of its program."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._heard: list[str] = []
        self._news = asyncio.Event()

    def hear(self, line: str) -> None:
        self._heard.append(line)
        self._news.set()

    async def until(self, text: str) -> str:
        """The line with that text; the next time it is looked for after that line."""
        while not any(text in line for line in self._heard):
            self._news.clear()
            await self._news.wait()
        at = next(n for n, line in enumerate(self._heard) if text in line)
        found = self._heard[at]
        del self._heard[: at + 1]
        return found

    def write(self, text: str) -> None:
        """As editors do: another file takes its place."""
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.file)


@asynccontextmanager
async def _kept(tmp_path: Path, text: str) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path / "bot.py")
    stage.write(text)
    program = Program((sys.executable, str(stage.file)), {}, stage.hear)
    keeping = asyncio.create_task(keep_running(program, Watcher(stage.file, POLL), stage.hear))
    try:
        yield stage
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def test_a_bot_starts_again_when_its_file_changes(tmp_path: Path) -> None:
    async with _kept(tmp_path, "import time\nprint('one')\ntime.sleep(60)") as stage:
        await stage.until("one")
        stage.write("import time\nprint('two')\ntime.sleep(60)")
        assert await stage.until("changed") == "bot.py changed: the bot starts again"
        await stage.until("two")


async def test_a_bot_that_fails_shows_why_and_waits_for_a_change(tmp_path: Path) -> None:
    async with _kept(tmp_path, "import nothing_of_this_name") as stage:
        await stage.until("ModuleNotFoundError: No module named 'nothing_of_this_name'")
        assert "ended with status 1; it starts again when one of its files changes" in await stage.until("the bot")
        stage.write("print('mended')")
        await stage.until("mended")
        await stage.until("ended with status 0")
        (tmp_path / "prompt.md").write_text("Be brief.")
        assert await stage.until("changed") == "prompt.md changed: the bot starts again"
        await stage.until("mended")


async def test_nothing_of_the_bot_is_left_when_it_is_no_longer_kept(tmp_path: Path) -> None:
    async with _kept(tmp_path, "import os, time\nprint(os.getpid())\nprint('up')\ntime.sleep(60)") as stage:
        pid = int(await stage.until(""))
        await stage.until("up")
        assert _runs(pid)
    assert not _runs(pid)


def test_the_usual_port_is_taken_or_the_next_one_that_is_free(free_port: int) -> None:
    assert _free_port("127.0.0.1", free_port) == free_port
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        other.listen()
        assert _free_port("127.0.0.1", free_port) != free_port
    assert _free_port("no.such.host.invalid", free_port) == 0


def _connected(agent: str, holder: str) -> Connected:
    return Connected(org="default", agent=agent, holder=holder, desk="d", since=0.0)


def test_agents_are_told_of_when_they_come_come_anew_and_go() -> None:
    def plain(text: str, **_: object) -> str:
        return text

    tell: Callable[..., list[str]] = arrivals
    one, anew = {"desk": _connected("desk", "a")}, {"desk": _connected("desk", "b")}
    came = ["● desk is connected; talk to it: omni chat desk"]
    assert tell({}, one, plain) == came
    assert tell(one, one, plain) == []
    assert tell(one, anew, plain) == came
    assert tell(anew, {}, plain) == ["● desk is not connected any more"]
    assert page_lines({"desk", "ärger"}, "http://h", plain) == [
        "● desk has a page: http://h/chat/desk",
        "● ärger has a page: http://h/chat/%C3%A4rger",
    ]
