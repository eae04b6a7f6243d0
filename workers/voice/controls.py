"""What people and programs do to a call beside talking: hold, mute, keys, and giving the caller to somebody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from channels.audio import Carrier, CarrierError, Transfer
from omni.audio import tones
from omni.model.channel import Channel
from omni.model.entry import (
    CallForwarded,
    CallHeld,
    CallMuted,
    CallUnheld,
    CallUnmuted,
    DigitReceived,
    DigitsSent,
    Fact,
    ForwardFailed,
)
from omni.model.inbound import Forward
from workers.voice.bot import Bot
from workers.voice.caller import Caller
from workers.voice.sides import Sides

log = logging.getLogger("omni.voice")

RING_SECONDS: Final = 25.0
FORWARD_SECONDS: Final = RING_SECONDS + 10.0
"""So long may nobody hear of a call that is being given away."""
MAX_DIGITS: Final = 256


class Held(Protocol):
    """What the controls need of their call."""

    def witnessed(self, *facts: Fact) -> None: ...

    def deafen(self, *, on: bool) -> None:
        """The turn rules hear nothing of the caller, or hear them again."""

    def finish(self, reason: str, *, is_gone: bool = False) -> None:
        """The call is over. `is_gone`: its carrier needs no telling."""

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Work that the call owns."""

    def message_id(self) -> str: ...

    async def music(self) -> bytes:
        """For a caller on hold."""


class Controls:
    """Of one call. Every command acts once, and is told; one that changes nothing is told all the same."""

    def __init__(
        self, call: Held, call_id: str, bot: Bot, caller: Caller, sides: Sides, rate: int, carrier: Carrier | None
    ) -> None:
        self._call = call
        self._call_id = call_id
        self._bot = bot
        self._caller = caller
        self._sides = sides
        self._rate = rate
        self._carrier = carrier
        self._pressed = ""
        self.is_held = False
        self.is_muted = False
        self.forwarding: str | None = None
        """To whom the caller is being given."""
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def is_deaf(self) -> bool:
        return self.is_held or self.is_muted or self.forwarding is not None

    # hold and mute

    def hold(self, *, on: bool) -> None:
        if on != self.is_held:
            self.is_held = on
            if on:
                self._bot.hold("caller")
                self._sides.pause()
                self._call.begin(self._play_music(), "play music")
            else:
                self._bot.playout.background(None)
                self._sides.resume()
                self._bot.resume("caller")
            self._listen()
        self._call.witnessed(CallHeld() if on else CallUnheld())

    async def _play_music(self) -> None:
        music = await self._call.music()
        if self.is_held:
            self._bot.playout.background(music)

    def unhold(self) -> None:
        """Somebody speaks to the caller."""
        if self.is_held:
            self.hold(on=False)

    def mute(self, *, on: bool) -> None:
        if not on:
            was, self.is_muted = self.is_muted, False
            if was:
                self._caller.unmute(lambda words: self._call.witnessed(CallUnmuted(transcript=words)))
            else:
                self._call.witnessed(CallUnmuted())
            self._listen()
            return
        if not self.is_muted:
            self.is_muted = True
            self._listen()
            self._caller.mute()
        self._call.witnessed(CallMuted())

    def _listen(self) -> None:
        self._call.deafen(on=self.is_deaf)

    # keys

    def pressed(self, digit: str) -> None:
        """The caller pressed a key."""
        self._pressed = (self._pressed + digit)[-MAX_DIGITS:]
        self._call.witnessed(DigitReceived(digit=digit, digits=self._pressed))

    def press(self, digits: str, channel: Channel | None) -> None:
        """Press keys towards the other party: by the carrier where it can, else as tones in our sound."""

        async def pressing() -> None:
            try:
                is_done = self._carrier is not None and channel is not None
                if is_done and self._carrier is not None and channel is not None:
                    is_done = await self._carrier.press(channel, self._call_id, digits)
                if is_done:
                    self._call.witnessed(DigitsSent(digits=digits))
                    return
            except CarrierError as error:
                log.warning("keys are pressed as tones: %s", error)
            self._bot.playout.tones(tones.dtmf_sequence(digits, self._rate), digits)

        self._call.begin(pressing(), "press keys")

    def tones_heard(self, digits: str) -> None:
        self._call.witnessed(DigitsSent(digits=digits))

    # giving the caller away

    def forward(self, command: Forward, channel: Channel | None, number: str) -> None:
        """Say what is to be said, and give the caller away."""
        if self.forwarding is not None:
            return
        if self._carrier is None or channel is None:
            self._failed(command.to, "calls of this channel cannot be given away")
            return
        carrier, known = self._carrier, channel
        if command.message and not command.announce:
            self.unhold()
            self._bot.say(self._call.message_id(), command.message)
        announce = command.message if command.announce and command.message else None
        order = Transfer(command.to, number, announce, RING_SECONDS)

        async def giving() -> None:
            if self.forwarding is not None:
                return
            self.forwarding = command.to
            self._listen()
            self._deadline = asyncio.get_running_loop().call_later(
                FORWARD_SECONDS, lambda: self.not_forwarded("nobody was reached in time")
            )
            try:
                await carrier.transfer(known, self._call_id, order)
            except CarrierError as error:
                self.not_forwarded(error.reason)

        self._bot.afterwards(lambda: self._call.begin(giving(), "give the caller away"))

    def forwarded(self) -> None:
        """They speak with whom they were given to."""
        if self.forwarding is not None:
            to = self._end_forwarding()
            self._call.witnessed(CallForwarded(to=to))
            self._call.finish("forwarded", is_gone=True)

    def not_forwarded(self, reason: str) -> None:
        """Nobody was reached: the caller is back with us."""
        if self.forwarding is not None:
            to = self._end_forwarding()
            self._listen()
            self._failed(to, reason)

    def _end_forwarding(self) -> str:
        to, self.forwarding = self.forwarding or "", None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        return to

    def _failed(self, to: str, reason: str) -> None:
        self._call.witnessed(ForwardFailed(to=to, reason=reason[:200]))

    def close(self) -> None:
        self._end_forwarding()
