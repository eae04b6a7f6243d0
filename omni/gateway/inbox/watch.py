"""One conversation as one page follows it: items from a cursor on, each once, and what is too fleeting for a log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from omni.gateway.inbox.cursors import Place, cursor_of
from omni.gateway.inbox.items import delivery_in, delivery_of, is_shown
from omni.gateway.inbox.naming import conversation_id
from omni.gateway.inbox.telling import items_of
from omni.gateway.inbox.thread import Line, StoredThread, end_of, newer
from omni.live.speech import BotWord, Hearing
from omni.live.told import DeliveryNews, Signal, Told, Typing, Words
from omni.model.delivery import Delivery
from omni.model.entry import DeliveryLost, Entry
from omni.store.base import Store, StoreError

log = logging.getLogger("omni.inbox")

PAGE: Final = 100
MAIL: Final = 500
LOOK_SECONDS: Final = 15.0
"""How often we look although nothing was told: what is told may be lost."""

SOON_SECONDS: Final = 1.0
"""The same, while a message of ours is on its way."""

RETRY_SECONDS: Final = 1.0

TOLD_AGAIN: Final = 60
"""Deliveries of a call, the newest, whose state a page that comes back is told."""

Put = Callable[[Mapping[str, Any]], None]


class Watch:
    """`hear` and `nudge` are called on the event loop by whoever follows the organisation; `run` does the rest."""

    def __init__(self, store: Store, conversation: str, call: str, place: Place | None, put: Put) -> None:
        self._store = store
        self._thread = StoredThread(store, conversation)
        self._place = place
        self._put = put
        self._mail: deque[Told] = deque(maxlen=MAIL)
        self._news = asyncio.Event()
        self._reads_on = False
        self._looks = False
        self._under_way: dict[str, Delivery] = {}
        self.conversation = conversation
        self.id = conversation_id(conversation)
        self.call = call
        """The newest call it knows of."""

    def hear(self, told: Told) -> None:
        if len(self._mail) == MAIL:
            self._reads_on = True  # the oldest is lost, and in the store
        self._mail.append(told)
        self._news.set()

    def nudge(self, *, looks: bool = False) -> None:
        """There is something new in the case; with `looks`, something of any kind may have been missed."""
        self._reads_on = True
        self._looks = self._looks or looks
        self._news.set()

    async def run(self) -> None:
        while True:
            try:
                await self._begin()
                break
            except StoreError as error:
                await self._wait_for_store(error)
        while True:
            try:
                await self._heed()
            except StoreError as error:
                self._reads_on = self._looks = True
                self._news.set()
                await self._wait_for_store(error)

    async def _wait_for_store(self, error: StoreError) -> None:
        log.warning("a conversation that is open cannot be read for now: %s", error)
        await asyncio.sleep(RETRY_SECONDS)

    async def _begin(self) -> None:
        """A cursor tells which items a page has, and not how far their deliveries were when it was last connected."""
        comes_back = self._place is not None
        if self._place is None:
            self._place = await end_of(self._thread)
        had = self._place.call
        await self._read_on()
        for call in dict.fromkeys((had, self.call)):
            deliveries = await self._store.deliveries(call)
            self._under_way |= {each.id: each for each in deliveries if not each.is_settled}
            for delivery in deliveries[-TOLD_AGAIN:] if comes_back else ():
                self._put({"type": "delivery", "conversation": self.id, "delivery": delivery_of(delivery)})
        self._put({"type": "caught_up", "conversation": self.id, "after": self._cursor()})

    async def _heed(self) -> None:
        """Deal with what was heard, once there is something, or it is time to look."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SOON_SECONDS if self._under_way else LOOK_SECONDS):
                await self._news.wait()
        is_time = not self._news.is_set()
        self._news.clear()
        while self._mail:
            await self._told(self._mail.popleft())
        if self._reads_on or is_time:
            self._reads_on = False
            await self._read_on()
        if self._looks or is_time:
            self._looks = False
            await self._look(list(self._under_way))

    async def _told(self, told: Told) -> None:
        place = self._place
        assert place is not None
        fresh = [entry for entry in told.entries if entry.call != place.call or entry.seq > place.seq]
        if fresh and fresh[0].call == place.call and fresh[0].seq == place.seq + 1:
            await self._show([Line(Place(each.call, each.seq, place.number), each) for each in fresh])
        elif fresh:  # another call, or a hole
            await self._read_on()
        for signal in told.signals:
            await self._signal(signal)

    async def _read_on(self) -> None:
        """All there is behind our place."""
        has_more = True
        while has_more:
            assert self._place is not None
            stretch = await newer(self._thread, self._place, PAGE, is_shown)
            has_more = stretch.has_more
            await self._show(stretch.lines)
            self._place = stretch.end
            self.call = stretch.end.call

    async def _show(self, lines: Sequence[Line]) -> None:
        """Raises StoreError, and then nothing was shown."""
        shown = [line for line in lines if not isinstance(line.what, Entry) or is_shown(line.what)]
        items = await items_of(self._store, self.conversation, shown)
        if lines:
            self._place = lines[-1].place
            self.call = self._place.call
        if items:
            self._put({"type": "items", "conversation": self.id, "items": items, "after": self._cursor()})
        lost: list[str] = []
        for line in shown:
            if isinstance(line.what, Entry):
                self._note(line.what)
                if isinstance(line.what.fact, DeliveryLost):
                    lost.append(line.what.fact.delivery)
        await self._look(lost, again=True)

    def _note(self, entry: Entry) -> None:
        """What our messages' ways are is looked after until they have arrived."""
        delivery = delivery_in(entry.fact)
        if delivery is not None:
            self._under_way[delivery.id] = delivery

    async def _signal(self, signal: Signal) -> None:
        about = {"conversation": self.id}
        match signal:
            case DeliveryNews():
                await self._look([signal.delivery], again=True)
            case Typing(who="bot" | "user"):
                self._put({"type": "typing", **about, "who": signal.who, "by": None, "on": signal.on})
            case Words():
                words = {"message_id": signal.id, "turn": signal.turn, "text": signal.text}
                self._put({"type": "words", **about, **words, "start": signal.start, "void": signal.void})
            case Hearing():
                self._put({"type": "hearing", **about, "message_id": signal.message, "text": signal.text})
            case BotWord():
                heard = {"message_id": signal.message, "word": signal.word, "index": signal.index}
                self._put({"type": "heard", **about, **heard})
            case _:
                pass

    async def _look(self, ids: Sequence[str], *, again: bool = False) -> None:
        """Tell how far deliveries are: those that changed, or with `again` all of these."""
        for id_ in ids:
            delivery = await self._store.delivery(id_)
            was = self._under_way.pop(id_, None)
            if delivery is None:
                continue
            if not delivery.is_settled:
                self._under_way[id_] = delivery
            if again or was is None or delivery_of(was) != delivery_of(delivery):
                self._put({"type": "delivery", "conversation": self.id, "delivery": delivery_of(delivery)})

    def _cursor(self) -> str:
        assert self._place is not None
        return cursor_of(self.conversation, self._place)
