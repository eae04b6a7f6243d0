"""Which model judges: what `--judge` says, then the spec, then the first provider that the variables name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from omni.cli.testing.judging import JudgeError
from omni.cli.testing.spec import JudgeChoice
from sessions.brains.endpoint import OPENAI_MODEL, OPENAI_URL, Endpoint

RULES: Final = "rules"
"""`--judge rules`: no model, only `turns`."""

BASE_URL: Final = "OMNI_LLM_BASE_URL"
MODEL: Final = "OMNI_LLM_MODEL"


@dataclass(frozen=True, slots=True)
class Provider:
    """`key` is the variable that holds its key. All of them speak OpenAI's chat completions at `url`."""

    key: str
    url: str
    model: str


PROVIDERS: Final[dict[str, Provider]] = {
    "anthropic": Provider("ANTHROPIC_API_KEY", "https://api.anthropic.com/v1", "claude-haiku-4-5"),
    "openai": Provider("OPENAI_API_KEY", OPENAI_URL, OPENAI_MODEL),
    "google": Provider("GOOGLE_API_KEY", "https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-flash"),
    "deepseek": Provider("DEEPSEEK_API_KEY", "https://api.deepseek.com", "deepseek-chat"),
    "ollama": Provider("OLLAMA_HOST", "http://localhost:11434", "llama3.1"),
}
"""By the names that specs use. `openai` is any server that speaks as OpenAI's does, where OMNI_LLM_BASE_URL names one.
The variable of `ollama` holds no key but the address of a server of one's own."""


def override(typed: str, choice: JudgeChoice) -> JudgeChoice:
    """`--judge provider/model` or `--judge provider` over what a spec says. Raises JudgeError."""
    provider, _, model = typed.partition("/")
    if provider not in PROVIDERS:
        raise JudgeError(
            f"--judge {typed!r}: there is no provider {provider!r}; write {RULES}, or one of "
            f"{', '.join(PROVIDERS)}, with a model as in openai/gpt-4.1-mini"
        )
    return choice.model_copy(update={"provider": provider, "model": model or None})


def endpoint(choice: JudgeChoice, variables: Mapping[str, str]) -> Endpoint:
    """The model to ask. Raises JudgeError with the variable to set."""
    name = choice.provider or _named_by(variables)
    if name is None:
        keys = ", ".join(each.key for each in PROVIDERS.values())
        raise JudgeError(
            f"no model is there to judge; set {BASE_URL} or one of {keys}, or give the spec `turns:`, which need none"
        )
    provider = PROVIDERS[name]
    if name == "ollama":
        return Endpoint(_ollama_url(variables), choice.model or provider.model)
    key = variables.get(provider.key, "").strip()
    url, model = provider.url, provider.model
    if name == "openai":
        url = variables.get(BASE_URL, "").strip().rstrip("/") or url
        model = variables.get(MODEL, "").strip() or model
    if not key and url == provider.url:
        raise JudgeError(f"the judge is {name}'s, and {provider.key} is empty; set it, or choose another with --judge")
    if urlsplit(url).scheme not in ("http", "https"):
        raise JudgeError(f"{BASE_URL} is no web address; it begins with http:// or https://")
    return Endpoint(url, choice.model or model, SecretStr(key) if key else None)


def _named_by(variables: Mapping[str, str]) -> str | None:
    """OMNI_LLM_BASE_URL comes first: whoever set it said where their words may go."""
    if variables.get(BASE_URL, "").strip():
        return "openai"
    return next((name for name, each in PROVIDERS.items() if variables.get(each.key, "").strip()), None)


def _ollama_url(variables: Mapping[str, str]) -> str:
    """OLLAMA_HOST may be `0.0.0.0`, `host:port` or an address."""
    host = variables.get("OLLAMA_HOST", "").strip().rstrip("/") or PROVIDERS["ollama"].url
    url = host if "://" in host else f"http://{host}"
    try:
        parts = urlsplit(url)
        named = parts.hostname and (parts.port or parts.scheme == "https")
    except ValueError:
        raise JudgeError("OLLAMA_HOST is no address; it looks like http://localhost:11434") from None
    return f"{url if named else f'{url}:11434'}/v1".replace("//0.0.0.0", "//127.0.0.1")
