"""OpenAI's transcription over HTTP, or a server that speaks its API: an utterance goes out, its words come back.

Source: OpenAI API reference, "Create transcription" (POST /v1/audio/transcriptions).
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final

from omni.audio.wav import wav_of
from omni.model.sound import SttConfig
from workers.voice.stt.base import OnPartial, SttError, Transcript
from workers.voice.stt.naming import named

if TYPE_CHECKING:
    import openai

MODEL: Final = "gpt-4o-mini-transcribe"

_ANSWER: Final = 6.0
_SHORTEST: Final = 0.1  # less than that is refused
_WITH_PROBABILITIES: Final = "gpt-4o"
_MENDS: Final = {
    401: "check OPENAI_API_KEY",
    403: "the key may not use this model",
    404: "check the model of `stt`, and the address",
    413: "the turn was too long",
    429: "too many requests, or no credit left",
}


class OpenAi:
    """`url`: of a compatible server, None for OpenAI's own; `answer`: how long an utterance may take, in seconds, with
    the `retries` of what may be passing trouble."""

    name = "openai"

    def __init__(self, key: str, *, url: str | None = None, answer: float = _ANSWER, retries: int = 1) -> None:
        self._key = key
        self._url = url
        self._answer = answer
        self._retries = retries
        self._client: openai.AsyncOpenAI | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        await self._connected()

    def ears(self, config: SttConfig, rate: int, on_partial: OnPartial) -> _Ears:
        return _Ears(self, config, rate)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def hear(self, pcm: bytes, rate: int, options: dict[str, Any]) -> Transcript:
        """Raises SttError."""
        client = await self._connected()
        import openai  # by now without a delay

        try:
            async with asyncio.timeout(self._answer):
                answer = await client.audio.transcriptions.create(
                    file=("speech.wav", wav_of(pcm, rate), "audio/wav"), response_format="json", **options
                )
        except (TimeoutError, openai.APITimeoutError):
            raise SttError(f"the recogniser of OpenAI gave no words within {self._answer:g} s") from None
        except openai.APIStatusError as error:
            mend = _MENDS.get(error.status_code, "it may pass")
            raise SttError(f"the recogniser of OpenAI refused ({error.status_code}): {mend}") from None
        except openai.OpenAIError as error:
            why = type(error.__cause__ or error).__name__
            raise SttError(f"the recogniser of OpenAI cannot be asked ({why})") from None  # the cause may quote the key
        except ValueError as error:  # what it sent is not JSON
            raise SttError(f"the recogniser of OpenAI sent what cannot be read ({type(error).__name__})") from None
        text = getattr(answer, "text", None)
        if not isinstance(text, str):
            raise SttError("the recogniser of OpenAI answered without a text; is its address right?")
        return Transcript(text.strip(), _confidence(answer), options.get("language"))

    async def _connected(self) -> openai.AsyncOpenAI:
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(_connect, self._key, self._url, self._answer, self._retries)
        return self._client


def _connect(key: str, url: str | None, answer: float, retries: int) -> openai.AsyncOpenAI:
    """In a thread: the import takes half a second, and TLS roots are read from disk."""
    import openai

    return openai.AsyncOpenAI(api_key=key, base_url=url, max_retries=retries, timeout=answer)


def _confidence(answer: Any) -> float:
    """The geometric mean of the tokens' probabilities; 1 where they are not told."""
    told = [each.logprob for each in getattr(answer, "logprobs", None) or () if isinstance(each.logprob, int | float)]
    return min(1.0, math.exp(sum(told) / len(told))) if told else 1.0


class _Ears:
    wants_silence = False

    def __init__(self, service: OpenAi, config: SttConfig, rate: int) -> None:
        self._service = service
        self._rate = rate
        self._options = self._next_options = _options(config)
        self._pcm = bytearray()
        self._is_open = False
        self._heard: tuple[int, Transcript] | None = None

    def start(self) -> None:
        self.stop()
        self._options = self._next_options
        self._is_open = True

    def feed(self, pcm: bytes) -> None:
        if self._is_open:
            self._pcm += pcm

    async def so_far(self) -> Transcript:
        pcm, size = self._pcm, len(self._pcm)
        if size < _SHORTEST * self._rate * 2:
            return Transcript("")
        if self._heard is not None and self._heard[0] == size:
            return self._heard[1]
        heard = await self._service.hear(bytes(pcm), self._rate, self._options)
        if self._pcm is pcm:
            self._heard = size, heard
        return heard

    def stop(self) -> None:
        self._is_open = False
        self._pcm = bytearray()
        self._heard = None

    def change(self, config: SttConfig) -> bool:
        config = named(config)
        if config.provider != self._service.name:
            return False
        self._next_options = _options(config)
        return True

    async def close(self) -> None:
        self.stop()


def _options(config: SttConfig) -> dict[str, Any]:
    model = config.model or MODEL
    options: dict[str, Any] = {"model": model}
    if config.language not in {None, "multi"}:
        options["language"] = str(config.language).partition("-")[0].lower()
    terms = config.more.get("keyterms")
    if isinstance(terms, list) and (named := ", ".join(term for term in terms if isinstance(term, str))):
        options["prompt"] = named
    if model.startswith(_WITH_PROBABILITIES):
        options["include"] = ["logprobs"]
    return options
