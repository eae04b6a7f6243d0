"""Whatever happens to a call, in whatever order: what always holds of its log and of the state folded from it."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from omni.model.entry import (
    BotSaid,
    CallEnded,
    CallSummary,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HumanSaid,
    SessionIdleWarning,
    SessionTimeout,
    TurnEnded,
    UserSaid,
    entry_of,
    fact_from_json,
    fact_json,
)
from sessions.decide import decide
from sessions.document import snapshot_of
from sessions.fold import fold_all
from sessions.history import asked, lines_for
from sessions.rules.ending import next_wake
from sessions.rules.turns import is_silent
from sessions.state import MAX_LINES, CallState
from sessions.steps import Step, Tick
from tests.sessions.talk import PICTURE, VOICE, Talk

PAUSES = st.sampled_from([0.0, 0.1, 0.6, 3.0, 25.0, 61.0, 7200.0, 90_000.0])
BOOLS = st.booleans()


class AnyCall(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.talk = Talk(debounce_ms=600, max_turns_per_minute=4, handoff_idle_s=900, fallback="sorry")
        self.targets: list[str] = []
        self.spoke_while_silent: list[str] = []
        self.tools = 0
        self.was_sealed_at: int | None = None

    @initialize(idle=st.sampled_from([None, 0, 30, 3600]), most=st.sampled_from([None, 0, 7000]))
    def limits(self, idle: int | None, most: int | None) -> None:
        said = {"idle_timeout_seconds": idle, "max_duration_seconds": most}
        limits = {name: seconds for name, seconds in said.items() if seconds is not None}
        self.talk.agent = self.talk.agent.model_copy(update={"audio": {"session_limits": limits} if limits else {}})

    def do(self, happening: object, *, settles: bool = True) -> None:
        talk = self.talk
        was_silent = is_silent(talk.state, talk.around)
        is_owed = bool(talk.state.unanswered)
        step: Step = talk.do(happening)  # type: ignore[arg-type]
        if was_silent and any(isinstance(fact, BotSaid) for fact in step.facts):
            self.spoke_while_silent.append(type(happening).__name__)
        if any(isinstance(fact, SessionIdleWarning | SessionTimeout) for fact in step.facts):
            assert not was_silent, "a limit counted while the bot did not have the call"
            assert not is_owed, "a limit counted while an answer was owed"
        if settles:
            talk.settle()
        if talk.state.is_sealed and self.was_sealed_at is None:
            self.was_sealed_at = talk.state.seq

    # the user

    @rule(text=st.sampled_from(["hello", "", " ", "two words"]), standby=BOOLS)
    def user_writes(self, text: str, standby: bool) -> None:
        message = self.talk.heard(text, mode="standby" if standby and text == "hello" else "live")
        self.targets.append(message.provider_id)
        self.do(message)

    @rule(voice=BOOLS, age=PAUSES)
    def user_sends_a_file(self, voice: bool, age: float) -> None:
        message = self.talk.heard("", VOICE if voice else PICTURE, sent_at=self.talk.now - age)
        self.targets.append(message.provider_id)
        self.do(message)

    @rule(place=st.integers(0, 30), what=st.sampled_from(["edit", "revoke", "react"]))
    def user_changes(self, place: int, what: str) -> None:
        target = self.targets[place % len(self.targets)] if self.targets and place else f"wamid-{len(self.talk.log)}"
        acts = {"edit": lambda: self.talk.edit(target, text="edited"), "revoke": lambda: self.talk.revoke(target)}
        self.do(acts.get(what, lambda: self.talk.react(target))())

    @rule(opens=BOOLS)
    def notice(self, opens: bool) -> None:
        self.do(self.talk.notice(opens_window=opens))

    # workers

    @precondition(lambda self: self.talk.state.awaited)
    @rule(lost=BOOLS, earlier=BOOLS)
    def file_comes(self, lost: bool, earlier: bool) -> None:
        awaited = self.talk.state.awaited[0]
        media = {"blob": None, "problem": "gone"} if lost else {"transcript": "words"}
        call = "wa-0" if earlier else "wa-1"
        self.do(self.talk.file_came(awaited.message_id, awaited.part, call, **media))

    @rule(window=BOOLS, earlier=BOOLS)
    def delivery_fails(self, window: bool, earlier: bool) -> None:
        self.do(self.talk.failed("window_closed" if window else "undeliverable", "wa-0" if earlier else "wa-1"))

    @rule()
    def alarm(self) -> None:
        self.do(self.talk.wake())

    @rule(seconds=PAUSES)
    def time_passes(self, seconds: float) -> None:
        self.talk.now += seconds
        self.do(Tick())

    @rule()
    def worker_dies(self) -> None:
        """Only the log survives."""
        self.talk.turn = None
        self.talk.state = fold_all(self.talk.empty, self.talk.log)
        self.talk.effects = []
        self.talk.settle()

    # the brain, in time or too late

    @rule(number=st.integers(0, 3), text=st.sampled_from([None, "words"]), end=st.integers(0, 12))
    def brain_ends(self, number: int, text: str | None, end: int) -> None:
        more = {0: {"error": "down"}, 1: {"hands_over": True}, 2: {"ends_call": True}}.get(end, {})
        self.do(self.talk.done(text, self._turn(number), **more))

    @rule(number=st.integers(0, 3))
    def brain_says(self, number: int) -> None:
        self.do(self.talk.said("words", self._turn(number)))

    @rule(number=st.integers(0, 3), finishes=BOOLS)
    def brain_uses_a_tool(self, number: int, finishes: bool) -> None:
        self.tools += 1
        self.do(self.talk.tool(f"t{self.tools}", self._turn(number)))
        if finishes:
            self.do(self.talk.tool_done(f"t{self.tools}", self._turn(number)))

    def _turn(self, number: int) -> int:
        return max(1, (self.talk.turn.number if self.talk.turn else self.talk.state.turns) - number)

    # our side

    @rule(by=st.sampled_from(["ann", "bob"]))
    def taken_over(self, by: str) -> None:
        self.do(self.talk.pause(by))

    @rule()
    def handed_back(self) -> None:
        self.do(self.talk.resume())

    @rule(takes_over=BOOLS)
    def person_writes(self, takes_over: bool) -> None:
        self.do(self.talk.send("a person", takes_over=takes_over))

    @rule(pauses=BOOLS, act=st.sampled_from(["message", "message", "edit", "revoke"]))
    def colleague(self, pauses: bool, act: str) -> None:
        self.do(self.talk.echo("a colleague", pauses=pauses, act=act, target="wamid-x"))

    @rule(paused=BOOLS, agent=BOOLS, told=BOOLS)
    def bot_is_paused(self, paused: bool, agent: bool, told: bool) -> None:
        """`told`: the command follows the record; otherwise only the record changes."""
        command = self.talk.pause_agent(paused=paused) if agent else self.talk.pause_person(paused=paused)
        self.do(command if told else Tick())

    @precondition(lambda self: len(self.talk.log) > 12)
    @rule(earlier=BOOLS)
    def ended(self, earlier: bool) -> None:
        self.do(self.talk.end("wa-0" if earlier else "wa-1"))

    # what holds

    @invariant()
    def state_is_the_fold_of_the_log(self) -> None:
        talk = self.talk
        assert fold_all(talk.empty, talk.log) == talk.state
        assert fold_all(talk.state, talk.log) == talk.state, "an entry that is in changes nothing"

    @invariant()
    def log_is_contiguous_and_sealed(self) -> None:
        log = self.talk.log
        assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
        if self.was_sealed_at is not None:
            assert log[-1].seq == self.was_sealed_at
            assert isinstance(log[-1].fact, CallSummary)
            assert isinstance(log[-2].fact, CallEnded)

    @invariant()
    def nobody_is_answered_twice(self) -> None:
        answered = [id_ for fact in self.talk.facts(TurnEnded) for id_ in fact.answers]
        assert len(answered) == len(set(answered))

    @invariant()
    def bot_never_speaks_while_silent(self) -> None:
        assert not self.spoke_while_silent
        silent = False
        for entry in self.talk.log:
            match entry.fact:
                case HandoffActive() | HandoffRequested():
                    silent = True
                case HandoffReleased():
                    silent = False
                case BotSaid():
                    assert not silent
                case UserSaid() as said:
                    assert said.paused or not silent

    @invariant()
    def turn_is_owed_exactly_while_somebody_is_unanswered(self) -> None:
        talk = self.talk
        if talk.turn is not None:
            assert talk.state.is_open
            assert talk.state.unanswered
            assert talk.turn.phase == "waiting" or set(talk.turn.answers) <= set(talk.state.unanswered)
        elif talk.state.unanswered:
            assert is_silent(talk.state, talk.around), "an answer is owed, and nobody is at it"
            alarm = next_wake(talk.state, talk.around)
            assert alarm is not None, "the alarm clock will settle it"

    @invariant()
    def an_alarm_that_is_due_does_something(self) -> None:
        """Else it would ring again and again."""
        talk = self.talk
        alarm = next_wake(talk.state, talk.around)
        if talk.turn is None and alarm is not None and alarm <= talk.now:
            assert decide(talk.state, None, talk.wake(), talk.around).facts

    @invariant()
    def unanswered_are_the_users_and_neither_answered_nor_forgone(self) -> None:
        said = {fact.id for fact in self.talk.facts(UserSaid) if not fact.paused}
        answered = {id_ for fact in self.talk.facts(TurnEnded) for id_ in fact.answers}
        assert set(self.talk.state.unanswered) <= said - answered

    @invariant()
    def deliveries_name_the_entries_that_asked_for_them(self) -> None:
        for entry in self.talk.log[-6:]:
            if isinstance(entry.fact, BotSaid | HumanSaid) and entry.fact.delivery is not None:
                assert entry.fact.delivery.seq == entry.seq

    @invariant()
    def memory_can_be_read(self) -> None:
        state = self.talk.state
        assert len(state.lines) <= MAX_LINES
        calls: list[str] = []
        for line in lines_for(state, state.unanswered):
            if line.role == "tool":
                assert line.tool_call_id == calls.pop(0)
                continue
            assert not calls, "every tool call is followed by its result"
            calls = [call.id for call in line.tool_calls]
        assert not calls
        assert len(asked(state, state.unanswered)) == len(state.unanswered)

    def teardown(self) -> None:
        """Entries survive stores and streams, and a snapshot anywhere in the log is as good as the log before it."""
        talk = self.talk
        for entry in talk.log:
            assert entry_of(entry.wire()) == entry
            assert fact_from_json(entry.fact.type, fact_json(entry.fact)) == entry.fact
        for cut in {1, len(talk.log) // 2, len(talk.log)}:
            before = fold_all(talk.empty, talk.log[:cut])
            again = CallState.model_validate_json(snapshot_of(before).state)
            assert again == before
            assert fold_all(again, talk.log[cut:]) == talk.state


TestAnyCall = AnyCall.TestCase
TestAnyCall.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
