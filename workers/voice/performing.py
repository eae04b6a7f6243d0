"""Commands to a call with sound: what people and programs ask of it, and what its carrier tells."""

from __future__ import annotations

from typing import Final

from omni.model.entry import MachineAnswered
from omni.model.inbound import AnyInput, CallProgress, Forward, Hold, Hush, Mute, PressKeys, TypeWords
from workers.voice.oncall import OnCall
from workers.voice.turns.words import Typed

UNREACHED: Final = "Sorry, nobody is available there right now."
"""Said to a caller who comes back from somebody that was not reached."""


class Performing:
    """Of one call that has its sound."""

    def __init__(self, call: OnCall) -> None:
        self._call = call
        self._machine: str | None = None

    def do(self, command: AnyInput) -> None:
        call = self._call
        match command:
            case Hush(message_id=str(message)):
                call.bot.cancel(message)
            case Hush(everything=True):
                call.bot.drop("cancelled")
            case Hush():
                if (playing := call.bot.playout.playing) is not None:
                    call.bot.cancel(playing)
            case Hold():
                call.controls.hold(on=command.on)
            case Mute():
                call.controls.mute(on=command.on)
            case TypeWords():
                call.limits.spoke()
                call.talking.happens(Typed(call.at(), command.text))
            case PressKeys():
                call.controls.press(command.digits, call.channel)
            case Forward():
                call.controls.forward(command, call.channel, call.place.business)
            case CallProgress():
                self._progressed(command)
            case _:
                pass

    def _progressed(self, progress: CallProgress) -> None:
        call = self._call
        match progress.status:
            case "ended" | "busy" | "no_answer" | "failed" | "canceled":
                # Also while it rings at somebody else: had they answered, the call would be theirs by now.
                call.finish("hangup" if progress.status == "ended" else progress.status, is_gone=True)
            case "forwarded":
                call.controls.forwarded()
            case "not_forwarded":
                if progress.ask is not None:
                    call.answer_back(progress.ask)
                self._unreached(progress.detail or progress.code or "nobody answered")
            case "human" | "machine":
                self._answered_by(progress.status, progress.detail or progress.status)
            case _:
                pass

    def _unreached(self, why: str) -> None:
        """The caller is back from somebody who was not there."""
        call = self._call
        if call.controls.forwarding is not None:
            call.controls.not_forwarded(why)
            call.bot.say(call.message_id(), UNREACHED)

    def _answered_by(self, who: str, word: str) -> None:
        """Who took the call that we placed."""
        call, media = self._call, self._call.sound.media
        if self._machine is not None:
            return
        self._machine = who
        call.witnessed(MachineAnswered(answered_by=word))
        if who == "machine" and media.machine == "hang_up":
            call.finish("machine")
        elif who == "machine" and media.machine == "message" and media.machine_message:
            call.waits = False
            call.bot.drop("cancelled")
            call.bot.say(call.message_id(), media.machine_message)
            call.bot.afterwards(lambda: call.finish("machine"))
        elif who == "human" and call.waits:
            call.waits = False
            call.answers.greet()
