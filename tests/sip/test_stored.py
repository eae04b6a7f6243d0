"""A whole server whose settings have no trunk: one that is made over REST takes calls at once, until it is deleted."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from agentphone import AsyncAgentPhone

from omni.app.server import Server
from omni.app.speech import Speech
from omni.settings import Settings
from tests.agentphone.speaking_server import MarkRecogniser, MarkSpeaker, MarkVad
from tests.ports import free_port
from tests.server.shop import OURS, until
from tests.sip.caller import Caller, calling, calls_with_password
from tests.sip.test_server import DESK, GREETING, hears

KEY = "pk_the-key-of-the-tests-0123456789"
WITNESS = "127.0.0.2"


class Shop:
    def __init__(self, server: Server, sip_port: int, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.sip_port = sip_port
        self.http = http

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with self.http.request(method, self.server.url + path, headers=headers, json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def hears_nothing(self, stranger: Caller) -> bool:
        """Whether who calls is not answered: neither are they once a later question of somebody else is."""
        stranger.answer = None
        stranger.cseq += 1
        stranger.send(stranger.request("INVITE", body=stranger.sdp()))
        async with calling(self.sip_port, ip=WITNESS) as witness:
            witness.send(witness.request("OPTIONS"))
            assert (await witness.final()).status == 200
        return stranger.quiet()


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    port = free_port()
    async with _serving(tmp_path, port) as server, aiohttp.ClientSession() as http:
        found = Shop(server, port, http)
        await found.ask("POST", "/v1/sip-trunks", {"name": "witness", "allow": [f"{WITNESS}/32"]})
        async with calling(port, ip=WITNESS) as witness:

            async def up() -> bool:  # the voice role starts beside the rest
                witness.cseq += 1
                witness.send(witness.request("OPTIONS"))
                try:
                    return (await witness.receive(0.5)).status == 200
                except TimeoutError:
                    return False

            await until(up, 30)
        yield found


@asynccontextmanager
async def _serving(folder: Path, port: int) -> AsyncIterator[Server]:
    settings = Settings(
        port=0,
        agents=(DESK,),
        api_key=KEY,
        store_url=f"sqlite:///{folder}/omni.db",
        sqlite_sync="normal",
        partitions=2,
        sip_bind=f"127.0.0.1:{port}",
        allow_private_webhooks=True,
    )
    server = Server(settings, speech=Speech(MarkRecogniser(), MarkSpeaker(), MarkVad))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def test_a_trunk_that_agentphones_client_makes_takes_calls_until_it_is_deleted(shop: Shop) -> None:
    async with (
        AsyncAgentPhone(api_key=KEY, base_url=f"{shop.server.url}/agentphone") as client,
        calling(shop.sip_port) as first,
        calling(shop.sip_port) as second,
    ):
        assert await shop.hears_nothing(first)
        first.cseq += 1
        made = await client.sip_trunks.create()
        assert made.termination_sip_uri == f"sip:127.0.0.1:{shop.sip_port}"
        assert made.credentials is not None
        username, old = made.credentials[0].username, made.credentials[0].password
        assert old is not None
        assert (await calls_with_password(first, username, old)).status == 200
        await hears(first, GREETING)

        turned = await client.sip_trunks.update(made.id)
        assert turned.credentials is not None
        new = turned.credentials[0].password
        assert new is not None
        assert (await calls_with_password(second, username, old)).status == 401
        second.cseq += 1
        assert (await calls_with_password(second, username, new)).status == 200
        await hears(second, GREETING)
        assert (await second.bye()).status == 200

        await client.sip_trunks.delete(made.id)
        second.name = f"{second.name}-late"
        assert await shop.hears_nothing(second)
        assert (await first.bye()).status == 200, "who was talking goes on until they hang up"


async def test_a_trunk_that_is_changed_over_rest_counts_the_calls_it_has(shop: Shop) -> None:
    trunk = {"name": "office", "inbound_username": "door", "inbound_password": "open-sesame"}
    await shop.ask("POST", "/v1/sip-trunks", trunk)
    async with calling(shop.sip_port) as first, calling(shop.sip_port) as second:
        assert (await calls_with_password(first, "door", "open-sesame")).status == 200
        await shop.ask("PATCH", "/v1/sip-trunks/office", {"max_calls": 1})
        assert (await calls_with_password(second, "door", "open-sesame")).status == 486
        assert (await first.bye()).status == 200
