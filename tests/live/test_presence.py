"""Which programs are connected, as every process sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from omni.bus.base import Bus
from omni.live.presence import Presence, Program, announce_program, digits, lease_of, program_lease, program_of
from omni.model.access import Lease
from omni.store.base import Store, StoreUnavailableError
from tests.live.line import PATIENCE

NEVER = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


OpenPresence = Callable[..., Awaitable[Presence]]


@pytest.fixture
async def open_presence(bus: Bus, store: Store, clock: Clock) -> AsyncIterator[OpenPresence]:
    """Another process's view; it looks by itself only when a test wants it to."""
    async with AsyncExitStack() as stack:

        async def start(*, refresh: float = NEVER, on: Store = store) -> Presence:
            presence = Presence(bus, on, clock=clock, refresh=refresh)
            await presence.start()
            stack.push_async_callback(presence.stop)
            return presence

        yield start


def program(agent: str = "desk", *, org: str = "default", since: float = 1.0, **more: object) -> Program:
    return Program(org=org, agent=agent, holder=f"c_{org}_{agent}_{since}", desk="desk_1", since=since, **more)  # type: ignore[arg-type]


async def connect(store: Store, clock: Clock, one: Program, seconds: float = 15.0) -> None:
    await store.take_lease(lease_of(one, clock() + seconds), now=clock(), over=None)


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_a_program_is_seen_as_it_registered(store: Store, clock: Clock, open_presence: OpenPresence) -> None:
    one = program(callers=frozenset({"34600111"}), overrides=frozenset({"whatsapp:100", "phone:+1"}))
    await connect(store, clock, one)
    await connect(store, clock, program(org="rival"))
    presence = await open_presence()
    assert presence.program("default", "desk") == one
    assert presence.program("default", "nobody") is None
    assert set(presence.everyone()) == {one, program(org="rival")}


async def test_coming_and_going_is_heard_in_every_process(
    bus: Bus, store: Store, clock: Clock, open_presence: OpenPresence
) -> None:
    views = [await open_presence(), await open_presence()]
    one = program()

    await connect(store, clock, one)
    await announce_program(bus, "default", "desk")
    await until(lambda: all(view.program("default", "desk") == one for view in views))
    await store.drop_lease(program_lease("default", "desk"), one.holder)
    await announce_program(bus, "default", "desk")
    await until(lambda: not any(view.program("default", "desk") for view in views))


async def test_the_news_of_one_program_change_no_other(
    bus: Bus, store: Store, clock: Clock, open_presence: OpenPresence
) -> None:
    await connect(store, clock, program("desk-2"))
    await connect(store, clock, program("other"))
    presence = await open_presence()
    await connect(store, clock, program("desk"))
    await announce_program(bus, "default", "desk")
    await until(lambda: presence.program("default", "desk"))
    assert {one.agent for one in presence.everyone()} == {"desk", "desk-2", "other"}


async def test_many_that_come_at_once_are_all_seen(
    bus: Bus, store: Store, clock: Clock, open_presence: OpenPresence
) -> None:
    presence = await open_presence()
    for number in range(100):
        await connect(store, clock, program(f"agent-{number}"))
        await announce_program(bus, "default", f"agent-{number}")
    await until(lambda: len(presence.everyone()) == 100)


async def test_a_program_that_nobody_told_of_is_found(store: Store, clock: Clock, open_presence: OpenPresence) -> None:
    presence = await open_presence(refresh=0.02)
    await connect(store, clock, program())
    await until(lambda: presence.program("default", "desk"))


async def test_a_program_whose_gateway_died_is_gone_with_its_lease(
    store: Store, clock: Clock, open_presence: OpenPresence
) -> None:
    await connect(store, clock, program(callers=frozenset({"1"}), overrides=frozenset({"chat"})), seconds=15)
    presence = await open_presence()
    clock.now += 14.9
    assert presence.program("default", "desk") is not None
    clock.now += 0.2
    assert presence.program("default", "desk") is None
    assert presence.everyone() == ()
    assert presence.dev_owner("default", "chat", "1") is None


async def test_the_newest_program_that_wants_a_caller_gets_them(
    store: Store, clock: Clock, open_presence: OpenPresence
) -> None:
    wants = {"callers": frozenset({"34600111", "15550100"}), "overrides": frozenset({"whatsapp:100"})}
    await connect(store, clock, program("dev-ada", since=2.0, **wants))
    await connect(store, clock, program("dev-bob", since=3.0, **wants), seconds=5)
    await connect(store, clock, program("dev-eve", since=1.0, **wants))
    await connect(store, clock, program("dev-ada", since=9.0, org="rival", **wants))
    presence = await open_presence()
    assert presence.dev_owner("default", "whatsapp:100", "34600111") == "dev-bob"
    assert presence.dev_owner("default", "whatsapp:100", "+34 600-111") == "dev-bob"
    assert presence.dev_owner("default", "whatsapp:200", "34600111") is None
    assert presence.dev_owner("default", "whatsapp:100", "34600112") is None
    assert presence.dev_owner("nobody", "whatsapp:100", "34600111") is None
    clock.now += 6
    assert presence.dev_owner("default", "whatsapp:100", "15550100") == "dev-ada"


@pytest.mark.parametrize(
    "written", ["+34 600 11-12-22", "0034600111222", "(34)600111222", "34600111222", "34.600.111.222"]
)
def test_numbers_are_compared_by_their_digits(written: str) -> None:
    assert digits(written) == "34600111222"


def test_callers_are_normal_in_the_lease_and_after_it() -> None:
    kept = lease_of(program(callers=frozenset({"+34 600"}), overrides=frozenset({"chat"})), 20.0)
    assert kept.data["callers"] == ["34600"]
    again = program_of(kept)
    assert again is not None
    assert again.callers == {"34600"}
    assert (kept.name, kept.until, again.since) == ("program:default/desk", 20.0, 1.0)


@pytest.mark.parametrize(
    "lease",
    [
        Lease(name="used:abc", holder="h", until=9.0, data={"desk": "d"}),
        Lease(name="program:desk", holder="h", until=9.0, data={"desk": "d"}),
        Lease(name="program:default/desk", holder="h", until=9.0),
    ],
    ids=["another kind", "no organisation", "no desk"],
)
def test_what_is_no_programs_lease_is_none(lease: Lease) -> None:
    assert program_of(lease) is None


async def test_what_is_known_stays_while_the_store_is_away(
    bus: Bus, store: Store, clock: Clock, open_presence: OpenPresence, caplog: pytest.LogCaptureFixture
) -> None:
    await connect(store, clock, program())
    presence = await open_presence()
    await store.close()
    with pytest.raises(StoreUnavailableError):
        await presence.refresh()
    await announce_program(bus, "default", "desk")
    await until(lambda: "the last known ones stay" in caplog.text)
    assert presence.program("default", "desk") == program()
