"""Pages of a conversation: whatever is appended meanwhile and whatever the clocks say, nothing is told twice and
nothing is left out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omni.gateway.inbox.cursors import (
    CursorError,
    Place,
    cursor_of,
    list_cursor,
    place_of,
    store_cursor,
)
from omni.gateway.inbox.naming import conversation_id, conversation_of
from omni.gateway.inbox.thread import newer, older
from omni.model.case import CaseEvent, Note
from omni.model.entry import BotFinished, Custom, Entry

KEY = "default/desk/whatsapp:100/ct_1"


@dataclass
class Written:
    """A conversation as it has been written so far: calls in their order, and the case's events."""

    calls: dict[str, list[Entry]] = field(default_factory=lambda: {"wa-1": []})
    events_: list[CaseEvent] = field(default_factory=list)

    def write(self, ts: float, *, hidden: bool) -> None:
        call = list(self.calls)[-1]
        entries = self.calls[call]
        fact = BotFinished(id="msg_1") if hidden else Custom(name="mark")
        entries.append(Entry(seq=len(entries) + 1, ts=ts, call=call, agent="desk", fact=fact))

    def note(self, ts: float) -> None:
        number = len(self.events_) + 1
        self.events_.append(CaseEvent(conversation=KEY, number=number, at=ts, by="op_1", fact=Note(text=str(number))))

    def begin(self) -> None:
        """The next call; an empty one cannot be."""
        if self.calls[list(self.calls)[-1]]:
            self.calls[f"wa-{len(self.calls) + 1}"] = []

    async def entries(self, call: str, after: int, limit: int) -> Sequence[Entry]:
        return self.calls[call][after : after + limit]

    async def events(self, after: int, limit: int) -> Sequence[CaseEvent]:
        return self.events_[after : after + limit]

    async def call_before(self, call: str) -> tuple[str, int] | None:
        names = list(self.calls)
        place = names.index(call)
        return (names[place - 1], len(self.calls[names[place - 1]])) if place else None

    async def call_after(self, call: str) -> str | None:
        names = list(self.calls)
        place = names.index(call) + 1
        return names[place] if place < len(names) else None

    async def end(self) -> Place:
        call = list(self.calls)[-1]
        return Place(call, len(self.calls[call]), len(self.events_))

    def everything(self) -> set[str]:
        shown = {f"{entry.call}:{entry.seq}" for each in self.calls.values() for entry in each if is_shown(entry)}
        return shown | {f"case:{event.number}" for event in self.events_}


def is_shown(entry: Entry) -> bool:
    return isinstance(entry.fact, Custom)


def name_of(what: Entry | CaseEvent) -> str:
    return f"{what.call}:{what.seq}" if isinstance(what, Entry) else f"case:{what.number}"


ACT = st.sampled_from(["shown", "hidden", "note", "call"])
ACTS = st.lists(st.tuples(ACT, st.integers(0, 6)), max_size=40)


def act(written: Written, acts: Sequence[tuple[str, int]]) -> None:
    for kind, ts in acts:
        match kind:
            case "note":
                written.note(ts)
            case "call":
                written.begin()
            case _:
                written.write(ts, hidden=kind == "hidden")


@settings(max_examples=300, deadline=None)
@given(first=ACTS, later=st.lists(ACTS, max_size=6), limit=st.integers(1, 7))
def test_pages_backwards_and_forwards_have_everything_once(
    first: list[tuple[str, int]], later: list[list[tuple[str, int]]], limit: int
) -> None:
    asyncio.run(_read_both_ways(first, later, limit))


async def _read_both_ways(first: list[tuple[str, int]], later: list[list[tuple[str, int]]], limit: int) -> None:
    written = Written()
    act(written, first)
    newest = await older(written, None, limit, is_shown)
    shown = [name_of(line.what) for line in newest.lines]
    pages = iter(later)
    page = newest
    while page.has_more:  # into the past, while new things arrive
        act(written, next(pages, []))
        page = await older(written, _again(page.lines[0].place), limit, is_shown)
        shown = [name_of(line.what) for line in page.lines] + shown
    for rest in pages:
        act(written, rest)
    ahead = newest
    while True:  # and on from where the first page ended
        ahead = await newer(written, _again(ahead.end), limit, is_shown)
        shown += [name_of(line.what) for line in ahead.lines]
        if not ahead.has_more:
            break
    assert len(shown) == len(set(shown))
    assert set(shown) == written.everything()


@settings(max_examples=200, deadline=None)
@given(acts=ACTS, limit=st.integers(1, 5))
def test_every_items_own_cursor_divides_the_conversation(acts: list[tuple[str, int]], limit: int) -> None:
    asyncio.run(_divide(acts, limit))


async def _divide(acts: list[tuple[str, int]], limit: int) -> None:
    written = Written()
    act(written, acts)
    whole = [line async for line in _all(written)]
    names = [name_of(line.what) for line in whole]
    assert set(names) == written.everything()
    for n, line in enumerate(whole):
        place = _again(line.place)
        before = await older(written, place, limit, is_shown)
        assert [name_of(each.what) for each in before.lines] == names[max(0, n - limit) : n]
        assert before.has_more is (n > limit)
        after = await newer(written, place, 1000, is_shown)
        assert {name_of(each.what) for each in after.lines} == set(names[n + 1 :])


async def _all(written: Written):  # type: ignore[no-untyped-def]
    for line in (await older(written, None, 1000, is_shown)).lines:
        yield line


def _again(place: Place) -> Place:
    """As a page of the browser carries it."""
    return place_of(KEY, cursor_of(KEY, place))


@given(call=st.text(max_size=20), seq=st.integers(0, 10**9), number=st.integers(0, 10**6), is_event=st.booleans())
def test_a_cursor_is_read_as_it_was_written(call: str, seq: int, number: int, is_event: bool) -> None:
    place = Place(call, seq, number, is_event)
    assert place_of(KEY, cursor_of(KEY, place)) == place


@given(at=st.integers(0, 60), letter=st.characters(codec="ascii"))
def test_a_cursor_that_was_changed_is_refused(at: int, letter: str) -> None:
    cursor = cursor_of(KEY, Place("wa-0c1d2e3f4a5b", 31, 4))
    changed = cursor[:at] + letter + cursor[at + 1 :]
    if changed != cursor:
        with pytest.raises(CursorError):
            place_of(KEY, changed)


def test_a_cursor_of_another_conversation_is_refused() -> None:
    with pytest.raises(CursorError):
        place_of("default/desk/whatsapp:100/ct_2", cursor_of(KEY, Place("wa-1", 3, 0)))


def test_a_lists_cursor_belongs_to_its_question() -> None:
    assert store_cursor("default open newest", list_cursor("default open newest", "1.5~wa-1")) == "1.5~wa-1"
    for wrong in ("default open waiting", "other open newest"):
        with pytest.raises(CursorError):
            store_cursor(wrong, list_cursor("default open newest", "1.5~wa-1"))
    for wrong in ("", "x", "é", "A" * 5000):
        with pytest.raises(CursorError):
            store_cursor("default open newest", wrong)


@given(party=st.text(max_size=30))
def test_a_conversations_id_is_its_key(party: str) -> None:
    key = f"default/desk/whatsapp:100/{party}"
    assert conversation_of(conversation_id(key)) == key


@pytest.mark.parametrize("wrong", ["", "cv_", "cv_!!", "wa-1", "cv_" + "A" * 3000, "cv_Zm9v", "cv_é"])
def test_what_is_no_conversations_id_is_none(wrong: str) -> None:
    assert conversation_of(wrong) is None


@settings(max_examples=200, deadline=None)
@given(acts=ACTS)
def test_with_clocks_that_agree_both_directions_have_one_order(acts: list[tuple[str, int]]) -> None:
    asyncio.run(_order(sorted(acts, key=lambda each: each[1])))


async def _order(acts: list[tuple[str, int]]) -> None:
    written = Written()
    act(written, acts)
    back = await older(written, None, 1000, is_shown)
    ahead = await newer(written, Place("wa-1", 0, 0), 1000, is_shown)
    assert [name_of(line.what) for line in back.lines] == [name_of(line.what) for line in ahead.lines]
    times = [line.what.ts if isinstance(line.what, Entry) else line.what.at for line in back.lines]
    assert times == sorted(times)
