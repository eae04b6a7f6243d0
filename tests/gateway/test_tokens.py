"""`GET /webrtc/token`, `/chat/token`, `/stream/token`: who gets which token, and what the others are told."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from omni.access.tokens import Token, TokenKind
from omni.gateway.tokens import METADATA_BYTES
from tests.gateway.front_desk import OWN_KEY, Desk, Options

KINDS: tuple[TokenKind, ...] = ("webrtc", "chat", "stream")
PAGE = "https://shop.example.org"
PREFIXES = {"webrtc": "wrt_", "chat": "cht_", "stream": "str_"}


async def mint(desk: Desk, kind: str = "chat", slug: str = "desk", **more: Any) -> Any:
    params = {"agent_id": slug, **more.pop("params", {})}
    return await desk.ask(f"/{kind}/token", params=params, **more)


def opened(desk: Desk, answer: Any, kind: TokenKind = "chat") -> Token:
    assert answer.status == 200, answer.text
    return desk.access.tokens.open(answer.body["token"], kind)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_gets_a_token_for_its_own_connected_agent(desk: Desk, kind: TokenKind) -> None:
    await desk.connect("desk", org="acme")
    answer = await mint(desk, kind, org="acme")
    assert set(answer.body) == {"token", "server", "expires_in"}
    assert answer.body["token"].startswith(PREFIXES[kind])
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", answer.body["token"])
    assert answer.body["server"] == desk.url
    assert answer.body["expires_in"] == (3600 if kind == "stream" else 60)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    token = opened(desk, answer, kind)
    assert (token.org, token.agents, token.meta, token.call, token.origin) == ("acme", ("desk",), None, None, None)
    assert token.scope == ("observe" if kind == "stream" else "participate")


async def test_the_settings_key_mints_for_the_default_organisation(desk: Desk) -> None:
    await desk.connect("desk")
    assert opened(desk, await mint(desk, key=OWN_KEY)).org == "default"


async def test_metadata_scope_and_call_are_sealed_in(desk: Desk) -> None:
    await desk.connect("desk", org="acme")
    meta = {"user": "42", "threadId": "t1", "nested": {"ü": [1, None]}}
    params = {"metadata": json.dumps(meta), "scope": "supervise", "call_id": "chat-1"}
    token = opened(desk, await mint(desk, "stream", org="acme", params=params), "stream")
    assert (token.meta, token.scope, token.call) == (meta, "supervise", "chat-1")


async def test_a_stream_token_covers_a_set_of_agents_that_are_all_there(desk: Desk) -> None:
    await desk.connect("desk", org="acme")
    await desk.connect("sales", org="acme")
    token = opened(desk, await mint(desk, "stream", "desk,sales,desk", org="acme"), "stream")
    assert token.agents == ("desk", "sales")
    refused = await mint(desk, "stream", "desk,nobody", org="acme")
    assert (refused.status, refused.body) == (404, {"detail": "Agent 'nobody' is not online"})
    assert (await mint(desk, "chat", "desk,sales", org="acme")).status == 404


async def test_an_agent_is_named_as_people_type_it(desk: Desk) -> None:
    await desk.connect("front-desk", org="acme")
    assert opened(desk, await mint(desk, slug=" Front_Desk ", org="acme")).agent == "front-desk"


@pytest.mark.parametrize("kind", KINDS)
async def test_an_agent_that_is_not_there_has_no_tokens(desk: Desk, kind: str) -> None:
    await desk.save("desk", org="acme", allowed_origins=[PAGE])
    refused = await mint(desk, kind, org="acme")
    assert (refused.status, refused.body) == (404, {"detail": "Agent 'desk' is not online"})
    assert (await mint(desk, kind, "nobody", org="acme")).body == {"detail": "Agent 'nobody' is not online"}


async def test_an_agent_of_somebody_else_looks_like_one_that_is_not_there(desk: Desk) -> None:
    await desk.save("desk", org="acme")
    await desk.connect("desk", org="acme")
    refused = await mint(desk, org="other")
    assert (refused.status, refused.body) == (404, {"detail": "Agent 'desk' is not online"})


async def test_an_agent_whose_brain_is_the_servers_is_always_there(desk: Desk) -> None:
    await desk.save("rules", org="acme", brain="script", script=[{"when": ".", "say": "x"}])
    assert opened(desk, await mint(desk, slug="rules", org="acme")).agent == "rules"
    assert (await mint(desk, slug="rules", org="other")).status == 404


async def test_a_program_that_left_takes_its_agent_offline(desk: Desk) -> None:
    program = await desk.connect("desk", org="acme")
    assert (await mint(desk, org="acme")).status == 200
    await desk.store.drop_lease("program:acme/desk", program.holder)
    await desk.presence.refresh()
    assert (await mint(desk, org="acme")).status == 404


# without a key


async def test_a_page_of_an_allowed_origin_gets_a_token_that_says_nothing_of_its_own(desk: Desk) -> None:
    await desk.save("desk", org="acme", allowed_origins=[PAGE, "http://localhost:*"])
    await desk.connect("desk", org="acme")
    await desk.presence.refresh()
    params = {"metadata": '{"admin": true}', "scope": "supervise", "call_id": "chat-1"}
    for kind in ("chat", "webrtc"):
        for page in (PAGE, "http://localhost:5173"):
            answer = await mint(desk, kind, headers={"Origin": page}, params=params)
            token = opened(desk, answer, kind)  # type: ignore[arg-type]
            assert (token.org, token.agents, token.scope) == ("acme", ("desk",), "participate")
            assert (token.meta, token.call, token.origin) == (None, None, page)
            assert answer.headers["Access-Control-Allow-Origin"] == page
            assert answer.headers["Vary"] == "Origin"
            assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "page", ["https://evilshop.example.org", "http://shop.example.org", "https://shop.example.org.evil.org", "null"]
)
async def test_a_page_of_another_origin_is_refused_readably(desk: Desk, page: str) -> None:
    await desk.save("desk", allowed_origins=[PAGE])
    await desk.connect("desk")
    refused = await mint(desk, headers={"Origin": page})
    assert refused.status == 403
    assert "allowed_origins" in refused.body["detail"]
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    assert (await mint(desk, slug="nobody", headers={"Origin": page})).body == refused.body


async def test_a_page_may_not_watch_without_a_key(desk: Desk) -> None:
    await desk.save("desk", allowed_origins=[PAGE])
    await desk.connect("desk")
    refused = await mint(desk, "stream", headers={"Origin": PAGE})
    assert refused.status == 401
    assert "API key" in refused.body["detail"]


async def test_without_key_and_page_nobody_gets_a_token(desk: Desk) -> None:
    await desk.save("desk", allowed_origins=[PAGE])
    await desk.connect("desk")
    missing = await mint(desk)
    assert missing.status == 401
    assert "omni keys create" in missing.body["detail"]
    wrong = await mint(desk, key="pk_nobody", headers={"Origin": PAGE})
    assert wrong.status == 401
    assert wrong.body["detail"] != missing.body["detail"]
    assert "pk_nobody" not in wrong.text
    revoked = await desk.key("acme")
    await desk.access.keys.revoke("acme", desk.keys["acme"].id)
    assert (await mint(desk, key=revoked)).status == 401
    assert (await mint(desk, headers={"Authorization": "Basic eDp5"})).status == 401


async def test_of_two_organisations_agents_of_one_name_the_welcoming_one_is_meant(desk: Desk) -> None:
    await desk.save("desk", org="acme", allowed_origins=[PAGE])
    await desk.save("desk", org="default")
    await desk.connect("desk", org="acme")
    await desk.connect("desk")
    await desk.presence.refresh()
    assert opened(desk, await mint(desk, headers={"Origin": PAGE})).org == "acme"
    await desk.save("desk", org="default", allowed_origins=[PAGE])
    assert opened(desk, await mint(desk, headers={"Origin": PAGE})).org == "default"


async def test_a_welcome_page_of_an_agent_that_is_not_there_is_told_so(desk: Desk) -> None:
    await desk.save("desk", allowed_origins=[PAGE])
    refused = await mint(desk, headers={"Origin": PAGE})
    assert (refused.status, refused.body) == (404, {"detail": "Agent 'desk' is not online"})


# bad requests


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"agent_id": ""}, "agent_id"),
        ({"agent_id": "…"}, "agent_id"),
        ({"metadata": "{"}, "metadata"),
        ({"metadata": "[1]"}, "metadata"),
        ({"metadata": '"x"'}, "metadata"),
        ({"metadata": '{"x": NaN}'}, "metadata"),
        ({"metadata": "[" * 2000}, "metadata"),
        ({"metadata": json.dumps({"x": "y" * METADATA_BYTES})}, "metadata"),
        ({"metadata": json.dumps({"x": "ü" * 1200}, ensure_ascii=False)}, "metadata"),
        ({"scope": "admin"}, "scope"),
        ({"call_id": "x" * 500}, "call_id"),
    ],
    ids=str,
)
async def test_a_bad_parameter_is_named_in_a_sentence(desk: Desk, params: dict[str, str], named: str) -> None:
    await desk.connect("desk", org="acme")
    refused = await mint(desk, org="acme", params=params)
    assert refused.status == 400
    assert isinstance(refused.body["detail"], str)
    assert named in refused.body["detail"]
    assert refused.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_set_of_agents_has_an_end(desk: Desk) -> None:
    refused = await mint(desk, "stream", ",".join(f"a{n}" for n in range(51)), org="acme")
    assert refused.status == 400
    assert "at most 50" in refused.body["detail"]


async def test_metadata_up_to_its_limit_is_taken(desk: Desk) -> None:
    await desk.connect("desk", org="acme")
    text = json.dumps({"x": "y" * (METADATA_BYTES - 9)})
    assert len(text) == METADATA_BYTES
    assert (await mint(desk, org="acme", params={"metadata": text})).status == 200
    assert (await mint(desk, org="acme", params={"metadata": "{}"})).status == 200


# floods, proxies, pages


async def test_a_page_that_asks_too_often_is_told_when_to_come_back(desk: Desk) -> None:
    await desk.save("desk", allowed_origins=[PAGE])
    await desk.connect("desk")
    await desk.presence.refresh()
    statuses = [(await mint(desk, headers={"Origin": PAGE})).status for _ in range(10)]
    assert statuses == [200] * 10
    refused = await mint(desk, headers={"Origin": PAGE})
    assert refused.status == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 6
    assert "Retry-After" in refused.headers["Access-Control-Expose-Headers"]
    assert (await mint(desk, org="default")).status == 200, "who has a key is counted apart"
    assert (await mint(desk, slug="other", headers={"Origin": PAGE})).status == 403, "so is each agent"


async def test_a_key_has_a_limit_of_its_own(desk: Desk) -> None:
    await desk.connect("desk", org="acme")
    assert (await mint(desk, org="acme")).status == 200
    while desk.access.limits.key_mints.take(desk.keys["acme"].id) == 0:
        pass
    assert (await mint(desk, org="acme")).status == 429
    await desk.connect("desk", org="other")
    assert (await mint(desk, org="other")).status == 200


@pytest.mark.parametrize("options", [Options(proxies=1)], indirect=True)
async def test_behind_a_proxy_each_page_is_counted_for_itself_and_cannot_pretend(desk: Desk) -> None:
    await desk.save("desk", allowed_origins=[PAGE])
    await desk.connect("desk")
    await desk.presence.refresh()

    async def asked(forwarded: str) -> int:
        status: int = (await mint(desk, headers={"Origin": PAGE, "X-Forwarded-For": forwarded})).status
        return status

    assert [await asked(f"10.0.0.{n}, 198.51.100.7") for n in range(11)] == [200] * 10 + [429]
    assert await asked("198.51.100.7, 198.51.100.8") == 200
    assert [await asked(f"2001:db8:1:2::{n}") for n in range(11)] == [200] * 10 + [429]


async def test_without_a_proxy_a_forwarded_address_is_not_believed(desk: Desk) -> None:
    await desk.save("desk", allowed_origins=[PAGE])
    await desk.connect("desk")
    await desk.presence.refresh()
    headers = [{"Origin": PAGE, "X-Forwarded-For": f"198.51.100.{n}"} for n in range(11)]
    assert [(await mint(desk, headers=each)).status for each in headers][-1] == 429
    more = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.org"}
    assert (await mint(desk, org="default", headers=more)).body["server"] == desk.url


@pytest.mark.parametrize(
    ("options", "headers", "server"),
    [
        (Options(public_url="https://voice.example.org"), {}, "https://voice.example.org"),
        (Options(public_url="https://voice.example.org"), {"Host": "evil.org"}, "https://voice.example.org"),
        (Options(), {"Host": "omni.lan:8080"}, "http://omni.lan:8080"),
        (
            Options(proxies=1),
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "voice.example.org"},
            "https://voice.example.org",
        ),
        (Options(proxies=1), {"X-Forwarded-Proto": "wss", "Host": "omni.lan"}, "http://omni.lan"),
    ],
    indirect=["options"],
)
async def test_the_server_is_an_http_address_that_the_page_can_reach(
    desk: Desk, headers: dict[str, str], server: str
) -> None:
    await desk.connect("desk", org="acme")
    assert (await mint(desk, org="acme", headers=headers)).body["server"] == server


@pytest.mark.parametrize(
    "path",
    ["/webrtc/token", "/chat/token", "/stream/token", "/api/sdk/agent-info/desk", "/api/sdk/voices"],
)
async def test_a_preflight_is_answered(desk: Desk, path: str) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    answer = await desk.ask(path, method="OPTIONS", headers=asked)
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
    for header in ("Authorization", "Content-Type", "Last-Event-ID"):
        assert header in answer.headers["Access-Control-Allow-Headers"]


async def test_while_the_store_is_away_pages_are_asked_to_come_back(desk: Desk) -> None:
    key = await desk.key("acme")
    for engine in (desk.bus, desk.store):  # both: they share a file
        await engine.close()
    refused = await mint(desk, key=key)
    assert refused.status == 503
    assert "try again" in refused.body["detail"]
    assert (await desk.ask("/api/sdk/agents", key=key)).status == 503
