"""A whole server: what a key opens, and that tokens and visitors survive a restart and another gateway."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from omni.access.access import open_access
from omni.access.visitors import Visitor, open_visitor, seal_visitor
from tests.server.conftest import OpenShop

KEY = "pk_the_key_of_the_settings"


async def test_a_key_of_the_settings_opens_a_server_and_its_agents(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine, api_key=SecretStr(KEY))
    headers = {"Authorization": f"Bearer {KEY}"}
    async with shop.http.get(f"{shop.server.url}/chat/token", params={"agent_id": "echo"}, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        minted = await answer.json()
    assert minted["server"] == shop.server.url
    async with shop.http.get(f"{shop.server.url}/chat/token", params={"agent_id": "echo"}) as answer:
        assert answer.status == 401

    elsewhere = await open_access(shop.engines.store)
    token = elsewhere.tokens.open(minted["token"], "chat")
    assert (token.org, token.agent) == ("default", "echo")
    visitor = Visitor(id="v1", org="default", agent="echo", since=1.0)
    assert open_visitor(elsewhere.sealer, seal_visitor(elsewhere.sealer, visitor), org="default", agent="echo")

    _, secret = await elsewhere.keys.create("default", "made elsewhere")
    for path in ("/api/sdk/agents", "/api/keys", "/api/conversations", "/api/usage/calls"):
        async with shop.http.get(shop.server.url + path, headers={"Authorization": f"Bearer {secret}"}) as answer:
            assert answer.status == 200, path
