"""The other ways round: who phones first, who may not be written to, whose records are made one during a call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from omni.model.entry import ToolAnswered
from tests.brains.llm_server import LlmServer
from tests.server.shop import until
from tests.story.town import open_town

OTHER = "+12025550199"


async def test_who_phones_first_is_known_when_they_write(tmp_path: Path, llm: LlmServer) -> None:
    async with open_town(tmp_path, llm, greeting=None) as town:
        town.mind.knows("1042", "It is ready.")
        town.mind.knows("Thanks", "See you.")
        town.phones()
        call = await town.newest("phone")
        town.speaks("Is 1042 ready?")
        await town.logged(call.id, "bot.finished")
        await town.hangs_up()
        town.writes("Thanks")
        assert await town.reads(1) == "See you."
        assert (
            "Earlier conversation with this person:\n(on the phone)\nCustomer: Is 1042 ready?\nYou: It is ready."
            in town.mind.read("Thanks")
        )
        assert len({call.contact for call in await town.all()}) == 1


async def test_a_closed_window_is_an_error_that_the_model_reads_aloud(tmp_path: Path, llm: LlmServer) -> None:
    async with open_town(tmp_path, llm, greeting=None) as town:
        town.mind.knows("Write to me", "I cannot.", "send_message", text="Hello")
        town.phones()
        call = await town.newest("phone")
        town.speaks("Write to me")
        await town.hears("I cannot.")
        (answered,) = await town.logged(call.id, "tool.result")
        assert isinstance(answered, ToolAnswered)
        assert answered.error
        assert "24 hours" in str(answered.result)
        assert "24 hours" in town.mind.results()[-1]
        assert town.cloud.sent() == []
        await town.hangs_up()


async def test_where_the_agent_wants_it_calls_and_texts_know_nothing_of_each_other(
    tmp_path: Path, llm: LlmServer
) -> None:
    async with open_town(tmp_path, llm, greeting=None, messages_join_calls=False) as town:
        town.mind.knows("1042", "It is ready.")
        town.phones()
        call = await town.newest("phone")
        town.writes("Is 1042 ready?")
        assert await town.reads(1) == "It is ready."
        assert "user.wrote" not in [entry.fact.type for entry in await town.log(call.id)]
        await town.hangs_up()


async def test_who_is_paused_meets_a_silent_bot_on_the_phone_too(tmp_path: Path, llm: LlmServer) -> None:
    async with open_town(tmp_path, llm) as town:
        town.mind.knows("hello", "Hi.")
        town.writes("hello")
        await town.reads(2)
        contact = await town.engines.store.contact((await town.newest("whatsapp")).contact)
        assert contact is not None
        await town.commands.pause_person(contact, "baker", "ann", paused=True)

        async def is_paused() -> bool:
            found = await town.engines.store.contact(contact.id)
            return found is not None and found.is_paused

        await until(is_paused)
        town.phones()
        call = await town.newest("phone")
        town.speaks("hello again")
        (said,) = await town.logged(call.id, "user.message")
        assert (said.text, said.paused) == ("hello again", True)
        await town.hangs_up()
        assert town.heard == ""


@pytest.mark.parametrize("has_colleague", [False, True])
async def test_a_caller_whose_record_is_merged_stays_on_the_line_and_is_who_writes(
    tmp_path: Path, llm: LlmServer, has_colleague: bool
) -> None:
    """Whichever record is kept: that of the call, or that of a conversation which a colleague has."""
    async with open_town(tmp_path, llm, greeting=None) as town:
        town.mind.knows("hello", "Hi.")
        town.mind.knows("still there", "Yes.")
        town.writes("hello")
        await town.reads(1)
        written = await town.newest("whatsapp")
        town.phones(OTHER)
        call = await town.newest("phone")
        assert call.contact != written.contact
        store = town.engines.store
        keep, gone = await store.contact(written.contact), await store.contact(call.contact)
        assert keep is not None
        assert gone is not None
        if has_colleague:
            await town.commands.pause(written, "ann")
            await town.logged(written.id, "handoff.active")
        await town.commands.merge_people(keep, gone, "ann")

        async def are_one() -> bool:
            return None in (await store.contact(keep.id), await store.contact(gone.id))

        await until(are_one)
        if has_colleague:
            await town.logged(call.id, "contact.changed")
        else:
            await town.logged(written.id, "call.ended")
        town.writes("I write from my other number")
        (aside,) = await town.logged(call.id, "user.wrote")
        assert aside.text == "I write from my other number"
        town.speaks("Are you still there?")
        await town.hears("Yes.")
        await town.hangs_up()
        assert {one.contact for one in await town.all()} == {keep.id if has_colleague else gone.id}
        assert [one.reason for one in await town.all() if one.transport == "phone"] == ["hangup"]


@asynccontextmanager
async def developer(reply: dict[str, Any]) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Somebody's server that answers every turn with this; its address, and what it was asked."""
    asked: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(await request.json())
        return web.json_response(reply)

    app = web.Application()
    app.router.add_post("/turn", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/turn", asked
    await runner.cleanup()


async def test_a_developers_server_writes_beside_what_it_says_and_reads_what_was_written(
    tmp_path: Path, llm: LlmServer
) -> None:
    reply = {"text": "Look at your phone.", "send_message": {"body": "Here is the link."}}
    async with (
        developer(reply) as (url, asked),
        open_town(tmp_path, llm, greeting=None, brain="webhook", webhook={"url": url}) as town,
    ):
        town.writes("hello")
        await town.reads(2)  # in writing, what is sent beside is a message of the answer
        town.phones()
        call = await town.newest("phone")
        town.speaks("Send me the link")
        await town.hears("Look at your phone.")
        assert await town.reads(3) == "Here is the link."
        town.writes("I have it")
        await town.logged(call.id, "user.wrote")
        town.speaks("I wrote to you")
        await until(lambda: len(asked) == 3)
        history = [(said["channel"], said["content"]) for said in asked[-1]["recent_history"]]
        assert ("whatsapp", "I have it") in history
        assert ("whatsapp", "hello") in history
        assert await town.reads(4) == "Here is the link."
        await town.hangs_up()
