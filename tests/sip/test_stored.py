"""A whole server whose settings have no trunk: one that is made over REST takes calls at once, until it is deleted.
Also where the gateway and the process that speaks SIP are two."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from agentphone import AsyncAgentPhone

from omni.app.server import Server
from omni.app.speech import Speech
from omni.model.channel import PhoneChannel
from omni.model.sip import SipTrunk
from omni.settings import Role, Settings
from tests.agentphone.speaking_server import MarkRecogniser, MarkSpeaker, MarkVad
from tests.ports import free_port
from tests.server.shop import OURS, until
from tests.sip.caller import Caller, calling, calls_with_password
from tests.sip.conftest import NUMBER
from tests.sip.test_outbound import answering
from tests.sip.test_server import DESK, GREETING, THEM, hears

KEY = "pk_the-key-of-the-tests-0123456789"
WITNESS = "127.0.0.2"


@dataclass
class Shop:
    """`gateway` is asked over HTTP, `voice` called by SIP; they may be one."""

    gateway: Server
    voice: Server
    sip_port: int
    http: aiohttp.ClientSession

    async def asked(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with self.http.request(method, self.gateway.url + path, headers=headers, json=body) as answer:
            return answer.status, await answer.json()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        status, said = await self.asked(method, path, body)
        assert status < 300, said
        return said

    async def knows(self, is_so: Callable[[dict[str, SipTrunk]], bool]) -> None:
        """Return when the process that speaks SIP knows of it."""

        def look() -> bool:
            role = self.voice._voice
            return role is not None and is_so({each.name: each for each in role._process.trunks.everyone()})

        await until(look, 20)

    def trunk_of_the_desk(self) -> str | None:
        """As the process that speaks SIP has it."""
        assert self.voice._voice is not None
        desk = self.voice._voice._process.book.get("default", "desk")
        assert desk is not None
        return next((one.trunk for one in desk.channels if isinstance(one, PhoneChannel)), None)

    async def hears_nothing(self, stranger: Caller) -> bool:
        """Whether who calls is not answered: neither are they once a later question of somebody else is."""
        stranger.answer = None
        stranger.cseq += 1
        stranger.send(stranger.request("INVITE", body=stranger.sdp()))
        async with calling(self.sip_port, ip=WITNESS) as witness:
            witness.send(witness.request("OPTIONS"))
            assert (await witness.final()).status == 200
        return stranger.quiet()

    async def opened(self) -> None:
        """Return when SIP is spoken, which starts beside the rest."""
        await self.ask("POST", "/v1/sip-trunks", {"name": "witness", "allow": [f"{WITNESS}/32"]})
        async with calling(self.sip_port, ip=WITNESS) as witness:

            async def up() -> bool:
                witness.cseq += 1
                witness.send(witness.request("OPTIONS"))
                try:
                    return (await witness.receive(0.5)).status == 200
                except TimeoutError:
                    return False

            await until(up, 30)


@pytest.fixture(
    params=[
        pytest.param("alone"),
        pytest.param("apart", marks=[pytest.mark.rabbitmq, pytest.mark.mongodb]),
    ]
)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Settings of the engines: of one process, or of several."""
    if request.param == "alone":
        return {"store_url": f"sqlite:///{tmp_path}/omni.db", "sqlite_sync": "normal"}
    return {
        "bus_url": request.getfixturevalue("rabbitmq_url"),
        "bus_prefix": request.getfixturevalue("rabbitmq_prefix").rstrip("."),
        "store_url": request.getfixturevalue("mongo_url"),
    }


@pytest.fixture
async def shop(engine: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    for name in list(os.environ):
        if name.startswith(OURS) and not name.startswith("OMNI_TEST_"):
            monkeypatch.delenv(name)
    port = free_port()
    settings = Settings(
        port=0,
        agents=(DESK,),
        api_key=KEY,
        partitions=2,
        sip_bind=f"127.0.0.1:{port}",
        allow_private_webhooks=True,
        **engine,
    )
    async with AsyncExitStack() as stack:
        roles: tuple[Role, ...] = ("gateway", "voice") if "bus_url" in engine else ("all",)
        servers = []
        for role in roles:
            server = Server(settings, role, speech=Speech(MarkRecogniser(), MarkSpeaker(), MarkVad))
            await server.start()
            stack.push_async_callback(server.stop)
            servers.append(server)
        found = Shop(servers[0], servers[-1], port, await stack.enter_async_context(aiohttp.ClientSession()))
        await found.opened()
        yield found


async def test_a_trunk_that_agentphones_client_makes_takes_calls_until_it_is_deleted(shop: Shop) -> None:
    async with (
        AsyncAgentPhone(api_key=KEY, base_url=f"{shop.gateway.url}/agentphone") as client,
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
        await shop.knows(lambda trunks: made.id in trunks)
        assert (await calls_with_password(first, username, old)).status == 200
        await hears(first, GREETING)

        turned = await client.sip_trunks.update(made.id)
        assert turned.credentials is not None
        new = turned.credentials[0].password
        assert new is not None
        await shop.knows(lambda trunks: password_of(trunks[made.id]) == new)
        assert (await calls_with_password(second, username, old)).status == 401
        second.cseq += 1
        assert (await calls_with_password(second, username, new)).status == 200
        await hears(second, GREETING)
        assert (await second.bye()).status == 200

        await client.sip_trunks.delete(made.id)
        await shop.knows(lambda trunks: made.id not in trunks)
        second.name = f"{second.name}-late"
        assert await shop.hears_nothing(second)
        assert (await first.bye()).status == 200, "who was talking goes on until they hang up"


def password_of(trunk: SipTrunk) -> str | None:
    return None if trunk.inbound_password is None else trunk.inbound_password.get_secret_value()


async def test_a_trunk_that_is_changed_over_rest_counts_the_calls_it_has(shop: Shop) -> None:
    trunk = {"name": "office", "inbound_username": "door", "inbound_password": "open-sesame"}
    await shop.ask("POST", "/v1/sip-trunks", trunk)
    await shop.knows(lambda trunks: "office" in trunks)
    async with calling(shop.sip_port) as first, calling(shop.sip_port) as second:
        assert (await calls_with_password(first, "door", "open-sesame")).status == 200
        await shop.ask("PATCH", "/v1/sip-trunks/office", {"max_calls": 1})
        await shop.knows(lambda trunks: trunks["office"].max_calls == 1)
        assert (await calls_with_password(second, "door", "open-sesame")).status == 486
        assert (await first.bye()).status == 200


async def test_calls_of_the_agent_go_where_the_trunks_origination_says(shop: Shop, sipp: Any) -> None:
    async with AsyncAgentPhone(api_key=KEY, base_url=f"{shop.gateway.url}/agentphone") as client:
        made = await client.sip_trunks.create()
        await shop.ask("POST", "/v1/agents/desk/channels", {"kind": "phone", "number": NUMBER, "trunk": made.id})
        await shop.knows(lambda trunks: made.id in trunks)
        await until(lambda: shop.trunk_of_the_desk() == made.id)
        nowhere = await shop.asked("POST", "/v1/calls", {"agent_id": "desk", "phone_number": THEM})
        assert nowhere[0] == 409
        assert "only brings calls; give it a host" in nowhere[1]["error"]["message"]

        port = free_port()
        running = await answering(sipp, "outbound_they_end", port)
        await client.sip_trunks.update(made.id, origination={"sip_uri": f"sip:127.0.0.1:{port}"})
        await shop.knows(lambda trunks: trunks[made.id].host == f"127.0.0.1:{port}")
        call = await shop.ask("POST", "/v1/calls", {"agent_id": "desk", "phone_number": THEM})
        ran = await running
        assert ran, ran.out

        async def over() -> bool:
            return str((await shop.ask("GET", f"/v1/calls/{call['id']}"))["status"]) == "completed"

        await until(over, 20)
