"""The drill: a server with people on it is saved while they write, lost, and put back somewhere else."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from channels.whatsapp.simulator import FaultRule
from omni.access.keys import Keys
from omni.model.entry import CallEnded, CallRecorded, CallSummary
from tests.backup.command import Command
from tests.chat.test_rest import Http
from tests.rest.house import House
from tests.rest.test_calls_with_sound import TALK, WAV, _once, spoken
from tests.rest.test_people import lived
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, agent_of, until

BRUNO = "447700900123"
CROWD = [f"1202557{number:04}" for number in range(3)]


async def called(house: House) -> None:
    """Somebody telephoned, and it was recorded."""
    blob = await house.shop.engines.blobs.put("call-1", _once(WAV), mime="audio/wav", max_bytes=10_000)
    recorded = CallRecorded(blob=blob.key, duration_ms=100, sample_rate=8000, size=len(WAV))
    ends = (recorded, CallEnded(reason="hangup", duration=3), CallSummary(reason="hangup"))
    over = {"is_open": False, "reason": "hangup", "ended_at": time.time(), "last_seq": len(TALK) + len(ends)}
    await spoken(house, "CA1", *TALK, *ends, recording=blob.key, **over)


async def content(house: House, path: str) -> str:
    headers = {"Authorization": f"Bearer {house.keys['default']}"}
    async with house.shop.http.get(house.shop.url + path, headers=headers) as answer:
        assert answer.status == 200, path
        return hashlib.sha256(await answer.read()).hexdigest()


async def seen(house: House, ada: dict[str, Any]) -> dict[str, Any]:
    """Ada and her things, as a developer and an operator see them."""
    exported = await house.ask("GET", f"/v1/contacts/{ada['contact']}/export")
    assert exported.status == 200, exported.text
    found = await house.ask("GET", "/v1/inbox/search", q="secret")
    noted = await house.ask("GET", "/v1/inbox/search", q="noted")
    return {
        "export": [json.loads(line) for line in exported.text.splitlines()],
        "messages": (await house.get(f"/v1/conversations/{ada['id']}/messages"))["data"],
        "log": (await house.ask("GET", "/v1/calls/CA1")).body,
        "picture": await content(house, ada["picture"]),
        "recording": await content(house, "/v1/calls/CA1/recording"),
        "found": (found.body["messages"], noted.body["messages"]),
    }


async def crowd_writes(house: House, until_set: asyncio.Event) -> None:
    """Whoever is answered writes again, to the end."""
    for number in itertools.count(1):
        for who in CROWD:
            house.shop.say(f"word {number}", who)
        for who in CROWD:
            await house.shop.arrived(number, who)
        if until_set.is_set() and number > 1:
            return


async def test_a_server_that_was_lost_is_back_with_all_it_had(
    house: House, elsewhere: dict[str, Any], omni: Command, moved: Any, tmp_path: Path
) -> None:
    ada = await lived(house)
    await called(house)
    page = Http(house.shop)  # type: ignore[arg-type]  # it asks for an address and a session, and no more
    await page.open(agent="echo")
    await page.says("c1", "hello from the page")
    await page.hears("You said: hello from the page")
    _, house.keys["made"] = await Keys(house.store).create("default", "made before")
    await house.shop.quiet()

    over = asyncio.Event()
    writing = asyncio.create_task(crowd_writes(house, over))
    await house.shop.arrived(1, CROWD[0])
    saved = await omni("backup", "saved")
    over.set()
    await writing
    assert saved.status == 0, saved.err
    await house.shop.quiet()
    before = await seen(house, ada)
    sent = len(house.shop.simulator.sent())
    await house.shop.server.stop()

    back = await omni("restore", "saved", OMNI_STORE_URL=elsewhere["store_url"])
    assert back.status == 0, back.err
    house = await moved(house, elsewhere)
    assert await seen(house, ada) == before
    assert (await house.ask("GET", "/v1/contacts", key=house.keys["made"])).status == 200
    assert (await house.ask("GET", "/v1/contacts", key="pk_never-made-0123456789")).status == 401
    await house.shop.quiet()
    assert len(house.shop.simulator.sent()) == sent, "a restored server sent something by itself"

    house.shop.say("and now?")
    texts = await house.shop.answers(len(house.shop.simulator.sent(to=ADA)) + 1)
    assert texts[-1] == "You said: and now?"

    async def continued() -> Any:
        found = (await house.get(f"/v1/conversations/{ada['id']}/messages"))["data"]
        return found if found[0]["text"] == "You said: and now?" else None

    await until(continued)
    going_on = await house.get(f"/v1/conversations/{ada['id']}")
    assert going_on["call_id"] == ada["call_id"], "her open conversation goes on"
    for who in CROWD:
        house.shop.say("are you there?", who)
        await until(lambda who=who: "You said: are you there?" in words(house, who))  # type: ignore[misc]
        assert max(Counter(words(house, who)).values()) == 1, "nobody was told anything twice"
    await page.says("c2", "and from the page?")
    await page.hears("You said: and from the page?")
    assert [path.name for path in tmp_path.glob("*.part")] == []


def words(house: House, who: str) -> list[str]:
    return [sent.body["text"]["body"] for sent in house.shop.simulator.sent(to=who)]


@pytest.mark.parametrize("is_moved", [False, True])
async def test_what_was_in_the_middle_is_done_by_one_of_the_two_servers(
    engine: dict[str, Any],
    open_shop: OpenShop,
    elsewhere: dict[str, Any],
    omni: Command,
    moved: Any,
    tmp_path: Path,
    is_moved: bool,
) -> None:
    """Ada's question is being thought about and Bruno's answers wait, as the backup is made."""
    if is_moved and "bus_url" in engine:
        pytest.skip("what waits in RabbitMQ is not in a backup: it moves with RabbitMQ")
    script = [{"when": "think", "say": "Thought", "wait_ms": 5_000}, {"when": ".*", "say": ["one", "two", "three"]}]
    house = House(await open_shop(engine, agent_of(script=script)))
    shop = house.shop
    fault = shop.simulator.add_fault(FaultRule(kind="hang", times=None))
    shop.say("talk", BRUNO)
    await until(lambda: shop.simulator.faults.applied.get("hang"))
    shop.say("think")
    await shop.logged("user.message")
    saved = await omni("backup", "saved")
    assert saved.status == 0, saved.err
    assert not shop.simulator.sent()
    if is_moved:  # as though the power had gone: what was in the middle is in the backup alone
        await shop.server.stop()
        shop.simulator.faults.remove(fault)
    else:
        shop.simulator.faults.remove(fault)
        await shop.arrived(1)
        await shop.arrived(3, BRUNO)
        await shop.quiet()
        await shop.server.stop()
    before = len(shop.simulator.sent())

    back = await omni("restore", "saved", *(["--resume"] if is_moved else []), OMNI_STORE_URL=elsewhere["store_url"])
    assert back.status == 0, back.err
    assert ("Withdrawn" in back.out) is not is_moved
    house = await moved(house, elsewhere)
    if is_moved:
        await house.shop.arrived(1)
        await house.shop.arrived(3, BRUNO)
        await house.shop.quiet()
        assert (words(house, ADA), words(house, BRUNO)) == (["Thought"], ["one", "two", "three"])
    else:
        await house.shop.quiet()
        assert len(house.shop.simulator.sent()) == before
        house.shop.say("go on")
        await house.shop.arrived(4)
        assert words(house, ADA) == ["Thought", "one", "two", "three"]
