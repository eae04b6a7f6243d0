"""Settings and agents: what can be seen without asking anybody."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from omni.cli.checks.base import FAIL, OK, WARN, Finding
from omni.model.agent import Agent
from omni.outgoing.addresses import webhook_url
from omni.outgoing.errors import AddressRefusedError
from omni.outgoing.http import host_of
from omni.settings import Settings
from omni.telemetry.logs import without_secrets
from sessions.brains.endpoint import OPENAI_URL, LlmDefaults, has_endpoint, refused_key

SHORTEST_KEY: Final = 20
"""Characters of a key that nobody can guess."""


def check_settings(settings: Settings) -> list[Finding]:
    bus = without_secrets(settings.bus_url) or "embedded"
    store = without_secrets(settings.store_url)
    findings = [Finding(OK, "settings", f"read; store {store}, bus {bus}, agents declared: {len(settings.agents)}")]
    if settings.is_embedded and settings.sqlite_path is None:
        findings.append(
            Finding(
                WARN,
                "settings",
                "the store is MongoDB but the bus is a local file, so only one process can serve; "
                "set OMNI_BUS_URL=amqp://… to run several",
            )
        )
    if settings.host in ("0.0.0.0", "::") and settings.public_url is None:
        findings.append(
            Finding(
                WARN, "settings", f"OMNI_HOST {settings.host} listens to the world without TLS; put a proxy in front"
            )
        )
    return findings


def check_access(settings: Settings) -> list[Finding]:
    """What opens the server to programs, and what signs its tokens."""
    key = settings.api_key.get_secret_value() if settings.api_key is not None else ""
    if key and len(key) < SHORTEST_KEY:
        return [
            Finding(
                WARN,
                "access",
                f"OMNI_API_KEY has {len(key)} characters, so it can be guessed; use one that `omni keys create` makes",
            )
        ]
    secret = "OMNI_SECRET" if settings.secret is not None else "a secret that it keeps in the store"
    also = ", OMNI_API_KEY is a key" if key else ""
    return [Finding(OK, "access", f"tokens are signed with {secret}{also}")]


def check_agents(settings: Settings, agents: Sequence[Agent]) -> list[Finding]:
    if not agents:
        return [Finding(WARN, "agents", "none declared; add one under `agents:` in omni.yaml")]
    defaults = LlmDefaults(base_url=settings.llm_base_url, api_key=settings.openai_api_key, model=settings.llm_model)
    return [
        _refused(agent, allow_private=settings.allow_private_webhooks) or _agent(agent, defaults) for agent in agents
    ]


def _refused(agent: Agent, *, allow_private: bool) -> Finding | None:
    """An address of the agent that will never be asked."""
    own = agent.webhook.url if agent.webhook is not None else None
    for where, url in (
        ("webhook", own),
        ("tool_url", agent.tool_url),
        *((f"tool {tool.name!r}", tool.url) for tool in agent.tools),
    ):
        try:
            if url is not None:
                webhook_url(url, allow_private=allow_private)
        except AddressRefusedError as error:
            return Finding(FAIL, "agents", f"agent {agent.slug!r}, {where}: {error}")
    return None


def _agent(agent: Agent, defaults: LlmDefaults) -> Finding:
    name = f"agent {agent.slug!r}"
    if agent.brain == "webhook":
        if agent.webhook is None or agent.webhook.url is None:
            return Finding(
                WARN, "agents", f"{name} asks the endpoint that is registered for it; or give it `webhook: {{url: …}}`"
            )
        return Finding(OK, "agents", f"{name} asks {host_of(agent.webhook.url)}")
    if agent.brain == "script" and not agent.script:
        return Finding(FAIL, "agents", f"{name} has the brain `script` and no rules; write some under `script:`")
    for endpoint in (agent.llm, *agent.llm.failover):
        if endpoint.api_key_env is not None:
            own = endpoint.base_url in (None, OPENAI_URL, defaults.base_url)
            if (refusal := refused_key(endpoint.api_key_env, is_own_server=own)) is not None:
                return Finding(FAIL, "agents", f"{name}: {refusal}")
        if endpoint.api_key_env is not None and not os.environ.get(endpoint.api_key_env):
            return Finding(
                FAIL, "agents", f"{name}: the variable {endpoint.api_key_env} is not set; it holds the model's key"
            )
    if agent.brain == "llm" and not has_endpoint(agent, defaults):
        if not agent.script:
            return Finding(
                FAIL, "agents", f"{name} has no model to ask; set OPENAI_API_KEY or OMNI_LLM_BASE_URL, or give it rules"
            )
        return Finding(
            WARN, "agents", f"{name}: its rules answer, because neither OPENAI_API_KEY nor OMNI_LLM_BASE_URL is set"
        )
    deaf = [tool.name for tool in agent.tools if tool.url is None and tool.builtin is None]
    if deaf:
        return Finding(
            WARN, "agents", f"{name}: the tool {deaf[0]!r} has no `url`, so it fails while no program is connected"
        )
    if agent.is_paused:
        return Finding(WARN, "agents", f"{name} is paused; `omni resume {agent.slug}` lets it answer again")
    return Finding(OK, "agents", f"{name} answers with the brain `{agent.brain}`, channels: {len(agent.channels)}")
