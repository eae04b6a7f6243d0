"""The call log: one append point, inputs that act once, and what is left of a call whose worker died."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from pydantic import JsonValue

from omni.model.call import Snapshot
from omni.model.entry import BotSaid, CallEnded, Custom, Other, UserSaid
from omni.model.message import Message
from omni.store.base import Append, DuplicateInputError, SeqConflictError, Store, StoreError


async def test_an_append_is_read_back_whole(store: Store, make: Any) -> None:
    call = make.call("wa-1", party="p", name="Ada", wake_at=2_000.0, last_text="hi", home="h")
    said = UserSaid(id="m1", text="hi", provider_id="wamid.1", at=999.0, message=Message.of("hi"))
    reply = make.delivery("dl_1", "wa-1", 2)
    step = make.step(
        call, said, BotSaid(id="m2", text="hello", turn=1, delivery=reply), keys=["in:1"], deliveries=[reply]
    )
    await store.append(step)

    loaded = await store.load_call("wa-1")
    assert loaded is not None
    assert loaded.call == step.call
    assert list(loaded.entries) == list(step.entries)
    assert list(loaded.unsent) == [reply]
    assert await store.call("wa-1") == step.call
    assert await store.entries("wa-1") == list(step.entries)
    assert await store.deliveries("wa-1") == [reply]
    assert await store.acted_on(["in:1", "in:2"]) == {"in:1"}


async def test_what_is_not_there_is_none(store: Store) -> None:
    assert await store.load_call("wa-0") is None
    assert await store.call("wa-0") is None
    assert await store.open_call("default/echo/whatsapp:100/p") is None
    assert await store.last_call("default/echo/whatsapp:100/p") is None
    assert await store.entries("wa-0") == []
    assert await store.acted_on([]) == set()
    assert await store.acted_on(["never"]) == set()


async def test_appends_continue_the_log(store: Store, make: Any) -> None:
    call = await make.open(store, "wa-1")
    for count in (1, 3, 2):
        step = make.step(call, count=count)
        await store.append(step)
        call = step.call
    loaded = await store.load_call("wa-1")
    assert loaded is not None
    assert [entry.seq for entry in loaded.entries] == [1, 2, 3, 4, 5, 6, 7]
    assert loaded.call.last_seq == 7


async def test_a_worker_that_is_behind_cannot_append(store: Store, make: Any) -> None:
    call = await make.open(store, "wa-1")
    await store.append(make.step(call, keys=["k1"], count=2))
    before = await store.load_call("wa-1")
    late = make.reply(call, "dl_late", keys=["k2"])
    with pytest.raises(SeqConflictError):
        await store.append(late)
    assert await store.load_call("wa-1") == before
    assert await store.acted_on(["k2"]) == set()
    assert await store.delivery("dl_late") is None


@pytest.mark.parametrize("round_", range(3))
async def test_of_workers_that_append_at_once_exactly_one_wins(
    two_stores: tuple[Store, Store], make: Any, round_: int
) -> None:
    one, other = two_stores
    call = await make.open(one, "wa-1")
    for lap in range(4):
        steps = [make.reply(call, f"dl_{lap}_{n}", text=f"{lap} {n}", keys=[f"k:{lap}:{n}"]) for n in range(4)]
        outcomes = await make.outcomes([(one, other)[n % 2].append(step) for n, step in enumerate(steps)])
        assert sorted(outcomes) == ["SeqConflictError"] * 3 + ["ok"]
        winner = outcomes.index("ok")
        call = steps[winner].call
        loaded = await other.load_call("wa-1")
        assert loaded is not None
        assert loaded.call == call
        assert loaded.entries[-1] == steps[winner].entries[-1]
        assert await one.acted_on([f"k:{lap}:{n}" for n in range(4)]) == {f"k:{lap}:{winner}"}
        assert [d.id for d in await one.deliveries("wa-1")][lap:] == [f"dl_{lap}_{winner}"]


async def test_an_input_acts_once_in_one_call(store: Store, make: Any) -> None:
    call = await make.open(store, "wa-1")
    step = make.step(call, keys=["a", "b"])
    await store.append(step)
    before = await store.load_call("wa-1")
    with pytest.raises(DuplicateInputError) as refused:
        await store.append(make.step(step.call, keys=["c", "b"], deliveries=[make.delivery("dl_1", "wa-1", 3)]))
    assert refused.value.keys == ("b",)
    assert await store.load_call("wa-1") == before
    assert await store.acted_on(["a", "b", "c"]) == {"a", "b"}
    assert await store.delivery("dl_1") is None


async def test_an_input_acts_once_across_calls(store: Store, make: Any) -> None:
    await store.append(make.step(make.call("wa-1"), keys=["a"]))
    with pytest.raises(DuplicateInputError) as refused:
        await store.append(make.step(make.call("wa-2"), keys=["a"]))
    assert refused.value.keys == ("a",)
    assert await store.load_call("wa-2") is None
    assert await store.open_call(make.call("wa-2").conversation) is None
    await make.open(store, "wa-3", party="wa-2")  # the conversation is not held by what was refused


async def test_an_input_that_races_itself_acts_once(two_stores: tuple[Store, Store], make: Any) -> None:
    for lap in range(5):
        steps = [make.step(make.call(f"wa-{lap}-{n}"), keys=[f"in:{lap}"]) for n in range(4)]
        outcomes = await make.outcomes([two_stores[n % 2].append(step) for n, step in enumerate(steps)])
        assert sorted(outcomes) == ["DuplicateInputError"] * 3 + ["ok"]
        there = [n for n in range(4) if await two_stores[0].load_call(f"wa-{lap}-{n}") is not None]
        assert there == [outcomes.index("ok")]


async def test_the_same_key_twice_in_one_append_is_one_key(store: Store, make: Any) -> None:
    await store.append(make.step(make.call("wa-1"), keys=["a", "a"]))
    assert await store.acted_on(["a"]) == {"a"}


async def test_keys_are_known_one_by_one_however_many_came_together(store: Store, make: Any) -> None:
    await store.append(make.step(make.call("wa-1"), keys=["a"]))
    await store.append(make.step(make.call("wa-2"), keys=["b", "c"]))
    for keys, acted in ((["d", "a"], "a"), (["c"], "c"), (["d", "b"], "b")):
        with pytest.raises(DuplicateInputError) as refused:
            await store.append(make.step(make.call("wa-3"), keys=keys))
        assert refused.value.keys == (acted,)
    assert await store.acted_on(["a", "b", "c", "d"]) == {"a", "b", "c"}


async def test_appends_without_keys_do_not_meet(store: Store, make: Any) -> None:
    for n in range(3):
        call = await make.open(store, f"wa-{n}")
        await store.append(make.step(call))
    assert len(await store.entries("wa-2")) == 2


async def test_a_redelivered_append_is_refused_and_changes_nothing(store: Store, make: Any) -> None:
    step = make.reply(make.call("wa-1"), "dl_1", keys=["a"])
    await store.append(step)
    with pytest.raises((SeqConflictError, DuplicateInputError)):
        await store.append(step)
    loaded = await store.load_call("wa-1")
    assert loaded is not None
    assert list(loaded.entries) == list(step.entries)


async def test_an_append_with_nothing_to_append_is_an_error(store: Store, make: Any) -> None:
    with pytest.raises((StoreError, ValueError)):
        await store.append(Append(make.call("wa-1"), []))


# crashes


async def test_an_append_that_is_cut_off_happened_or_did_not(engine: Any, make: Any) -> None:
    """Wherever it is abandoned: the next worker finds all of it (and writes what was not written yet) or nothing."""
    dying, store = await engine.store(), await engine.store()
    for after in range(0, 40, 3):
        call_id = f"wa-{after}"
        step = make.reply(make.call(call_id), f"dl_{after}", keys=[f"in:{after}"])
        await dying.ping()  # connected again, so that only the append is cut off
        await make.cut_off(dying.append(step), after)
        try:
            await store.append(step)  # the input is delivered again
        except (DuplicateInputError, SeqConflictError):
            loaded = await store.open_call(step.call.conversation)
            assert loaded is not None
            await make.repair(store, loaded)
        loaded = await store.open_call(step.call.conversation)
        assert loaded is not None
        assert loaded.call.last_seq == 1
        assert list(loaded.entries) == list(step.entries)
        assert [delivery.id for delivery in loaded.unsent] == [f"dl_{after}"]
        assert await store.acted_on([f"in:{after}"]) == {f"in:{after}"}


async def test_a_call_goes_on_after_an_append_was_cut_off(engine: Any, make: Any) -> None:
    dying, store = await engine.store(), await engine.store()
    call = await make.open(store, "wa-1")
    for after in range(0, 40, 3):
        step = make.reply(call, f"dl_{after}", keys=[f"in:{after}"])
        await dying.ping()  # connected again, so that only the append is cut off
        await make.cut_off(dying.append(step), after)
        try:
            await store.append(step)
        except (DuplicateInputError, SeqConflictError):
            loaded = await store.load_call("wa-1")
            assert loaded is not None
            await make.repair(store, loaded)
        call = step.call
        loaded = await store.load_call("wa-1")
        assert loaded is not None
        assert loaded.call.last_seq == call.last_seq
        assert [entry.seq for entry in loaded.entries] == list(range(1, call.last_seq + 1))
        assert len(loaded.unsent) == call.last_seq - 1


async def test_save_call_repairs_and_never_goes_back(store: Store, make: Any) -> None:
    call = await make.open(store, "wa-1")
    step = make.reply(call, "dl_1")
    await store.append(step)
    sent = (await store.change_deliveries({"dl_1": make.sending()}))["dl_1"]

    await store.save_call(
        step.call.model_copy(update={"name": "Ada"}), [*step.deliveries, make.delivery("dl_2", "wa-1", 2)]
    )
    repaired = await store.call("wa-1")
    assert repaired is not None
    assert repaired.name == "Ada"
    assert await store.delivery("dl_1") == sent, "a delivery that is there is left as it is"
    assert await store.delivery("dl_2") is not None, "one that was missing is there now"

    await store.save_call(call.model_copy(update={"name": "from before"}))
    assert await store.call("wa-1") == repaired


# reading


async def test_entries_are_paged(store: Store, make: Any) -> None:
    call = await make.open(store, "wa-1")
    for count in (3, 1, 4):
        step = make.step(call, count=count)
        await store.append(step)
        call = step.call

    async def seqs(**page: int) -> list[int]:
        return [entry.seq for entry in await store.entries("wa-1", **page)]

    assert await seqs() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert await seqs(limit=2) == [1, 2]
    assert await seqs(after=2, limit=4) == [3, 4, 5, 6]
    assert await seqs(after=6) == [7, 8, 9]
    assert await seqs(after=9) == []
    assert await seqs(after=100) == []
    paged: list[int] = []
    while page := await seqs(after=paged[-1] if paged else 0, limit=2):
        paged += page
    assert paged == [1, 2, 3, 4, 5, 6, 7, 8, 9]


async def test_a_loaded_call_has_the_entries_after_its_snapshot(store: Store, make: Any) -> None:
    call = await make.open(store, "wa-1")
    snapshot = Snapshot(seq=3, state='{"wamid.1": {"$seen": true, "a.b": [1, null, "é"], "": {}}, "nth": 1.5}')
    step = make.step(call, count=4)
    await store.append(replace(step, snapshot=snapshot))
    loaded = await store.load_call("wa-1")
    assert loaded is not None
    assert [entry.seq for entry in loaded.entries] == [4, 5]
    assert loaded.snapshot == snapshot
    assert await store.call("wa-1") == step.call


async def test_facts_of_a_newer_release_survive(store: Store, make: Any) -> None:
    data: dict[str, JsonValue] = {"deep": [{"x": None}, 1, 2.5, True, "s"], "$odd": {"dotted.key": 1}, "": "empty"}
    step = make.step(make.call("wa-1"), Other(type="from.the.future", data=data))
    await store.append(step)
    assert (await store.entries("wa-1"))[0] == step.entries[0]


async def test_ephemeral_stays_ephemeral(store: Store, make: Any) -> None:
    call = make.call("wa-1", last_seq=1)
    await store.append(Append(call, [make.entry("wa-1", 1, ephemeral=True)]))
    assert (await store.entries("wa-1"))[0].ephemeral is True


TEXTS = {
    "zero width joiners": "👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \u200d\u200f\u202e",
    "nul": "a\0b\0",
    "controls": "".join(map(chr, range(32))) + "\x7f\u0085\u2028\ufeff",
    "not normalised": "\u212b \u00c5 A\u030a",
    "beyond the first plane": "𝔘𠮷\U0010ffff",
}


@pytest.mark.parametrize("name", TEXTS)
async def test_text_comes_back_byte_for_byte(store: Store, make: Any, name: str) -> None:
    text = TEXTS[name]
    said = UserSaid(id="m1", text=text, provider_id="w", at=1.0, message=Message.of(text), name=text[:100])
    delivery = make.delivery("dl_1", "wa-1", 2, message=Message.of(text))
    step = make.step(
        make.call("wa-1", name=text[:100]),
        said,
        Custom(name="n", value=[text]),
        keys=[text[:200]],
        deliveries=[delivery],
    )
    await store.append(step)
    assert await store.entries("wa-1") == list(step.entries)
    assert await store.delivery("dl_1") == delivery
    assert await store.call("wa-1") == step.call
    with pytest.raises(DuplicateInputError) as refused:
        await store.append(make.step(make.call("wa-2"), keys=[text[:200]]))
    assert refused.value.keys == (text[:200],)


async def test_a_mebibyte_of_text_is_kept(store: Store, make: Any) -> None:
    text = "ü" * (1 << 19)
    delivery = make.delivery("dl_1", "wa-1", 1, message=Message.of(text))
    step = make.step(make.call("wa-1"), BotSaid(id="m1", text="", delivery=delivery), deliveries=[delivery])
    await store.append(step)
    assert await store.entries("wa-1") == list(step.entries)
    assert await store.delivery("dl_1") == delivery


async def test_what_utf_8_cannot_write_becomes_a_replacement_character(store: Store, make: Any) -> None:
    """Nobody can send it as it is, no browser shows it, and no text around it is lost."""
    lone = "before \ud83d after"
    call = make.call("wa-1", party="p\ud800", name=lone, last_text=lone)
    said = UserSaid(id="m1", text=lone, provider_id=lone, at=1.0, message=Message.of(lone))
    delivery = make.delivery("dl_1", "wa-1", 1, message=Message.of(lone))
    await store.append(make.step(call, said, keys=["in:\ud800"], deliveries=[delivery]))

    mended = "before \ufffd after"
    fact = (await store.entries("wa-1"))[0].fact
    assert isinstance(fact, UserSaid)
    assert (fact.text, fact.provider_id, fact.message.text) == (mended, mended, mended)
    kept = await store.delivery("dl_1")
    assert kept is not None
    assert kept.message.text == mended
    assert await store.acted_on(["in:\ud800", "in:x"]) == {"in:\ud800"}
    loaded = await store.open_call(call.conversation)
    assert loaded is not None
    assert (loaded.call.name, loaded.call.last_text) == (mended, mended)
    with pytest.raises(DuplicateInputError) as refused:
        await store.append(make.step(loaded.call, keys=["in:\ud800"]))
    assert refused.value.keys == ("in:\ud800",)


async def test_odd_values_in_a_fact_are_kept_or_nearly(store: Store, make: Any) -> None:
    value: dict[str, JsonValue] = {"big": 2**70, "small": -(2**63), "float": 1e308, "nul\0key": "x", "list": [[[]]]}
    await store.append(make.step(make.call("wa-1"), Custom(name="n", value=value), CallEnded(reason="r", duration=1.0)))
    fact = (await store.entries("wa-1"))[0].fact
    assert isinstance(fact, Custom)
    back = fact.value
    assert isinstance(back, dict)
    assert float(back["big"]) == float(2**70)  # type: ignore[arg-type]
    assert back["small"] == -(2**63)
    assert back["float"] == 1e308
    assert back.get("nul\0key", back.get("nul\ufffdkey")) == "x"
    assert back["list"] == [[[]]]


async def test_an_append_of_a_thousand_entries_is_one_append(store: Store, make: Any) -> None:
    step = make.step(make.call("wa-1"), *(Custom(name="n", value="x" * 1_000) for _ in range(1_000)))
    await store.append(step)
    assert len(await store.entries("wa-1", limit=2_000)) == 1_000
    assert [entry.seq for entry in await store.entries("wa-1", after=990)] == list(range(991, 1_001))


async def test_many_calls_append_at_once(two_stores: tuple[Store, Store], make: Any) -> None:
    async def talk(store: Store, call_id: str) -> None:
        call = await make.open(store, call_id)
        for turn in range(3):
            step = make.reply(call, f"dl_{call_id}_{turn}", keys=[f"{call_id}:{turn}"])
            await store.append(step)
            call = step.call

    await asyncio.gather(*(talk(two_stores[n % 2], f"wa-{n}") for n in range(12)))
    for n in range(12):
        assert [entry.seq for entry in await two_stores[0].entries(f"wa-{n}")] == [1, 2, 3, 4]
        assert len(await two_stores[1].deliveries(f"wa-{n}")) == 3
