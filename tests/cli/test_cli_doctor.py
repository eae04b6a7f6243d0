"""What the doctor makes of what it is told, where a real system would have to be broken to show it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pydantic import SecretStr

from omni.cli.checks.base import FAIL, OK, WARN
from omni.cli.checks.host import check_file
from omni.cli.checks.setup import check_access, check_agents
from omni.cli.checks.whatsapp import graph_version
from omni.model.agent import Agent, ScriptRule
from omni.model.behaviour import LlmSettings, Tool
from omni.model.webhook_brain import WebhookSettings
from omni.settings import Settings, load


@pytest.mark.parametrize(
    ("version", "today", "level"),
    [
        ("v26.0", date(2026, 11, 20), OK),
        ("v27.0", date(2026, 11, 20), OK),
        ("v22.0", date(2026, 11, 20), OK),
        ("v21.0", date(2026, 11, 20), WARN),
        ("v21.0", date(2027, 1, 22), FAIL),
        ("v20.0", date(2026, 11, 20), FAIL),
        ("v14.0", date(2026, 11, 20), FAIL),
    ],
)
def test_a_graph_version_is_warned_about_before_it_ends(version: str, today: date, level: str) -> None:
    assert graph_version(version, today).level == level


def test_a_database_that_others_may_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "omni.db"
    settings = load(None, store_url=f"sqlite:///{path}")
    path.touch(mode=0o600)
    assert check_file(settings)[0].level == OK
    path.chmod(0o644)
    finding = check_file(settings)[0]
    assert finding.level == WARN
    assert "chmod 600" in finding.text


def _asks(url: str) -> Agent:
    return Agent(slug="a", brain="webhook", webhook=WebhookSettings(url=url))


@pytest.mark.parametrize(
    ("agent", "level", "mend"),
    [
        (Agent(slug="a", brain="llm"), FAIL, "OPENAI_API_KEY"),
        (Agent(slug="a", brain="llm", script=(ScriptRule(when="."),)), WARN, "OPENAI_API_KEY"),
        (Agent(slug="a", brain="script"), FAIL, "script:"),
        (
            Agent(slug="a", brain="llm", llm=LlmSettings(base_url="https://x/v1", api_key_env="OMNI_SECRET")),
            FAIL,
            "OMNI_SECRET holds a secret of this server",
        ),
        (Agent(slug="a", brain="webhook"), WARN, "endpoint that is registered"),
        (_asks("https://bot.example.com/turn?key=hush"), OK, "asks bot.example.com"),
        (_asks("http://127.0.0.1:9/turn"), FAIL, "OMNI_ALLOW_PRIVATE_WEBHOOKS"),
        (
            Agent(slug="a", brain="script", script=(ScriptRule(when="."),), tool_url="https://10.0.0.1/"),
            FAIL,
            "tool_url: the host '10.0.0.1' is in a private network",
        ),
        (Agent(slug="a", brain="client"), OK, "`client`"),
        (Agent(slug="a", brain="client", tools=(Tool(name="look"),)), WARN, "no program is connected"),
        (Agent(slug="a", brain="script", script=(ScriptRule(when="."),), is_paused=True), WARN, "omni resume a"),
        (Agent(slug="a", brain="script", script=(ScriptRule(when="."),)), OK, ""),
    ],
)
def test_an_agent_that_cannot_answer_is_named_with_the_mend(
    agent: Agent, level: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OMNI_LLM_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    finding = check_agents(Settings(), [agent])[0]
    assert finding.level == level
    assert mend in finding.text


@pytest.mark.parametrize(
    ("settings", "level", "told"),
    [
        ({}, OK, "keeps in the store"),
        ({"secret": SecretStr("x" * 32), "api_key": SecretStr("pk_" + "y" * 32)}, OK, "OMNI_SECRET, OMNI_API_KEY is"),
        ({"api_key": SecretStr("pk_short")}, WARN, "omni keys create"),
    ],
)
def test_a_key_that_can_be_guessed_is_told_of_without_showing_it(
    settings: dict[str, SecretStr], level: str, told: str
) -> None:
    [finding] = check_access(load(None, **settings))
    assert finding.level == level
    assert told in finding.text
    assert not any(secret.get_secret_value() in finding.text for secret in settings.values())
