"""A seeded call: a caller who speaks, coughs and leaves, a bot that answers, uses tools and fails, people and programs
who take part, services and a store that come and go; and what must be so however they meet."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from itertools import count, groupby
from typing import Any

from omni.live.speech import BotWord, SpeechEnded, SpeechStarted
from omni.model.behaviour import Overrides
from omni.model.entry import (
    BotFinished,
    BotInterrupted,
    BotSaid,
    Entry,
    HandoffActive,
    HandoffReleased,
    ToolCalled,
    UserSaid,
)
from omni.model.inbound import (
    Ask,
    CallProgress,
    Configure,
    EndCall,
    Forward,
    Hold,
    Hush,
    Mute,
    Pause,
    PressKeys,
    ProgramReply,
    ProgramStream,
    Resume,
    SendMessage,
    Whisper,
)
from omni.model.message import Message
from sessions.brains.base import BrainError, Break, Chunk, Finish, HandOver, Press, Restart, Say, Turn
from tests.voice.call.promises import broken, is_as_heard
from tests.voice.call.stage import Show, Stage, saying

SILENT_AFTER = 0.03
"""Seconds: what was given to the far end a moment ago may be in the air."""


@dataclass
class Told:
    """What became of a message of the bot, as its voice was asked."""

    at: float
    words: list[str] = field(default_factory=list)


def is_unique(word: str) -> bool:
    return word[0] in "bhg" and word[1:].strip(",.").isdigit()


class Drama:
    def __init__(self, stage: Stage, *, is_rough: bool) -> None:
        self.stage = stage
        self.rng = stage.rng
        self.is_rough = is_rough
        self.names = count(1)
        self.messages: dict[str, Told] = {}
        self.silenced: list[tuple[float, str]] = []
        """Messages of which nothing may be heard after a moment."""
        self.wrong: list[str] = []
        self.acts: list[str] = []
        self.told_at: dict[int, float] = {}
        self.steps = 0
        self._later: set[asyncio.Task[None]] = set()
        stage.mind.how = self._answer

    @property
    def now(self) -> float:
        return self.stage.loop.time()

    def words(self, who: str, most: int = 8) -> str:
        return " ".join(f"{who}{next(self.names)}" for _ in range(self.rng.randint(1, most)))

    # the bot

    async def _answer(self, turn: Turn) -> AsyncGenerator[Chunk, None]:
        rng = self.rng
        await asyncio.sleep(rng.choice((0.0, 0.0, 0.02, 0.3, 1.5)))
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            kind = rng.random()
            if kind < 0.15:
                await turn.use_tool(f"t{next(self.names)}", "look", {"text": turn.text})
            elif kind < 0.25:
                yield Break()
            elif kind < 0.3:
                yield Restart()
            elif kind < 0.34:
                yield Press("1")
            elif kind < 0.36 and self.is_rough:
                raise BrainError("the model is down")
            elif kind < 0.38 and self.is_rough:
                raise RuntimeError("a defect of a brain")
            for word in self.words("b", rng.choice((2, 8, 30))).split():
                yield Say(f"{word}{rng.choice(('', '', '', ',', '.'))} ")
                if rng.random() < 0.1:
                    await asyncio.sleep(rng.choice((0.01, 0.2, 0.6)))
        if rng.random() < 0.02:
            yield HandOver("asked for")
        elif rng.random() < 0.01:
            yield Finish()

    # the play

    async def play(self, show: Show, steps: int) -> None:
        self._watch(show)
        for _ in range(steps):
            await asyncio.sleep(self.rng.choice((0.0, 0.02, 0.1, 0.3, 0.3, 0.7, 1.5, 4.0)))
            if show.call.is_ending:
                break
            name, act = self._next(show)
            self.acts.append(f"{self.now:.2f} {name}")
            act()
            self.steps += 1
            self._look(show)
        await asyncio.sleep(self.rng.choice((0.0, 0.1, 1.0, 8.0)))
        if self.rng.random() < 0.5:
            await self._last_question(show)
        while not show.call.is_ending:  # whoever is given away comes back first
            show.phone.leave(self.rng.choice(("hangup", "lost")))
            await asyncio.sleep(1)
        self.stage.store.is_away = False
        await show.over()
        for task in self._later:
            task.cancel()
        if self._later:
            await asyncio.wait(self._later)

    def _next(self, show: Show) -> tuple[str, Callable[[], Any]]:
        rng, phone, stage = self.rng, show.phone, self.stage
        acts: list[tuple[float, str, Callable[[], Any]]] = [
            (6, "says", lambda: phone.say(self.words("u"), rng.choice((0, 0, 0, 60, 140)))),
            (2, "silence", lambda: phone.silence(rng.choice((100, 240, 600)))),
            (2, "noise", lambda: phone.noise(rng.choice((40, 100, 200, 500)))),
            (1, "digit", lambda: phone.press("5")),
            (0.5, "loss", lambda: phone.lose(rng.choice((20, 200, 1500)))),
            (1, "pause", lambda: show.do(Pause, by="ann")),
            (1.5, "resume", lambda: show.do(Resume, by="ann")),
            (1, "operator", lambda: self._operator(show)),
            (0.3, "whisper", lambda: show.do(Whisper, by="ann", text="psst")),
            (0.7, "hush all", lambda: show.do(Hush, everything=True)),
            (0.7, "hush one", lambda: show.do(Hush)),
            (0.5, "hush id", lambda: show.do(Hush, message_id=rng.choice([*self.messages, "msg_none"]))),
            (1, "hold", lambda: show.do(Hold, on=rng.random() < 0.4)),
            (1, "mute", lambda: show.do(Mute, on=rng.random() < 0.3)),
            (0.4, "keys", lambda: show.do(PressKeys, digits="12")),
            (0.7, "reply", lambda: self._reply(show)),
            (0.7, "stream", lambda: self._later.add(asyncio.create_task(self._stream(show), name="a program"))),
            (0.2, "brain", lambda: show.do(Configure, overrides=Overrides(brain=rng.choice(("llm", "client"))))),
            (0.2, "forward", lambda: self._forward(show)),
            (0.05, "end", lambda: show.do(EndCall, by="ann")),
        ]
        if self.is_rough:
            acts += [
                (1, "deaf", lambda: stage.recogniser.faults.append(rng.choice(("stall", "refuse", "bug", "late")))),
                (
                    1,
                    "mumbles",
                    lambda: stage.speaker.faults.append(rng.choice(("stall", "refuse", "cut", "freeze", "slow"))),
                ),
                (0.5, "store away", lambda: setattr(stage.store, "is_away", True)),
                (2, "store back", lambda: setattr(stage.store, "is_away", False)),
            ]
        _, name, act = rng.choices(acts, [weight for weight, _, _ in acts])[0]
        return name, act

    def _operator(self, show: Show) -> None:
        show.do(SendMessage, by="ann", message=Message.of(self.words("h")), takes_over=self.rng.random() < 0.3)

    def _newest(self, show: Show) -> str:
        said = show.told_facts(UserSaid)
        return said[-1].id if said and self.rng.random() < 0.7 else ""

    def _reply(self, show: Show) -> None:
        text = Message.of(self.words("b")) if self.rng.random() < 0.9 else None
        to = self._newest(show) if text is None or self.rng.random() < 0.7 else ""
        show.do(ProgramReply, message_id=self.stage.new_id("msg"), in_reply_to=to, message=text)

    async def _stream(self, show: Show) -> None:
        id_ = self.stage.new_id("msg")
        show.do(ProgramStream, message_id=id_, act="start", in_reply_to=self._newest(show))
        for word in self.words("b").split():
            await asyncio.sleep(self.rng.choice((0.0, 0.05, 0.4)))
            if show.call.is_ending:
                return
            show.do(ProgramStream, message_id=id_, act="add", text=f"{word} ")
        if self.rng.random() < 0.9:
            show.do(ProgramStream, message_id=id_, act="end")

    def _forward(self, show: Show) -> None:
        show.do(Forward, to="+49555", message=self.words("h") if self.rng.random() < 0.5 else "")
        self._later.add(asyncio.create_task(self._comes_back(show), name="a carrier"))

    async def _comes_back(self, show: Show) -> None:
        await asyncio.sleep(self.rng.choice((1.0, 5.0)))
        if show.call.is_ending or show.call.controls.forwarding is None:
            return
        show.phone.leave()
        await asyncio.sleep(2)
        if show.call.is_ending:
            return
        show.do(CallProgress, status="not_forwarded", ask=Ask(desk="d", id="a"))
        await asyncio.sleep(0.3)
        if not show.call.is_ending and show.phone.is_gone:
            show.connect()

    async def _last_question(self, show: Show) -> None:
        """Whatever went before: a bot that has the call answers a caller who is listened to."""
        stage = self.stage
        stage.mind.how = saying("z1 z2")
        stage.store.is_away = False
        stage.recogniser.faults.clear()
        stage.speaker.faults.clear()
        show.do(Hush, everything=True)
        show.do(Hold, on=False)
        show.do(Mute, on=False)
        show.do(Configure, overrides=Overrides(brain="llm"))
        show.do(Pause, by="ann")
        show.do(Resume, by="ann")
        await asyncio.sleep(12)
        if show.call.is_ending or show.phone.is_over or show.call.controls.forwarding is not None:
            return
        show.phone.say(self.words("u", 8) + " u0")
        await asyncio.sleep(12)
        if not show.call.is_ending and not show.phone.is_over and show.phone.words()[-2:] != ["z1", "z2"]:
            self.wrong.append(f"the last question was not answered: {show.phone.words()[-4:]}")

    # what must be so at every moment

    def _watch(self, show: Show) -> None:
        """See what the voice is asked to say, and when it is silenced."""
        bot, obeying = show.call.bot, show.call.obeying
        opened, added, dropped, hushed, cancelled = bot.open, bot.add, bot.drop, bot.hush, bot.cancel

        def open_(id_: str, *args: Any, **kwargs: Any) -> None:
            if id_ in self.messages:
                self.wrong.append(f"{id_} was opened twice")
            self.messages.setdefault(id_, Told(self.now))
            opened(id_, *args, **kwargs)

        def add(id_: str, text: str, **kwargs: Any) -> None:
            if id_ in bot._lines:
                self.messages[id_].words += text.split()
            added(id_, text, **kwargs)

        def drop(reason: Any) -> None:
            self.silenced += [(self.now, id_) for id_ in bot._lines]
            dropped(reason)

        def hush() -> None:
            self.silenced += [(self.now, line.id) for line in bot._lines.values() if line.is_logged]
            hushed()

        def cancel(id_: str) -> None:
            if id_ in bot._lines:
                self.silenced.append((self.now, id_))
            cancelled(id_)

        bot.open, bot.add, bot.drop, bot.hush, bot.cancel = open_, add, drop, hush, cancel  # type: ignore[method-assign]
        assert obeying is not None
        tell = self.stage._tell

        async def telling(told: Any) -> None:
            for entry in told.entries:
                self.told_at[entry.seq] = self.now
            await tell(told)

        object.__setattr__(self.stage.world, "tell", telling)

    def _look(self, show: Show) -> None:
        call = show.call
        sizes = {
            "mouths": (len(call.mouths), 3),
            "guesses": (len(call.brain._guesses), 4 if not self.is_rough else 12),
            "dead": (len(call.bot._dead), 64),
            "tasks": (len(call._tasks), 12),
            "hearing": (len(call.caller._tasks), 8),
        }
        self.wrong += [f"{name}: {size}" for name, (size, most) in sizes.items() if size > most]

    # what must be so in the end

    async def judged(self, show: Show) -> list[str]:
        entries = await show.entries()
        wrong = [*self.wrong, *broken(entries)]
        wrong += self._heard(show, entries)
        wrong += self._takeovers(show, entries)
        wrong += self._tools(entries)
        wrong += self._user_once(entries)
        wrong += self._signals(show)
        if not self.stage.exchange.transfers and show.phone.given_after_end:  # nobody minds music for one who is away
            wrong.append(f"{show.phone.given_after_end} pieces after the end")
        return wrong

    def _frames(self, show: Show) -> dict[str, list[float]]:
        """When each word of ours was heard."""
        heard: dict[str, list[float]] = defaultdict(list)
        for phone in show.phones:
            for at, frame in phone.heard:
                number = phone.lexicon.number(frame)
                if number is not None:
                    heard[phone.lexicon._words[number].strip(",.")].append(at)
        return heard

    def _heard(self, show: Show, entries: list[Entry]) -> list[str]:
        wrong: list[str] = []
        frames = self._frames(show)
        ends = {e.fact.id: e.fact for e in entries if isinstance(e.fact, BotFinished | BotInterrupted)}
        for id_, end in ends.items():
            told = self.messages.get(id_)
            if told is None:
                wrong.append(f"{id_} ended and was never asked for")
                continue
            if not all(is_unique(word) for word in told.words):
                continue  # "Sorry, nobody …": the same words each time
            heard = [word for word in (each.strip(",.") for each in told.words) if len(frames[word]) > 5]
            said = [word.strip(",.") for word in (end.text or "").split()]
            if not is_as_heard(said, heard, slack=1):
                wrong.append(f"{id_} has {said}, the caller heard {heard} ({end})")
        for at, id_ in self.silenced:
            for word in self.messages[id_].words:
                if not is_unique(word):
                    continue
                late = [when for when in frames[word.strip(",.")] if when > at + SILENT_AFTER]
                if late:
                    wrong.append(f"{word} of {id_} was heard at {late}, after it was dropped at {at}")
        said_ids = {e.fact.id for e in entries if isinstance(e.fact, BotSaid)}
        for id_, told in self.messages.items():
            if id_ not in ends and id_ in said_ids:
                wrong.append(f"{id_} was said and has no end")
            if id_ not in ends and any(w.startswith("b") and frames[w.strip(",.")] for w in told.words):
                wrong.append(f"{id_} was heard and is not in the log")
        return wrong

    def _takeovers(self, show: Show, entries: list[Entry]) -> list[str]:
        wrong: list[str] = []
        frames = self._frames(show)
        silent_since: float | None = None
        spans: list[tuple[float, float]] = []
        for entry in entries:
            if isinstance(entry.fact, HandoffActive) and silent_since is None:
                silent_since = self.told_at.get(entry.seq)
            elif isinstance(entry.fact, HandoffReleased) and silent_since is not None:
                spans.append((silent_since, self.told_at.get(entry.seq, silent_since)))
                silent_since = None
        if silent_since is not None:
            spans.append((silent_since, float("inf")))
        for word, times in frames.items():
            if not word.startswith("b"):
                continue
            for begin, end in spans:
                late = [at for at in times if begin + SILENT_AFTER < at < end]
                if late:
                    wrong.append(f"{word} was heard at {late[0]}, while a person had the call since {begin}")
        return wrong

    def _tools(self, entries: list[Entry]) -> list[str]:
        said = {entry.fact.text for entry in entries if isinstance(entry.fact, UserSaid)}
        called = [entry.fact for entry in entries if isinstance(entry.fact, ToolCalled)]
        wrong = [f"a tool ran for {a}" for _, _, a in self.stage.tools if not said.issuperset(a["text"].split("\n"))]
        if len(self.stage.tools) > len(called):
            wrong.append(f"{len(self.stage.tools)} tools ran, {len(called)} are in the log")
        return wrong

    def _user_once(self, entries: list[Entry]) -> list[str]:
        said: dict[str, str] = {}
        for entry in entries:
            if isinstance(entry.fact, UserSaid):
                said.pop(entry.fact.replaces or "", None)
                said[entry.fact.id] = entry.fact.text
        # a word in which some sound was lost may be in two utterances, one behind the other
        words = [word for word, _ in groupby(" ".join(said.values()).split())]
        twice = {word for word in words if words.count(word) > 1}
        return [f"{twice} stand twice in what the caller said: {list(said.values())}"] if twice else []

    def _signals(self, show: Show) -> list[str]:
        wrong: list[str] = []
        speaking: set[str] = set()
        is_heard = False
        for told in self.stage.told:
            for entry in told.entries:
                if isinstance(entry.fact, BotSaid):
                    speaking.add(entry.fact.id)
                elif isinstance(entry.fact, BotFinished | BotInterrupted):
                    speaking.discard(entry.fact.id)
            for signal in told.signals:
                if isinstance(signal, BotWord) and signal.message not in speaking:
                    wrong.append(f"a word of {signal.message} outside of it: {signal}")
                elif isinstance(signal, SpeechStarted | SpeechEnded):
                    if is_heard == isinstance(signal, SpeechStarted):
                        wrong.append(f"{signal} twice")
                    is_heard = isinstance(signal, SpeechStarted)
        return wrong
