"""OpenAI's voices, and those of servers that speak the same protocol: `POST {base_url}/audio/speech` with
`response_format: pcm`, which streams 16-bit little-endian mono at 24 kHz (OpenAI's API reference, "Create speech").
It tells no times of words.

Importing this module does not import `openai`: that takes half a second and happens in `open`, in a thread.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final

from omni.model.sound import VoiceConfig
from workers.voice.tts.base import Sound, TtsError, TtsRefusedError
from workers.voice.tts.patience import patient

_RATE: Final = 24_000
_VOICE: Final = "alloy"
_MODEL: Final = "gpt-4o-mini-tts"
_PIECE: Final = 4_800  # 0.1 s
_PATIENCE: Final = 6.0
_KEPT: Final = 60.0
_REFUSALS: Final = (400, 401, 403, 404)


class OpenAiSpeaker:
    """`voice_id` and `model` are OpenAI's; `.more` may have `instructions` (how to speak). `patience` is how many
    seconds may pass without sound."""

    name = "openai"

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str | None = None,
        voice: str = _VOICE,
        model: str = _MODEL,
        patience: float = _PATIENCE,
    ) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._voice = voice
        self._model = model
        self._patience = patience
        self._client: Any = None
        self._errors: Any = None

    async def open(self) -> None:
        if self._client is None:
            self._client, self._errors = await asyncio.to_thread(self._connect)

    async def say(self, text: str, config: VoiceConfig, rate: int) -> AsyncGenerator[Sound, None]:
        from omni.audio.resample import Resampler

        await self.open()
        resampler = Resampler(_RATE, rate)
        request = self._request(text, config)
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self._patience):
                    answer = self._client.audio.speech.with_streaming_response.create(**request)
                    response = await stack.enter_async_context(answer)
                pieces = await stack.enter_async_context(aclosing(patient(_pieces(response), self._patience)))
                async for pcm in pieces:
                    if out := resampler.feed(pcm):
                        yield Sound(out)
        except TimeoutError:
            raise TtsError(f"OpenAI sent no sound for {self._patience:g} s") from None
        except self._errors as error:
            raise _failure(error) from error
        if out := resampler.flush():
            yield Sound(out)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _request(self, text: str, config: VoiceConfig) -> dict[str, Any]:
        instructions = config.more.get("instructions")
        return {
            "model": config.model or self._model,
            "voice": config.voice_id or self._voice,
            "input": text,
            "response_format": "pcm",
            **({"speed": config.speed} if config.speed != 1 else {}),
            **({"instructions": instructions} if isinstance(instructions, str) else {}),
        }

    def _connect(self) -> tuple[Any, tuple[type[Exception], ...]]:
        importlib.import_module("omni.audio.resample")  # a tenth of a second, which the first text need not wait for
        openai = importlib.import_module("openai")
        httpx = importlib.import_module("httpx")
        # Between two texts of a call more time passes than the 5 s for which a connection is kept by default.
        limits = httpx.Limits(max_connections=1_000, max_keepalive_connections=100, keepalive_expiry=_KEPT)
        client = openai.AsyncOpenAI(
            api_key=self._api_key,
            base_url=self._base_url,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(limits=limits),
        )
        # A stream that breaks raises what is below `openai`.
        return client, (openai.OpenAIError, httpx.HTTPError, httpx.StreamError)


async def _pieces(response: Any) -> AsyncIterator[bytes]:
    kind = response.headers.get("content-type", "")
    if kind.startswith(("text/", "application/json")):
        raise TtsError(f"OpenAI answered with {kind.split(';')[0]} and not with sound")
    async for pcm in response.iter_bytes(_PIECE):
        yield pcm


def _failure(error: Exception) -> TtsError:
    """Never the error's own text: it may quote the key."""
    status = getattr(error, "status_code", None)
    code = getattr(error, "code", None)
    if status is None:
        return TtsError(f"OpenAI cannot be reached, or broke off ({type(error).__name__})")
    if status in _REFUSALS or code == "insufficient_quota":
        mend = "check OPENAI_API_KEY" if status in {401, 403} else "check the voice, the model and the account"
        return TtsRefusedError(f"OpenAI refuses to speak ({status}{f', {code}' if code else ''}); {mend}")
    return TtsError(f"OpenAI cannot speak now ({status}{f', {code}' if code else ''})")
