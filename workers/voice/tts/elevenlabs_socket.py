"""One connection to ElevenLabs: several texts at a time, each in a context of its own.

Sent for a text: `{"text": " ", "context_id", "voice_settings"}`, `{"text": "… ", "context_id", "flush": true}`,
`{"context_id", "close_context": true}` (what was flushed is still made). Received: `{"audio": base64, "alignment",
"normalizedAlignment", "contextId"}` and at last `{"isFinal": true, "contextId"}`; instead of either
`{"error" | "message", "code"}`, with the context or for all of them.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import itertools
import json
import re
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp

from workers.voice.tts.base import TtsError, TtsRefusedError

_CONTEXTS: Final = 5
"""So many may be open on one connection."""
_REFUSALS: Final = re.compile(
    r"api_key|quota|credit|payment|permission|unauthori[sz]ed|authenti|voice_(?:id_)?(?:does_)?not|voice_limit|model_"
    r"|subscription|unusual_activity"
)
_NAME: Final = re.compile(r"[a-z_]{3,40}")


class Socket:
    """A connection that was made."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self._contexts: dict[str, Context] = {}
        self._numbers = itertools.count(1)
        self._messages = 0
        self._sending: set[asyncio.Task[None]] = set()
        self._reading = asyncio.create_task(self._read(), name="elevenlabs")

    @property
    def is_open(self) -> bool:
        return not self._ws.closed and not self._reading.done()

    @property
    def is_fresh(self) -> bool:
        """Nothing has been said over it yet: if it fails, another would."""
        return self._messages == 0

    @property
    def has_room(self) -> bool:
        return len(self._contexts) < _CONTEXTS

    def begin(self, text: str, settings: dict[str, Any]) -> Context:
        """Say it. Iterate what comes back; close it when it is no longer wanted."""
        name = f"c{next(self._numbers)}"
        context = self._contexts[name] = Context(name)
        self._send(
            {"text": " ", "context_id": name, **({"voice_settings": settings} if settings else {})},
            {"text": text + " ", "context_id": name, "flush": True},
            {"context_id": name, "close_context": True},
        )
        return context

    async def close(self) -> None:
        for task in self._sending:
            task.cancel()
        await self._ws.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, *self._sending, return_exceptions=True)

    def _send(self, *messages: dict[str, Any]) -> None:
        task = asyncio.create_task(self._write(messages), name="elevenlabs send")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _write(self, messages: tuple[dict[str, Any], ...]) -> None:
        try:
            for message in messages:
                await self._ws.send_str(json.dumps(message))
        except (aiohttp.ClientError, ConnectionError, RuntimeError) as error:
            self._fail(TtsError(f"ElevenLabs' connection broke ({type(error).__name__})"))

    async def _read(self) -> None:
        try:
            async for frame in self._ws:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    self._take(frame.data)
        finally:
            code = self._ws.close_code
            self._fail(TtsError(f"ElevenLabs closed the connection ({code or 'it broke'})"))
            if not self._ws.closed:
                await self._ws.close()

    def _take(self, line: str) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self._fail(TtsError("ElevenLabs sent what cannot be read"))
            return
        self._messages += 1
        name = str(message.get("contextId") or message.get("context_id") or "")
        context = self._contexts.get(name)
        error = message.get("error") or (message.get("message") if "audio" not in message else None)
        if error:
            failed = _named(str(error))
            if context is not None:
                del self._contexts[name]
                context.put(failed)
            elif not name:
                self._fail(failed)
        elif context is not None:
            if message.get("audio"):
                context.put(message)
            if message.get("isFinal") or message.get("is_final"):
                del self._contexts[name]
                context.put(None)

    def _fail(self, error: TtsError) -> None:
        contexts, self._contexts = self._contexts, {}
        for context in contexts.values():
            context.put(error)


class Context(AsyncIterator[dict[str, Any]]):
    """What comes back for one text: messages with sound."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._messages: asyncio.Queue[dict[str, Any] | TtsError | None] = asyncio.Queue()
        self._is_over = False

    def put(self, message: dict[str, Any] | TtsError | None) -> None:
        if not self._is_over:
            self._messages.put_nowait(message)

    async def __anext__(self) -> dict[str, Any]:
        """Raises TtsError when the rest does not come."""
        message = await self._messages.get()
        if isinstance(message, dict):
            return message
        self._is_over = True
        if message is None:
            raise StopAsyncIteration
        raise message

    def close(self) -> None:
        """Nobody wants the rest. What was flushed cannot be called back: it is made, and keeps its place until then."""
        self._is_over = True


def sound_of(message: dict[str, Any]) -> bytes:
    """The sound of a message. Raises TtsError."""
    try:
        pcm = base64.b64decode(str(message["audio"]), validate=True)
    except (KeyError, binascii.Error, ValueError):
        raise TtsError("ElevenLabs sent sound that cannot be read") from None
    return pcm[: len(pcm) & ~1]


def refusal(status: int) -> TtsError:
    """What a connection that was not made means."""
    if status in {401, 403}:
        return TtsRefusedError(f"ElevenLabs refuses the key ({status}); check ELEVENLABS_API_KEY and the account")
    if status in {400, 404, 422}:
        return TtsRefusedError(f"ElevenLabs refuses the voice or its settings ({status}); check voice_id and model")
    return TtsError(f"ElevenLabs cannot speak now ({status})")


def _named(error: str) -> TtsError:
    """An error by its name. Free text is not passed on: it may quote what is secret."""
    name = error if _NAME.fullmatch(error) else "an error without a name"
    if _REFUSALS.search(error.lower().replace(" ", "_")):
        return TtsRefusedError(
            f"ElevenLabs refuses to speak ({name}); check ELEVENLABS_API_KEY, voice_id and the account"
        )
    return TtsError(f"ElevenLabs failed ({name})")
