"""What a program remembers of its contacts by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from omni import HistoryStore, JsonHistory, MongoHistory, Omni
from omni.sdk.agent import Agent
from omni.sdk.history import KEPT
from omni.sdk.transcript import Message
from tests.sdk.scripted import Peer, ScriptedServer, begin_chat, started

HELLO = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello Ana"}]
WHATSAPP = {"agent_id": "desk", "session_id": "wa-1"}


@pytest.fixture(params=["json", "mongodb"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HistoryStore]:
    if request.param == "json":
        yield JsonHistory(tmp_path / "history")
        return
    url = request.getfixturevalue("mongo_url")
    mongo = MongoHistory(url, database=url.rpartition("/")[2].partition("?")[0])
    yield mongo
    await mongo.close()


async def test_what_is_saved_is_loaded(store: HistoryStore) -> None:
    assert await store.load("desk/34600111222") == []
    await store.save("desk/34600111222", HELLO)
    await store.save("desk/../34600111222", HELLO[:1])
    await store.save("desk/34600111222", [*HELLO, {"role": "user", "content": "¿Sí?"}])
    assert await store.load("desk/34600111222") == [*HELLO, {"role": "user", "content": "¿Sí?"}]
    assert await store.load("desk/../34600111222") == HELLO[:1]


async def test_files_stay_in_their_folder_and_are_never_half_written(tmp_path: Path) -> None:
    store = JsonHistory(tmp_path / "history")
    await store.save("../../etc/passwd", HELLO)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [file.parent for file in files] == [tmp_path / "history"]
    assert json.loads(files[0].read_text()) == HELLO


async def whatsapp(peer: Peer, *said: tuple[str, str]) -> None:
    await peer.send("whatsapp.session_started", **WHATSAPP, contact_phone="34600111222", contact_name="Ana")
    for number, (role, text) in enumerate(said):
        if role == "user":
            await peer.send("whatsapp.message", **WHATSAPP, from_="34600111222", text=text, message_id=f"w{number}")
        else:
            await peer.send("whatsapp.response", **WHATSAPP, to="34600111222", text=text)


async def answer_history(peer: Peer, name: str, **fields: Any) -> dict[str, Any]:
    asked = await peer.expect(f"history.{name}")
    reply = "history.data" if name == "get" else "history.updated"
    await peer.send(reply, agent_id="desk", call_id="wa-1", request_id=asked["request_id"], **fields)
    return asked


async def test_a_returning_contact_is_remembered(
    omni: Omni, desk: Agent, server: ScriptedServer, tmp_path: Path
) -> None:
    store = JsonHistory(tmp_path)
    await store.save("desk/34600111222", HELLO)
    desk.remember(store)
    over: asyncio.Queue[str] = asyncio.Queue()
    desk.on("call.ended", lambda call, reason: over.put_nowait(reason))
    peer = await started(omni, server)
    await whatsapp(peer, ("user", "And now?"), ("assistant", "Now this."))
    greeting = {"role": "assistant", "content": "Welcome."}
    now = [{"role": "system", "content": "Be kind."}, greeting, {"role": "user", "content": "And now?"}]
    await answer_history(peer, "get", messages=now)
    told = await answer_history(peer, "set", count=3)
    assert told["messages"] == [*HELLO, greeting]  # the server keeps what it still has to answer
    await peer.send("whatsapp.session_ended", **WHATSAPP, reason="idle_timeout")
    await over.get()
    said = [{"role": "user", "content": "And now?"}, {"role": "assistant", "content": "Now this."}]
    while await store.load("desk/34600111222") != [*HELLO, *said]:
        await asyncio.sleep(0.002)


async def test_what_the_server_tells_at_the_end_is_not_kept_twice(
    omni: Omni, desk: Agent, server: ScriptedServer, tmp_path: Path
) -> None:
    store = JsonHistory(tmp_path)
    await store.save("desk/34600111222", HELLO)
    desk.remember(store)
    peer = await started(omni, server)
    await whatsapp(peer)
    await answer_history(peer, "get", messages=[])
    await answer_history(peer, "set", count=2)
    whole = [{"role": "system", "content": "x"}, *HELLO, {"role": "user", "content": "Bye"}]
    await peer.send("whatsapp.session_ended", **WHATSAPP, reason="idle_timeout", messages=whole)
    while await store.load("desk/34600111222") != whole[1:]:
        await asyncio.sleep(0.002)


async def test_a_program_that_stops_keeps_what_was_said(
    omni: Omni, desk: Agent, server: ScriptedServer, tmp_path: Path
) -> None:
    store = JsonHistory(tmp_path)
    desk.remember(store)
    heard: asyncio.Queue[str] = asyncio.Queue()
    desk.on("whatsapp.response", lambda event: heard.put_nowait(event.text))
    peer = await started(omni, server)
    await whatsapp(peer, ("user", "Hi"), ("assistant", "Hello Ana"))
    await heard.get()
    await omni.close()
    assert await store.load("desk/34600111222") == HELLO


async def test_who_has_no_name_is_not_remembered(
    omni: Omni, desk: Agent, server: ScriptedServer, tmp_path: Path
) -> None:
    desk.remember(JsonHistory(tmp_path))
    heard: asyncio.Queue[str] = asyncio.Queue()
    desk.on("user.message", lambda event: heard.put_nowait(event.text))
    peer = await started(omni, server)
    await begin_chat(peer, "chat-1")
    await begin_chat(peer, "chat-2", metadata={"contact": "ana"})
    for number in (1, 2):
        await peer.send("chat.message", agent_id="desk", call_id=f"chat-{number}", message_id="u1", text="Hi")
        await heard.get()
    await omni.close()
    assert [file.name.partition("-")[0] for file in tmp_path.iterdir()] == ["desk_ana"]


async def test_only_so_much_is_remembered(omni: Omni, desk: Agent, server: ScriptedServer, tmp_path: Path) -> None:
    store = JsonHistory(tmp_path)
    await store.save("vip", [{"role": "user", "content": str(number)} for number in range(KEPT + 5)])
    desk.remember(store, key=lambda call: "vip")
    peer = await started(omni, server)
    await whatsapp(peer)
    await answer_history(peer, "get", messages=[])
    assert [one["content"] for one in (await answer_history(peer, "set", count=0))["messages"]][:2] == ["5", "6"]


async def test_a_store_that_fails_costs_the_memory_and_not_the_call(
    omni: Omni, desk: Agent, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        async def load(self, key: str) -> list[Message]:
            raise OSError("the disk is gone")

        async def save(self, key: str, messages: Sequence[Message]) -> None:
            raise OSError("the disk is gone")

    desk.remember(Broken())
    over: asyncio.Queue[str] = asyncio.Queue()
    desk.on("call.ended", lambda call, reason: over.put_nowait(reason))
    peer = await started(omni, server)
    await whatsapp(peer, ("user", "Hi"))
    await peer.send("whatsapp.session_ended", **WHATSAPP, reason="idle_timeout")
    assert await over.get() == "idle_timeout"
    assert "the earlier conversation could not be read" in caplog.text
