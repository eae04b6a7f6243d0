"""The server's processes: started, killed with SIGKILL or asked to stop with SIGTERM, and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

MUST_DRAIN_WITHIN = 10.0


@dataclass(slots=True)
class Life:
    """One process from start to end. `end` None while it lives; `itself` when nobody asked it to go."""

    number: int
    name: str
    role: str
    started: float
    process: asyncio.subprocess.Process
    asked: float | None = None
    ended: float | None = None
    end: Literal["killed", "drained", "itself"] | None = None
    exit_code: int | None = None

    @property
    def drain_seconds(self) -> float:
        return (self.ended or time.time()) - self.asked if self.asked is not None else 0.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Post:
    """A place that a process always fills: its role, its port, and how it is started."""

    name: str
    role: str
    arguments: tuple[str, ...]
    port: int
    log: Path
    life: Life | None = None


@dataclass(slots=True)
class Fleet:
    """All posts and all lives. `environment` gives the variables of a new life; `on_killed` is called between a
    kill and the restart."""

    environment: Callable[[int], Awaitable[Mapping[str, str]]]
    on_killed: Callable[[Life], Awaitable[None]]
    posts: list[Post] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    peak_kb: dict[str, int] = field(default_factory=dict)

    async def start(self, post: Post) -> None:
        number = len(self.lives) + 1
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("OMNI_", "OPENAI_"))}
        variables.update(await self.environment(number))
        with post.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "omni",
                "serve",
                "--port",
                str(post.port),
                *post.arguments,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        post.life = Life(number, post.name, post.role, time.time(), process)
        self.lives.append(post.life)

    async def kill(self, post: Post) -> None:
        life = post.life
        assert life is not None
        life.asked = time.time()
        with contextlib.suppress(ProcessLookupError):
            life.process.send_signal(signal.SIGKILL)
        life.exit_code = await life.process.wait()
        life.ended, life.end = time.time(), "killed" if life.exit_code == -signal.SIGKILL else "itself"
        await self.on_killed(life)

    async def drain(self, post: Post) -> None:
        """SIGTERM, and SIGKILL when it does not go in time; `exit_code` tells."""
        life = post.life
        assert life is not None
        if life.ended is not None:
            return
        life.asked, life.end = time.time(), "drained"
        with contextlib.suppress(ProcessLookupError):
            life.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(MUST_DRAIN_WITHIN + 5):
                life.exit_code = await life.process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                life.process.send_signal(signal.SIGKILL)
            life.exit_code = await life.process.wait()
        life.ended = time.time()

    async def torment(
        self, post: Post, kill_every: float, drain_share: float, dice: random.Random, enough: asyncio.Event
    ) -> None:
        """Kill and restart one post until there was `enough`. A kill may fall into the start as well."""
        stopping = asyncio.create_task(enough.wait(), name=f"torment {post.name} until")
        try:
            while not enough.is_set():
                life = post.life
                assert life is not None
                ending = asyncio.create_task(life.process.wait(), name=f"end of {post.name}")
                patience = dice.uniform(0.2, 2 * kill_every - 0.2)
                await asyncio.wait({ending, stopping}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if ending.done():
                    life.exit_code = ending.result()
                    life.ended, life.end = time.time(), "itself"
                else:
                    ending.cancel()
                    if enough.is_set():
                        return
                    if dice.random() < drain_share and await _listens(post.port):
                        await self.drain(post)
                    else:
                        await self.kill(post)
                await asyncio.sleep(dice.random() ** 2 * 1.5)
                await self.start(post)
        finally:
            stopping.cancel()

    async def end(self) -> None:
        """Nothing may outlive the run."""
        for post in self.posts:
            if post.life is not None and post.life.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    post.life.process.send_signal(signal.SIGKILL)
                await post.life.process.wait()

    async def watch_memory(self) -> None:
        """The largest resident set of each role, until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            alive = {
                str(post.life.process.pid): post.role for post in self.posts if post.life and post.life.ended is None
            }
            if not alive:
                continue
            asked = await asyncio.create_subprocess_exec(
                "ps", "-o", "pid=,rss=", "-p", ",".join(alive), stdout=subprocess.PIPE
            )
            told, _ = await asked.communicate()
            for line in told.decode().splitlines():
                pid, size = line.split()
                role = alive.get(pid, "?")
                self.peak_kb[role] = max(self.peak_kb.get(role, 0), int(size))


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def all_listen(posts: list[Post], seconds: float) -> bool:
    """True once every post answers on its port."""
    until = time.monotonic() + seconds
    while not all([await _listens(post.port) for post in posts]):
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.2)
    return True
