"""Where models are: the endpoints of an agent in the order to try them, and what can go wrong with one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from omni.model.agent import Agent
from omni.model.behaviour import LlmEndpoint
from sessions.brains.base import BrainError

OPENAI_URL: Final = "https://api.openai.com/v1"
OPENAI_MODEL: Final = "gpt-4.1-mini"
"""When OpenAI itself is asked and nobody named a model."""
OPENAI_KEY: Final = "OPENAI_API_KEY"
OWN_KEYS: Final = frozenset({OPENAI_KEY, "DEEPGRAM_API_KEY", "ELEVENLABS_API_KEY"})
OWN_PREFIX: Final = "OMNI_"
"""Variables that are the server's own. Whoever writes an agent chooses the address that a key is sent to."""
MAX_RETRY_AFTER: Final = 10.0
"""Seconds. A server that wants us to wait longer is passed over: a customer is waiting for the answer."""
MAX_BACKOFF: Final = 8.0


@dataclass(frozen=True, slots=True)
class LlmDefaults:
    """What the settings say. All None: no model is configured, unless an agent names an endpoint itself."""

    base_url: str | None = None
    api_key: SecretStr | None = None
    model: str | None = None

    @property
    def is_configured(self) -> bool:
        return self.base_url is not None or self.api_key is not None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model at one address. Without a key it is asked without one (a server of one's own)."""

    base_url: str
    model: str
    api_key: SecretStr | None = None

    def __str__(self) -> str:
        return f"{self.model} at {_host(self.base_url)}"

    def hide_key(self, text: str) -> str:
        """`text` without the key, for a server that repeats it in its errors."""
        key = self.api_key.get_secret_value() if self.api_key else ""
        return text.replace(key, "**********") if key else text


class AttemptError(Exception):
    """One request to one endpoint failed. `reason` is the metric's word, the text a sentence without secrets.

    `may_retry`: the same request may succeed soon at the same endpoint; `retry_after` seconds when the server said so.
    `was_slow`: the time for an answer is used up, so another endpoint is the better next choice.
    """

    def __init__(
        self,
        sentence: str,
        *,
        reason: str,
        may_retry: bool = False,
        retry_after: float | None = None,
        was_slow: bool = False,
    ) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.may_retry = may_retry
        self.retry_after = retry_after
        self.was_slow = was_slow


def has_endpoint(agent: Agent, defaults: LlmDefaults) -> bool:
    """Whether there is a model to ask for this agent."""
    own = (agent.llm, *agent.llm.failover)
    return defaults.is_configured or any(choice.base_url or choice.api_key_env for choice in own)


def endpoints_of(agent: Agent, defaults: LlmDefaults, environment: Mapping[str, str] = os.environ) -> list[Endpoint]:
    """The agent's endpoints in the order to try them. Those that lack a key or a model are passed over; raises
    BrainError when none is left."""
    found: list[Endpoint] = []
    problems: list[str] = []
    for choice in (agent.llm, *agent.llm.failover):
        try:
            found.append(_resolve(choice, defaults, environment))
        except BrainError as error:
            problems.append(str(error))
    if not found:
        raise BrainError(f"agent {agent.slug!r} has no model to ask: {'; '.join(problems)}")
    return found


def _resolve(choice: LlmEndpoint, defaults: LlmDefaults, environment: Mapping[str, str]) -> Endpoint:
    default_url = defaults.base_url or OPENAI_URL
    base_url = choice.base_url or default_url
    host = _host(base_url)
    model = choice.model or defaults.model or (OPENAI_MODEL if base_url == OPENAI_URL else None)
    if model is None:
        raise BrainError(f"no model is named for {host}; set `llm.model`")
    if choice.api_key_env is not None:
        is_own_server = base_url in (default_url, OPENAI_URL)
        if (refusal := refused_key(choice.api_key_env, is_own_server=is_own_server)) is not None:
            raise BrainError(refusal)
        key = environment.get(choice.api_key_env, "").strip()
        if not key:
            raise BrainError(f"the environment variable {choice.api_key_env} is empty; put the endpoint's key into it")
        return Endpoint(base_url, model, SecretStr(key))
    # The settings' key is for the settings' server: an agent that names another address does not get to send it there.
    api_key = defaults.api_key if base_url.rstrip("/") == default_url.rstrip("/") else None
    if api_key is None and base_url == OPENAI_URL:
        raise BrainError("no key for OpenAI; set OPENAI_API_KEY, or OMNI_LLM_BASE_URL for another server")
    return Endpoint(base_url, model, api_key)


def refused_key(variable: str, *, is_own_server: bool) -> str | None:
    """Why an agent may not name a variable as its endpoint's key, as a sentence; None when it may.

    OpenAI's key goes to OpenAI and to the settings' own server (`is_own_server`). Settings are read whatever their
    case, and so are these.
    """
    name = variable.upper()
    if name == OPENAI_KEY and is_own_server:
        return None
    if name.startswith(OWN_PREFIX) or name in OWN_KEYS:
        return (
            f"the variable {variable} holds a secret of this server and is not sent to addresses of agents; put the "
            "endpoint's key into a variable of its own and name that in `api_key_env`"
        )
    return None


def _host(base_url: str) -> str:
    """The host of an address; the rest of it may hold a password and is not for errors."""
    try:
        parts = urlsplit(base_url)
        host = parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        host = None
    if not host:
        raise BrainError("the endpoint's base_url is not an address; it begins with http:// or https:// and a host")
    return host


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds a server asks us to wait: RFC 9110 §10.2.3 (seconds or a date), or OpenAI's `retry-after-ms`."""
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            return max(float(milliseconds) / 1000, 0.0)
        if (value := headers.get("retry-after")) is None:
            return None
        try:
            return max(float(value), 0.0)
        except ValueError:
            return max(parsedate_to_datetime(value).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return None


def pause_before_retry(error: AttemptError, failures: int, *, backoff: float, chance: float) -> float | None:
    """Seconds to wait before the same endpoint is asked again, after its `failures`-th failure; None: do not ask it.

    Full jitter (`chance` is a random number from 0 to 1) over a wait that doubles, after what the server asked for.
    """
    if not error.may_retry:
        return None
    pause = min(backoff * 2.0 ** (failures - 1), MAX_BACKOFF) * chance
    if error.retry_after is None:
        return pause
    if not error.retry_after <= MAX_RETRY_AFTER:  # also when it is not a number
        return None
    return error.retry_after + pause
