"""Which brain answers, and what happens when the first choice cannot."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import SecretStr

from omni.model.agent import Agent, ScriptRule
from omni.model.behaviour import LlmEndpoint, LlmSettings, Tool
from omni.settings import Settings
from sessions.brains.base import BrainError, Break, Restart, Say
from sessions.brains.choose import Brains
from sessions.brains.endpoint import AttemptError, LlmDefaults, endpoints_of, pause_before_retry, retry_after

RULES = (ScriptRule(when="hello", say="From the script."),)
QUICK = LlmSettings(retries=0)


@pytest.fixture
async def brains(llm: Any) -> AsyncIterator[Brains]:
    brains = Brains(LlmDefaults(llm.base_url, None, "m"))
    yield brains
    await brains.close()


def agent_of(brain: Any = "llm", **rest: Any) -> Agent:
    return Agent(slug="a", brain=brain, tools=(Tool(name="clock"),), **{"llm": QUICK, **rest})


async def test_a_script_agent_never_asks_a_model(brains: Brains, llm: Any, turn_of: Any, answer: Any) -> None:
    agent = agent_of("script", script=RULES)
    assert await answer(brains.brain_for(agent), turn_of(agent)) == [Say("From the script.")]
    assert llm.requests == []


async def test_without_a_model_the_script_answers(turn_of: Any, answer: Any) -> None:
    brains = Brains(LlmDefaults())
    agent = agent_of(script=RULES)
    assert await answer(brains.brain_for(agent), turn_of(agent)) == [Say("From the script.")]
    with pytest.raises(BrainError, match="OPENAI_API_KEY"):
        brains.brain_for(agent_of())
    await brains.close()


@pytest.mark.parametrize("brain", ["webhook", "client"])
def test_a_brain_that_cannot_answer_here_is_named(brain: str) -> None:
    with pytest.raises(BrainError, match=f"{brain}.*does not answer by itself here"):
        Brains(LlmDefaults()).brain_for(agent_of(brain))


async def test_a_model_that_works_answers(brains: Brains, llm: Any, reply: Any, turn_of: Any, answer: Any) -> None:
    llm.will(reply.says("From the model."))
    agent = agent_of(script=RULES)
    assert await answer(brains.brain_for(agent), turn_of(agent)) == [Say("From the model.")]


async def test_the_script_answers_while_the_model_is_down(
    brains: Brains, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.refuses(500), reply.says("From", finish=None, then="cut"))
    agent = agent_of(script=RULES)
    assert await answer(brains.brain_for(agent), turn_of(agent)) == [Say("From the script.")]
    chunks = await answer(brains.brain_for(agent), turn_of(agent))
    assert chunks == [Say("From"), Restart(), Say("From the script.")]


async def test_a_script_that_has_no_answer_leaves_the_error(
    brains: Brains, llm: Any, reply: Any, turn_of: Any, answer: Any
) -> None:
    llm.will(reply.refuses(500))
    agent = agent_of(script=RULES)
    with pytest.raises(BrainError, match="500"):
        await answer(brains.brain_for(agent), turn_of(agent, "something else"))


async def test_the_script_does_not_answer_over_what_was_done(
    brains: Brains, llm: Any, reply: Any, turn_of: Any, used: Any
) -> None:
    llm.will(reply.calls(("clock", "{}"), text="Let me look."), reply.refuses(500))
    agent = agent_of(script=RULES)
    chunks = brains.brain_for(agent).answer(turn_of(agent))
    assert [await anext(chunks), await anext(chunks)] == [Say("Let me look."), Break()]
    with pytest.raises(BrainError, match="500"):
        await anext(chunks)
    assert len(used.calls) == 1


def test_openai_is_asked_when_only_its_key_is_known() -> None:
    [endpoint] = endpoints_of(agent_of(), LlmDefaults(None, SecretStr("sk-1")), {})
    assert str(endpoint) == "gpt-4.1-mini at api.openai.com"
    with pytest.raises(BrainError, match="no key for OpenAI"):
        endpoints_of(agent_of(), LlmDefaults(), {})


def test_a_server_of_ones_own_needs_a_model() -> None:
    with pytest.raises(BrainError, match="no model is named for localhost"):
        endpoints_of(agent_of(), LlmDefaults("http://user:pass@localhost/v1"), {})


def test_endpoints_come_in_order() -> None:
    other = LlmEndpoint(base_url="https://other/v1", model="big", api_key_env="OTHER")
    agent = agent_of(llm=LlmSettings(model="small", failover=(other, LlmEndpoint(model="third"))))
    found = endpoints_of(agent, LlmDefaults("https://main/v1", SecretStr("k1")), {"OTHER": "k2"})
    assert [str(endpoint) for endpoint in found] == ["small at main", "big at other", "third at main"]
    keys = [endpoint.api_key.get_secret_value() for endpoint in found if endpoint.api_key]
    assert keys == ["k1", "k2", "k1"]
    assert "k1" not in repr(found)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "-7"}, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 80),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "x"}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=1445412400) == seconds


@pytest.mark.parametrize(
    ("may_retry", "after", "failures", "chance", "pause"),
    [
        (False, None, 1, 1, None),
        (True, None, 1, 1, 0.5),
        (True, None, 3, 1, 2),
        (True, None, 30, 1, 8),
        (True, None, 3, 0, 0),
        (True, 4, 1, 0.5, 4.25),
        (True, 11, 1, 0.5, None),
        (True, float("nan"), 1, 0.5, None),
        (True, float("inf"), 1, 0.5, None),
    ],
)
def test_pauses_double_with_jitter_and_follow_the_server(
    may_retry: bool, after: float | None, failures: int, chance: float, pause: float | None
) -> None:
    error = AttemptError("x", reason="server", may_retry=may_retry, retry_after=after)
    assert pause_before_retry(error, failures, backoff=0.5, chance=chance) == pause


def test_choosing_does_not_import_openai() -> None:
    code = "import sys, sessions.brains.choose; sys.exit('openai' in sys.modules or 'httpx' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)


async def test_closing_the_answer_reaches_the_model_through_both(
    brains: Brains, llm: Any, reply: Any, turn_of: Any
) -> None:
    llm.will(reply.says("Once upon", finish=None, then="hang"))
    agent = agent_of(script=RULES)
    chunks = brains.brain_for(agent).answer(turn_of(agent))
    assert await anext(chunks) == Say("Once upon")
    await chunks.aclose()
    await llm.gone.wait()


@pytest.mark.parametrize(
    "variable",
    [
        field.validation_alias if isinstance(field.validation_alias, str) else f"OMNI_{name.upper()}"
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation) or name.endswith("_url")
    ],
)
@pytest.mark.parametrize("spelt", [str.upper, str.lower])
def test_no_secret_of_the_servers_own_is_sent_to_an_agents_address(variable: str, spelt: Callable[[str], str]) -> None:
    name = spelt(variable)
    endpoint = LlmSettings(base_url="https://evil.example/v1", model="m", api_key_env=name)
    for agent in (agent_of(llm=endpoint), agent_of(llm=LlmSettings(base_url="http://[", failover=(endpoint,)))):
        with pytest.raises(BrainError, match=f"{name} holds a secret of this server") as refused:
            endpoints_of(agent, LlmDefaults(), {name: "the-secret"})
        assert "the-secret" not in str(refused.value)


def test_openais_key_goes_to_openai_and_to_the_settings_server() -> None:
    for url, defaults in ((None, LlmDefaults("https://main/v1")), ("https://api.openai.com/v1", LlmDefaults())):
        agent = agent_of(llm=LlmSettings(base_url=url, model="m", api_key_env="OPENAI_API_KEY"))
        [endpoint] = endpoints_of(agent, defaults, {"OPENAI_API_KEY": "k1"})
        assert endpoint.api_key is not None
        assert endpoint.api_key.get_secret_value() == "k1"
