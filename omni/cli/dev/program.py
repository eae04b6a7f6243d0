"""A bot's program as a process of its own, which goes down with everything it started."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Final

GRACE_SECONDS: Final = 3.0
"""How long a program may take to end after SIGTERM."""

LONGEST_LINE: Final = 10_000
"""Characters; longer lines come in pieces."""


class Program:
    """`say` hears what the program writes, a line at a time."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._command = command
        self._variables = variables
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """In a session of its own: our Ctrl-C is not the program's, and all its processes can be ended at once."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            env={**os.environ, **self._variables, "PYTHONUNBUFFERED": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdout is not None
        self._process = process
        self._readers = [asyncio.create_task(self._read(process.stdout), name="read what the bot writes")]

    async def ended(self) -> str:
        """How it ended, in words, once it has by itself and everything it wrote was told."""
        assert self._process is not None
        status = await self._process.wait()
        await self._clear_up()
        return f"was ended by {_signal(-status)}" if status < 0 else f"ended with status {status}"

    async def stop(self) -> None:
        """Ends it, if it runs. Returns when nothing of it is left."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            self._signal_all(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE_SECONDS):
                    await process.wait()
        await self._clear_up()

    async def _clear_up(self) -> None:
        """What the program started and left behind ends, too: it holds the pipe, and perhaps a port."""
        self._signal_all(signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()
        if self._readers:
            await asyncio.wait(self._readers)
        self._process, self._readers = None, []

    def _signal_all(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    async def _read(self, stream: asyncio.StreamReader) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        rest = ""
        while block := await stream.read(65_536):
            *lines, rest = (rest + decoder.decode(block)).split("\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], ""
            for line in lines:
                self._say(line.removesuffix("\r"))
        if rest:
            self._say(rest)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
