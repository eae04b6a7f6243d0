"""One WhatsApp call at its voice worker: signalled over Graph, heard over one WebRTC connection.

It begins when two things are true: the connection is open, and the call is taken (by us, when Graph has said so; by
them, when a webhook does). Before that nothing of ours goes out, silence neither.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiortc

from channels.audio import Switchboard
from channels.base import Action, RefusedError
from channels.rtc.leg import RtcLeg
from channels.rtc.peer import Peer
from channels.rtc.sdp import OfferError, answerable
from channels.whatsapp.calling.api import CallsApi
from channels.whatsapp.calling.description import for_platform
from omni.model.channel import WhatsAppChannel

log = logging.getLogger("omni.whatsapp.calls")

EARLY_SECONDS: Final = 1.5
"""So long the connection may take before a call is taken all the same."""
CONNECT_SECONDS: Final = 15.0
"""A connection that is not open so long after the call was taken never will be."""
GOODBYE_SECONDS: Final = 3.0
"""So long the connection stays for Graph to hear that we have hung up."""
AGAIN_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Gear:
    """What the calls of a process share. `tell` is told what becomes of a call (its id, and as in `CallProgress` a
    status, a code and a sentence)."""

    switchboard: Switchboard
    api: CallsApi
    ice_servers: Sequence[aiortc.RTCIceServer]
    begin: Callable[[Coroutine[Any, Any, None], str], None]
    """Work that is waited for when the process stops."""
    tell: Callable[[str, str, str, str | None, str | None], None]
    now: Callable[[], float]


class CallLine:
    """`token` admits its sound. `call` is our id of the call and `provider_id` the platform's, once they are known."""

    def __init__(self, org: str, channel: WhatsAppChannel, token: str, gear: Gear) -> None:
        self.org = org
        self.channel = channel
        self.call = ""
        self.provider_id = ""
        self.leg = RtcLeg(self._hung_up)
        self.is_done = False
        """Nothing of it is left but what closes."""
        self._gear = gear
        self._token = token
        self._peer = Peer(self, gear.ice_servers, sends=False, takes_keys=True)
        self._is_taken = False
        self._has_begun = False
        self._is_described = False
        self._is_ours = False
        """We have placed it."""
        self._connected = asyncio.Event()
        self._over = asyncio.Event()
        """The platform knows that it is over."""
        self._waits: asyncio.TimerHandle | None = None

    @property
    def is_coming(self) -> bool:
        """They call us, and it has not begun."""
        return not (self._is_ours or self._has_begun or self.is_done)

    # somebody calls us

    async def take(self, call: str, provider_id: str, sdp: str) -> None:
        """Answer what they offer; taking the call goes on by itself. Raises OfferError."""
        self.call, self.provider_id = call, provider_id
        try:
            ours = for_platform(await self._peer.answer(answerable(sdp)))
        except BaseException:
            self.close()
            raise
        self._gear.begin(self._take(ours), f"take {call}")

    async def _take(self, ours: str) -> None:
        try:
            await self._gear.api.pre_accept(self.channel, self.provider_id, ours)
            await self._connects(EARLY_SECONDS)
        except RefusedError as error:  # it only saves time; whether the call is still there, the next one tells
            log.info("the WhatsApp call %s was not connected early: %s", self.call, error)
        if self.is_done:
            return
        try:
            await self._accept(ours)
        except RefusedError as error:
            log.warning("the WhatsApp call %s could not be taken: %s", self.call, error)
            self._fail(str(error))
            return
        self._taken()

    async def _accept(self, ours: str) -> None:
        try:
            await self._gear.api.accept(self.channel, self.provider_id, ours)
        except RefusedError as error:
            if error.action is not Action.RETRY or error.is_unclear:
                raise
            await asyncio.sleep(AGAIN_SECONDS)
            await self._gear.api.accept(self.channel, self.provider_id, ours)

    # we call somebody

    async def place(self, to: str, tracker: str) -> str:
        """Begin to call; the platform's id of the call. Raises RefusedError."""
        self._is_ours = True
        try:
            offer = for_platform(await self._peer.offer())
            self.provider_id = await self._gear.api.connect(self.channel, to, offer, tracker)
        except BaseException:
            self.close()
            raise
        return self.provider_id

    def ring(self, call: str, seconds: float) -> None:
        """It is `call` here, and rings for so long."""
        self.call = call
        self._waits = asyncio.get_running_loop().call_later(seconds, self._unanswered)

    def _unanswered(self) -> None:
        if not self._is_taken and not self.is_done:
            self._end("no_answer", None, "nobody took the call")

    def described(self, sdp: str) -> None:
        """Their description of their sound."""
        if self._is_ours and not self._is_described and not self.is_done:
            self._is_described = True
            self._gear.begin(self._describe(sdp), f"connect {self.call}")

    async def _describe(self, sdp: str) -> None:
        try:
            await self._peer.accept(answerable(sdp, "answer"))
        except OfferError as error:
            log.warning("the WhatsApp call %s cannot be heard: %s", self.call, error)
            self._end("failed", None, str(error))

    def taken(self) -> None:
        """They have taken our call."""
        if self._is_ours:
            self._taken()

    # both

    def _taken(self) -> None:
        if self._is_taken or self.is_done:
            return
        self._is_taken = True
        if self._waits is not None:
            self._waits.cancel()
        self._waits = asyncio.get_running_loop().call_later(CONNECT_SECONDS, self._unheard)
        self._begin()

    def _unheard(self) -> None:
        if not self._has_begun and not self.is_done:
            log.warning("the WhatsApp call %s was taken, and no sound came: is UDP let through to WhatsApp?", self.call)
            self._fail("no sound came")

    def _begin(self) -> None:
        if not self._is_taken or not self._connected.is_set() or self._has_begun or self.is_done:
            return
        self._has_begun = True
        if self._waits is not None:
            self._waits.cancel()
        self.leg.begin(self._gear.now())
        ear = self._gear.switchboard.connect(self._token, self.call, self.leg)
        if ear is None:
            self._fail("nobody is there to hold the call")
            return
        self.leg.listen(ear)
        self._peer.may_send.set()
        if self._is_ours:
            self._gear.tell(self.call, self.org, "answered", None, None)

    async def _connects(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._connected.wait()
        except TimeoutError:
            log.info("the WhatsApp call %s has no connection after %g s", self.call, seconds)

    # Owner of its connection

    def opened(self, peer: Peer) -> None:
        self._connected.set()
        self._begin()

    def next(self, peer: Peer) -> bytes | None:
        return self.leg.next(self._gear.now())

    def heard(self, peer: Peer, pcm: bytes, sample: int) -> None:
        if self._has_begun:
            self.leg.hear(pcm, sample, self._gear.now())

    def pressed(self, peer: Peer, digit: str) -> None:
        if self._has_begun:
            self.leg.press(digit)

    def told(self, peer: Peer, text: str) -> None:
        """The platform opens no data channel."""

    def over(self, peer: Peer, *, is_closed: bool) -> None:
        """The connection is gone. Whether or not a webhook says so as well, so is the call."""
        if not self.is_done:
            if self._has_begun:
                self.leg.end("hangup" if is_closed else "lost")
                self._finish()
            else:
                self._fail("the connection broke before the call began")

    # its end

    def ended(self) -> None:
        """The platform says that it is over."""
        self._over.set()
        if not self.is_done:
            self.leg.end("hangup")
            self.close()
            if not self._has_begun and not self._is_ours:
                self._gear.switchboard.dismiss(self._token)

    async def hang_up(self) -> None:
        """End it from our side, whether or not it has begun. Raises RefusedError."""
        try:
            if not self._over.is_set() and self.provider_id:
                await self._gear.api.terminate(self.channel, self.provider_id)
        finally:
            self._over.set()
            self.close()

    def _hung_up(self) -> None:
        """The worker lets its leg go; that we hang up, it says by `hang_up`."""
        self._gear.begin(self._say_goodbye(), f"end {self.call}")

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._over.wait()
        except TimeoutError:
            pass
        finally:
            self.close()

    def _fail(self, why: str) -> None:
        if self._is_ours:
            self._end("failed", None, why)
        else:
            self._gear.switchboard.dismiss(self._token)
            self._finish()

    def _end(self, status: str, code: str | None, why: str) -> None:
        """It comes to nothing, by us."""
        self._gear.tell(self.call, self.org, status, code, why)
        self._finish()

    def _finish(self) -> None:
        if not self.is_done:
            self._gear.begin(self._terminate(), f"end {self.call}")
            self.close()

    async def _terminate(self) -> None:
        try:
            await self.hang_up()
        except RefusedError as error:
            log.info("the WhatsApp call %s may be over already: %s", self.call, error)

    def close(self) -> None:
        """Nothing more is said or heard."""
        if not self.is_done:
            self.is_done = True
            if self._waits is not None:
                self._waits.cancel()
            self._connected.set()
            self._gear.begin(self._peer.close(), f"close the connection of {self.call}")
