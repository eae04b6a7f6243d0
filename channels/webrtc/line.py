"""One call of a browser's, from its offer to its end: its leg, the connection it is on, and what its page is told.

The connection may be replaced: somebody who walks out of their wireless network comes back on another one, and the call
goes on. It ends when the page closes it, when nobody came back in time, or when our side hangs up.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiortc

from channels.audio import Ear, Leg, Switchboard
from channels.rtc.leg import RtcLeg
from channels.rtc.peer import MOST_UNSENT, Peer
from channels.webrtc.events import Event, PageView
from channels.webrtc.wishes import Change, Context, HangUp, MuteMe, Ping, Say, wish_of
from omni.live.told import Told
from omni.model.behaviour import Overrides
from omni.model.inbound import CallOffered, Configure, Mute, SeatOffered, SetContext, TypeWords

log = logging.getLogger("omni.webrtc")

CONNECT_SECONDS: Final = 15.0
"""A browser that is not there by then never will be."""
PINGS_SECONDS: Final = 10.0
"""A page that has pinged every second, and says nothing for so long, has lost us."""
AWAY_SECONDS: Final = 20.0
"""So long may it take to come back on another network."""
GOODBYE_SECONDS: Final = 2.0
"""So long a page may take to read the end of the call and close."""
NO_VOICE: Final = "this call cannot be held: nothing hears or speaks on the server; its operator finds why in its log"

Begin = Callable[[Coroutine[Any, Any, None], str], None]


@dataclass(frozen=True, slots=True)
class Gear:
    """What the lines of a process share. `overrides_of` reads what a page sets (ValueError: it is wrong)."""

    switchboard: Switchboard
    overrides_of: Callable[[dict[str, Any]], Overrides]
    ice_servers: Sequence[aiortc.RTCIceServer]
    begin: Begin
    """Work that is waited for when the process stops."""
    now: Callable[[], float] = time.monotonic


class Line:
    """`offered` names the call; `connect` is called with the sound when it is here, and `dismissed` when it will never
    be."""

    def __init__(
        self,
        offered: CallOffered | SeatOffered,
        gear: Gear,
        connect: Callable[[Leg], Ear | None],
        dismissed: Callable[[], None] = lambda: None,
    ) -> None:
        self.offered = offered
        self.leg = RtcLeg(self._hung_up)
        self.is_done = False
        """Nothing of it is left but connections that close."""
        self._gear = gear
        self._connect_to = connect
        self._dismissed = dismissed
        self._view = PageView()
        self._peer: Peer | None = None
        self._coming: Peer | None = None
        self._since = gear.now()
        self._coming_since = self._since
        self._pinged: float | None = None
        self._lost: float | None = None
        self._unsent: deque[Event] = deque(maxlen=MOST_UNSENT)
        self._numbers = itertools.count(1)
        self._gone = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """It was, at least once."""
        return self._peer is not None

    async def answer(self, sdp: str) -> str:
        """The answer to the page's offer, its first or one from another network. Raises OfferError."""
        peer = Peer(self, self._gear.ice_servers)
        before, self._coming = self._coming, peer
        self._coming_since = self._gear.now()
        if before is not None:
            self._close(before)
        try:
            return await peer.answer(sdp)
        except BaseException:
            if self._coming is peer:
                self._coming = None
            self._close(peer)
            raise

    def tell(self, told: Told) -> None:
        """News of the call."""
        for event in self._view.told(told):
            self._send(event)

    def look(self) -> None:
        """What only time decides. Called every second."""
        now = self._gear.now()
        if self._coming is not None and now - self._coming_since > CONNECT_SECONDS:
            coming, self._coming = self._coming, None
            self._close(coming)
        if self._peer is None:
            if self._coming is None:
                self.give_up()
        elif self._lost is not None:
            if now - self._lost > AWAY_SECONDS:
                self._end("lost")
        elif self._pinged is not None and now - self._pinged > PINGS_SECONDS:
            self._lost = now

    def give_up(self) -> None:
        """It never got as far as to be a call."""
        if not self.is_done:
            self.is_done = True
            self._dismissed()
            self._close_all()

    # Owner of its connections

    def opened(self, peer: Peer) -> None:
        if peer is not self._coming or self.is_done:
            self._close(peer)
            return
        self._coming = None
        before, self._peer = self._peer, peer
        self._lost = self._pinged = None
        self._gone.clear()
        self.leg.begin(self._gear.now())
        if before is not None:
            self._close(before)
            self._send({"event": "call.resumed", "call_id": self.offered.call})
        else:
            self._connect(peer)
        while self._unsent:
            peer.send(_text(self._unsent.popleft()))

    def next(self, peer: Peer) -> bytes | None:
        return self.leg.next(self._gear.now()) if peer is self._peer else None

    def heard(self, peer: Peer, pcm: bytes, sample: int) -> None:
        if peer is self._peer:
            self.leg.hear(pcm, sample, self._gear.now())

    def pressed(self, peer: Peer, digit: str) -> None:
        """Pages have no keys."""

    def told(self, peer: Peer, text: str) -> None:
        if peer is not self._peer or self.is_done:
            return
        match wish_of(text):
            case Ping():
                self._pinged = self._gear.now()
            case HangUp():
                self._end("hangup")
            case _ if isinstance(self.offered, SeatOffered):
                pass  # what colleagues do beside listening and talking, they do in the inbox
            case MuteMe(on=on):
                self._gear.switchboard.tell(Mute(**self._head(), on=on))
            case Say(text=words):
                self._gear.switchboard.tell(TypeWords(**self._head(), text=words))
            case Context(key=key, text=value):
                self._gear.switchboard.tell(SetContext(**self._head(), context=key, text=value, by="page"))
            case Change(config=config):
                self._change(config)
            case None:
                pass

    def over(self, peer: Peer, *, is_closed: bool) -> None:
        self._close(peer)
        if peer is self._coming:
            self._coming = None
        elif peer is self._peer:
            self._gone.set()
            if is_closed:
                self._end("hangup")
            elif self._lost is None:
                self._lost = self._gear.now()

    # and the rest

    def _connect(self, peer: Peer) -> None:
        """Its first connection: now it is a call."""
        ear = self._connect_to(self.leg)
        if ear is None:
            self._send({"event": "error", "error": NO_VOICE})
            self.leg.hang_up()
        else:
            log.info("the browser call %s connected in %.2f s", self.offered.call, self._gear.now() - self._since)
            self.leg.listen(ear)

    def _change(self, config: dict[str, Any]) -> None:
        try:
            overrides = self._gear.overrides_of(config)
        except ValueError as error:
            self._send({"event": "error", "error": str(error)})
            return
        self._gear.switchboard.tell(Configure(**self._head(), overrides=overrides))

    def _head(self) -> dict[str, Any]:
        offered = self.offered
        return {
            "key": f"{offered.call}:page:{next(self._numbers)}",
            "org": offered.org,
            "agent": offered.agent,
            "channel": offered.channel,
            "at": time.time(),
            "call": offered.call,
            "home": "",
        }

    def _send(self, event: Event) -> None:
        if self._peer is None or self._lost is not None:
            self._unsent.append(event)
        else:
            self._peer.send(_text(event))

    def _end(self, reason: str) -> None:
        """The caller is gone."""
        if not self.is_done:
            self.is_done = True
            self.leg.end(reason)
            self._close_all()

    def _hung_up(self) -> None:
        """Our side ended it: the page is told why, and closes."""
        if not self.is_done:
            self.is_done = True
            self._gear.begin(self._say_goodbye(), f"end {self.offered.call}")

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._gone.wait()
        except TimeoutError:
            pass
        finally:
            self._close_all()

    def _close_all(self) -> None:
        peers = {self._peer, self._coming} - {None}
        self._coming = None
        for peer in peers:
            self._close(peer)

    def _close(self, peer: Peer | None) -> None:
        if peer is not None:
            self._gear.begin(peer.close(), f"close a connection of {self.offered.call}")


def _text(event: Event) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))
