"""Two records that somebody says are one person: nobody's words get lost, whichever page they come from."""

from __future__ import annotations

from typing import Any

from omni.model.call import Call
from omni.model.contact import Contact
from tests.chat.conftest import OpenChat
from tests.chat.pages import Chat, OwnPage, texts
from tests.server.shop import until


async def two_visitors(chat: Chat) -> tuple[tuple[OwnPage, Contact], tuple[OwnPage, Contact]]:
    """Somebody at home and somebody on a phone, who have each said hello."""
    found = []
    for where in ("home", "phone"):
        page = await chat.visitor()
        await page.says("m1", f"hello from {where}")
        await page.hears("bot")
        (call,) = [call for call in await chat.calls() if call.last_text.endswith(where)]
        contact = await chat.engines.store.contact(call.contact)
        assert contact is not None
        found.append((page, contact))
    return found[0], found[1]


async def merged(chat: Chat, keep: Contact, gone: Contact) -> Contact:
    await chat.commands.merge_people(keep, gone, "op_ana")

    async def one() -> Contact | None:
        left = [c for c in (await chat.engines.store.contact(keep.id), await chat.engines.store.contact(gone.id)) if c]
        return left[0] if len(left) == 1 else None

    return await until(one)


async def test_a_page_of_a_merged_person_comes_back_to_the_conversation_that_goes_on(
    open_chat: OpenChat, engine: dict[str, Any]
) -> None:
    chat = await open_chat(engine=engine)
    (_, keep), (phone, gone) = await two_visitors(chat)
    kept = await merged(chat, keep, gone)
    assert kept.id == keep.id
    assert set(kept.identities) == {*keep.identities, *gone.identities}

    async def ended() -> Call | None:
        return next((call for call in await chat.calls() if call.reason == "merged"), None)

    assert (await until(ended)).conversation.endswith(gone.id), "nothing will reach it there any more"
    await phone.sees("chat.ended")
    await phone.says("m2", "and now?")
    assert await phone.closed() == 1013
    back, seen = await chat.back(phone)
    words = texts(seen)
    if "You said: and now?" not in words:
        words.append((await back.hears("bot"))["text"])
    assert words.count("You said: and now?") == 1
    assert [call.contact for call in await chat.calls()] == [keep.id, keep.id]
    assert len([call for call in await chat.calls() if call.is_open]) == 1


async def test_the_record_whose_conversation_a_colleague_has_is_the_one_that_stays(open_chat: OpenChat) -> None:
    chat = await open_chat()
    (_, keep), (_, gone) = await two_visitors(chat)
    (theirs,) = [call for call in await chat.calls() if call.contact == gone.id]
    await chat.commands.pause(theirs, "op_ana")

    async def is_taken() -> bool:
        call = await chat.engines.store.call(theirs.id)
        return call is not None and call.handler == "human"

    await until(is_taken)
    kept = await merged(chat, keep, gone)
    assert kept.id == gone.id
    assert set(kept.identities) == {*keep.identities, *gone.identities}


async def test_merging_twice_changes_nothing_more(open_chat: OpenChat) -> None:
    chat = await open_chat()
    (home, keep), (_, gone) = await two_visitors(chat)
    kept = await merged(chat, keep, gone)
    await chat.commands.merge_people(keep, gone, "op_ana")
    await home.says("m2", "still me")
    assert (await home.hears("bot"))["text"] == "You said: still me"
    again = await chat.engines.store.contact(keep.id)
    assert again is not None
    assert again.version == kept.version
