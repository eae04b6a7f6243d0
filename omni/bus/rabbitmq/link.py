"""One connection to the broker, kept up: it reconnects, and it notices a peer that has gone silent.

Why not aio-pika's robust connection: docs/decisions/002-rabbitmq-connection.md.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aio_pika
from aiormq.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionNotAllowed,
    ProbableAuthenticationError,
)
from yarl import URL

from omni.bus.base import BusError, BusUnavailableError

log = logging.getLogger(__name__)
# It reports every failed try as an error; we say it once.
logging.getLogger("aiormq.connection").addFilter(lambda record: "creating transport" not in record.msg)

ANSWER_TIMEOUT = 5.0
"""Seconds after which a broker that does not answer counts as gone."""

PROBE_EVERY = 5.0
"""Seconds between two questions to a quiet broker. Heartbeats alone would need three missed ones."""

HEARTBEAT = 10
"""Seconds; the broker gives up a client after two silent ones and hands its messages to another."""

RECONNECT_PAUSES = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds before each try; the last repeats. Jittered, so that workers do not come back in one wave."""

GONE = (AMQPError, ChannelInvalidStateError, OSError, RuntimeError, StopAsyncIteration, TimeoutError)
"""What aiormq raises when a connection or a channel is no longer there; StopAsyncIteration (without a word) when the
broker hangs up in the middle of the handshake."""

Prepare = Callable[[AbstractConnection], Awaitable[None]]


class _Socket(TransportFactory):
    """Holds the socket, so that a silent peer's connection can be cut instead of flushed, and a lost one is closed:
    aiormq forgets it open in some of the ways a connection can end."""

    def __init__(self) -> None:
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        factory = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        reader, writer = await factory.create(url, **kwargs)
        self._writer = _GatheringWriter(writer, reader)
        return reader, self._writer

    def cut(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


class _GatheringWriter(asyncio.StreamWriter):
    """Sends what is written in one turn of the event loop at once: aiormq writes frame by frame, and with a hundred
    publishes in flight the system calls would cost as much as everything else."""

    def __init__(self, writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(writer.transport, writer.transport.get_protocol(), reader, loop)
        self._original = writer  # lives as long as we do: it complains when it is collected with its socket open
        self._call_soon = loop.call_soon
        self._gathered: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._gathered:
            self._call_soon(self._flush)
        self._gathered.append(bytes(data))

    async def drain(self) -> None:
        self._flush()
        await super().drain()

    def write_eof(self) -> None:
        self._flush()
        super().write_eof()

    def close(self) -> None:
        self._flush()
        super().close()

    def _flush(self) -> None:
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            super().write(gathered[0] if len(gathered) == 1 else b"".join(gathered))


class Link:
    """`prepare` runs on every new connection before anyone else may use it."""

    def __init__(self, url: str, purpose: str, prepare: Prepare | None = None) -> None:
        parsed = URL(url)
        if parsed.scheme not in ("amqp", "amqps") or not parsed.host:
            raise BusError(
                f"The bus address has the scheme {parsed.scheme!r}; use amqp://user:password@host:5672/vhost or amqps://"
            )
        self.address = f"{parsed.host}:{parsed.port or (5671 if parsed.scheme == 'amqps' else 5672)}"
        self._url = parsed if "heartbeat" in parsed.query else parsed.update_query(heartbeat=str(HEARTBEAT))
        if "name" not in self._url.query:
            self._url = self._url.update_query(name=f"omni {purpose}")
        self._prepare = prepare
        self._socket = _Socket()
        self._pika: aio_pika.Connection | None = None
        self._connection: AbstractConnection | None = None
        self._is_up = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        return self._connection is not None and not self._connection.closing.done()

    async def open(self) -> None:
        """Connect once, or raise BusUnavailableError; from then on the connection is kept."""
        if self._keeper is None:
            await self._connect()
            self._keeper = asyncio.create_task(self._keep(), name=f"omni bus link {self.address}")

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        await self._disconnect(is_peer_alive=self.is_up)

    async def up(self) -> AbstractConnection:
        """The connection, as soon as there is one."""
        while True:
            await self._is_up.wait()
            if self._connection is not None and not self._connection.closing.done():
                return self._connection
            await asyncio.sleep(0.01)  # lost a moment ago; the keeper has not looked yet

    def cut(self, reason: str) -> None:
        """Give the connection up: its peer does not answer. Everything that waits on it fails now."""
        log.warning("RabbitMQ at %s: %s; connecting anew", self.address, reason)
        self._socket.cut()

    @asynccontextmanager
    async def channel(self, timeout: float = ANSWER_TIMEOUT) -> AsyncIterator[Channel]:
        """A channel for a few questions; whatever goes wrong on it becomes a BusError."""
        connection = self._connection
        if connection is None or connection.closing.done():
            raise self.unavailable("there is no connection at the moment")
        try:
            async with asyncio.timeout(timeout):
                channel = await open_channel(connection)
                try:
                    yield channel
                finally:
                    await channel.close()
        except (ChannelNotFoundEntity, ChannelPreconditionFailed, ChannelAccessRefused) as error:
            raise refusal(error) from error
        except TimeoutError:
            self.cut(f"no answer within {timeout:g} s")
            raise self.unavailable(f"it did not answer within {timeout:g} s") from None
        except GONE as error:
            raise self.unavailable(str(error)) from error

    def unavailable(self, reason: str) -> BusUnavailableError:
        return BusUnavailableError(
            f"RabbitMQ at {self.address} cannot be used: {reason.rstrip('.')}. "
            "Check that it runs and that OMNI_BUS_URL is right"
        )

    async def _keep(self) -> None:
        while True:
            connection = self._connection
            if connection is not None:
                await asyncio.wait({connection.closing}, timeout=PROBE_EVERY)
                if not connection.closing.done():
                    with suppress(BusError):  # a silent peer was cut, and is seen in the next round
                        async with self.channel():
                            pass
                    continue
            self._is_up.clear()
            await self._disconnect(is_peer_alive=False)
            await self._reconnect()

    async def _reconnect(self) -> None:
        attempt = 0
        while True:
            await asyncio.sleep(RECONNECT_PAUSES[min(attempt, len(RECONNECT_PAUSES) - 1)] * random.uniform(0.7, 1.3))
            try:
                await self._connect()
            except BusError as error:
                attempt += 1
                log.log(logging.WARNING if attempt in (1, 10) else logging.DEBUG, "%s (try %d)", error, attempt)
            else:
                log.info("RabbitMQ at %s: connected again", self.address)
                return

    async def _connect(self) -> None:
        self._socket = _Socket()
        self._pika = aio_pika.Connection(self._url)
        self._pika.kwargs["transport_factory"] = self._socket
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self._pika.connect()
                assert self._pika.transport is not None
                connection = self._pika.transport.connection
                if self._prepare is not None:
                    await self._prepare(connection)
        except (AuthenticationError, ProbableAuthenticationError):
            await self._disconnect(is_peer_alive=False)
            raise BusUnavailableError(
                f"RabbitMQ at {self.address} refused the user or password of OMNI_BUS_URL"
            ) from None
        except ConnectionNotAllowed as error:
            await self._disconnect(is_peer_alive=False)
            raise self.unavailable(f"the virtual host of OMNI_BUS_URL is refused ({error})") from None
        except TimeoutError:
            await self._disconnect(is_peer_alive=False)
            raise self.unavailable(f"it did not answer within {ANSWER_TIMEOUT:g} s") from None
        except GONE as error:
            await self._disconnect(is_peer_alive=False)
            raise self.unavailable(str(error) or "it hung up during the handshake") from error
        except BaseException:
            await self._disconnect(is_peer_alive=False)
            raise
        self._connection = connection
        self._is_up.set()

    async def _disconnect(self, *, is_peer_alive: bool) -> None:
        self._connection = None
        self._is_up.clear()
        pika, self._pika = self._pika, None
        if not is_peer_alive:
            self._socket.cut()
        if pika is not None:
            try:
                async with asyncio.timeout(2.0):
                    await pika.close()
            except GONE as error:
                log.debug("RabbitMQ at %s: closing the connection: %s", self.address, error)
        self._socket.cut()


async def open_channel(connection: AbstractConnection, *, confirms: bool = False, frames: int = 10) -> Channel:
    """A channel that buffers so many frames of the broker's (a message is three) before it lets the socket wait."""
    channel = await connection.channel(publisher_confirms=confirms, frame_buffer_size=frames)
    assert isinstance(channel, Channel)
    return channel


def refusal(error: AMQPError) -> BusError:
    """A refusal of the broker, with the mend."""
    if isinstance(error, ChannelNotFoundEntity):
        return BusError(f"A queue does not exist: declare it first ({error})")
    if isinstance(error, ChannelPreconditionFailed):
        return BusError(
            "A queue exists with other arguments: delete it in RabbitMQ when it is empty, or use another prefix "
            f"({error})"
        )
    return BusError(f"RabbitMQ refused: grant the user configure, write and read on the bus's prefix ({error})")
