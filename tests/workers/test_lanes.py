"""Order within a key, keys side by side."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from workers.lanes import Lanes


def lanes_of(work):
    dropped, spoilt = [], []
    lanes = Lanes(work, drop=dropped.append, spoilt=lambda item, error: spoilt.append((item, str(error))))
    return lanes, dropped, spoilt


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=40))
def test_items_of_a_key_are_worked_on_in_order(items):
    async def run():
        done = []

        async def work(item):
            for _ in range(item[1][1]):
                await asyncio.sleep(0)
            done.append(item)

        lanes, _, _ = lanes_of(work)
        for place, item in enumerate(items):
            lanes.put(item[0], (place, item))
        while len(lanes):
            await asyncio.sleep(0)
        await lanes.stop(1)
        for key in "abc":
            places = [place for place, item in done if item[0] == key]
            assert places == sorted(places)
        assert len(done) == len(items)

    asyncio.run(run())


async def test_an_item_that_raises_does_not_stop_its_lane():
    done = []

    async def work(item):
        if item == "bad":
            raise ValueError("spoilt")
        done.append(item)

    lanes, _, spoilt = lanes_of(work)
    for item in ("one", "bad", "two"):
        lanes.put("a", item)
    while len(lanes):
        await asyncio.sleep(0)
    assert done == ["one", "two"]
    assert spoilt == [("bad", "spoilt")]


async def test_stop_waits_for_work_and_drops_the_rest_in_order():
    gate = asyncio.Event()

    async def work(item):
        await gate.wait()

    lanes, dropped, _ = lanes_of(work)
    for item in ("one", "two", "three"):
        lanes.put("a", item)
    await asyncio.sleep(0)
    stopping = asyncio.create_task(lanes.stop(5))
    await asyncio.sleep(0)
    lanes.put("a", "late")
    gate.set()
    await stopping
    assert dropped == ["late", "two", "three"]


async def test_work_that_does_not_end_is_cancelled_and_dropped():
    async def work(item):
        await asyncio.Event().wait()

    lanes, dropped, _ = lanes_of(work)
    lanes.put("a", "one")
    lanes.put("a", "two")
    await asyncio.sleep(0)
    await lanes.stop(0)
    assert dropped == ["one", "two"]
