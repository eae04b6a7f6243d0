"""What a call's log asks of its sound: facts that change what is heard, and effects that are to be carried out."""

from __future__ import annotations

import logging

from omni.model.entry import (
    CallConfigured,
    CallStarted,
    Fact,
    HandoffActive,
    ToolAnswered,
    ToolCalled,
    TurnEnded,
    UserSaid,
    UserWrote,
)
from omni.model.inbound import Forward
from omni.model.sound import sound_of
from sessions.brains.base import Press, Transfer
from sessions.rules.turns import is_silent
from sessions.state import CallState
from sessions.steps import AbortTurn, Effect, HangUp, Perform, Speak, SpeakAlong, Withdraw
from workers.voice.beginning import greeting
from workers.voice.oncall import OnCall
from workers.voice.performing import Performing
from workers.voice.redaction import Redaction
from workers.voice.stt.base import SttError
from workers.voice.tts.base import TtsError
from workers.voice.tts.say import Voice
from workers.voice.turns.state import Policy
from workers.voice.turns.words import NoAnswer

log = logging.getLogger("omni.voice")


class Obeying:
    """Of one call that has its sound."""

    def __init__(self, call: OnCall) -> None:
        self._call = call
        self._redaction = Redaction(call.sound.media.redact)
        self._tools: dict[str, float] = {}
        self._performing = Performing(call)

    @property
    def may_answer(self) -> bool:
        """True when a brain of ours answers the caller, and may."""
        found = self._call.seen
        return found is not None and found[1].agent.brain != "client" and not is_silent(*found)

    def redacted(self, text: str) -> str:
        """As it is written down."""
        return self._redaction.of(text)

    # facts

    def read(self, state: CallState, fact: Fact) -> None:
        call = self._call
        match fact:
            case CallStarted():
                self._started()
            case (
                UserSaid(paused=True, turn=int(turn))
                | TurnEnded(turn=turn, outcome="silent" | "failed" | "handed_over")
            ):
                if not call.bot.says(turn):
                    call.talking.happens(NoAnswer(call.at(), turn))
            case HandoffActive():
                self._hush_all()
            case CallConfigured():
                self._configured()
            case UserWrote():
                call.limits.spoke()  # they are there, and busy
            case ToolCalled():
                self._tools[fact.id] = call.services.pacer.ms()
            case ToolAnswered():
                self._tools.pop(fact.id, None)

    def _started(self) -> None:
        call = self._call
        if call.sound.is_recorded and call.sound.media.recording_notice:
            call.bot.say(call.message_id(), call.sound.media.recording_notice, in_history=False)
        if not call.waits:
            self.greet()

    def greet(self) -> None:
        """The first words of ours."""
        call = self._call
        if is_silent(*call.look()):
            return
        text = greeting(call)
        if text:
            call.bot.say(call.services.world.new_id("greet"), text)

    def _hush_all(self) -> None:
        """Somebody has taken over: the bot is silent at once."""
        call = self._call
        call.brain.drop("somebody took over", everything=True)
        for mouth in call.mouths:
            mouth.shut()
        call.bot.hush()

    def _configured(self) -> None:
        """Other settings, from the next utterance on, whoever's it is."""
        call = self._call
        state, around = call.look()
        before, call.sound = call.sound, sound_of(around.agent.audio, state.language or around.agent.language)
        now, leg = call.sound, call.leg
        call.talking.policy = Policy.of(now)
        call.limits.limits = now.limits
        self._redaction = Redaction(now.media.redact)
        try:
            if now.voice != before.voice and leg is not None:
                speaker, config = call.services.speakers.choose(now.voice)
                call.bot.voice = Voice(speaker, config, leg.rate)
            if now.stt != before.stt and leg is not None and not call.caller.ears.change(now.stt):
                recogniser, heard_as = call.services.recognisers.choose(now.stt)
                call.caller.replace(recogniser.ears(heard_as, leg.rate, call.caller.partial))
        except (SttError, TtsError) as error:
            log.warning("the call %s keeps its voice and its ears: %s", call.id, error)

    # effects

    def perform(self, state: CallState, effect: Effect) -> None:
        call = self._call
        match effect:
            case Speak():
                call.controls.unhold()
                call.bot.say(effect.id, effect.text, effect.turn, in_history=effect.in_history, logged=effect.is_logged)
            case SpeakAlong():
                self._along(effect)
            case HangUp():
                if effect.after_speech:
                    call.bot.afterwards(lambda: call.finish(effect.reason))
                else:
                    call.finish(effect.reason)
            case Withdraw():
                self._hush_all()
            case AbortTurn():
                for mouth in call.mouths:
                    if mouth.turn == effect.number and (mouth.answers in effect.answers or not effect.answers):
                        mouth.shut()
            case Perform():
                self._performing.do(effect.command)
            case _:
                pass

    def _along(self, piece: SpeakAlong) -> None:
        call, bot = self._call, self._call.bot
        if piece.act == "start":
            call.controls.unhold()
            bot.open(piece.id, piece.turn)
        elif piece.act == "add":
            bot.add(piece.id, piece.text)
        else:
            if piece.fallback and not bot.has_words(piece.id):
                bot.add(piece.id, piece.fallback, is_whole=True)
            turn = bot.turn_of(piece.id)
            bot.close(piece.id)
            if turn is not None and not bot.has_words(piece.id):  # there was nothing to say
                call.talking.happens(NoAnswer(call.at(), turn))

    # what a brain asks for beside words

    def act(self, act: Transfer | Press) -> None:
        call = self._call
        if isinstance(act, Press):
            call.bot.afterwards(lambda: call.controls.press(act.digits, call.channel))
            return
        state = call.look()[0]
        command = Forward(
            key=call.log.key(),
            org=state.org,
            agent=state.agent,
            channel=state.channel,
            at=call.services.world.clock(),
            call=state.id,
            home=state.home,
            to=act.to,
            announce=act.announce,
        )
        call.bot.afterwards(lambda: call.controls.forward(command, call.channel, call.place.business))

    # time

    def tick(self, now: float) -> None:
        """A tool that keeps the caller waiting is covered by a few words, once a tool."""
        call, media = self._call, self._call.sound.media
        if not media.filler or not self._tools or call.bot.is_speaking:
            return
        for id_, since in list(self._tools.items()):
            if now - since >= media.filler_after_ms:
                del self._tools[id_]
                call.bot.say(call.message_id(), media.filler, in_history=False)
                return
