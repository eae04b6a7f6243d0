"""Every spelling of a configuration becomes the same agent; what cannot be used says why (wire protocol §7, §9)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.gateway.client.configs.agent import blank, configured, created, overrides_of
from omni.gateway.client.configs.models import ENDPOINTS
from omni.gateway.client.configs.reading import ConfigError
from omni.model.agent import Agent

NOW = 1_800_000_000.0


def said(config: dict[str, Any]) -> dict[str, Any]:
    return overrides_of(config).model_dump(exclude_none=True, exclude_defaults=True)


def llm(model: str | None, provider: str = "openai") -> dict[str, Any]:
    endpoint = ENDPOINTS[provider]
    found = {"model": model} if model else {}
    return found if endpoint is None else {**found, "base_url": endpoint[0], "api_key_env": endpoint[1]}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({"prompt": "P"}, {"prompt": "P"}, id="7.1-prompt"),
        pytest.param({"instructions": "P"}, {"prompt": "P"}, id="9-0.1.0-instructions"),
        pytest.param(
            {"llm": {"instructions": "P", "engine": "openai", "model": "m"}},
            {"prompt": "P", "llm": llm("m"), "brain": "llm"},
            id="9-0.1.0-llm.instructions",
        ),
        pytest.param(
            {"prompt": "top", "llm": {"enabled": False, "prompt": "in"}}, {"prompt": "top", "brain": "client"}
        ),
        pytest.param({"vars": {"a": "x", "n": 1, "o": {"b": 2}}}, {"vars": {"a": "x", "n": "1", "o": '{"b": 2}'}}),
        pytest.param({"promptVars": {"a": "x"}}, {"vars": {"a": "x"}}, id="7.1-promptVars"),
        pytest.param({"prompt_vars": {"a": True}}, {"vars": {"a": "true"}}, id="7.1-prompt_vars"),
        pytest.param({"greeting": "Hi"}, {"greeting": "Hi"}, id="7.1-greeting"),
        pytest.param({"greeting": {"es": "Hola"}}, {"greeting": {"es": "Hola"}}, id="7.1-greeting-map"),
        pytest.param({"greeting": {"text": "Hi", "addToHistory": True}}, {"greeting": "Hi"}, id="7.1-greeting-object"),
        pytest.param({"timezone": "Europe/Rome", "language": "it"}, {"timezone": "Europe/Rome", "language": "it"}),
        pytest.param({"preparing": True}, {"preparing_ms": 1500}, id="6.6-true"),
        pytest.param({"preparing": {"enabled": True}}, {"preparing_ms": 1500}, id="6.6-enabled"),
        pytest.param({"preparing": {"timeout_ms": 700}}, {"preparing_ms": 700}, id="6.6-timeout_ms"),
        pytest.param({"preparing": {"timeoutMs": 9000}}, {"preparing_ms": 5000}, id="6.6-at-most-5000"),
        pytest.param({"preparing": False}, {"preparing_ms": 0}, id="6.6-false"),
        pytest.param({"preparing": {"enabled": False}}, {"preparing_ms": 0}, id="6.6-disabled"),
        pytest.param({"memory": {}, "skills": [], "mode": "x", "knowledgeBase": "k"}, {}, id="3.4-unknown-keys"),
        pytest.param({"llm": None, "prompt": None}, {}, id="7.1-null-is-absent"),
    ],
)
def test_a_setting_is_read(config: dict[str, Any], expected: dict[str, Any]) -> None:
    assert said(config) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("openai/gpt-4.1-mini", llm("gpt-4.1-mini")),
        ("openai:gpt-4.1-mini", llm("gpt-4.1-mini")),
        ("gpt-4.1-mini", llm("gpt-4.1-mini")),
        ("openai", llm(None)),
        ("gemini/gemini-2.5-flash", llm("gemini-2.5-flash", "google")),
        ("claude/claude-sonnet-4", llm("claude-sonnet-4", "anthropic")),
        ("grok/grok-4", llm("grok-4", "xai")),
        ("openrouter/meta-llama/llama-3-70b", llm("meta-llama/llama-3-70b", "openrouter")),
        ({"provider": "openai", "model": "m", "temperature": 0.2}, {**llm("m"), "temperature": 0.2}),
        ({"engine": "google", "model": "m", "maxTokens": 99}, {**llm("m", "google"), "max_tokens": 99}),
        ({"model": "anthropic/claude-sonnet-4"}, llm("claude-sonnet-4", "anthropic")),
        ({"provider": "openai", "model": "openai/m"}, llm("m")),
        ({"llm": "openai/m", "enabled": True}, llm("m")),
    ],
)
def test_a_model_is_found_behind_its_shortcut(value: Any, expected: dict[str, Any]) -> None:
    assert said({"llm": value}) == {"brain": "llm", "llm": expected}


@pytest.mark.parametrize("value", [{"enabled": False}, {"provider": "openai", "model": "m", "enabled": False}, False])
def test_without_a_model_the_program_answers(value: Any) -> None:
    assert said({"llm": value})["brain"] == "client"
    assert "llm" not in said({"llm": value})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("elevenlabs:abc", {"provider": "elevenlabs", "voice_id": "abc"}),
        ("elevenlabs/sarah", {"provider": "elevenlabs", "voice_id": "sarah"}),
        ("cartesia", {"provider": "cartesia"}),
        (
            {"provider": "elevenlabs", "voiceId": "x", "speed": 1.1},
            {"provider": "elevenlabs", "voice_id": "x", "speed": 1.1},
        ),
        ({"engine": "elevenlabs", "voice_id": "x"}, {"provider": "elevenlabs", "voice_id": "x"}),
        ({"provider": "polly", "engine": "neural"}, {"provider": "polly", "engine": "neural"}),
    ],
)
@pytest.mark.parametrize("key", ["voice", "tts"])
def test_a_voice_is_written_out(key: str, value: Any, expected: dict[str, Any]) -> None:
    assert said({key: value}) == {"audio": {"voice": expected}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("deepgram:nova-3:es", {"provider": "deepgram", "model": "nova-3", "language": "es"}),
        ("deepgram/nova-3:es", {"provider": "deepgram", "model": "nova-3", "language": "es"}),
        ({"provider": "deepgram/nova-3", "model": "es"}, {"provider": "deepgram", "model": "nova-3", "language": "es"}),
        ("deepgram-flux", {"provider": "deepgram-flux"}),
        ("deepgram/flux", {"provider": "deepgram-flux"}),
        ("deepgram/flux-en", {"provider": "deepgram-flux", "language": "en"}),
        ("deepgram/flux-multi", {"provider": "deepgram-flux", "language": "multi"}),
        ("gladia/solaria", {"provider": "gladia", "model": "solaria"}),
        ("gladia", {"provider": "gladia"}),
        ({"provider": "gladia", "codeSwitching": True}, {"provider": "gladia", "code_switching": True}),
    ],
)
def test_a_transcriber_is_written_out(value: Any, expected: dict[str, Any]) -> None:
    assert said({"stt": value}) == {"audio": {"stt": expected}}


def test_the_session_block_loses_against_the_top() -> None:
    config = {"stt": "gladia", "config": {"stt": "soniox", "analysis": {"sendAudioMetrics": True}, "realtime": {}}}
    assert said(config)["audio"] == {"stt": {"provider": "gladia"}, "analysis": {"send_audio_metrics": True}}


@pytest.mark.parametrize(
    "key", ["sessionLimits", "session_limits", "turnDetection", "turn_detection", "interruption", "flash"]
)
def test_sound_is_kept_for_those_who_hear_it(key: str) -> None:
    assert list(said({key: True if key in ("interruption", "flash") else {"idleTimeoutSeconds": 5}})["audio"])


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "x": 1}}},
        {"name": "f", "description": "d", "parameters": {"type": "object", "x": 1}},
        {
            "name": "f",
            "description": "d",
            "schema": {"zod": 1},
            "noFollowup": True,
            "_jsonSchema": {"type": "object", "x": 1},
        },
    ],
    ids=["7.5-wire", "7.5-flat", "7.5-sdk-object"],
)
def test_a_tool_comes_in_three_shapes(tool: dict[str, Any]) -> None:
    (found,) = said({"tools": [tool]})["tools"]
    assert found == {"name": "f", "description": "d", "parameters": {"type": "object", "x": 1}}


def test_a_tool_without_parameters_takes_none() -> None:
    found = overrides_of({"tools": [{"name": "f"}]}).tools
    assert found is not None
    assert found[0].parameters == {"type": "object", "properties": {}}


def test_a_program_cannot_send_our_keys_anywhere() -> None:
    config = {
        "llm": {"model": "m", "base_url": "http://evil", "api_key_env": "HOME"},
        "tools": [{"name": "f", "url": "http://in"}],
    }
    found = overrides_of(config)
    assert found.llm is not None
    assert found.tools is not None
    assert (found.llm.base_url, found.llm.api_key_env, found.tools[0].url) == (None, None, None)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"llm": "teleprompter/x"}, "no provider 'teleprompter'"),
        ({"llm": 7}, "`llm`"),
        ({"llm": "openai/gpt-realtime"}, "speaks"),
        ({"llm": {"model": "m", "temperature": 9}}, "`llm.temperature`"),
        ({"llm": {"model": "m", "temperature": "hot"}}, "`llm.temperature`"),
        ({"prompt": 7}, "`prompt` is text, not a number"),
        ({"vars": []}, "`vars` is an object, not a list"),
        ({"tools": {}}, "`tools` is a list"),
        ({"tools": [{"name": "not a name"}]}, "`tools.0.name`"),
        ({"tools": [{}]}, "`tools.0.name`"),
        ({"tools": [{"name": "f"}] * 257}, "at most 256"),
        ({"greeting": 7}, "`greeting`"),
        ({"preparing": "yes"}, "`preparing`"),
        ({"voice": 7}, "`voice`"),
        ({"stt": []}, "`stt`"),
        ({"interruption": "never"}, "`interruption`"),
        ({"config": "x"}, "`config`"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        overrides_of(config)
    assert words in str(refused.value)


@given(
    st.dictionaries(
        st.sampled_from(
            ["llm", "voice", "stt", "tools", "vars", "prompt", "greeting", "preparing", "config", "language"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=12),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["provider", "model", "name", "function", "text", "enabled"]), inner)
            ),
        ),
    )
)
def test_any_configuration_is_used_or_refused(config: dict[str, Any]) -> None:
    try:
        agent = created(blank("o", "s"), config, ())
    except ConfigError:
        return
    Agent.model_validate(agent.model_dump())  # what the store will read back


def test_creating_replaces_what_programs_can_say_and_keeps_the_rest() -> None:
    known = Agent(slug="s", brain="llm", prompt="old", vars={"a": "1"}, debounce_ms=7, fallback=None, is_paused=True)
    agent = created(known, {"greeting": "Hi"}, ("https://a.b",))
    assert (agent.brain, agent.prompt, agent.vars, agent.greeting) == ("client", "", {}, "Hi")
    assert (agent.debounce_ms, agent.fallback, agent.is_paused) == (7, None, True)
    assert agent.allowed_origins == ("https://a.b",)


def test_configuring_patches_by_key() -> None:
    agent = created(blank("o", "s"), {"prompt": "P", "llm": "openai/a", "vars": {"a": "1"}, "stt": "gladia"}, ())
    changed = configured(agent, {"llm": "openai/b", "greetingInChat": True}, NOW)
    assert (changed.prompt, changed.llm.model, changed.vars, changed.greeting_in_chat) == ("P", "b", {"a": "1"}, True)
    assert changed.audio == {"stt": {"provider": "gladia"}}
    assert configured(changed, {"llm": {"enabled": False}}, NOW).brain == "client"


def test_a_change_is_for_calls_that_begin_after_it() -> None:
    agent = created(blank("o", "s"), {"prompt": "one", "language": None}, ())
    agent = configured(agent, {"prompt": "two", "language": "fr"}, NOW)
    agent = configured(agent, {"prompt": "three"}, NOW + 10)
    now = [(agent.as_of(began).prompt, agent.as_of(began).language) for began in (NOW - 1, NOW, NOW + 9, NOW + 10)]
    assert now == [("one", None), ("two", "fr"), ("two", "fr"), ("three", "fr")]
    assert configured(agent, {"prompt": "three"}, NOW + 20) == agent
    assert created(agent, {"prompt": "four"}, ()).as_of(NOW - 1).prompt == "four"


def test_a_voice_of_the_same_provider_keeps_its_model() -> None:
    agent = created(blank("o", "s"), {"voice": {"provider": "e", "voice_id": "a", "model": "m", "language": "es"}}, ())
    same = configured(agent, {"voice": "e:b"}, NOW).audio["voice"]
    other = configured(agent, {"voice": "c:b"}, NOW).audio["voice"]
    assert same == {"provider": "e", "voice_id": "b", "model": "m", "language": "es"}
    assert other == {"provider": "c", "voice_id": "b"}
