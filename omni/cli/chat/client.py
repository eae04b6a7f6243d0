"""A connection to a server's `/client`, as whoever talks to agents with an API key has it: a terminal, a test."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from pydantic import JsonValue

from omni.cli.address import Address
from omni.cli.chat.events import ByPeople, CalledTool, ChatEvent, Done, Failed, ToolCalls, chat_event, frame

PING_SECONDS: Final = 30.0
ANSWER_SECONDS: Final = 10.0
"""How long a server may take to open a connection and to accept the key."""
LARGEST_FRAME: Final = 8 * 1024 * 1024


class ChatError(Exception):
    """A chat cannot begin or go on; the text says why, and what to do."""


class AgentError(ChatError):
    """The agent gave no answer; the connection is well."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An agent's whole answer, and the tools that were called for it, in their order."""

    text: str
    tool_calls: tuple[CalledTool, ...] = ()


@asynccontextmanager
async def connected(address: Address) -> AsyncIterator[ChatClient]:
    """A connection that the server accepted. Leaving the context ends its conversations. Raises ChatError."""
    async with aiohttp.ClientSession() as session:
        socket = await _open(session, address)
        client = ChatClient(socket)
        try:
            yield client
        finally:
            await client.close()


async def _open(session: aiohttp.ClientSession, address: Address) -> aiohttp.ClientWebSocketResponse:
    socket: aiohttp.ClientWebSocketResponse | None = None
    is_open = False
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            socket = await session.ws_connect(address.client_url, max_msg_size=LARGEST_FRAME)
            await _shake_hands(socket, address)
            is_open = True
            return socket
    except TimeoutError:
        raise ChatError(f"{address.url} did not answer within {ANSWER_SECONDS:g} s; is it an omni server?") from None
    except aiohttp.WSServerHandshakeError as error:
        raise ChatError(f"{address.url} answered {error.status} and no chat; is it an omni server?") from None
    except (aiohttp.ClientError, OSError):
        raise ChatError(
            f"no server answers at {address.url}; start one (omni serve), or name another with --server"
        ) from None
    finally:
        if socket is not None and not is_open:
            await socket.close()


async def _shake_hands(socket: aiohttp.ClientWebSocketResponse, address: Address) -> None:
    await socket.send_json({"event": "connect", "api_key": address.key})
    async for message in socket:
        answer = frame(message.data) if message.type is aiohttp.WSMsgType.TEXT else {}
        if answer.get("event") == "connected":
            return
        if answer.get("event") == "error":
            raise ChatError(
                f"{address.url} refuses the API key: {answer.get('error')}; `omni keys list` shows the good ones"
            )
    raise ChatError(f"{address.url} closed the connection before it accepted the key")


class ChatClient:
    """Reads and keeps the connection alive by itself, until it is closed."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._conversations: dict[str, Conversation] = {}
        self._tasks = [
            asyncio.create_task(self._read(), name="read from the server"),
            asyncio.create_task(self._ping(), name="keep the connection alive"),
        ]

    def conversation(self, agent: str, *, prefix: str = "chat", metadata: JsonValue = None) -> Conversation:
        """A new conversation; the agent knows nothing of earlier ones of this connection."""
        session = f"{prefix}-{secrets.token_hex(8)}"
        opening = {"metadata": metadata} if metadata is not None else {}
        begun = Conversation(session, {"event": "llm.chat", "session_id": session, "agent_id": agent, **opening}, self)
        self._conversations[session] = begun
        return begun

    async def send(self, frame: dict[str, Any]) -> None:
        try:
            await self._socket.send_json(frame)
        except (aiohttp.ClientError, ConnectionError):
            raise ChatError(_LOST) from None

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._socket.close()

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._take(frame(message.data))
        except (aiohttp.ClientError, ConnectionError):
            pass  # as good as closed
        finally:
            for conversation in self._conversations.values():
                conversation.take(None, {})

    async def _take(self, told: dict[str, Any]) -> None:
        if told.get("event") == "ping":
            with contextlib.suppress(ChatError):
                await self.send({"event": "pong"})
        event = chat_event(told)
        if event is not None and (conversation := self._conversations.get(event.session_id)):
            conversation.take(event, told)

    async def _ping(self) -> None:
        with contextlib.suppress(ChatError):
            while True:
                await asyncio.sleep(PING_SECONDS)
                await self.send({"event": "ping"})


_LOST: Final = "the connection to the server was lost; try again"


class Conversation:
    """One conversation with one agent. One text at a time: `say` again when the answer is there, or given up."""

    def __init__(self, session: str, opening: dict[str, Any], client: ChatClient) -> None:
        self.session = session
        self.on_frame: Callable[[dict[str, Any]], None] = lambda _: None
        """Hears the frames as the server wrote them."""
        self.on_people: Callable[[ByPeople], None] = lambda _: None
        """Hears what people do while no text waits for its answer; else `say` tells it."""
        self._opening = opening
        self._client = client
        self._events: asyncio.Queue[ChatEvent | None] = asyncio.Queue()
        self._given_up = 0
        self._is_asking = False

    def take(self, event: ChatEvent | None, told: dict[str, Any]) -> None:
        """What the server told; None when it will tell no more."""
        is_by_people = isinstance(event, ByPeople)
        if event is not None and (is_by_people or not self._given_up):
            self.on_frame(told)
        if isinstance(event, ByPeople) and not self._is_asking:
            self.on_people(event)
        elif isinstance(event, Done | Failed) and self._given_up:
            self._given_up -= 1  # the answer to a text that nobody waits for any more
        elif event is None or is_by_people or not self._given_up:
            self._events.put_nowait(event)

    async def say(self, text: str) -> AsyncGenerator[ChatEvent]:
        """Put a text to the agent, and tell what comes of it: the last is Done or Failed. Raises ChatError.

        Whoever closes the generator early gives the answer up: it is not mixed with the next one.
        """
        is_over = is_sent = False
        self._is_asking = True
        try:
            await self._client.send({**self._opening, "text": text})
            is_sent = True
            while not is_over:
                event = await self._events.get()
                if event is None:
                    self._events.put_nowait(None)
                    is_over = True
                    raise ChatError(_LOST)
                is_over = isinstance(event, Done | Failed)
                yield event
        finally:
            self._is_asking = False
            if is_sent and not is_over:
                self._give_up()
            self._pass_on()

    async def ask(self, text: str, timeout: float) -> Reply:
        """The agent's whole answer. Raises AgentError, also when it takes longer than `timeout` seconds; ChatError."""
        calls: list[CalledTool] = []
        try:
            async with asyncio.timeout(timeout), contextlib.aclosing(self.say(text)) as told:
                async for event in told:
                    match event:
                        case ToolCalls():
                            calls += event.tool_calls
                        case Done():
                            return Reply(event.text, tuple(calls))
                        case Failed():
                            raise AgentError(event.error)
                        case _:
                            pass
        except TimeoutError:
            pass
        raise AgentError(f"the agent did not answer within {timeout:g} s")

    def _give_up(self) -> None:
        """The answer's events are dropped as they come, up to its end; it may be among those that wait already."""
        waiting = self._taken_off()
        if not any(event is None or isinstance(event, Done | Failed) for event in waiting):
            self._given_up += 1
        self._put_back(event for event in waiting if event is None or isinstance(event, ByPeople))

    def _pass_on(self) -> None:
        """What people did goes to `on_people`, now that `say` tells no more."""
        waiting = self._taken_off()
        for event in waiting:
            if isinstance(event, ByPeople):
                self.on_people(event)
        self._put_back(event for event in waiting if not isinstance(event, ByPeople))

    def _taken_off(self) -> list[ChatEvent | None]:
        return [self._events.get_nowait() for _ in range(self._events.qsize())]

    def _put_back(self, events: Iterable[ChatEvent | None]) -> None:
        for event in events:
            self._events.put_nowait(event)
