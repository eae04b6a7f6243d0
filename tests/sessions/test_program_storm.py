"""Programs that come, go, and reply late, twice or to the wrong words, while brains are switched, people take over and
users go on and take back: one message, one answer, whoever it is from. A broken day prints its seed and its story."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable

import pytest

from omni.model.entry import (
    BotSaid,
    CallEnded,
    HandoffActive,
    HandoffRequested,
    HumanSaid,
    TurnContinued,
    TurnEnded,
    TurnStarted,
    UserRevoked,
    UserSaid,
    fact_from_json,
    fact_json,
)
from omni.model.inbound import EditHistory, ProgramArrived, ProgramReply
from sessions.fold import fold_all
from sessions.history import asked
from sessions.rules.program import ALONE_SECONDS, OFFER_EVERY
from sessions.rules.turns import is_silent, resumed
from sessions.steps import Happening, Tick
from tests.sessions.talk import Desk

DAYS = 300
STEPS = 60
LANES = 3


class Day:
    """One call, played at random. What it holds is in `check`, after every step."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.desk = Desk(
            brain=self.rng.choice(("client", "client", "llm")),
            debounce_ms=self.rng.choice((0, 0, 600)),
            max_turns_per_minute=20,
            fallback="sorry",
        )
        self.targets: list[str] = []
        self.story: list[str] = []
        self.answerers: dict[str, set[str]] = defaultdict(set)
        self.acts: dict[Callable[[], None], int] = {
            self.user_writes: 14,
            self.user_takes_back: 5,
            self.time_passes: 14,
            self.program_answers: 10,
            self.program_replies: 8,
            self.program_speaks_beside: 2,
            self.program_comes_or_goes: 6,
            self.brain_is_switched: 5,
            self.model_says: 5,
            self.model_ends: 6,
            self.history_is_edited: 2,
            self.person_takes_over: 3,
            self.person_writes: 2,
            self.bot_is_paused: 2,
            self.worker_dies: 3,
            self.log_is_read_again: 4,
        }

    def run(self) -> None:
        acts, weights = list(self.acts), list(self.acts.values())
        for act in self.rng.choices(acts, weights, k=STEPS):
            act()
            self.check()
        desk = self.desk
        entries = [e.model_copy(update={"fact": fact_from_json(e.fact.type, fact_json(e.fact))}) for e in desk.log]
        assert fold_all(desk.empty, entries) == desk.state

    def do(self, happening: Happening) -> None:
        desk = self.desk
        owed, known = desk.state.unanswered, len(desk.log)
        is_asked = desk.around.agent.brain == "client" or desk.state.offered is not None
        desk.do(happening)
        desk.settle()
        facts = [entry.fact for entry in desk.log[known:]]
        self.story.append(f"{type(happening).__name__}: {[fact.type for fact in facts]}")
        is_reply = isinstance(happening, ProgramReply) and bool(happening.in_reply_to)
        for fact in facts:
            match fact:
                case BotSaid() if is_reply and is_asked:
                    assert isinstance(happening, ProgramReply)
                    self.answerers[happening.in_reply_to].add(happening.program)
                case TurnEnded(outcome="answered" | "failed") if not is_reply:
                    self.note(fact.answers, "a brain of ours")
                    owed = tuple(id_ for id_ in owed if id_ not in fact.answers)
                case HumanSaid() | HandoffActive() | HandoffRequested():
                    self.note(owed, "a person")
                case UserRevoked() if fact.id in owed:
                    self.note((fact.id,), "nobody")

    def note(self, ids: tuple[str, ...], who: str) -> None:
        for id_ in ids:
            self.answerers[id_].add(who)

    # what happens

    def user_writes(self) -> None:
        message = self.desk.heard("hello")
        self.targets.append(message.provider_id)
        self.do(message)

    def user_takes_back(self) -> None:
        if self.targets:
            self.do(self.desk.revoke(self.rng.choice(self.targets[-3:])))

    def time_passes(self) -> None:
        self.desk.now += self.rng.choice((0.1, 0.6, OFFER_EVERY, 20.0, 130.0, ALONE_SECONDS))
        self.do(Tick())

    def program_answers(self) -> None:
        newest = self.desk.state.newest
        if newest is not None:
            self.do(self.desk.reply(newest, self.rng.choice(("hi", "hi", None)), self._program()))

    def program_replies(self) -> None:
        said = self.desk.facts(UserSaid)[-3:]
        if said:
            self.do(self.desk.reply(self.rng.choice(said).id, "hi", self._program()))

    def _program(self) -> str:
        return self.rng.choice(("c1", "c1", "c2"))

    def program_speaks_beside(self) -> None:
        self.do(self.desk.reply("", "by the way"))

    def program_comes_or_goes(self) -> None:
        self.desk.since = self.rng.choice((None, self.desk.now, self.desk.now))
        self.do(ProgramArrived(**self.desk.head(partition=0)))

    def brain_is_switched(self) -> None:
        """For this call, or for the agent as far as the call has nothing of its own."""
        brain = self.rng.choice(("llm", "client"))
        if self.rng.random() < 0.6:
            self.do(self.desk.configure(brain=brain, vars={"a": "b"}))
        else:
            self.desk.agent = self.desk.agent.model_copy(update={"brain": brain})

    def model_says(self) -> None:
        self.do(self.desk.said("words"))

    def model_ends(self) -> None:
        self.do(self.desk.done("words") if self.rng.random() < 0.8 else self.desk.done(error="down"))

    def history_is_edited(self) -> None:
        messages = ({"role": "user", "content": "before"},) * self.rng.choice((1, 150))
        self.do(EditHistory(**self.desk.to_call(act=self.rng.choice(("add", "set", "clear")), messages=messages)))

    def person_takes_over(self) -> None:
        self.do(self.desk.pause())
        self.do(self.desk.resume())

    def person_writes(self) -> None:
        self.do(self.desk.send("a person", takes_over=False))

    def bot_is_paused(self) -> None:
        """The command follows the record, or is not there yet."""
        command = self.desk.pause_agent() if self.rng.random() < 0.5 else self.desk.pause_person()
        self.do(self.rng.choice((command, Tick())))
        self.time_passes()
        self.do(self.desk.pause_agent(paused=False))
        self.do(self.desk.pause_person(paused=False))

    def worker_dies(self) -> None:
        self._read_again(remembers=False)

    def log_is_read_again(self) -> None:
        """After an append whose outcome nobody knows; what comes next is decided before anything is put to anybody."""
        self._read_again(remembers=True)

    def _read_again(self, *, remembers: bool) -> None:
        desk = self.desk
        desk.state = fold_all(desk.empty, desk.log)
        desk.turn = resumed(desk.state, desk.turn if remembers else None, desk.around)
        self.story.append("the log is read again")

    # what holds

    def check(self) -> None:
        desk = self.desk
        try:
            assert all(len(who) <= 1 for who in self.answerers.values()), dict(self.answerers)
            answered = [id_ for fact in desk.facts(TurnEnded) for id_ in fact.answers]
            assert len(answered) == len(set(answered)), "answered twice"
            self._check_offers()
            state = desk.state
            assert len(asked(state, state.unanswered)) == len(state.unanswered), "a question is forgotten"
            if state.unanswered and not is_silent(state, desk.around):
                assert desk.turn is not None, "an answer is owed, and nobody is at it"
            if state.offered is not None:
                assert set(state.offered.answers) == set(state.unanswered)
        except AssertionError as broken:
            raise AssertionError("\n".join([str(broken), *self.story[-12:]])) from broken

    def _check_offers(self) -> None:
        """A turn that was put to a program ends, or is taken back, under its number, and before the next."""
        offered: int | None = None
        numbers: list[int] = []
        for fact in (entry.fact for entry in self.desk.log):
            match fact:
                case TurnStarted():
                    assert offered is None, "a turn was put to the program and forgotten"
                    offered = fact.turn if fact.offered else None
                    numbers.append(fact.turn)
                case TurnContinued() | TurnEnded():
                    assert offered in (None, fact.turn), f"turn {offered} ends as {fact.turn}"
                    offered = None
                case BotSaid(turn=int()):
                    assert offered in (None, fact.turn), f"what is said in turn {offered} is of {fact.turn}"
                case HumanSaid() | HandoffActive() | HandoffRequested() | CallEnded():
                    offered = None
        assert numbers == sorted(numbers), "the numbers of turns go back"
        assert offered == (self.desk.state.offered.turn if self.desk.state.offered is not None else None)


@pytest.mark.parametrize("lane", range(LANES))
def test_one_message_has_one_answer(lane: int) -> None:
    for seed in range(lane, DAYS, LANES):
        day = Day(seed)
        try:
            day.run()
        except AssertionError as broken:
            raise AssertionError(f"seed {seed}: {broken}") from None
