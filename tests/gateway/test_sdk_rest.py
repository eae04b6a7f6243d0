"""`/api/sdk/*`: an organisation sees its own connected agents, and anybody the channels of one."""

from __future__ import annotations

from typing import Any

import pytest

from omni.live.kicks import Kick, kicks_topic, load_kick
from tests.gateway.front_desk import OWN_KEY, Desk, Options

WHATSAPP = {
    "kind": "whatsapp",
    "phone_number_id": "100",
    "phone": "+15550101",
    "access_token": "S3CRET",
    "app_secret": "S3CRET",
    "verify_token": "S3CRET",
}
CHANNELS: list[dict[str, Any]] = [
    {"kind": "phone", "number": "+15550100"},
    {"kind": "phone", "number": "+15550102"},
    {"kind": "webrtc"},
    {"kind": "chat"},
    WHATSAPP,
    {"kind": "sip", "uri": "sip:desk@example.org"},
]


async def connected(desk: Desk, slug: str = "desk", *, org: str = "acme", **more: Any) -> None:
    await desk.save(slug, org=org, **more)
    await desk.connect(slug, org=org)
    await desk.presence.refresh()


async def test_connected_agents_are_listed_with_where_they_are_reached(desk: Desk) -> None:
    await connected(desk, channels=CHANNELS, audio={"voice": "elevenlabs/sarah"}, llm={"model": "gpt-5-mini"})
    await connected(desk, "abc", brain="llm")
    await connected(desk, "theirs", org="other")
    await desk.save("saved-only", org="acme", brain="script", script=[{"when": "."}])
    answer = await desk.ask("/api/sdk/agents", org="acme")
    assert answer.status == 200
    assert answer.body == {
        "success": True,
        "total": 2,
        "agents": [
            {
                "slug": "abc",
                "org_id": "acme",
                "active": True,
                "voice": None,
                "model": "the-model",
                "phones": [],
                "channels": {},
            },
            {
                "slug": "desk",
                "org_id": "acme",
                "active": True,
                "voice": "elevenlabs/sarah",
                "model": "gpt-5-mini",
                "phones": ["+15550100", "+15550102"],
                "channels": {
                    "phone": {"count": 2, "refs": ["+15550100", "+15550102"]},
                    "webrtc": {"count": 1, "refs": []},
                    "chat": {"count": 1, "refs": []},
                    "whatsapp": {"count": 1, "refs": ["+15550101"]},
                    "sip": {"count": 1, "refs": ["sip:desk@example.org"]},
                },
            },
        ],
        "phone_map": {"+15550100": "desk", "+15550102": "desk"},
        "dev_overrides": None,
        "dev_callers": None,
    }
    assert "S3CRET" not in answer.text


async def test_whom_developers_want_for_themselves_is_listed(desk: Desk) -> None:
    await desk.connect(
        "dev-desk", org="acme", callers=frozenset({"15550199"}), overrides=frozenset({"phone:+15550100"})
    )
    await desk.connect(
        "dev-theirs", org="other", callers=frozenset({"15550198"}), overrides=frozenset({"phone:+15550103"})
    )
    await desk.presence.refresh()
    body = (await desk.ask("/api/sdk/agents", org="acme")).body
    assert body["dev_overrides"] == {"+15550100": "dev-desk"}
    assert body["dev_callers"] == ["15550199"]
    assert body["agents"][0]["voice"] is None, "a program whose agent is not in the book yet is listed all the same"


async def test_nobody_is_connected(desk: Desk) -> None:
    body = (await desk.ask("/api/sdk/agents", key=OWN_KEY)).body
    assert (body["total"], body["agents"], body["phone_map"]) == (0, [], {})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/sdk/agents"),
        ("DELETE", "/api/sdk/agents/desk"),
        ("GET", "/api/sdk/phone-numbers"),
        ("GET", "/api/sdk/twilio-balance"),
        ("GET", "/api/keys"),
        ("POST", "/api/keys"),
        ("DELETE", "/api/keys/key_1"),
        ("GET", "/api/conversations"),
        ("GET", "/api/conversations/wa-1"),
        ("GET", "/api/usage/calls"),
    ],
)
async def test_without_a_valid_key_nothing_is_told(desk: Desk, method: str, path: str) -> None:
    for key in (None, "pk_nobody"):
        refused = await desk.ask(path, method=method, key=key)
        assert refused.status == 401
        assert set(refused.body) == {"success", "error"}
        assert refused.body["success"] is False
        assert "omni keys create" in refused.body["error"]


async def test_a_kick_is_told_to_the_gateway_that_has_the_program(desk: Desk) -> None:
    program = await desk.connect("front-desk", org="acme", desk="desk_7")
    async with desk.bus.listen(kicks_topic("desk_7")) as heard:
        answer = await desk.ask("/api/sdk/agents/Front_Desk", method="DELETE", org="acme")
        assert load_kick(await anext(heard)) == Kick(org="acme", agent="front-desk", holder=program.holder)
    assert answer.status == 200
    assert answer.body == {"success": True, "displaced": "front-desk", "org_id": "acme"}


async def test_a_program_that_is_not_connected_or_not_ours_is_not_kicked(desk: Desk) -> None:
    await desk.connect("desk", org="other")
    refused = await desk.ask("/api/sdk/agents/desk", method="DELETE", org="acme")
    assert refused.status == 404
    assert refused.body["success"] is False
    assert "'desk'" in refused.body["error"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"org": "acme"}', b"\xff"])
def test_what_is_no_kick_kicks_nobody(body: bytes) -> None:
    assert load_kick(body) is None


async def test_anybody_may_ask_where_an_agent_is_reached(desk: Desk) -> None:
    await connected(desk, channels=CHANNELS)
    answer = await desk.ask("/api/sdk/agent-info/Desk", headers={"Origin": "https://shop.example.org"})
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.body == {
        "agent": "desk",
        "channels": [
            {"type": "webrtc"},
            {"type": "chat"},
            {"type": "phone", "numbers": ["+15550100", "+15550102"]},
            {"type": "whatsapp", "phone": "+15550101"},
        ],
    }
    assert "S3CRET" not in answer.text


async def test_an_agent_that_is_not_there_is_reached_nowhere(desk: Desk) -> None:
    await desk.save("desk", org="acme", channels=CHANNELS)
    refused = await desk.ask("/api/sdk/agent-info/desk")
    assert refused.status == 404
    assert refused.body == {"success": False, "error": "Agent 'desk' is not online"}
    assert refused.headers["Access-Control-Allow-Origin"] == "*"


async def test_with_a_key_ones_own_agent_is_meant(desk: Desk) -> None:
    await connected(desk, org="acme", channels=[{"kind": "chat"}])
    await connected(desk, org="default", channels=[{"kind": "mic"}])
    assert (await desk.ask("/api/sdk/agent-info/desk", org="acme")).body["channels"] == [{"type": "chat"}]
    assert (await desk.ask("/api/sdk/agent-info/desk")).body["channels"] == [{"type": "mic"}]
    assert (await desk.ask("/api/sdk/agent-info/desk", org="third")).status == 404


@pytest.mark.parametrize("options", [Options(tells_channels=False)], indirect=True)
async def test_an_operator_may_tell_channels_to_bearers_of_a_key_only(desk: Desk) -> None:
    await connected(desk, channels=CHANNELS)
    assert (await desk.ask("/api/sdk/agent-info/desk")).status == 401
    assert (await desk.ask("/api/sdk/agent-info/desk", org="acme")).status == 200


async def test_an_organisations_numbers_are_those_of_its_agents(desk: Desk) -> None:
    await desk.save("desk", org="acme", name="The desk", channels=CHANNELS)
    await desk.save("theirs", org="other", channels=[{"kind": "phone", "number": "+15550109"}])
    assert (await desk.ask("/api/sdk/phone-numbers", org="acme")).body == {
        "success": True,
        "total": 2,
        "phones": [
            {"number": "+15550100", "name": "The desk", "sid": "phone:+15550100", "isSdk": True},
            {"number": "+15550102", "name": "The desk", "sid": "phone:+15550102", "isSdk": True},
        ],
    }


async def test_voices_have_their_shape_before_there_are_any(desk: Desk) -> None:
    answer = await desk.ask("/api/sdk/voices", params={"provider": "elevenlabs", "language": "es"})
    assert answer.body == {"success": True, "total": 0, "voices": []}
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_what_only_a_carrier_knows_is_told_to_be_elsewhere(desk: Desk) -> None:
    refused = await desk.ask("/api/sdk/twilio-balance", org="acme")
    assert refused.status == 501
    assert refused.body["success"] is False
    assert "Twilio" in refused.body["error"]
