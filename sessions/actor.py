"""The actor around one conversation's call: it takes its mail in order, appends, then performs effects.

It exists while there is something to do and is forgotten afterwards; whatever it knows is in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from omni.bus.base import BusUnavailableError
from omni.live.told import Offer
from omni.model.contact import Contact, Sender
from omni.model.entry import DeliveryLost, HandoffRequested
from omni.model.inbound import GoneElsewhere, UserMessage, Wake
from omni.store.base import DuplicateInputError, SeqConflictError, StoreUnavailableError
from omni.telemetry import metrics
from sessions.asks import Asks
from sessions.atwork import AtWork, BrainAtWork
from sessions.batch import Batch
from sessions.decide import decide
from sessions.journey import Journey
from sessions.mail import InHand, Mail
from sessions.opening import NoAgentError, open_call
from sessions.outbox import Outbox
from sessions.party import Party
from sessions.place import Place
from sessions.recovery import Recovery
from sessions.repeats import Handled
from sessions.rules.ending import next_wake
from sessions.rules.turns import owed_turn, resumed
from sessions.state import CallState
from sessions.steps import AbortTurn, Around, BeginTurn, CallCame, Happening, LiveTurn, OfferAgain, Signalled, Tick
from sessions.telling import Telling
from sessions.voice import Voice
from sessions.webhooks.events import has_events
from sessions.world import World

log = logging.getLogger("omni.session")

SNAPSHOT_EVERY = 64
ATTEMPTS = 5
MAILS_AT_ONCE = 64
"""A step holds the event loop while it decides; so much mail is a few milliseconds."""


class Conversation:
    """The actor of one place: its mailbox, its call as it is now, and the brain at work on it."""

    def __init__(self, world: World, place: Place, voice: Voice | None = None) -> None:
        """`voice` is what a call with sound is heard and spoken through."""
        self._world = world
        self._voice = voice
        self.place = place
        self._party = Party(world, place)
        self._outbox = Outbox(world, place)
        self._state: CallState | None = None
        self._snapshot_seq = 0
        self._wake_at: float | None = None
        self._turn: LiveTurn | None = None
        self._telling = Telling(world, place)
        self._asks = Asks(world, self._party)
        self._recovery = Recovery(world, place, self._party, self._outbox)
        self._brain: AtWork = BrainAtWork(world, self._telling) if voice is None else voice.at_work(self._telling)
        self._inbox: deque[Mail] = deque()
        self._new_mail = asyncio.Event()
        self._in_hand = InHand()
        self._handled = Handled(place)
        self._journey = Journey()
        self._is_stopping = False
        self.task: asyncio.Task[None] | None = None

    # what the worker sees

    @property
    def call_id(self) -> str | None:
        return self._state.id if self._state is not None else None

    @property
    def is_busy(self) -> bool:
        """True while a brain is at work or mail waits."""
        return bool(self._inbox) or self._turn is not None

    @property
    def waiting(self) -> int:
        """How much mail waits."""
        return len(self._inbox)

    @property
    def waits_for_program(self) -> bool:
        """True when only a connected program can bring it on."""
        return not self._inbox and self._turn is not None and self._turn.phase == "offered"

    def look(self) -> tuple[CallState, Around] | None:
        """The open call as it is now, where it is in memory."""
        return None if self._state is None else (self._state, self._party.around(self._state))

    async def keep(self) -> None:
        """Say in the store that the open call is in good hands. Raises StoreError."""
        if self._state is not None:
            wake_at = next_wake(self._state, self._party.around(self._state))
            if await self._world.store.rest_call(self._state.id, wake_at, was=self._wake_at):
                self._wake_at = wake_at

    def post(self, mail: Mail, contact: Contact | None = None, sender: Sender | None = None) -> None:
        """Put mail in the mailbox; the contact is the person as they are by now."""
        self._party.meet(contact, sender)
        self._inbox.append(mail)
        self._new_mail.set()

    async def run(self) -> None:
        """Work until there is nothing left to do."""
        with self._journey:
            while not self._is_stopping:
                mails = self._due_mail()
                if mails:
                    with self._journey.step(mails):
                        await self._handle(mails)
                    self._journey.follow(self._turn, self.place.agent)
                elif self._turn is None:
                    return
                else:
                    await self._wait()

    async def stop(self) -> None:
        """Cut the brain and hand everything back that is not in the log and on the bus yet."""
        self._is_stopping = True
        self._new_mail.set()
        self._abort("the server stops")
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
        await self._brain.come_to_rest()
        for mail in self._inbox:
            mail.refuse()
        self._inbox.clear()
        self._in_hand.release()
        if self._in_hand.leans_on_wake and self._state is not None:
            with contextlib.suppress(StoreUnavailableError):  # then it is woken a minute later
                now = self._world.clock()
                await self._world.store.rest_call(self._state.id, now, was=self._wake_at)

    # the loop

    def _due_mail(self) -> list[Mail]:
        self._new_mail.clear()
        mails = [self._inbox.popleft() for _ in range(min(len(self._inbox), MAILS_AT_ONCE))]
        turn = self._turn
        if not mails and turn is not None and turn.phase != "generating" and turn.due <= self._world.clock():
            mails.append(Mail(Tick()))
        return mails

    async def _wait(self) -> None:
        turn = self._turn
        timeout = None
        if turn is not None and turn.phase != "generating":
            timeout = max(0.0, turn.due - self._world.clock())
        try:
            async with asyncio.timeout(timeout):
                await self._new_mail.wait()
        except TimeoutError:
            now = self._world.clock()
            if turn is not None and turn is self._turn and turn.due > now:  # the clock was set back meanwhile
                self._turn = replace(turn, due=now, first_at=turn.first_at - (turn.due - now))

    async def _handle(self, mails: list[Mail]) -> None:
        """Deal with mail whatever happens: wait for a store that is away, decide again after a conflict, and give a
        message that makes us fail again and again to the dead letters."""
        failures = conflicts = 0
        repeats: list[Mail] = []
        while True:
            try:
                await self._step(mails)
                await self._asks.answer_again(repeats, self._state)
                for mail in repeats:
                    self._settle(mail)
                    mail.tell(True)  # it was our own append whose outcome was unknown
                return
            except SeqConflictError:
                self._start_over("another worker had the call")
                if (conflicts := conflicts + 1) > 1:  # once is a race that was lost, more is two workers at one call
                    await self._world.back_off(conflicts - 2)
            except DuplicateInputError as duplicate:
                again = [mail for mail in mails if mail.key in duplicate.keys]
                mails = [*(mail for mail in mails if mail.key not in duplicate.keys), Mail(Tick())]
                self._handled.note(again, self.call_id)
                repeats += again
                # Whoever logged it may have died before its effects were out.
                self._state, self._recovery.is_due = None, True
            except (StoreUnavailableError, BusUnavailableError) as error:
                log.warning("a call waits for its engine: %s", error, extra=self._about())
                self._state, self._recovery.is_due = None, True
                await self._world.back_off(failures)
                failures += 1
            except Exception as error:
                self._state, self._recovery.is_due = None, True
                if len(mails) > 1:
                    for mail in mails:
                        await self._handle([mail])
                    mails = [Mail(Tick())]
                    continue
                failures += 1
                if failures >= ATTEMPTS:
                    log.exception("an input failed %d times and is buried", failures, extra=self._about())
                    for mail in (mails[0], *repeats):
                        self._bury(mail, error)
                    return
                log.warning("an input failed and is tried again: %r", error, extra=self._about())
                await self._world.back_off(failures - 1)

    def _start_over(self, because: str) -> None:
        """Read the log again, and let a brain at work go: the answer may have been given elsewhere."""
        self._state, self._turn, self._recovery.is_due = None, None, True
        self._abort(because)

    # one step

    async def _step(self, mails: list[Mail]) -> None:
        fresh, repeats = self._handled.set_apart(mails, self.call_id)
        if not fresh:
            for mail in repeats:
                self._settle(mail)
            return
        writes = self._voice is None and self.place.group is None
        await self._party.look_aside(
            self.place, hears=writes and any(isinstance(mail.happening, UserMessage) for mail in fresh)
        )
        batch = await self._load(fresh)
        await self._recovery.look_back(batch.state if batch is not None else None, fresh)
        around: Around | None = None
        rest: list[Mail] = []
        for count, mail in enumerate(fresh):
            if batch is not None and not batch.state.is_open:
                fresh, rest = fresh[:count], fresh[count:]  # the call ended before these: they may open the next one
                break
            if batch is None:
                try:
                    batch = await open_call(self._world, self.place, self._party, mail.happening)
                except NoAgentError as error:
                    self._give_up(mail, str(error))
                if batch is None:
                    continue
                self._snapshot_seq = 0
            around = self._party.around(batch.state)
            step = decide(batch.state, batch.turn, mail.happening, around)
            batch.take(step, around)
            if isinstance(mail.happening, Signalled):
                batch.told.append(mail.happening.signal)
            mail.was_taken = bool(step.facts)
            if mail.was_taken and mail.key is not None:
                batch.keys.append(mail.key)
        if batch is not None and around is not None:
            around = self._party.around(batch.state)  # the last of the mail may have changed how the agent answers
            if batch.turn is None:
                batch.turn = owed_turn(batch.state, around)
            if batch.turn is not None and batch.turn.phase != "generating" and batch.turn.due <= around.now:
                batch.take(decide(batch.state, batch.turn, Tick(), around), around)
            await self._commit(batch)
            if batch.state.is_open and any(isinstance(mail.happening, GoneElsewhere) for mail in fresh):
                await self._party.recall(batch.state.contact)
            self._note_ages(fresh)
            await self._perform(batch)
            if not batch.entries:
                await self._rest(batch, fresh)
            self._brain.bring(fresh, batch.state.id)
            self._handled.remember(batch.keys)
        elif batch is None and self._voice is not None and (self._voice.has_begun or _opens(fresh)):
            self._voice.lost()
        self._recovery.is_due = False
        await self._asks.answer_again(repeats, self._state)
        for mail in repeats:  # not before: a step that fails is done again with all of its mail
            self._settle(mail)
        for mail in fresh:
            await self._asks.dismiss(mail, batch.state.id if batch is not None else None)
            self._settle(mail)
            mail.tell(mail.was_taken)
        is_owed = self._state is not None and self._turn is not None
        self._in_hand.settle_all_but(self._state.unanswered if self._state is not None and is_owed else ())
        self._inbox.extendleft(reversed(rest))

    async def _load(self, mails: Sequence[Mail]) -> Batch | None:
        """The call as it is: from memory, or from the log (and then what a dead worker left undone is done)."""
        if self._state is not None and self._state.is_open:
            return Batch(self._state, self._turn)
        self._state = None
        found = await self._recovery.read()
        if found is not None and self._voice is not None and found.state.id != self._voice.id:
            found = None  # the person's next call, which is not ours
        if found is None:
            self._abort("the call has ended")
            self._turn = None
            return None
        self._snapshot_seq = found.snapshot_seq
        if found.is_husk:
            return None
        is_cut = (
            self._turn is not None
            and self._turn.phase == "generating"
            and not self._brain.is_on(self._turn)  # a defect came in between
        )
        batch = Batch(found.state, resumed(found.state, None if is_cut else self._turn, found.around))
        batch.effects += self._recovery.left_undone(found, mails)
        return batch

    async def _commit(self, batch: Batch) -> None:
        state = batch.state
        if batch.entries:
            wake_at = next_wake(state, self._party.around(state))
            is_long = state.seq - self._snapshot_seq >= SNAPSHOT_EVERY
            batch.tells = self._world.is_heard(state.org, state.agent) and has_events(batch.entries)
            await self._world.store.append(batch.as_append(wake_at, with_snapshot=is_long))
            self._wake_at = wake_at
            if is_long:
                self._snapshot_seq = state.seq
            self._tell(batch)
        self._state = state if state.is_open else None
        self._turn = batch.turn if state.is_open else None

    async def _rest(self, batch: Batch, mails: Sequence[Mail]) -> None:
        """An alarm that changed nothing (the agent's idle time was made longer, a brain is at work) is set anew: else
        it rings every minute."""
        for mail in mails:
            if isinstance(mail.happening, Wake) and mail.happening.claimed is not None:
                wake_at = next_wake(batch.state, self._party.around(batch.state))
                if await self._world.store.rest_call(batch.state.id, wake_at, was=mail.happening.claimed):
                    self._wake_at = wake_at

    def _note_ages(self, mails: Sequence[Mail]) -> None:
        """How late messages were acted on: what an operator watches, and what puts webhooks off when all are late."""
        now = self._world.clock()
        for mail in mails:
            if isinstance(mail.happening, UserMessage):
                age = max(0.0, now - mail.happening.at)
                metrics.INPUT_AGE_SECONDS.labels(mail.happening.type).observe(age)
                if not mail.is_redelivered:
                    self._world.lateness.note(age, now)

    def _tell(self, batch: Batch) -> None:
        for entry in batch.entries:
            fact = entry.fact
            if isinstance(fact, HandoffRequested):
                metrics.HANDOVERS.labels(fact.by).inc()
            elif isinstance(fact, DeliveryLost):
                log.warning("a delivery failed: %s", fact.reason, extra=self.place.about(batch.state.id))

    # effects

    async def _perform(self, batch: Batch) -> None:
        """Cut the brain, let go out what goes out, tell of it, and only then put a new turn to a brain."""
        for effect in batch.effects:
            if isinstance(effect, AbortTurn):
                self._abort(effect.because)
        if self._voice is not None:  # it hears of it first: a caller must not wait for whoever looks on
            self._voice.follow(batch.state, batch.entries, batch.effects)
        await self._outbox.run(batch.state.id, batch.effects, tells=batch.tells)
        await self._tell_of(batch)
        begun = [effect.turn for effect in batch.effects if isinstance(effect, BeginTurn)]
        turn = self._turn  # what was said of it in the same step may have been heard already
        if begun and turn is not None and replace(turn, has_spoken=begun[-1].has_spoken) == begun[-1]:
            self._begin(batch.state, turn)
        elif self._turn is None or self._turn.phase != "generating":
            self._abort("the call went on")

    async def _tell_of(self, batch: Batch) -> None:
        """Whoever looks on hears of what is in the log; whoever asked, what came of it."""
        if batch.told:
            await self._telling.news(batch.state, batch.told, self._party.around(batch.state))
        turn = self._turn
        if turn is not None and turn.phase == "offered" and OfferAgain(turn.number) in batch.effects:
            await self._telling.signal(batch.state, Offer(turn=turn.number))
        await self._asks.answer(batch.replies)

    def _begin(self, state: CallState, turn: LiveTurn) -> None:
        self._abort("a newer turn began")

        def look() -> tuple[CallState, Around]:
            now = self._state if self._state is not None and self._state.id == state.id else state
            return now, self._party.around(now)

        self._brain.begin(state, turn, look, self._report)

    def _abort(self, because: str) -> None:
        """Cut the brain; its reports that wait here are no longer read: the next turn may have the same number."""
        thinking = self._brain.cut(because)
        if thinking is None:
            return
        for mail in [mail for mail in self._inbox if thinking.said(mail.key)]:
            self._inbox.remove(mail)
            mail.refuse()

    def _report(self, happening: Happening, accepted: asyncio.Future[bool] | None = None) -> None:
        self._inbox.append(Mail(happening, accepted=accepted))
        self._new_mail.set()

    # settling

    def _settle(self, mail: Mail) -> None:
        """The input is in the log and its effects are out."""
        if mail.parcel is None:
            return
        owed = self._owed(mail.happening)
        if owed is None:
            mail.parcel.done()
        else:
            self._in_hand.keep(owed, mail.parcel)

    def _owed(self, happening: Happening) -> str | None:
        """The id of a user's message that still waits for its answer."""
        if self._state is None or not isinstance(happening, UserMessage):
            return None
        id_ = self._state.message_id(happening.provider_id)
        return id_ if id_ in self._state.unanswered else None

    def _bury(self, mail: Mail, error: Exception) -> None:
        """Give up on an input; with a brain's report, on the messages it answers. A replay starts from the log."""
        reason = f"{type(error).__name__}: {error}"[:2000]
        mail.tell(False)
        if mail.parcel is not None:
            self._give_up(mail, reason)
            return
        self._abort("its report could not be handled")
        self._turn = None
        self._handled.forget()  # the messages may come back: then the log says that they are still owed an answer
        self._in_hand.bury(reason)

    def _give_up(self, mail: Mail, reason: str) -> None:
        parcel, mail.parcel = mail.parcel, None
        if parcel is not None:
            log.error("an input is a dead letter now: %s", reason, extra=self._about())
            parcel.bury(reason)

    def _about(self) -> dict[str, str]:
        return self.place.about(self.call_id)


def _opens(mails: Sequence[Mail]) -> bool:
    """Whether a call with sound was to begin with these."""
    return any(isinstance(mail.happening, CallCame) for mail in mails)
