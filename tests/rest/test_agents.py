"""`/v1/agents` and their channels."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rest.house import SMS_LINE, SUPPORT, House

WHOLE = {
    **SUPPORT,
    "description": "Answers on weekdays",
    "stt_model": "voxtral-realtime",
    "llm_model": "qwen3.5-4b",
    "tts_model": "qwen3-tts",
    "language": "en",
    "timezone": "Europe/Madrid",
    "first_message": "Thanks for calling. How can I help?",
    "greet_in_chat": True,
    "interruption_threshold": 0.25,
    "context_window": 20,
    "tools": [
        {
            "type": "function",
            "function": {"name": "look_up", "description": "Looks up", "parameters": {"type": "object"}},
            "builtin": None,
            "url": None,
            "timeout": 5.0,
        }
    ],
    "tool_url": "https://tools.example.com/run",
    "phone_numbers": ["+14155559999"],
    "metadata": {"team": "north", "tier": 2, "tags": ["a", {"b": None}]},
    "variables": {"who": "Bo"},
    "fallback": None,
    "debounce_ms": 100,
    "idle_timeout_s": 60,
    "history": "all_channels",
    "messages_join_calls": False,
    "allowed_origins": ["https://shop.example.com"],
}


async def test_every_field_of_an_agent_is_kept_and_shown(each_house: House) -> None:
    made = await each_house.post("/v1/agents", WHOLE)
    assert {name: made[name] for name in WHOLE} == WHOLE
    assert (made["id"], made["object"], made["slug"], made["brain"]) == (
        "support-agent",
        "agent",
        "support-agent",
        "llm",
    )
    assert [channel["id"] for channel in made["channels"]] == ["phone:+14155559999"]
    assert isinstance(made["created"], int)
    assert await each_house.get("/v1/agents/support-agent") == made
    assert [agent["id"] for agent in (await each_house.get("/v1/agents"))["data"]] == ["echo", "support-agent"]


async def test_the_smallest_agent_has_the_documented_defaults(house: House) -> None:
    made = await house.post("/v1/agents", {"name": "X", "system_prompt": "p"})
    expected = {"interruption_threshold": 0.5, "context_window": 10, "tools": [], "tool_url": None, "metadata": {},
                "first_message": None, "voice_id": None, "phone_numbers": [], "paused": False}  # fmt: skip
    assert {name: made[name] for name in expected} == expected


async def test_slugs_are_made_from_names_and_never_twice(house: House) -> None:
    ids = [(await house.post("/v1/agents", SUPPORT))["id"] for _ in range(3)]
    assert ids == ["support-agent", "support-agent-2", "support-agent-3"]
    taken = await house.ask("POST", "/v1/agents", {**SUPPORT, "slug": "echo"})
    assert (taken.status, taken.error["code"], taken.error["param"]) == (409, "taken", "slug")
    assert (await house.post("/v1/agents", {**SUPPORT, "name": "日本"}))["id"] == "agent"


async def test_a_patch_changes_only_what_is_in_it_and_null_clears(house: House) -> None:
    before = await house.post("/v1/agents", WHOLE)
    after = (await house.ask("PATCH", "/v1/agents/support-agent", {"language": "es-MX"})).body
    assert after == {**before, "language": "es-MX"}
    cleared = {
        "voice_id": None, "stt_model": None, "llm_model": None, "tts_model": None, "language": None, "metadata": {},
        "first_message": None, "tools": [], "tool_url": None, "phone_numbers": [], "variables": {}, "timezone": None,
        "description": None, "interruption_threshold": 0.5, "context_window": 10, "fallback": None,
    }  # fmt: skip
    patch = dict.fromkeys(cleared)
    answer = await house.ask("PATCH", "/v1/agents/support-agent", patch)
    assert {name: answer.body[name] for name in cleared} == cleared
    assert answer.body["system_prompt"] == WHOLE["system_prompt"]
    assert answer.body["channels"] == []
    assert await house.get("/v1/agents/support-agent") == answer.body


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "name"),
        ({"name": "X"}, 400, "system_prompt"),
        ({"name": " ", "system_prompt": "p"}, 400, "name"),
        ({**SUPPORT, "nmae": "X"}, 400, "nmae"),
        ({**SUPPORT, "context_window": "10"}, 400, "context_window"),
        ({**SUPPORT, "context_window": 0}, 400, "context_window"),
        ({**SUPPORT, "interruption_threshold": 1.1}, 400, "interruption_threshold"),
        ({**SUPPORT, "language": "english language"}, 400, "language"),
        ({**SUPPORT, "timezone": "Mars/Olympus"}, 400, "timezone"),
        ({**SUPPORT, "phone_numbers": ["+1 (415) 555-9999", "4155559999"]}, 400, "phone_numbers.1"),
        ({**SUPPORT, "metadata": {str(n): n for n in range(21)}}, 400, "metadata"),
        ({**SUPPORT, "slug": "Not A Slug"}, 400, "slug"),
        ({**SUPPORT, "brain": "hosted"}, 400, "brain"),
        ({**SUPPORT, "tools": [{"type": "function", "function": {"name": "a b"}}]}, 400, "tools.0.function.name"),
        ({**SUPPORT, "tools": [{"type": "function", "function": {"name": "a"}}]}, 422, "tool_url"),
        ({**SUPPORT, "tool_url": "ftp://a.b"}, 400, "tool_url"),
        ({**SUPPORT, "tool_url": "http://169.254.169.254/latest"}, 400, "tool_url"),
        ({**SUPPORT, "channels": [{"kind": "sms"}]}, 400, "channels.0.sms.account_sid"),
        ([], 400, None),
        ("x", 400, None),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_made(
    house: House, body: Any, status: int, param: str | None
) -> None:
    answer = await house.ask("POST", "/v1/agents", body)
    assert (answer.status, answer.error["param"]) == (status, param), answer.text
    assert answer.error["type"] == "invalid_request_error"
    assert param is None or answer.error["message"].startswith(f"{param}: ")
    assert len((await house.get("/v1/agents"))["data"]) == 1


@pytest.mark.parametrize(
    ("patch", "status", "param"),
    [
        ({"name": None}, 400, "name"),
        ({"brain": None}, 400, "brain"),
        ({"system_prompt": None}, 400, "system_prompt"),
        ({"tool_url": None}, 422, "tool_url"),
        ({"slug": "other"}, 400, "slug"),
        ({"created": 1}, 400, "created"),
    ],
)
async def test_a_patch_that_cannot_be_names_the_field_and_changes_nothing(
    house: House, patch: Any, status: int, param: str
) -> None:
    before = await house.post("/v1/agents", WHOLE)
    answer = await house.ask("PATCH", "/v1/agents/support-agent", patch)
    assert (answer.status, answer.error["param"]) == (status, param), answer.text
    assert await house.get("/v1/agents/support-agent") == before


async def test_an_agent_is_deleted_for_good_and_one_of_the_configuration_is_not(house: House) -> None:
    await house.post("/v1/agents", SUPPORT)
    gone = await house.ask("DELETE", "/v1/agents/support-agent")
    assert (gone.status, gone.body) == (200, {"id": "support-agent", "object": "agent", "deleted": True})
    assert (await house.ask("GET", "/v1/agents/support-agent")).status == 404
    assert (await house.ask("DELETE", "/v1/agents/support-agent")).status == 404
    declared = await house.ask("DELETE", "/v1/agents/echo")
    assert (declared.status, declared.error["code"]) == (409, "declared")


async def test_agents_come_in_pages(house: House) -> None:
    for number in range(4):
        await house.post("/v1/agents", {**SUPPORT, "name": f"a{number}"})
    pages = await house.pages("/v1/agents", limit=2)
    assert [[agent["id"] for agent in page] for page in pages] == [["a0", "a1"], ["a2", "a3"], ["echo"]]


# channels


async def test_a_channels_secrets_are_taken_and_never_shown(house: House) -> None:
    await house.post("/v1/agents", SUPPORT)
    made = await house.ask("POST", "/v1/agents/support-agent/channels", SMS_LINE)
    assert made.status == 201, made.text
    assert (made.body["id"], made.body["ref"]) == ("sms:+12025550142", "+12025550142")
    assert made.body["settings"]["account_sid"] == SMS_LINE["account_sid"]
    for path in ("/v1/channels", "/v1/agents", "/v1/agents/support-agent", "/v1/agents/support-agent/channels"):
        assert SMS_LINE["auth_token"] not in (await house.ask("GET", path)).text
    kept = await house.store.agent("default", "support-agent")
    assert kept.channels[0].auth_token.get_secret_value() == SMS_LINE["auth_token"]
    listed = await house.get("/v1/channels", agent_id="support-agent", kind="sms")
    assert listed["data"] == [made.body]
    assert len((await house.get("/v1/channels"))["data"]) == 2
    gone = await house.ask("DELETE", "/v1/agents/support-agent/channels/sms:+12025550142")
    assert (gone.status, gone.body["object"]) == (200, "channel")
    assert (await house.ask("DELETE", "/v1/agents/support-agent/channels/sms:+12025550142")).status == 404


async def test_a_number_belongs_to_one_agent_and_moves_within_an_organisation_only(house: House) -> None:
    for name in ("one", "two"):
        await house.post("/v1/agents", {**SUPPORT, "name": name, "phone_numbers": ["+14155559999"]})
    numbers = {one["id"]: one["phone_numbers"] for one in (await house.get("/v1/agents"))["data"]}
    assert numbers == {"echo": [], "one": [], "two": ["+14155559999"]}
    theirs = {**SUPPORT, "phone_numbers": ["+14155559999"]}
    taken = await house.ask("POST", "/v1/agents", theirs, org="other")
    assert (taken.status, taken.error["code"]) == (409, "taken")
    assert (await house.get("/v1/agents/two"))["phone_numbers"] == ["+14155559999"]
    line = {
        "kind": "whatsapp",
        "phone_number_id": "100200300",
        "access_token": "T",
        "app_secret": "S",
        "verify_token": "V",
    }
    await house.post("/v1/agents", SUPPORT, org="other")
    stolen = await house.ask("POST", "/v1/agents/support-agent/channels", line, org="other")
    assert stolen.status == 409
    assert len((await house.get("/v1/agents/echo"))["channels"]) == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, None),
        ({"kind": "fax"}, None),
        ({**SMS_LINE, "auth_token": ""}, "sms.auth_token"),
        ({**SMS_LINE, "number": "555"}, "sms.number"),
        ({**SMS_LINE, "colour": "red"}, "sms.colour"),
    ],
)
async def test_a_wrong_channel_is_named_without_its_secret(house: House, body: Any, param: str | None) -> None:
    answer = await house.ask("POST", "/v1/agents/echo/channels", body)
    assert (answer.status, answer.error["param"]) == (400, param), answer.text
    assert SMS_LINE["auth_token"] not in answer.text


async def test_a_tool_of_omnis_own_has_its_parameters_and_no_address(house: House) -> None:
    tool = {"type": "function", "function": {"name": "text_them"}, "builtin": "send_message"}
    made = await house.post("/v1/agents", {"name": "Baker", "system_prompt": "Bake.", "tools": [tool]})
    (shown,) = made["tools"]
    assert shown["builtin"] == "send_message"
    assert shown["function"]["parameters"]["required"] == ["text"]
    changed = await house.ask("PATCH", f"/v1/agents/{made['id']}", {"tools": made["tools"]})
    assert changed.body["tools"] == made["tools"], "what was read can be written back"
    both = [{**tool, "url": "https://tools.example.com"}]
    refused = await house.ask("POST", "/v1/agents", {"name": "Other", "system_prompt": "Bake.", "tools": both})
    assert refused.status in (400, 422)
    assert "leave one of the two out" in refused.text
