"""The program's line to the server: what its agents share, whatever becomes of one connection."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, TypeVar

from omni.sdk import commands
from omni.sdk.answer import Answer
from omni.sdk.errors import ConfigError, ConnectionLostError, RequestRefusedError, RequestTimeoutError
from omni.sdk.mailbox import Tasks
from omni.sdk.timing import Timing

T = TypeVar("T")

ROOM: Final = 256
"""Frames that may wait for the socket before who awaits a command has to wait as well."""


ANSWERED_BY: Final = {
    "session.paused": "session.pause",
    "session.resumed": "session.resume",
    "session.sent": "session.send",
}
"""Which command an event answers that has no request id."""
SCOPED: Final = frozenset(ANSWERED_BY.values())


class Owner(Protocol):
    """Who gets its frame back when the connection broke before the frame left."""

    def not_sent(self, frame: commands.Frame) -> None: ...


class Waiting(NamedTuple):
    frame: commands.Frame
    owner: Owner | None


class Outbox:
    """Frames on their way into one socket."""

    def __init__(self) -> None:
        self.frames: deque[Waiting] = deque()
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._empty = asyncio.Event()
        self._room.set()
        self._empty.set()

    def push(self, frame: commands.Frame, owner: Owner | None = None) -> None:
        self.frames.append(Waiting(frame, owner))
        self._some.set()
        self._empty.clear()
        if len(self.frames) >= ROOM:
            self._room.clear()

    async def first(self) -> commands.Frame:
        """The next frame; it stays until `drop`, so that one that could not be written is not forgotten."""
        while not self.frames:
            self._some.clear()
            await self._some.wait()
        return self.frames[0].frame

    def drop(self) -> None:
        self.frames.popleft()
        if len(self.frames) < ROOM:
            self._room.set()
        if not self.frames:
            self._empty.set()

    async def room(self) -> None:
        await asyncio.sleep(0)
        await self._room.wait()

    async def flushed(self) -> None:
        await self._empty.wait()

    def close(self) -> None:
        """Nobody waits for a socket that is gone."""
        self._room.set()
        self._empty.set()


class Scope(NamedTuple):
    """What a takeover is about: a command of an agent, and a call, a contact (digits) or everybody."""

    event: str
    agent: str
    session: str | None
    contact: str


class _Asked(NamedTuple):
    """A request, and what to do with its answer."""

    name: str
    take: Callable[[commands.Frame], None]
    fail: Callable[[BaseException], None]
    scope: Scope | None


class Line:
    """`connection` counts connections. Requests wait for their answers here."""

    def __init__(self, timing: Timing, tasks: Tasks) -> None:
        self.timing = timing
        self.tasks = tasks
        self.connection = 0
        self.callers: dict[str, tuple[str, ...]] = {}
        """Numbers whose calls are routed to this program, by the agent that asked for them."""
        self._outbox: Outbox | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._asked: dict[str, _Asked] = {}

    # --- the connection ---

    def started(self) -> None:
        """From the coroutine that runs the program."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    @property
    def is_open(self) -> bool:
        return self._outbox is not None

    def opened(self, outbox: Outbox) -> None:
        self.connection += 1
        self._outbox = outbox

    def lost(self) -> None:
        """Frames that did not leave go back to who sent them, and whoever waits for an answer hears that none comes."""
        outbox, self._outbox = self._outbox, None
        if outbox is None:
            return
        outbox.close()
        unsent = {waiting.frame.get("request_id") for waiting in outbox.frames}
        for frame, owner in outbox.frames:
            if owner is not None:
                owner.not_sent(frame)
        for key in [key for key in self._asked if key not in unsent]:
            asked = self._asked.pop(key)
            asked.fail(ConnectionLostError(f"the connection broke before the answer to {asked.name} came; ask again"))

    def push(self, frame: commands.Frame, owner: Owner | None = None) -> None:
        """Only while the line is open."""
        assert self._outbox is not None
        self._outbox.push(frame, owner)

    async def room(self) -> None:
        """Waits while the socket has too much to write."""
        if self._outbox is not None:
            await self._outbox.room()
        else:
            await asyncio.sleep(0)

    def do(self, act: Callable[[], None]) -> None:
        """Acts on the event loop: now when this is its thread (or nothing runs yet), else soon."""
        if self._loop is None or threading.get_ident() == self._thread:
            act()
        else:
            self._loop.call_soon_threadsafe(act)

    # --- requests ---

    def expect(
        self, key: str, name: str, read: Callable[[commands.Frame], T], answer: Answer[T], scope: Scope | None = None
    ) -> None:
        """The answer that comes under a key, or about a scope, is `read` into `answer`; none in time is an error."""
        if self._loop is None:
            raise ConfigError(f"{name} needs a running program: give it after `await omni.start()`, or in a handler")
        self._asked[key] = _Asked(name, lambda frame: answer.settle(read(frame)), answer.fail, scope)
        timer = self._loop.call_later(self.timing.request, self._too_late, key)
        answer.when_done(timer.cancel)

    def _too_late(self, key: str) -> None:
        if (asked := self._asked.pop(key, None)) is not None:
            asked.fail(RequestTimeoutError(f"the server did not answer {asked.name} within {self.timing.request:g} s"))

    def answered(self, frame: commands.Frame, agent: str) -> None:
        """A frame that may answer a request: by its id, or because it is about the same scope."""
        keys = [str(frame.get("request_id"))]
        if (event := frame.get("command") or ANSWERED_BY.get(frame["event"])) in SCOPED:
            scope = Scope(str(event), agent, frame.get("session_id"), _digits(frame.get("contact")))
            keys += self._about(scope)
        for key in keys:
            if (asked := self._asked.pop(key, None)) is not None:
                self._settle(asked, frame)

    def _about(self, scope: Scope) -> list[str]:
        """The requests about a scope; a message to a contact is answered with the call that it went to."""
        exact = [key for key, asked in self._asked.items() if asked.scope == scope]
        to_somebody = (
            key
            for key, asked in self._asked.items()
            if asked.scope is not None and asked.scope[:2] == scope[:2] and asked.scope.contact
        )
        return exact or (list(to_somebody)[:1] if scope.event == "session.send" else [])

    def _settle(self, asked: _Asked, frame: commands.Frame) -> None:
        if error := frame.get("error"):
            about = frame.get("call_id") or frame.get("agent_id") or ""
            sentence = f"the server refused {asked.name} for {about}: {error}"
            asked.fail(RequestRefusedError(sentence, str(frame.get("code") or error)))
        else:
            asked.take(frame)

    # --- routed callers ---

    def all_callers(self) -> list[str]:
        """The server keeps one set for each connection, so it is told those of all agents."""
        return sorted({number for numbers in self.callers.values() for number in numbers})


def _digits(contact: object) -> str:
    return re.sub(r"\D", "", str(contact or ""))


def scope_of(frame: commands.Frame) -> Scope:
    """What a command of a takeover is about."""
    return Scope(frame["event"], frame["agent_id"], frame.get("session_id"), _digits(frame.get("contact")))
