"""The program: connected to a server, with agents that answer there."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from omni.sdk.agent import Agent
from omni.sdk.answer import Answer
from omni.sdk.call import Call
from omni.sdk.config import http_url
from omni.sdk.emitter import Emitter
from omni.sdk.errors import AuthenticationError, ConfigError, ConnectError, OmniError
from omni.sdk.history import HistoryStore
from omni.sdk.line import Line
from omni.sdk.mailbox import Tasks
from omni.sdk.plain import plain
from omni.sdk.stream import EventStream, Streams
from omni.sdk.switchboard import Switchboard
from omni.sdk.timing import Timing
from omni.sdk.token import Token

if TYPE_CHECKING:
    from omni.sdk.link import Link
    from omni.sdk.socket import Closed, Socket

log = logging.getLogger("omni.sdk")

DEFAULT_URL: Final = "http://localhost:8080"


class Omni(Emitter[Call]):
    """A connection to an omni server, and the agents that this program answers for.

    `url` is the server's (OMNI_URL, else http://localhost:8080), `api_key` a key of `omni keys` (OMNI_API_KEY). Declare
    agents, then `omni.run()`; or, within a program of your own, `async with omni:` or `await omni.start()` and
    `await omni.close()`. `on` hears the events of all agents. A connection that breaks is made again, and the agents
    are registered as they were.
    """

    def __init__(self, url: str | None = None, api_key: str | None = None, *, timing: Timing | None = None) -> None:
        super().__init__()
        self.url = http_url(url or os.environ.get("OMNI_URL") or DEFAULT_URL)
        self.org_id: str | None = None
        self._api_key = api_key or os.environ.get("OMNI_API_KEY") or ""
        self._timing = timing or Timing()
        self._tasks = Tasks()
        self._line = Line(self._timing, self._tasks)
        self._streams = Streams()
        self._switchboard = Switchboard(self._line, self._streams)
        self._link: Link | None = None
        self._living: asyncio.Task[None] | None = None
        self._connected: Answer[None] = Answer()
        self._over: Answer[None] = Answer()

    def agent(
        self,
        name: str,
        *,
        prompt: str | None = None,
        llm: str | Mapping[str, Any] | None = None,
        voice: str | Mapping[str, Any] | None = None,
        stt: str | Mapping[str, Any] | None = None,
        language: str | None = None,
        tools: Sequence[Any] | None = None,
        greeting: str | Mapping[str, str] | None = None,
        vars: Mapping[str, Any] | None = None,  # noqa: A002 - the name everywhere
        session_limits: Mapping[str, float] | None = None,
        allowed_origins: Sequence[str] | None = None,
        history: HistoryStore | None = None,
        **config: Any,
    ) -> Agent:
        """An agent of this name, registered when the program connects (now, if it is).

        `llm` is a model such as `"openai/gpt-4.1-mini"` that the server asks; without it the program answers every
        `turn.end` itself. `tools` are functions made with `@tool`. `history` gives returning contacts their earlier
        words. Everything else (`interruption`, `timezone`, `preparing`, `analysis` …) goes to the server as it is.
        """
        given = {
            "prompt": prompt,
            "llm": llm,
            "voice": voice,
            "stt": stt,
            "language": language,
            "tools": tools,
            "greeting": greeting,
            "vars": vars,
            "session_limits": session_limits,
            "allowed_origins": allowed_origins,
            **config,
        }
        agent = Agent(name, given, self._line, self, refused=self._agent_refused, mint=self._mint)
        if history is not None:
            agent.remember(history)
        self._switchboard.add(agent)
        return agent

    @property
    def agents(self) -> list[Agent]:
        return self._switchboard.agents

    @property
    def is_connected(self) -> bool:
        return self._line.is_open

    # --- running ---

    async def start(self, timeout: float | None = None) -> None:
        """Connects, and returns when the server has all agents declared so far.

        A server that is not there yet is waited for (`timeout` seconds, None: as long as it takes). Raises
        AuthenticationError, ConnectError or RegistrationError.
        """
        if self._living is not None:
            raise ConfigError("the program is started already; make another Omni for another connection")
        if not self._api_key:
            mend = "pass api_key=… or set OMNI_API_KEY (`omni keys create` makes one, `omni dev bot.py` brings its own)"
            raise AuthenticationError(f"there is no API key to show to {self.url}: {mend}")
        from omni.sdk.link import Link  # brings aiohttp: a program that only declares agents starts quicker without

        self._line.started()
        self._link = Link(
            self.url, self._api_key, self._timing, opened=self._opened, take=self._switchboard.take, lost=self._lost
        )
        self._living = asyncio.create_task(self._live(self._link), name="stay connected with omni")
        try:
            async with asyncio.timeout(timeout):
                await self._connected
                for agent in self.agents:
                    await agent.ready()
        except TimeoutError:
            await self.close()
            raise ConnectError(f"{self.url} cannot be reached within {timeout:g} s: does the server run?") from None
        except BaseException:
            await self.close()
            raise

    async def _live(self, link: Link) -> None:
        try:
            await link.run()
        except OmniError as error:
            self._end(error)

    async def wait(self) -> None:
        """Waits until the program is over: `close` was called, or there is no way to go on, which is raised."""
        await self._over

    async def close(self) -> None:
        """Lets handlers that run finish (5 s), says goodbye and disconnects."""
        if self._living is None or self._link is None:
            return
        await self._tasks.close(self._timing.drain)
        for agent in self.agents:
            await agent._close()
        await self._link.flush(1)
        self._living.cancel()
        await asyncio.wait([self._living])
        await self._link.close()
        self._streams.close()
        self._end(None)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def run(self) -> None:
        """Connects and answers until Ctrl-C or SIGTERM.

        When there is no way to go on (a wrong key, an agent that is refused), the program ends with status 1 and says
        why in one sentence on stderr. With OMNI_DEBUG set, or at log level DEBUG, it raises what `start` and `wait`
        raise.
        """
        if not logging.root.handlers:
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        try:
            asyncio.run(self._until_signalled())
        except OmniError as error:
            if os.environ.get("OMNI_DEBUG") or log.isEnabledFor(logging.DEBUG):
                raise
            raise SystemExit(f"omni: {error}") from error

    async def _until_signalled(self) -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(name, stopped.set)
            except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt
                break
        told = asyncio.create_task(stopped.wait(), name="wait for a signal")
        living = asyncio.create_task(self._start_and_wait(), name="answer")
        try:
            await asyncio.wait([told, living], return_when=asyncio.FIRST_COMPLETED)
            if living.done():
                living.result()
        finally:
            told.cancel()
            living.cancel()
            await asyncio.wait([told, living])
            await self.close()

    async def _start_and_wait(self) -> None:
        await self.start()
        await self.wait()

    def _end(self, error: OmniError | None) -> None:
        """The program is over, for a reason or because it was closed."""
        reason = error or ConnectError("the program is closed")
        self._connected.close(reason)
        for agent in self.agents:
            agent._registration.over(reason)
        if error is None:
            self._over.settle(None)
        else:
            self._over.close(error)

    def _agent_refused(self) -> None:
        """Without any agent there is nothing to wait for."""
        errors = [agent._registration.error for agent in self.agents]
        if errors and all(errors):
            self._end(errors[-1])

    def _opened(self, socket: Socket) -> None:
        self.org_id = socket.hello.get("org_id")
        self._line.opened(socket.outbox)
        self._switchboard.opened()
        self._connected.settle(None)

    def _lost(self, closed: Closed) -> None:
        self._switchboard.lost()

    # --- for browsers ---

    def stream(self) -> EventStream:
        """What happens on all agents from now on, as server-sent events for a page."""
        return self._streams.open([agent.name for agent in self.agents])

    async def create_token(
        self,
        channel: str,
        agents: str | Iterable[str],
        metadata: Mapping[str, Any] | None = None,
        *,
        scope: str | None = None,
        call_id: str | None = None,
    ) -> Token:
        """A token for any agents of the organisation, connected here or elsewhere. Raises TokenError."""
        names = agents if isinstance(agents, str) else ",".join(agents)
        return await self._mint(channel, names, metadata, scope, call_id)

    async def _mint(
        self, channel: str, agents: str, metadata: Mapping[str, Any] | None, scope: str | None, call_id: str | None
    ) -> Token:
        if channel not in {"webrtc", "chat", "stream"}:
            raise ConfigError(f"there are no tokens for {channel!r}; there are webrtc, chat and stream")
        if self._link is None:
            raise ConfigError("a token needs a running program: ask for it after `await omni.start()`")
        sealed = json.dumps(plain(dict(metadata), "metadata")) if metadata else None
        query = {"agent_id": agents, "metadata": sealed, "scope": scope, "call_id": call_id}
        return await self._link.token(channel, {name: value for name, value in query.items() if value is not None})

    def __repr__(self) -> str:
        return f"Omni({self.url!r})"
