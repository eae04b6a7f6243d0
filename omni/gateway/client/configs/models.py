"""Which model answers: a shortcut (`openai/gpt-4.1-mini`), or an object; the end of one is the program itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pydantic import JsonValue, ValidationError

from omni.gateway.client.configs.reading import ConfigError, flag, number, pick, split, text
from omni.model.behaviour import LlmSettings

ALIASES: Final = {"gemini": "google", "claude": "anthropic", "grok": "xai"}

ENDPOINTS: Final[dict[str, tuple[str, str] | None]] = {
    "openai": None,
    "anthropic": ("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
    "cerebras": ("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "deepseek": ("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "google": ("https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    "groq": ("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": ("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "openrouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "xai": ("https://api.x.ai/v1", "XAI_API_KEY"),
}
"""OpenAI-compatible endpoints by provider, each with the server's variable that holds its key. None: the endpoint of
the server's own settings. A program names a provider and never an address: it must not send our keys anywhere."""


@dataclass(frozen=True, slots=True)
class Model:
    """`brain` is `client` when the program answers itself. `prompt` may stand among the model's settings."""

    brain: Literal["llm", "client"]
    llm: LlmSettings | None = None
    prompt: str | None = None


def model_of(value: JsonValue) -> Model | None:
    """What `llm` says; None when it says nothing. Raises ConfigError."""
    match value:
        case None:
            return None
        case bool():
            return Model("llm" if value else "client")
        case str():
            return Model("llm", _settings(value.strip(), {}))
        case dict():
            return _from_object(value)
        case _:
            raise ConfigError("`llm` is a text such as `openai/gpt-4.1-mini`, or an object")


def _from_object(value: dict[str, JsonValue]) -> Model:
    prompt = text(pick(value, "prompt", "instructions"), "llm.prompt")
    if flag(value.get("enabled"), "llm.enabled") is False:
        return Model("client", prompt=prompt)
    provider = text(pick(value, "provider", "engine"), "llm.provider")
    model = text(pick(value, "model", "llm"), "llm.model")
    if provider is None or model is None:
        name = provider or model or ""
    elif _known(split(model)[0]) == _known(provider):
        name = model  # both name the provider
    else:
        name = f"{provider}/{model}"
    extra: dict[str, JsonValue] = {
        "temperature": number(value.get("temperature"), "llm.temperature"),
        "max_tokens": number(pick(value, "max_tokens", "maxTokens"), "llm.max_tokens"),
    }
    return Model("llm", _settings(name, extra), prompt)


def _known(provider: str) -> str:
    lower = provider.lower()
    return ALIASES.get(lower, lower)


def _named(name: str) -> tuple[str, str]:
    """Provider and model of a shortcut; a bare word is a provider we know, else a model of the server's endpoint."""
    first, model = split(name)
    if model is None:
        return (_known(first), "") if _known(first) in ENDPOINTS else ("openai", first)
    return _known(first), model


def _settings(name: str, extra: dict[str, JsonValue]) -> LlmSettings:
    provider, model = _named(name)
    if provider not in ENDPOINTS:
        raise ConfigError(
            f"`llm`: there is no provider {provider[:40]!r}; known are {', '.join(sorted(ENDPOINTS))}. "
            f"For a model of the server's own endpoint write `openai/{name[:60]}`"
        )
    if "realtime" in model.lower():
        raise ConfigError(f"`llm`: {model[:60]!r} is a model that speaks; this server takes models that write")
    endpoint = ENDPOINTS[provider]
    given: dict[str, JsonValue] = {key: value for key, value in extra.items() if value is not None}
    if model:
        given["model"] = model
    if endpoint is not None:
        given |= {"base_url": endpoint[0], "api_key_env": endpoint[1]}
    try:
        return LlmSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise ConfigError(f"`llm.{'.'.join(map(str, first['loc']))}`: {first['msg']}") from None
