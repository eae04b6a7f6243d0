"""Many calls, few threads: in turn, the newest question only, and nothing for what nobody wants any more."""

from __future__ import annotations

import asyncio
import threading

import pytest

from workers.voice.stt.base import SttError
from workers.voice.stt.fair_queue import FairQueue


class Work:
    """Work that waits until it is let go, and remembers what was begun."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.unwanted: list[str] = []
        self._go: dict[str, threading.Event] = {}

    def __call__(self, name: str, *, held: bool = False):
        self._go[name] = threading.Event()
        if not held:
            self._go[name].set()

        def work(is_wanted):
            self.begun.append(name)
            assert self._go[name].wait(10)
            if not is_wanted():
                self.unwanted.append(name)
            return name

        return work

    def release(self, name: str) -> None:
        self._go[name].set()


@pytest.fixture
def work():
    return Work()


@pytest.fixture
async def queue():
    queue: FairQueue[str] = FairQueue(1, 3)
    yield queue
    await queue.close()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def ask(queue, owner, work):
    return asyncio.create_task(queue.ask(owner, work))


async def test_calls_are_served_in_turn(queue, work):
    first = ask(queue, "a", work("a1", held=True))
    await settled()
    rest = [ask(queue, owner, work(owner)) for owner in ("b", "c")]
    await settled()
    again = ask(queue, "a", work("a2"))
    work.release("a1")
    assert await asyncio.gather(*rest) == ["b", "c"]
    assert work.begun[:3] == ["a1", "b", "c"]
    assert await first == await again == "a2"  # who waited for the older question gets the newer's answer


async def test_a_newer_question_takes_the_older_ones_place(queue, work):
    holding = ask(queue, "x", work("x", held=True))
    await settled()
    asked = [ask(queue, *pair) for pair in (("a", work("a1")), ("b", work("b")))]
    await settled()
    asked.append(ask(queue, "a", work("a2")))
    await settled()
    assert queue.waiting == 2
    work.release("x")
    assert await asyncio.gather(holding, *asked) == ["x", "a2", "b", "a2"]
    assert work.begun == ["x", "a2", "b"]


async def test_what_is_cancelled_before_it_began_costs_nothing(queue, work):
    holding = ask(queue, "x", work("x", held=True))
    await settled()
    dropped = ask(queue, "a", work("a"))
    await settled()
    dropped.cancel()
    await settled()
    assert queue.waiting == 0
    kept = ask(queue, "b", work("b"))
    work.release("x")
    assert await kept == "b"
    assert work.begun == ["x", "b"]
    await holding


async def test_what_is_cancelled_at_work_is_told_and_the_next_is_served(queue, work):
    running = ask(queue, "a", work("a", held=True))
    await settled()
    running.cancel()
    await settled()
    work.release("a")
    assert await queue.ask("b", work("b")) == "b"
    assert work.unwanted == ["a"]


async def test_the_line_is_bounded_and_says_so(queue, work):
    tasks = [ask(queue, owner, work(str(owner), held=owner == 0)) for owner in range(4)]
    await settled()
    with pytest.raises(SttError, match="3 calls wait"):
        await queue.ask("one too many", work("more"))
    work.release("0")
    assert await asyncio.gather(*tasks) == ["0", "1", "2", "3"]


async def test_an_error_is_the_askers(queue, work):
    def breaks(is_wanted):
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        await queue.ask("a", breaks)
    assert await queue.ask("a", work("fine")) == "fine"


async def test_an_offer_is_only_taken_with_a_thread_to_spare(work):
    queue: FairQueue[str] = FairQueue(2, 9)
    offered = queue.offer("a", work("a", held=True))
    assert offered is not None
    assert queue.offer("b", work("b")) is None  # the other thread is for whoever asks
    assert await queue.ask("c", work("c")) == "c"
    work.release("a")
    assert await offered == "a"
    await queue.close()


async def test_one_thread_alone_takes_no_offers(queue, work):
    assert queue.offer("a", work("a")) is None


async def test_a_closed_queue_says_so_to_who_waits_and_who_comes(work):
    queue: FairQueue[str] = FairQueue(1, 3)
    running, waiting = ask(queue, "a", work("a", held=True)), ask(queue, "b", work("b"))
    await settled()
    closing = asyncio.create_task(queue.close())
    for task in (running, waiting):
        with pytest.raises(SttError, match="closed"):
            await task
    work.release("a")
    await closing
    assert work.begun == ["a"]
    with pytest.raises(SttError, match="closed"):
        await queue.ask("c", work("c"))
