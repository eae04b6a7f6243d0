"""Agents through AgentPhone's own clients: errors as they raise them, every field, paging, voices."""

from __future__ import annotations

import pytest
from agentphone import AgentPhone, AgentPhoneError, AuthenticationError, NotFoundError, RateLimitError

from tests.agentphone.house import Desk, House
from tests.agentphone.house import desk as open_desk
from tests.agentphone.rows import row

EVERYTHING = {
    "name": "Everything",
    "description": "has a value in every field",
    "voice_mode": "hosted",
    "model_tier": "max",
    "system_prompt": "You sell cakes.",
    "begin_message": "Bakery, hello.",
    "voice": "marin",
    "transfer_number": "+14155559999",
    "voicemail_message": "We call you back.",
    "stt_mode": "accurate",
    "ambient_sound": "coffee-shop",
    "denoising_mode": "noise-and-background-speech-cancellation",
    "max_silence_ms": 30_000,
    "enable_messaging": False,
    "enable_backchannel": False,
    "interruption_sensitivity": 0.3,
    "voice_speed": 1.25,
    "language": "es-MX",
}


@pytest.mark.parametrize("flavour", ["sync", "sync/", "async", "async/"])
def test_the_client_takes_the_address_with_and_without_a_slash(house: House, flavour: str) -> None:
    with open_desk(house, flavour) as desk:
        made = desk.c.agents.create(name="Shop")
        assert desk.c.agents.get(made.id).name == "Shop"
        assert desk.c.webhooks.get() is None


@row(1)
def test_a_wrong_key_is_an_authentication_error_in_words(house: House) -> None:
    with AgentPhone(api_key="sk_live_wrong", base_url=f"{house.url}/agentphone") as stranger:
        for ask in (
            stranger.agents.list,
            stranger.webhooks.get,
            lambda: stranger.calls.stream_transcript("x").__next__(),
        ):
            with pytest.raises(AuthenticationError) as caught:
                ask()
            assert caught.value.status == 401
            assert caught.value.message.startswith("the API key is not valid")


@row(2)
def test_what_is_not_there_is_a_not_found_error_in_words(desk: Desk) -> None:
    with pytest.raises(NotFoundError) as caught:
        desk.c.agents.get("nope")
    assert caught.value.message == "there is no agent 'nope'; GET /v1/agents lists them"


@row(3)
@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"voice_speed": 9}, "voiceSpeed"),
        ({"interruption_sensitivity": -0.1}, "interruptionSensitivity"),
        ({"max_silence_ms": 10}, "maxSilenceMs"),
        ({"transfer_number": "555"}, "transferNumber"),
        ({"voicemail_message": "x" * 1001}, "voicemailMessage"),
        ({"voice_mode": "both"}, "voiceMode"),
        ({"language": "not a language"}, "language"),
    ],
)
def test_a_wrong_value_is_a_list_that_names_it(desk: Desk, wrong: dict[str, object], named: str) -> None:
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.agents.create(name="x", **wrong)
    assert caught.value.status == 422
    [problem] = caught.value.message
    assert problem["loc"] == ["body", named]
    assert desk.c.agents.list().total == 0


@row(4)
def test_a_burst_is_a_rate_limit_error_that_says_when(desk: Desk) -> None:
    for n in range(30):
        desk.c.agents.create(name=f"a{n}")
    with pytest.raises(RateLimitError) as caught:
        desk.c.agents.create(name="one too many")
    assert "too many requests" in caught.value.message
    raw = desk.raw("POST", "/v1/agents", json={"name": "again"})
    assert raw.status_code == 429
    assert int(raw.headers["Retry-After"]) >= 1
    assert desk.c.agents.list().total == 30  # reading goes on


@row(5)
def test_a_new_agent_has_the_documented_defaults(desk: Desk) -> None:
    agent = desk.c.agents.create(name="Shop")
    assert (agent.voice_mode, agent.model_tier, agent.language) == ("webhook", "balanced", "en-US")
    assert (agent.interruption_sensitivity, agent.max_silence_ms, agent.numbers) == (0.8, 600_000, [])
    assert (agent.stt_mode, agent.ambient_sound, agent.voice_speed) == ("fast", "none", 1.0)
    assert (agent.denoising_mode, agent.enable_messaging, agent.enable_backchannel) == (
        "noise-cancellation",
        True,
        True,
    )
    assert (agent.system_prompt, agent.begin_message, agent.transfer_number) == (None, None, None)


@row(6)
def test_a_hosted_agent_needs_a_prompt(desk: Desk) -> None:
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.agents.create(name="x", voice_mode="hosted")
    assert caught.value.status == 422
    assert caught.value.message[0]["loc"] == ["body", "systemPrompt"]
    agent = desk.c.agents.create(name="x")
    with pytest.raises(AgentPhoneError):
        desk.c.agents.update(agent.id, voice_mode="hosted")
    assert desk.c.agents.update(agent.id, voice_mode="hosted", system_prompt="You are it.").voice_mode == "hosted"


@row(7)
def test_every_field_comes_back_as_it_was_written(desk: Desk) -> None:
    made = desk.c.agents.create(**EVERYTHING)
    for agent in (made, desk.c.agents.get(made.id), desk.c.agents.list().data[0]):
        assert {name: getattr(agent, name) for name in EVERYTHING} == EVERYTHING
    changed = {**EVERYTHING, "voice_speed": 0.5, "interruption_sensitivity": 0.0, "begin_message": "", "language": "de"}
    desk.c.agents.update(made.id, **changed)
    agent = desk.c.agents.get(made.id)
    assert {name: getattr(agent, name) for name in changed} == {**changed, "language": "de-DE"}


def test_the_same_agent_has_omnis_names_in_omnis_own_api(desk: Desk) -> None:
    made = desk.c.agents.create(**EVERYTHING)
    own = desk.http.get(f"{desk.house.url}/v1/agents/{made.id}", timeout=20).json()
    assert (own["brain"], own["system_prompt"], own["voice_id"]) == ("llm", "You sell cakes.", "marin")
    assert (own["interruption_threshold"], own["language"]) == (0.7, "es-MX")
    made_there = desk.http.post(
        f"{desk.house.url}/v1/agents",
        timeout=20,
        json={"name": "Desk", "system_prompt": "x", "interruption_threshold": 0.1},
    ).json()
    assert desk.c.agents.get(made_there["id"]).interruption_sensitivity == 0.9


def test_custom_tools_are_replaced_as_a_whole(desk: Desk) -> None:
    made = desk.c.agents.create(name="x", voice_mode="hosted", system_prompt="y")
    tool = {"name": "stock", "url": "https://shop.example/stock", "timeoutMs": 2000, "speakDuringExecution": True}
    shown = desk.raw("PATCH", f"/v1/agents/{made.id}", json={"customTools": [tool]}).json()
    assert {name: shown["customTools"][0][name] for name in tool} == tool
    assert shown["omni"]["unsupported"] == ["customTools.speakDuringExecution"]
    own = desk.http.get(f"{desk.house.url}/v1/agents/{made.id}", timeout=20).json()
    assert own["tools"][0]["url"] == tool["url"]
    assert own["tools"][0]["timeout"] == 2
    for wrong in ([tool, tool], [{**tool, "name": "end_call"}], [{**tool, "url": "ftp://a.b"}]):
        assert desk.raw("PATCH", f"/v1/agents/{made.id}", json={"customTools": wrong}).status_code == 422
    assert desk.raw("PATCH", f"/v1/agents/{made.id}", json={"custom_tools": []}).json()["customTools"] is None


@row(8)
def test_a_switch_to_the_webhook_takes_prompt_and_greeting_along(desk: Desk) -> None:
    made = desk.c.agents.create(**EVERYTHING)
    agent = desk.c.agents.update(made.id, voice_mode="webhook")
    assert (agent.voice_mode, agent.system_prompt, agent.begin_message) == ("webhook", None, None)
    assert agent.voicemail_message == "We call you back."
    again = desk.c.agents.update(made.id, begin_message="Hello.")
    assert desk.c.agents.update(made.id, voice_mode="webhook").begin_message == again.begin_message == "Hello."


@row(9)
def test_an_empty_text_takes_the_transfer_number_away(desk: Desk) -> None:
    made = desk.c.agents.create(**EVERYTHING)
    agent = desk.c.agents.update(made.id, transfer_number="", voicemail_message="")
    assert (agent.transfer_number, agent.voicemail_message) == (None, None)


@row(10)
def test_agents_are_listed_in_pages(desk: Desk) -> None:
    first, second = desk.c.agents.create(name="one"), desk.c.agents.create(name="two")
    page = desk.c.agents.list(limit=1)
    rest = desk.c.agents.list(limit=1, offset=1)
    assert (len(page.data), page.has_more, page.total) == (1, True, 2)
    assert (len(rest.data), rest.has_more) == (1, False)
    assert {page.data[0].id, rest.data[0].id} == {first.id, second.id}
    assert page.data[0].id == second.id  # the newest first
    for wrong in ("limit=0", "limit=101", "offset=-1", "limit=x"):
        assert desk.raw("GET", f"/v1/agents?{wrong}").status_code == 422


@row(11)
def test_every_voice_that_is_listed_can_be_given(desk: Desk) -> None:
    voices = desk.c.agents.list_voices()
    assert voices
    for voice in voices:
        assert desk.c.agents.create(name="x", voice=voice["voice_id"]).voice == voice["voice_id"]


@row(67)
def test_a_deleted_agents_numbers_stay_without_it(desk: Desk) -> None:
    agent, number = desk.shop()
    desk.c.agents.set_webhook(agent.id, url=desk.hook())
    desk.texts("+12025550171", number.phone_number, "hi")
    conversation = desk.conversation()
    assert desk.c.agents.delete(agent.id) == {"success": True, "id": agent.id, "name": "Shop"}
    kept = desk.c.numbers.get(number.id)
    assert (kept.agent_id, kept.status) == (None, "active")
    assert desk.c.conversations.get(conversation.id).agent_id is None
    with pytest.raises(NotFoundError):
        desk.c.agents.delete(agent.id)
    other = desk.c.agents.create(name="Another")
    desk.c.agents.attach_number(other.id, number.id)
    desk.c.messages.send(agent_id=other.id, to_number="+12025550172", body="its line works")
    assert desk.phone("+12025550172")[0].sender == number.phone_number


def test_nobody_sees_another_organisations_agents(house: House, desk: Desk) -> None:
    made = desk.c.agents.create(name="Shop")
    with open_desk(house, "sync") as other:
        assert other.c.agents.list().data == []
        for ask in (other.c.agents.get, other.c.agents.delete, other.c.agents.get_webhook, other.c.agents.list_calls):
            with pytest.raises(NotFoundError):
                ask(made.id)
