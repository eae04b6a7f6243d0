"""ElevenLabs' voices over its multi-context WebSocket, which tells the times of characters.

Source: ElevenLabs' API reference, "Multi-Context WebSocket" (`/v1/text-to-speech/{voice_id}/multi-stream-input`). The
voice, model, language and format are the connection's, so there is one (or, beyond five texts at a time, more) for
each; it stays open between texts. The wire is in `elevenlabs_socket`.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import aiohttp

from omni.model.sound import VoiceConfig
from workers.voice.tts.base import Sound, TtsError, WordTime
from workers.voice.tts.elevenlabs_socket import Context, Socket, refusal, sound_of
from workers.voice.tts.patience import patient
from workers.voice.tts.silence import seconds_of
from workers.voice.tts.words import of_characters

URL: Final = "wss://api.elevenlabs.io"
_VOICE: Final = "JBFqnCBsd6RMkjVDRZzb"
_RATES: Final = (8_000, 16_000, 22_050, 24_000, 44_100)
_FLASH: Final = "eleven_flash_v2_5"
_MULTILINGUAL: Final = "eleven_multilingual_v2"
_PATIENCE: Final = 6.0
_SETTINGS: Final = ("stability", "similarity_boost", "style", "use_speaker_boost")
_SLOWEST, _FASTEST = 0.7, 1.2

Line = tuple[str, str, str, int]
"""Voice, model, language (empty where the model does not take one), rate."""


class ElevenLabsSpeaker:
    """`voice_id` and `model` are ElevenLabs'; `.more` may have `flash` (the quick model for every language) and
    `stability`, `similarity_boost`, `style`, `use_speaker_boost`. `patience` is how many seconds may pass without an
    answer."""

    name = "elevenlabs"

    def __init__(self, api_key: str, *, url: str = URL, voice: str = _VOICE, patience: float = _PATIENCE) -> None:
        self._api_key = api_key
        self._url = url.rstrip("/")
        self._default_voice = voice
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None
        self._sockets: dict[Line, list[Socket]] = {}
        self._connecting: dict[Line, asyncio.Lock] = {}

    async def open(self) -> None:
        """Nothing goes out before the first text, or `connect`: the connection is for a voice."""
        if self._session is None:
            await asyncio.to_thread(importlib.import_module, "omni.audio.resample")  # for rates that it does not have
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"xi-api-key": self._api_key})

    async def connect(self, config: VoiceConfig, rate: int) -> None:
        """Have a connection for the voice of a call that begins. Raises TtsError."""
        await self._socket(self._line(config, rate))

    async def say(self, text: str, config: VoiceConfig, rate: int) -> AsyncGenerator[Sound, None]:
        line = self._line(config, rate)
        is_new = False
        while True:
            socket = await self._socket(line)
            context = socket.begin(text, _voice_settings(config))
            was_heard = False
            try:
                async with aclosing(self._sounds(context, line[3], rate)) as sounds:
                    async for sound in sounds:
                        was_heard = True
                        yield sound
                return
            except TtsError:
                # A connection that was open for a while may be dead without anybody knowing: try a new one, once.
                if was_heard or is_new or socket.is_open or socket.is_fresh:
                    raise
                is_new = True
            except TimeoutError:
                await socket.close()  # the next text gets another
                raise TtsError(f"ElevenLabs did not answer for {self._patience:g} s") from None
            finally:
                context.close()

    async def close(self) -> None:
        sockets = [socket for several in self._sockets.values() for socket in several]
        self._sockets = {}
        await asyncio.gather(*(socket.close() for socket in sockets))
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _sounds(self, context: Context, rate: int, wanted: int) -> AsyncGenerator[Sound, None]:
        resampler = None
        if rate != wanted:
            from omni.audio.resample import Resampler

            resampler = Resampler(rate, wanted)
        letters, seconds = _Letters(), 0.0
        async with aclosing(patient(context, self._patience)) as messages:
            async for message in messages:
                pcm = sound_of(message)
                words = letters.heard(message, seconds)
                seconds += seconds_of(pcm, rate)
                yield Sound(resampler.feed(pcm) if resampler else pcm, words)
        rest, words = resampler.flush() if resampler else b"", letters.rest()
        if rest or words:
            yield Sound(rest, words)

    def _line(self, config: VoiceConfig, rate: int) -> Line:
        language = (config.language or "en").lower().split("-")[0]
        is_quick = language == "en" or config.more.get("flash") is True
        model = config.model or (_FLASH if is_quick else _MULTILINGUAL)
        takes_language = model.endswith("v2_5") and config.language is not None and len(language) == 2
        wanted = next((each for each in _RATES if each >= rate), _RATES[-1])
        return config.voice_id or self._default_voice, model, language if takes_language else "", wanted

    async def _socket(self, line: Line) -> Socket:
        """One with room for a text."""
        async with self._connecting.setdefault(line, asyncio.Lock()):
            sockets = self._sockets.setdefault(line, [])
            sockets[:] = [socket for socket in sockets if socket.is_open]
            for socket in sockets:
                if socket.has_room:
                    return socket
            socket = await self._connected(line)
            sockets.append(socket)
            return socket

    async def _connected(self, line: Line) -> Socket:
        await self.open()
        assert self._session is not None
        voice, model, language, rate = line
        query = {"model_id": model, "output_format": f"pcm_{rate}", "auto_mode": "true", "sync_alignment": "true"}
        query |= {"inactivity_timeout": "180"} | ({"language_code": language} if language else {})
        address = f"{self._url}/v1/text-to-speech/{voice}/multi-stream-input"
        try:
            async with asyncio.timeout(self._patience):
                return Socket(await self._session.ws_connect(address, params=query, heartbeat=20))
        except aiohttp.WSServerHandshakeError as error:
            raise refusal(error.status) from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise TtsError(f"ElevenLabs cannot be reached ({type(error).__name__})") from None


class _Letters:
    """Words of the characters that come with the sound. Their times are relative to the sound of their message."""

    def __init__(self) -> None:
        self._chars: list[str] = []
        self._starts: list[float] = []
        self._ends: list[float] = []

    def heard(self, message: dict[str, Any], seconds: float) -> tuple[WordTime, ...]:
        """The words that are complete. `seconds` of sound came before this message."""
        alignment = message.get("alignment") or message.get("normalizedAlignment")
        if not isinstance(alignment, dict):
            return ()
        chars, starts = alignment.get("chars"), alignment.get("charStartTimesMs")
        lengths = alignment.get("charDurationsMs", alignment.get("charsDurationsMs"))
        if not (isinstance(chars, list) and isinstance(starts, list) and isinstance(lengths, list)):
            return ()
        if not len(chars) == len(starts) == len(lengths) or not all(
            isinstance(char, str) and isinstance(start, int | float) and isinstance(length, int | float)
            for char, start, length in zip(chars, starts, lengths, strict=True)
        ):
            return ()
        self._chars += chars
        self._starts += [seconds + start / 1000 for start in starts]
        self._ends += [seconds + (start + length) / 1000 for start, length in zip(starts, lengths, strict=True)]
        spaces = [index for index, char in enumerate(self._chars) if char.isspace()]
        return self._taken(spaces[-1] + 1) if spaces else ()

    def rest(self) -> tuple[WordTime, ...]:
        return self._taken(len(self._chars))

    def _taken(self, end: int) -> tuple[WordTime, ...]:
        words = of_characters(self._chars[:end], self._starts[:end], self._ends[:end])
        del self._chars[:end], self._starts[:end], self._ends[:end]
        return words


def _voice_settings(config: VoiceConfig) -> dict[str, Any]:
    given = {name: config.more[name] for name in _SETTINGS if isinstance(config.more.get(name), int | float | bool)}
    if config.speed != 1:
        given["speed"] = min(max(config.speed, _SLOWEST), _FASTEST)
    return given
