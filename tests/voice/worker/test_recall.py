"""What was said before a call is known when it begins: on this channel or on all of them; and nobody waits for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from channels.whatsapp.people import identities_of
from omni.model.call import Call, conversation_key
from omni.model.contact import Contact, Sender
from omni.model.entry import CallEnded, CallStarted, Entry, Fact, HumanSaid, UserSaid
from omni.model.message import Message
from omni.store.base import Append
from sessions.document import document_of
from sessions.fold import fold_all
from sessions.state import CallState
from tests.voice.call.clock import played
from tests.voice.worker.office import Office, open_office, until

ADA = "+12025550171"


async def ada(office: Office) -> Contact:
    sender = Sender(identities=identities_of(ADA[1:], None, None), routing="whatsapp:1:1", name="Ada")
    return await office.stage.contacts.resolve("default", sender)


async def wrote(
    office: Office,
    id_: str,
    *said: str,
    at: float,
    channel: str = "whatsapp:100",
    party: str = "",
    is_open: bool = True,
) -> Call:
    """A conversation in the store: what begins with `us: ` is ours."""
    contact = await ada(office)
    key = conversation_key("default", "desk", channel, party or contact.id)
    state = CallState(
        id=id_, org="default", agent="desk", channel=channel, transport=channel.partition(":")[0], conversation=key,
        contact=contact.id, home=contact.home,
    )  # fmt: skip
    facts: list[Fact] = [
        CallStarted.model_validate(
            {"direction": "inbound", "from": "x", "to": "y", "channel": channel, "contact": contact.id}
        )
    ]
    for n, text in enumerate(said):
        message = Message.of(text.removeprefix("us: "))
        facts.append(
            HumanSaid(id=f"{id_}-{n}", text=message.text, by="bot", message=message)
            if text.startswith("us: ")
            else UserSaid(id=f"{id_}-{n}", text=text, provider_id=f"p{id_}{n}", at=at, message=message)
        )
    if not is_open:
        facts.append(CallEnded(reason="idle", duration=1))
    entries = [Entry(seq=n, ts=at + n, call=id_, agent="desk", fact=fact) for n, fact in enumerate(facts, 1)]
    call = document_of(fold_all(state, entries), None)
    await office.stage.store.append(Append(call=call, entries=entries))
    return call


async def recap_of_a_call(office: Office, **more: Any) -> str | None:
    worker = office.workers[0] if office.workers else await office.hire("w1")
    call, _ = await office.take(worker, number=ADA, **more)
    state = (await until(lambda: call.conversation.look()))[0]
    call.finish("hangup")
    await call.ended.wait()
    return state.recap  # type: ignore[no-any-return]


@played
async def test_the_bot_knows_what_was_written_while_the_conversation_is_still_open(tmp_path: Path) -> None:
    async with open_office(tmp_path, history="all_channels") as office:
        now = office.stage.loop.wall()
        await wrote(office, "wa-1", "Is 1042 shipped?", "us: It leaves today.", at=now - 60)
        await wrote(office, "sms-1", "old news", at=now - 9_000, channel="sms:+12025550142", is_open=False)
        assert (await recap_of_a_call(office)) == (
            "Earlier conversation with this person:\n(by SMS)\nCustomer: old news\n"
            "(on WhatsApp)\nCustomer: Is 1042 shipped?\nYou: It leaves today."
        )


@played
async def test_a_call_in_which_nothing_was_said_hides_nothing(tmp_path: Path) -> None:
    async with open_office(tmp_path, history="all_channels") as office:
        now = office.stage.loop.wall()
        await wrote(office, "wa-1", "hello", at=now - 60)
        for n in range(4):
            await wrote(office, f"CA-{n}", at=now - 50 + n, channel="phone:+1", is_open=False)
        assert "hello" in (await recap_of_a_call(office) or "")


@pytest.mark.parametrize("history", ["none", "same_channel"])
@played
async def test_other_channels_stay_unknown_where_the_agent_wants_it(tmp_path: Path, history: str) -> None:
    async with open_office(tmp_path, history=history) as office:
        await wrote(office, "wa-1", "hello", at=office.stage.loop.wall() - 60)
        assert await recap_of_a_call(office) is None


@played
async def test_what_was_said_in_a_group_is_not_told_alone(tmp_path: Path) -> None:
    async with open_office(tmp_path, history="all_channels") as office:
        await wrote(office, "wa-1", "between us all", at=office.stage.loop.wall() - 60, party="group:g1")
        assert await recap_of_a_call(office) is None


@played
async def test_a_second_call_at_once_knows_of_calls_on_the_same_number(tmp_path: Path) -> None:
    async with open_office(tmp_path, history="same_channel") as office:
        channel = office.offered().channel
        await wrote(office, "CA-0", "hello", at=office.stage.loop.wall() - 60, channel=channel, is_open=False)
        worker = await office.hire("w1")
        await office.take(worker, number=ADA)
        assert "hello" in (await recap_of_a_call(office) or "")


@played
async def test_a_slow_store_keeps_no_caller_waiting(tmp_path: Path) -> None:
    async with open_office(tmp_path, history="all_channels") as office:
        await wrote(office, "wa-1", "hello", at=office.stage.loop.wall() - 60)
        worker = await office.hire("w1")
        load = office.stage.store.load_call

        async def never(call: str) -> Any:
            await asyncio.sleep(60)
            return await load(call)

        office.stage.store.load_call = never  # type: ignore[attr-defined]
        began = office.stage.loop.time()
        await office.take(worker, number=ADA)
        assert office.stage.loop.time() - began < 2
