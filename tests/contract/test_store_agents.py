"""Agents and channels, and the store's own life: opening, migrating, being out of reach."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from pydantic import SecretStr

from omni.model.agent import Agent, ScriptRule
from omni.model.behaviour import Tool
from omni.model.channel import Channel, ChatChannel, WhatsAppChannel
from omni.store.base import CallFilter, Store, StoreUnavailableError


def number(digits: str, *, previous: SecretStr | None = None) -> WhatsAppChannel:
    return WhatsAppChannel(
        phone_number_id=digits,
        access_token=SecretStr(f"token {digits}"),
        app_secret=SecretStr("secret"),
        verify_token=SecretStr("verify"),
        previous_app_secret=previous,
    )


def agent(slug: str, *channels: Channel, **more: Any) -> Agent:
    return Agent(slug=slug, channels=channels, **more)


async def test_an_agent_comes_back_with_its_secrets_in_clear(store: Store) -> None:
    given = agent(
        "echo",
        number("100", previous=SecretStr("older")),
        ChatChannel(),
        brain="script",
        vars={"a.b": "$c", "emoji": "👩‍👩‍👧"},
        script=(ScriptRule(when="(?i)hi", tool="look", say=("a", "b")),),
        tools=(Tool(name="look", parameters={"$defs": {"x.y": {"$ref": "#/$defs/z"}}, "type": "object"}),),
    )
    await store.save_agent(given)
    kept = await store.agent("default", "echo")
    assert kept == given
    channel = kept.channels[0]
    assert isinstance(channel, WhatsAppChannel)
    assert channel.access_token.get_secret_value() == "token 100"
    assert channel.previous_app_secret is not None
    assert channel.previous_app_secret.get_secret_value() == "older"


async def test_agents_are_saved_over_listed_and_removed(store: Store) -> None:
    assert await store.agents() == []
    await store.save_agent(agent("b"))
    await store.save_agent(agent("a", name="old"))
    await store.save_agent(agent("a", name="new"))
    await store.save_agent(agent("a", org="elsewhere"))
    assert {(each.org, each.slug, each.name) for each in await store.agents()} == {
        ("default", "a", "new"),
        ("default", "b", None),
        ("elsewhere", "a", None),
    }
    assert {each.slug for each in await store.agents("default")} == {"a", "b"}
    assert await store.agent("elsewhere", "b") is None
    assert await store.remove_agent("default", "a")
    assert not await store.remove_agent("default", "a")
    assert await store.agent("default", "a") is None
    assert await store.agent("elsewhere", "a") is not None


async def test_a_number_moves_to_the_agent_that_was_saved_last(store: Store) -> None:
    await store.save_agent(agent("first", number("100"), number("200")))
    await store.save_agent(agent("second", number("200"), number("300"), name="Second"))
    first, second = await store.agent("default", "first"), await store.agent("default", "second")
    assert first is not None
    assert second is not None
    assert [channel.id for channel in first.channels] == ["whatsapp:100"]
    assert [channel.id for channel in second.channels] == ["whatsapp:200", "whatsapp:300"]
    await store.save_agent(agent("first", number("300"), org="elsewhere"))
    second = await store.agent("default", "second")
    assert second is not None
    assert [channel.id for channel in second.channels] == ["whatsapp:200"]
    await store.remove_agent("default", "second")
    await store.save_agent(agent("first", number("200")))
    assert [len(each.channels) for each in await store.agents("default")] == [1]


async def test_web_chat_is_each_agents_own(store: Store) -> None:
    await store.save_agent(agent("first", ChatChannel()))
    await store.save_agent(agent("second", ChatChannel()))
    assert [[channel.id for channel in each.channels] for each in await store.agents()] == [["chat"], ["chat"]]


async def test_agents_that_race_for_a_number_do_not_share_it(two_stores: tuple[Store, Store]) -> None:
    for _ in range(4):
        await asyncio.gather(
            *(two_stores[n % 2].save_agent(agent(f"a{n}", number("100"), ChatChannel())) for n in range(4))
        )
        agents = await two_stores[0].agents()
        owners = [each.slug for each in agents if any(channel.id == "whatsapp:100" for channel in each.channels)]
        assert len(owners) == 1
        assert len(agents) == 4


# the store's own life


async def test_what_was_stored_is_there_after_opening_again(engine: Any, make: Any) -> None:
    first = engine.build()
    await first.open()
    await first.save_agent(agent("echo", number("100")))
    contact = await first.save_contact(make.contact("ct_1", "491"))
    step = make.reply(make.call("wa-1"), "dl_1", keys=["in:1"])
    await first.append(step)
    size = await first.size()
    await first.close()

    for _ in range(2):
        again = engine.build()
        await again.open()
        await again.ping()
        assert await again.agent("default", "echo") == agent("echo", number("100"))
        assert await again.contact("ct_1") == contact
        loaded = await again.open_call(step.call.conversation)
        assert loaded is not None
        assert loaded.call == step.call
        assert list(loaded.unsent) == list(step.deliveries)
        assert await again.acted_on(["in:1"]) == {"in:1"}
        assert await again.size() == size
        await again.close()
        await again.close()


async def test_size_counts_what_there_is(store: Store, make: Any) -> None:
    empty = await store.size()
    assert set(empty) >= {"agents", "contacts", "calls", "log", "deliveries"}
    assert not any(empty.values())
    await store.save_agent(agent("echo"))
    await store.save_contact(make.contact("ct_1", "491"))
    await store.append(make.reply(make.call("wa-1"), "dl_1"))
    size = await store.size()
    assert [size[name] for name in ("agents", "contacts", "calls", "log", "deliveries")] == [1, 1, 1, 1, 1]


async def test_several_stores_of_one_process_open_a_new_database_at_once(engine: Any, make: Any) -> None:
    stores = await asyncio.gather(*(engine.store() for _ in range(4)))
    call = await make.open(stores[0], "wa-1")
    assert await stores[3].call("wa-1") == call


OPEN = """
import asyncio, sys
sys.path.insert(0, {root!r})
async def main():
    if {kind!r} == "sqlite":
        from omni.sqlite import SqliteFile
        from omni.store.sqlite import SqliteStore
        store = SqliteStore(SqliteFile({place!r}))
    else:
        from omni.store.mongodb import MongoStore
        store = MongoStore({place!r})
    await store.open()
    await store.ping()
    await store.close()
asyncio.run(main())
"""


async def test_several_processes_open_a_new_database_at_once(engine: Any, make: Any, pytestconfig: Any) -> None:
    program = OPEN.format(root=str(pytestconfig.rootpath), kind=engine.kind, place=engine.place)
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
        for _ in range(3)
    ]
    complaints = [(await process.communicate())[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], complaints
    store = await engine.store()
    await make.open(store, "wa-1")
    assert len(await store.calls(CallFilter(org="default"))) == 1


# PyMongo's monitor leaves its socket to the garbage collector when it is cancelled while it connects.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["sqlite", "mongodb"])
async def test_an_engine_out_of_reach_says_so_without_credentials(kind: str, tmp_path: Any) -> None:
    store: Store
    if kind == "sqlite":
        from omni.sqlite import SqliteFile
        from omni.store.sqlite import SqliteStore

        store = SqliteStore(SqliteFile(tmp_path / "no such folder" / "omni.db"))
    else:
        from omni.store.mongodb import MongoStore

        store = MongoStore("mongodb://ada:s3cret@127.0.0.1:1/omni?serverSelectionTimeoutMS=200")
    with pytest.raises(StoreUnavailableError) as refused:
        await store.open()
    assert "s3cret" not in str(refused.value)
    assert "127.0.0.1:1" in str(refused.value) or "omni.db" in str(refused.value)
    await store.close()
