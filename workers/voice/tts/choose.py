"""Which voice speaks: the names that programs use, and the speakers of this process, each made once.

Names are those of the SDK's protocol: `provider:voice`, `provider/voice` (an id or a friendly name), `provider`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import JsonValue, ValidationError

from omni.model.sound import LOCAL, VoiceConfig
from workers.voice.tts.base import Speaker, TtsError, TtsRefusedError
from workers.voice.tts.cache import CachedSpeaker, PhraseCache
from workers.voice.tts.fallback import FallbackSpeaker

log = logging.getLogger(__name__)

_PROVIDERS: Final = {
    LOCAL: LOCAL,
    "piper": LOCAL,
    "elevenlabs": "elevenlabs",
    "eleven": "elevenlabs",
    "11labs": "elevenlabs",
    "eleven_labs": "elevenlabs",
    "openai": "openai",
    "gpt": "openai",
}
_FRIENDLY: Final = {
    "elevenlabs": {
        "adam": "pNInz6obpgDQGcFmaJgB",
        "alice": "Xb7hH8MSUJpSbSDYk0k2",
        "aria": "9BWtsMINqrJLrRacOk9x",
        "bill": "pqHfZKP75CvOlQylNhV4",
        "brian": "nPczCjzI2devNBz1zQrb",
        "charlie": "IKne3meq5aSn9XLyUdCD",
        "charlotte": "XB0fDUnXU5powFXDhCwa",
        "chris": "iP95p4xoKVk53GoZ742B",
        "daniel": "onwK4e9ZLuTAKqWW03F9",
        "eric": "cjVigY5qzO86Huf0OWal",
        "george": "JBFqnCBsd6RMkjVDRZzb",
        "jessica": "cgSgspJ2msm6clMCkdW9",
        "laura": "FGY2WhTYpPnrIDTdsKH5",
        "liam": "TX3LPaxmHKxFdv7VOQHJ",
        "lily": "pFZP5JQG7iQjIQuC4Bku",
        "matilda": "XrExE9yKIg1WjnnlVkGX",
        "rachel": "21m00Tcm4TlvDq8ikWAM",
        "sarah": "EXAVITQu4vr4xnSDxMaL",
        "will": "bIHbv24MWeRgasZH58o",
    }
}
"""ElevenLabs' own voices by their first names; ids that it publishes."""


def friendly_names(provider: str) -> list[str]:
    """The voices of a provider that can be named by a word."""
    return list(_FRIENDLY.get(provider, {}))


def read_voice(value: JsonValue) -> VoiceConfig:
    """The voice that a program asks for, as a string or an object in either spelling (`voice_id`, `voiceId`; `engine`
    is the provider where none is named). What cannot be read is left out."""
    if isinstance(value, str):
        return named(VoiceConfig(provider=value))
    if not isinstance(value, Mapping):
        return VoiceConfig()
    given = {name: each for name, each in value.items() if each is not None}
    for wrong, right in (("voiceId", "voice_id"), ("engine", "provider")):
        if right not in given and wrong in given:
            given[right] = given.pop(wrong)
    while True:
        try:
            return named(VoiceConfig.model_validate(given))
        except ValidationError as error:
            for problem in error.errors():
                given.pop(str(problem["loc"][0]), None)


def named(config: VoiceConfig) -> VoiceConfig:
    """With the provider's own name, and the voice's id where a provider or a voice was named in another way. A provider
    that we do not know keeps its name."""
    cuts = [at for at in (config.provider.find(":"), config.provider.find("/")) if at >= 0]
    at = min(cuts, default=len(config.provider))
    provider, voice = config.provider[:at].strip().lower(), config.provider[at + 1 :].strip() or config.voice_id
    provider = _PROVIDERS.get(provider, provider)
    if voice is not None:
        voice = _FRIENDLY.get(provider, {}).get(voice.lower(), voice)
    return config.model_copy(update={"provider": provider, "voice_id": voice})


class Speakers:
    """All voices of a process. Give it what there is: keys of services, and the voice that runs here (None where there
    is none). When one fails the others go on for it, first of all the one that runs here. Fixed phrases are shared
    through `cache`."""

    def __init__(
        self,
        *,
        local: Speaker | None = None,
        elevenlabs_api_key: str | None = None,
        openai_api_key: str | None = None,
        elevenlabs_url: str | None = None,
        openai_url: str | None = None,
        cache: PhraseCache | None = None,
    ) -> None:
        self._cache = cache or PhraseCache()
        self._single: dict[str, CachedSpeaker] = {}
        if local is not None:
            self._single[LOCAL] = CachedSpeaker(local, self._cache)
        if elevenlabs_api_key:
            from workers.voice.tts.elevenlabs import URL, ElevenLabsSpeaker

            voice = ElevenLabsSpeaker(elevenlabs_api_key, url=elevenlabs_url or URL)
            self._single["elevenlabs"] = CachedSpeaker(voice, self._cache)
        if openai_api_key:
            from workers.voice.tts.openai import OpenAiSpeaker

            self._single["openai"] = CachedSpeaker(OpenAiSpeaker(openai_api_key, base_url=openai_url), self._cache)
        self._speakers: dict[str, Speaker] = {
            name: FallbackSpeaker([speaker, *(other for other in self._single.values() if other is not speaker)])
            for name, speaker in self._single.items()
        }
        self._missed: set[str] = set()

    def choose(self, config: VoiceConfig) -> tuple[Speaker, VoiceConfig]:
        """Who says it, and with which settings. A provider that is unknown, or whose key is not set, is spoken by the
        voice that runs here, in the language that was asked for. Raises TtsRefusedError when there is none."""
        config = named(config)
        speaker = self._speakers.get(config.provider)
        if speaker is not None:
            return speaker, config
        here = self._speakers.get(LOCAL)
        if here is None:
            raise TtsRefusedError(f"there is no voice for '{config.provider}'; {_mend(config.provider)}")
        if config.provider not in self._missed:
            self._missed.add(config.provider)
            log.warning(
                "the voice '%s' is not there, the local one speaks; %s", config.provider, _mend(config.provider)
            )
        return here, VoiceConfig(language=config.language, speed=config.speed)

    async def connect(self, config: VoiceConfig, rate: int) -> None:
        """Have a connection for the voice of a call that begins, where its provider knows such a thing."""
        try:
            _, config = self.choose(config)
            await self._single[config.provider].connect(config, rate)
        except TtsError as error:
            log.warning("the voice %s could not be connected beforehand: %s", config.provider, error)

    async def prepare(self, texts: Iterable[str], config: VoiceConfig, rate: int) -> None:
        """Make the fixed phrases of a call (its greeting, fillers) before they are needed. Raises TtsError."""
        _, config = self.choose(config)
        await self._single[config.provider].prepare(texts, config, rate)

    async def open(self) -> None:
        """Load and warm all of them. One that fails is said in the log, and tried again when somebody needs it."""
        for name, speaker in self._single.items():
            try:
                await speaker.open()
            except TtsError as error:
                log.error("the voice %s cannot be opened: %s", name, error)

    async def close(self) -> None:
        for speaker in self._single.values():
            await speaker.close()


def _mend(provider: str) -> str:
    keys = {"elevenlabs": "set ELEVENLABS_API_KEY", "openai": "set OPENAI_API_KEY"}
    if provider == LOCAL:
        return "install omni with `local-speech`, or set OMNI_TTS_VOICE"
    return keys.get(provider, "use elevenlabs, openai or local")
