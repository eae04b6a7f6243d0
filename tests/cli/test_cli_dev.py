"""`omni dev`: a server and a bot in one terminal, as a bot's author uses them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

BOT = """\
import os
from omni import Omni

omni = Omni()
desk = omni.agent("desk")
desk.add_channel("chat")
print("pid", os.getpid())


@desk.on("turn.end")
async def answer(turn, call):
    await call.reply(f"{SAYS}: {turn.text}")


omni.run()
"""


class Dev:
    """A running `omni dev`."""

    def __init__(self, process: asyncio.subprocess.Process, omni: Any) -> None:
        self.process = process
        self._omni = omni
        self.seen = ""

    async def until(self, text: str) -> str:
        """The first line with that text, after the one that was looked for before."""
        assert self.process.stdout is not None
        while True:
            line = (await self.process.stdout.readline()).decode()
            assert line, self.seen
            self.seen += line
            if text in line:
                return line.rstrip("\n")

    async def chat(self, text: str) -> str:
        done = await self._omni("chat", "desk", "--server", self.url, typed=f"{text}\n")
        assert done.status == 0, done.out + done.err
        return str(done.out)

    @property
    def url(self) -> str:
        return self.seen.partition("the server is at ")[2].partition(";")[0]


@asynccontextmanager
async def _dev(omni: Any, ended: Callable[..., Any], port: int, *words: str) -> AsyncIterator[Dev]:
    process = await omni.start("dev", "bot.py", "--port", str(port), *words)
    try:
        yield Dev(process, omni)
    finally:
        await ended(process)


def _write(omni: Any, says: str, text: str = BOT) -> None:
    new = omni.folder / "bot.new"
    new.write_text(text.replace("SAYS", repr(says)))
    new.replace(omni.folder / "bot.py")


async def _gone(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(pid, 0)
            await asyncio.sleep(0.02)


async def test_a_bot_is_written_while_people_talk_to_it(omni: Any, free_port: int, ended: Callable[..., Any]) -> None:
    _write(omni, "one")
    async with _dev(omni, ended, free_port) as dev:
        assert f"http://127.0.0.1:{free_port};" in await dev.until("the server is at")
        assert "credentials.json" in await dev.until("its API key is kept in")
        assert (await dev.until("desk is connected")).endswith("omni chat desk")
        assert (await dev.until("desk has a page")).endswith(f"http://127.0.0.1:{free_port}/chat/desk")
        assert await dev.chat("hello") == "desk ‹ one: hello\n"
        await dev.until("›")
        await dev.until("one: hello")
        _write(omni, "", "import nothing_of_this_name\n" + BOT)
        await dev.until("bot.py changed")
        await dev.until("ModuleNotFoundError: No module named 'nothing_of_this_name'")
        await dev.until("the bot ended with status 1; it starts again")
        _write(omni, "two")
        pid = int((await dev.until("pid ")).rpartition(" ")[2])
        await dev.until("desk is connected")
        assert await dev.chat("again") == "desk ‹ two: again\n"
        dev.process.send_signal(signal.SIGINT)
        assert await dev.process.wait() == 0
        await _gone(pid)


async def test_a_closed_terminal_ends_both(omni: Any, free_port: int, ended: Callable[..., Any]) -> None:
    _write(omni, "one")
    async with _dev(omni, ended, free_port, "--", "--an-option-of-the-bot") as dev:
        pid = int((await dev.until("pid ")).rpartition(" ")[2])
        dev.process.send_signal(signal.SIGHUP)
        assert await dev.process.wait() == 0
        await _gone(pid)


async def test_the_key_stays_the_same(omni: Any, free_port: int, ended: Callable[..., Any]) -> None:
    _write(omni, "", "import os\nprint('key', os.environ['OMNI_API_KEY'], os.environ['OMNI_URL'])\n")
    keys = []
    for _ in range(2):
        async with _dev(omni, ended, free_port) as dev:
            keys.append(await dev.until("key pk_"))
            dev.process.send_signal(signal.SIGTERM)
            assert await dev.process.wait() == 0
    assert keys[0] == keys[1]
    assert keys[0].endswith(f" http://127.0.0.1:{free_port}")


async def test_what_cannot_start_is_a_sentence(omni: Any, free_port: int, ended: Callable[..., Any]) -> None:
    missing = await omni("dev", "nowhere.py")
    assert missing.status == 2
    assert "there is no nowhere.py" in missing.err
    _write(omni, "one")
    async with _dev(omni, ended, free_port) as dev:
        await dev.until("the server is at")
        taken = await omni("dev", "bot.py", "--port", str(free_port))
        assert taken.status == 2
        assert len(taken.err.splitlines()) == 1
