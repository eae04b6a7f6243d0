"""Deepgram's streaming recogniser (Nova): one WebSocket for each call, open as long as the call is.

Only utterances are sent, and silence costs a KeepAlive; so where an utterance stands in the stream is known to the
sample, and a connection that breaks is replaced by sending the present utterance again.

Source: developers.deepgram.com, "Live Audio" (v1/listen), "Finalize", "Audio Keep Alive", "DATA and NET errors".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import Final

import aiohttp

from omni.model.sound import SttConfig
from workers.voice.stt.base import OnPartial, SttError, Transcript
from workers.voice.stt.deepgram_payloads import MENDS, Query, min_confidence, query, read
from workers.voice.stt.deepgram_stream import Stream
from workers.voice.stt.naming import named

log = logging.getLogger(__name__)

URL: Final = "wss://api.deepgram.com"

_ANSWER: Final = 1.5
_KEEP_ALIVE: Final = 4.0  # it closes a connection that was silent for 10 s, and asks for 3 to 5
_CONNECT: Final = 5.0
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 8.0
_LASTING: Final = 5.0
_PIECE_MS: Final = 100


class Deepgram:
    """Seconds: `answer` is how long a final text may take, `keep_alive` the silence after which the connection is
    reminded of us, `first_pause` comes before the second attempt to connect. `jitter` gives numbers from 0 to 1."""

    name = "deepgram"

    def __init__(
        self,
        key: str,
        *,
        url: str = URL,
        answer: float = _ANSWER,
        keep_alive: float = _KEEP_ALIVE,
        first_pause: float = _FIRST_PAUSE,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._url = url.rstrip("/") + "/v1/listen"
        self._headers = {"Authorization": f"Token {key}"}
        self.answer = answer
        self.keep_alive = keep_alive
        self._first_pause = first_pause
        self._jitter = jitter
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._connections()

    def ears(self, config: SttConfig, rate: int, on_partial: OnPartial) -> _Ears:
        return _Ears(self, config, rate, on_partial)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def connect(self, options: Query) -> aiohttp.ClientWebSocketResponse:
        async with asyncio.timeout(_CONNECT):
            return await self._connections().ws_connect(
                self._url,
                params=options,
                headers=self._headers,
                heartbeat=15.0,
                timeout=aiohttp.ClientWSTimeout(ws_close=0.5),
            )

    def pause(self, failures: int) -> float:
        """Seconds before the next attempt."""
        longest: float = min(_LONGEST_PAUSE, self._first_pause * 2 ** min(failures, 10))
        return longest * (0.5 + self._jitter() / 2)

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=True)
        return self._session


class _Ears:
    wants_silence = False

    def __init__(self, service: Deepgram, config: SttConfig, rate: int, on_partial: OnPartial) -> None:
        self._service = service
        self._rate = rate
        self._options = query(config, rate)
        self._min_confidence = min_confidence(config)
        self._on_partial = on_partial
        self._piece = rate * _PIECE_MS // 1000 * 2
        self._pcm = bytearray()  # the present utterance, kept for a new connection
        self._is_open = False
        self._asking: list[int] = []  # how much of it somebody waits for
        self._stream = Stream(rate, self._min_confidence)
        self._wake = asyncio.Event()
        self._news = asyncio.Event()
        self._is_stalled = False
        self._refused: str | None = None
        self._trouble = "there is no connection yet"
        self._task = asyncio.create_task(self._stay_connected(), name="deepgram")

    def start(self) -> None:
        self.stop()
        self._is_open = True

    def feed(self, pcm: bytes) -> None:
        if not self._is_open:
            return
        self._pcm += pcm
        if len(self._pcm) - self._stream.sent >= self._piece:
            self._wake.set()

    async def so_far(self) -> Transcript:
        pcm, size = self._pcm, len(self._pcm)
        if not size:
            return Transcript("")
        self._asking.append(size)
        self._wake.set()
        try:
            async with asyncio.timeout(self._service.answer):
                while not self._refused and self._pcm is pcm and not self._stream.is_final(size):
                    await self._news.wait()
        except TimeoutError:
            if not self._stream.has_answered:
                self._is_stalled = True  # the next utterance gets a new connection
                self._wake.set()
                raise SttError(
                    f"Deepgram gave no words within {self._service.answer:g} s: {self._trouble or 'it does not answer'}"
                ) from None
        finally:
            self._asking.remove(size)
        if self._refused:
            raise SttError(self._refused)
        return self._stream.transcript() if self._pcm is pcm else Transcript("")

    def stop(self) -> None:
        self._is_open = False
        self._pcm = bytearray()
        self._stream.next_utterance()
        self._wake.set()
        self._tell()

    def change(self, config: SttConfig) -> bool:
        config = named(config)
        if config.provider != self._service.name:
            return False
        return query(config, self._rate) == self._options and min_confidence(config) == self._min_confidence

    async def close(self) -> None:
        self.stop()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _stay_connected(self) -> None:
        ticks, failures = asyncio.get_running_loop().time, 0
        while True:
            try:
                socket = await self._service.connect(self._options)
            except aiohttp.WSServerHandshakeError as error:
                self._trouble = f"Deepgram refused the connection ({error.status})"
                if mend := MENDS.get(error.status):
                    self._refused = f"{self._trouble}: {mend}"
                    log.error("%s", self._refused)
                    return self._tell()
            except (aiohttp.ClientError, OSError) as error:  # a timeout is an OSError, too
                self._trouble = f"there is no connection to Deepgram ({type(error).__name__})"
            else:
                self._trouble, self._is_stalled = "", False
                self._stream = Stream(self._rate, self._min_confidence)
                began = ticks()
                await self._converse(socket)
                # One on which nobody speaks is closed after half a minute, whatever is said to keep it.
                failures = 0 if self._stream.was_useful or ticks() - began > _LASTING else failures
                self._trouble = self._trouble or "the connection was lost"
            pause = self._service.pause(failures)
            log.warning("%s; the next attempt is in %.1f s", self._trouble, pause)
            await asyncio.sleep(pause)
            failures += 1

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Until one of the two directions ends."""
        both = [asyncio.create_task(talk(socket)) for talk in (self._write, self._read)]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for talking in both:
                talking.cancel()
            for ended in await asyncio.gather(*both, return_exceptions=True):
                if isinstance(ended, Exception):
                    log.error("the conversation with Deepgram failed", exc_info=ended)
            with contextlib.suppress(ConnectionError, aiohttp.ClientError, TimeoutError):
                async with asyncio.timeout(0.5):
                    await socket.send_json({"type": "CloseStream"})
            await socket.close()

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """The only sender: sound first, then what is to be done with it."""
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):  # the reader knows why
            while not self._is_stalled:
                self._wake.clear()
                await self._send_waiting(socket)
                try:
                    async with asyncio.timeout(self._service.keep_alive):
                        await self._wake.wait()
                except TimeoutError:
                    await socket.send_json({"type": "KeepAlive"})

    async def _send_waiting(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            stream, asked = self._stream, max(self._asking, default=0)
            rest = len(self._pcm) - stream.sent
            if stream.owes_finalize(asked):
                stream.finalized()
                await socket.send_json({"type": "Finalize"})
            elif rest >= self._piece or stream.sent < min(asked, len(self._pcm)):
                piece = bytes(self._pcm[stream.sent : stream.sent + self._rate * 2])
                stream.sound(len(piece))
                await socket.send_bytes(piece)
            else:
                return

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            found = read(message.data) if message.type is aiohttp.WSMsgType.TEXT else None
            if isinstance(found, str):
                self._trouble = f"Deepgram says: {found}"
            elif found is not None and self._stream.take(found):
                self._tell()
                if not found.is_final and self._is_open and (so_far := self._stream.transcript()).text:
                    self._on_partial(so_far)
        if not self._trouble and socket.close_code not in {None, 1000, 1005, 1006}:
            self._trouble = f"Deepgram closed the connection ({socket.close_code})"

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
