"""Looking for words: what was said is found, by those who may, as long as nobody took it back."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from omni.model.call import Call
from omni.model.case import Case, CaseEvent, Note
from omni.model.contact import Identity, IdentityKind
from omni.model.entry import (
    BotSaid,
    Custom,
    HumanChanged,
    HumanSaid,
    HumanWhispered,
    MediaStored,
    UserEdited,
    UserRevoked,
    UserSaid,
)
from omni.model.message import Media, MediaKind, Message
from omni.store.base import Store
from omni.store.inbox import Hit
from omni.store.sqlite.search import INDEX_EVERY


def heard(id_: str, text: str) -> UserSaid:
    return UserSaid(id=id_, text=text, provider_id=f"wamid.{id_}", at=1.0, message=Message.of(text))


def edited(id_: str | None, target: str, text: str) -> UserEdited:
    return UserEdited(id=id_, target=target, text=text, message=Message.of(text))


async def say(store: Store, make: Any, call: Call, *facts: Any) -> Call:
    step = make.step(call, *facts)
    await store.append(step)
    return step.call


async def found(store: Store, text: str, org: str = "default") -> list[tuple[str, int]]:
    return [(hit.call, hit.seq) for hit in await store.search_messages(org, text)]


async def test_whatever_anybody_said_is_found_newest_first(store: Store, make: Any) -> None:
    call = await say(store, make, make.call("wa-1", party="p"), heard("m1", "Where is my   ORDER?\nIt is late"))
    delivery = make.delivery("dl_1", call.id, 2)
    call = await say(store, make, call, BotSaid(id="m2", text="Your order is on its way", delivery=delivery))
    call = await say(store, make, call, HumanSaid(id="m3", text="order found", by="op_ada", message=Message.of("x")))
    voice = Media(kind=MediaKind.AUDIO, voice=True, transcript="my order never came")
    call = await say(store, make, call, MediaStored(id="m1", part=0, media=voice), Custom(name="order"))
    await say(store, make, call, HumanWhispered(text="order him a new one", by="op_ada"))
    conversation = call.conversation
    assert await store.search_messages("default", "order") == [
        Hit("wa-1", conversation, 4, 1_004.0, "user", "my order never came"),
        Hit("wa-1", conversation, 3, 1_003.0, "human", "order found"),
        Hit("wa-1", conversation, 2, 1_002.0, "bot", "Your order is on its way"),
        Hit("wa-1", conversation, 1, 1_001.0, "user", "Where is my ORDER? It is late"),
    ]
    assert await found(store, "order", org="rival") == []
    assert [hit.seq for hit in await store.search_messages("default", "order", limit=2)] == [4, 3]
    assert await found(store, "late order") == [("wa-1", 1)]
    assert await found(store, "order nowhere") == []


async def test_words_are_compared_without_case_and_accents_by_their_beginnings(store: Store, make: Any) -> None:
    texts = (
        "El señor Muñoz pidió un CAFÉ", "Straße in İstanbul", "שָׁלוֹם עולם", "مَرْحَبًا بك", "привет Ёлка", "𝐁old ﬁne",
        "Tiếng Việt",
        "cafe\u0301 con leche", "日本語 テキスト", "snake_case e-mail ada@example.com",
    )  # fmt: skip
    call = make.call("wa-1", party="p")
    for n, text in enumerate(texts):
        call = await say(store, make, call, heard(f"m{n}", text))
    for query, seqs in (
        ("senor MUN", [1]), ("Pidió café", [1]), ("cafe", [8, 1]), ("strasse istan", [2]), ("שלום", [3]), ("שָׁל", [3]),
        ("مرحبا", [4]), ("ЕЛКА прив", [5]), ("bold fine", [6]), ("tieng viet", [7]), ("日本", [9]), ("テキ", [9]),
        ("case snake", [10]), ("ada@example.com", [10]), ("e-mail", [10]), ("xample", []), ("afe", []),
    ):  # fmt: skip
        assert [seq for _, seq in await found(store, query)] == seqs, query


HOSTILE = [
    '"', "'", '"order"', "order*", "*", "NEAR(order late)", "order AND late", "order OR nothing", "NOT order", "-order",
    "^order", "{words}: order", "words:order", "order\0late", "\0", "\ud800", "😀", "😀 order", "(", "order)", "$where",
    "{$ne: 1}", ".*", "order|late", "[o]rder", "\\", "\\order", "%", "_", "", "   ", "\n\t", "x" * 4_000, "é" * 4_000,
    "order " * 2_000, "\u202eredro\u202c", "ORDER\u200b", "--", "; DROP TABLE calls", "۱۲۳", "a" * 39 + " " + "b" * 41,
]  # fmt: skip


async def test_no_sign_in_a_search_means_anything(store: Store, make: Any) -> None:
    """What is looked for is words, and what is found has all of them."""
    call = await say(store, make, make.call("wa-1", party="p"), heard("m1", "the order is late"))
    await say(store, make, call, *(heard(f"h{n}", text) for n, text in enumerate(HOSTILE)))
    for text in HOSTILE:
        hits = await store.search_messages("default", text)
        assert all(isinstance(hit.snippet, str) and len(hit.snippet) <= 170 for hit in hits)
        await store.search_contacts("default", text)
    for nothing in ("", "*", '"', "😀", "\0", "%", "_", "{}", "\ud800"):
        assert await found(store, nothing) == [], nothing
    for same in ('"order"', "order*", "-order", "^order", "order)", "😀 order", "\\order", "order\0late"):
        assert ("wa-1", 1) in await found(store, same), same
    for none in ("order AND late", "NOT order", "NEAR(order late)", "order OR nothing", "words:order"):
        assert ("wa-1", 1) not in await found(store, none), none
    assert len(await found(store, "x" * 4_000)) == 1
    assert len(await found(store, "x" * 60)) == 1
    assert len(await found(store, "a" * 39 + " " + "b" * 41)) == 1
    assert await found(store, "b" * 40 + "c") == []


async def test_what_was_edited_is_found_by_its_new_words_only(store: Store, make: Any) -> None:
    call = await say(store, make, make.call("wa-1", party="p"), heard("m1", "blue shoes"), heard("m2", "blue hat"))
    assert await found(store, "blue") == [("wa-1", 2), ("wa-1", 1)]
    call = await say(store, make, call, edited("m1", "wamid.m1", "red shoes"))
    assert await found(store, "shoes") == [("wa-1", 3)]
    assert await found(store, "blue") == [("wa-1", 2)]
    call = await say(store, make, call, edited(None, "wamid.m1", "green shoes"))
    assert await found(store, "shoes") == [("wa-1", 4)]
    call = await say(store, make, call, edited(None, "wamid.unknown", "shoes of before"))
    assert await found(store, "shoes") == [("wa-1", 5), ("wa-1", 4)]


async def test_what_was_taken_back_is_found_no_more(store: Store, make: Any) -> None:
    call = await say(store, make, make.call("wa-1", party="p"), heard("m1", "secret one"), heard("m2", "secret two"))
    voice = Media(kind=MediaKind.AUDIO, voice=True, transcript="secret three")
    call = await say(store, make, call, MediaStored(id="m2", part=0, media=voice))
    said = HumanSaid(id="m3", text="secret four", by="app", message=Message.of("x"), provider_id="wamid.app")
    call = await say(store, make, call, said, edited("m1", "wamid.m1", "secret five"))
    assert [seq for _, seq in await found(store, "secret")] == [5, 4, 3, 2]
    call = await say(store, make, call, UserRevoked(id="m1", target="wamid.m1"))
    assert [seq for _, seq in await found(store, "secret")] == [4, 3, 2]
    call = await say(store, make, call, HumanChanged(target="wamid.app", text="public now"))
    assert [seq for _, seq in await found(store, "secret")] == [3, 2]
    assert [seq for _, seq in await found(store, "public")] == [7]
    call = await say(store, make, call.model_copy(update={"is_open": False}), HumanChanged(target="wamid.app"))
    assert await found(store, "public") == []
    other = await say(store, make, make.call("wa-x", party="q"), heard("m2", "secret of another"))
    call = await say(store, make, make.call("wa-2", party="p"), *(heard(f"n{n}", "later") for n in range(9)))
    await say(store, make, call, UserRevoked(id="m2", target="wamid.m2"))  # of what was said in the call before
    assert await found(store, "secret") == [(other.id, 1)]


async def test_messages_and_what_takes_them_back_may_be_indexed_by_two_at_once(
    two_stores: tuple[Store, Store], make: Any
) -> None:
    one, other = two_stores
    for number in range(4):
        call = make.call(f"wa-{number}", party=f"p{number}")
        call = await say(one, make, call, *(heard(f"m{n}", f"word {n}") for n in range(8)))
        await asyncio.gather(
            say(one, make, call, *(UserRevoked(id=f"m{n}", target=f"wamid.m{n}") for n in range(7))),
            *(store.search_messages("default", "word") for store in (one, other, other)),
        )
        await asyncio.gather(*(store.search_messages("default", "word") for store in (one, other)))
        assert [hit for hit in await found(other, "word") if hit[0] == call.id] == [(call.id, 8)]


async def test_an_organisation_finds_its_own_only(store: Store, make: Any) -> None:
    for org in ("default", "rival", "rival/default"):
        call = make.call(f"wa-{org}", party="p", org=org, conversation=f"{org}/echo/w/p")
        await say(store, make, call, heard("m1", f"the plan of {org}"))
        await store.save_contact(make.contact(f"ct_{org}", "49170123", name="Ada Plan", org=org))
        note = CaseEvent(conversation=call.conversation, number=1, at=5.0, by="op", fact=Note(text="plan"))
        await store.save_case(Case(conversation=call.conversation, org=org, events=1), [note])
    for org in ("default", "rival", "rival/default"):
        hits = await store.search_messages(org, "plan")
        assert [(hit.call, hit.speaker) for hit in hits if hit.call] == [(f"wa-{org}", "user")]
        assert {hit.conversation for hit in hits} == {f"{org}/echo/w/p"}
        assert len(hits) == 2
        assert [contact.id for contact in await store.search_contacts(org, "ada")] == [f"ct_{org}"]
    assert await store.search_messages("none", "plan") == []


async def test_notes_are_found_too(store: Store, make: Any) -> None:
    call = await make.open(store, "wa-1", party="p")
    note = CaseEvent(
        conversation=call.conversation, number=1, at=7.0, by="op_ada", fact=Note(text="  Wants a refund.\nUrgent! ")
    )
    await store.save_case(Case(conversation=call.conversation, events=1), [note])
    assert await store.search_messages("default", "REFUND urg") == [
        Hit("", call.conversation, 1, 7.0, "note", "Wants a refund. Urgent!")
    ]


async def test_a_long_text_is_shown_around_what_was_looked_for(store: Store, make: Any) -> None:
    text = " ".join(f"filler{n}" for n in range(200)) + " NEEDLE " + " ".join(f"tail{n}" for n in range(200))
    await say(store, make, make.call("wa-1", party="p"), heard("m1", text))
    [hit] = await store.search_messages("default", "needle")
    assert "NEEDLE tail0" in hit.snippet
    assert hit.snippet.startswith("…filler")
    assert hit.snippet.endswith("…")
    assert len(hit.snippet) < 170


async def test_many_messages_are_found_whoever_indexes_them(two_stores: tuple[Store, Store], make: Any) -> None:
    one, other = two_stores
    dice = random.Random(7)
    calls = [make.call(f"wa-{n}", party=f"p{n}") for n in range(5)]
    places: list[tuple[str, int]] = []
    for number in range(450):
        n = dice.randrange(len(calls))
        calls[n] = await say((one, other)[number % 2], make, calls[n], heard(f"m{number}", f"common w{number} text"))
        places.append((calls[n].id, calls[n].last_seq))
    for number in (0, 199, 200, 201, 399, 449):
        assert await found(other, f"w{number} common") == [places[number]]
    hits = await one.search_messages("default", "common", limit=1_000)
    assert sorted((hit.call, hit.seq) for hit in hits) == sorted(places)


async def test_people_are_found_by_names_and_any_digits_of_their_numbers(store: Store, make: Any) -> None:
    ada = await store.save_contact(make.contact("ct_ada", "491701234567", name="Ada Lovelace", username="the.countess"))
    bob = await store.save_contact(make.contact("ct_bob", "34600999888", name="Bob Łukasz Ñandú"))
    site = Identity(kind=IdentityKind.VISITOR, value="visitor-77ab")
    nobody = await store.save_contact(make.contact("ct_x").model_copy(update={"identities": (site,)}))
    for text, people in (
        ("ada", [ada]), ("LOVE ad", [ada]), ("countess", [ada]), ("1234", [ada]), ("+49 170 1234567", [ada]),
        ("4567", [ada]), ("nandu", [bob]), ("bob 600", [bob]), ("ada 600", []), ("77ab", [nobody]), ("velace", []),
    ):  # fmt: skip
        assert await store.search_contacts("default", text) == people, text
    ada = await store.save_contact(ada.model_copy(update={"name": "Ada King"}))
    assert await store.search_contacts("default", "lovelace") == []
    assert await store.search_contacts("default", "king") == [ada]
    assert len(await store.search_contacts("default", "a", limit=1)) == 1
    both = bob.model_copy(update={"identities": (*bob.identities, *ada.identities)})
    merged = await store.merge_contacts(both, "ct_ada")
    assert await store.search_contacts("default", "1234") == [merged]
    assert await store.search_contacts("default", "king") == []


@pytest.mark.parametrize("count", [3, INDEX_EVERY + 5])
async def test_what_waited_at_the_stop_is_found_after_the_next_start(engine: Any, make: Any, count: int) -> None:
    store = engine.build()
    await store.open()
    call = make.call("wa-1", party="p")
    for number in range(count):
        call = await say(store, make, call, heard(f"m{number}", f"w{number}"))
    await store.close()
    store = await engine.store()
    assert len(await store.search_messages("default", "w", limit=1_000)) == count
