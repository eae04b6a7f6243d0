"""What is said to Deepgram and by it: the options of a connection, and its messages. Pure.

Source: developers.deepgram.com, "Live Audio" (v1/listen) and "Finalize".
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError

from omni.model.sound import SttConfig

log = logging.getLogger(__name__)

MODEL: Final = "nova-3"

_SWITCHES: Final = ("smart_format", "punctuate", "profanity_filter", "mip_opt_out")

MENDS: Final = {
    400: "check the model, the language and the options of `stt`",
    401: "check DEEPGRAM_API_KEY",
    402: "the account has no credit left",
    403: "the key may not use this model",
}
"""What to do about a handshake that will be refused again and again, by its status."""

Query = list[tuple[str, str]]


def query(config: SttConfig, rate: int) -> Query:
    """The parameters of a connection. Options that are not Deepgram's are left out."""
    more = config.more
    model = MODEL if config.model is None or is_flux(config) else config.model
    switches = {"smart_format": True, "punctuate": True} | {
        name: more[name] for name in _SWITCHES if isinstance(more.get(name), bool)
    }
    parameters = {
        "model": model,
        "language": config.language or "multi",
        "encoding": "linear16",
        "sample_rate": str(rate),
        "channels": "1",
        "interim_results": _switch(more.get("interim_results") is not False),
        # We say when somebody pauses (Finalize); its own idea of a pause would cut sentences up.
        "endpointing": _number(more.get("endpointing_ms")) or "false",
        **{name: _switch(value) for name, value in switches.items()},
    }
    if switches["smart_format"]:
        parameters["no_delay"] = "true"  # or it waits for the rest of a number
    if utterance_end := _number(more.get("utterance_end_ms")):
        parameters |= {"utterance_end_ms": utterance_end, "vad_events": "true"}
    return [*parameters.items(), *_terms(model, more)]


def is_flux(config: SttConfig) -> bool:
    """Flux finds turns as well, in a protocol of its own (v2/listen). Omni finds turns itself: Nova hears instead."""
    return (config.model or "").startswith("flux")


def min_confidence(config: SttConfig) -> float:
    wish = config.more.get("min_confidence")
    return float(wish) if isinstance(wish, int | float) and not isinstance(wish, bool) else 0.0


def _terms(model: str, more: Mapping[str, Any]) -> Query:
    """Nova-3 has key terms, models before it keywords with a weight (`word:2`)."""
    given = [*_texts(more.get("keyterms")), *_texts(more.get("keywords"))]
    if model.startswith("nova-3"):
        return [("keyterm", term.partition(":")[0]) for term in given]
    return [("keywords", term) for term in given]


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str) and each] if isinstance(value, list) else []


def _switch(value: object) -> str:
    return "true" if value else "false"


def _number(value: Any) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(int(value)) if is_number else None


class _Word(BaseModel):
    word: str
    punctuated_word: str | None = None
    start: float
    end: float


class _Alternative(BaseModel):
    transcript: str = ""
    confidence: float = 0.0
    words: list[_Word] = []
    languages: list[str] = []


class _Channel(BaseModel):
    alternatives: list[_Alternative] = Field(min_length=1)


class Results(BaseModel):
    """A stretch of the stream (seconds from its beginning) and its words, so far or for good."""

    start: float
    duration: float
    is_final: bool = False
    from_finalize: bool = False
    channel: _Channel

    @property
    def end(self) -> float:
        return self.start + self.duration

    @property
    def best(self) -> _Alternative:
        return self.channel.alternatives[0]


class _Message(BaseModel):
    type: str = ""
    description: str = ""
    message: str = ""


def read(text: str) -> Results | str | None:
    """A message: a result, the sentence of an error, or None for what says nothing about words."""
    try:
        kind = _Message.model_validate_json(text)
        if kind.type == "Results":
            return Results.model_validate_json(text)
    except ValidationError:
        log.warning("Deepgram sent what cannot be read (%d characters)", len(text))
        return None
    if kind.type == "Error":
        return (kind.description or kind.message or "an error without words")[:200]
    return None
