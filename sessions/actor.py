"""The actor around one conversation's call: it takes inputs one at a time, appends, then performs effects.

It exists while there is something to do and is forgotten afterwards; whatever it knows is in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from omni.bus.base import BusUnavailableError, Outgoing, Received
from omni.model.agent import Agent
from omni.model.call import TRANSPORT_PREFIX, Call
from omni.model.contact import Contact, Identity, Sender
from omni.model.delivery import Delivery, Recipient, Send, pack_outbound
from omni.model.entry import BotSaid, CallStarted, DeliveryLost, Entry, Fact, HandoffRequested, HumanSaid
from omni.model.inbound import FromPerson, PersonNotice, SendMessage, UserMessage
from omni.model.queues import MEDIA, outbound_for
from omni.store.base import (
    Append,
    CallFilter,
    DuplicateInputError,
    Loaded,
    SeqConflictError,
    StoreUnavailableError,
)
from omni.telemetry import metrics
from sessions.decide import decide
from sessions.document import document_of, snapshot_of, state_of
from sessions.fold import fold
from sessions.history import recap_of
from sessions.party import reachable
from sessions.rules.ending import next_wake
from sessions.rules.speech import greet
from sessions.rules.turns import files_came, is_silent, owed_turn, resumed
from sessions.rules.user import media_jobs
from sessions.state import CallState
from sessions.steps import (
    AbortTurn,
    Around,
    BeginTurn,
    Dispatch,
    Effect,
    Fetch,
    Happening,
    LiveTurn,
    Step,
    Tick,
    Withdraw,
)
from sessions.thinking import Thinking
from sessions.world import World

log = logging.getLogger("omni.session")

SNAPSHOT_EVERY = 64
ATTEMPTS = 5
BACKOFF = (0.05, 0.25, 1.0, 3.0)
REMEMBERED_KEYS = 512
MAILS_AT_ONCE = 64
"""A step holds the event loop while it decides; so much mail is a few milliseconds."""


class Kept:
    """Messages in hand only because they are owed an answer, by queue: at most `room` of each queue, so that what
    comes behind them (a person's Pause, above all) still gets through. `is_crowded` says when there is no room for
    more brains at work: then everything is kept, and the bus holds back what follows."""

    def __init__(self, room: int, is_crowded: Callable[[], bool]) -> None:
        self._room = room
        self._is_crowded = is_crowded
        self._count: Counter[str] = Counter()

    def takes(self, queue: str) -> bool:
        if self._count[queue] >= self._room and not self._is_crowded():
            return False
        self._count[queue] += 1
        return True

    def lets_go(self, queue: str) -> None:
        self._count[queue] -= 1


class Parcel:
    """A bus message and how many of its inputs are still to be dealt with; it is acked after the last."""

    __slots__ = ("_is_kept", "_kept", "_left", "_poison", "received")

    def __init__(self, received: Received, count: int, kept: Kept) -> None:
        self.received = received
        self._left = count
        self._kept = kept
        self._is_kept = False
        self._poison: str | None = None

    def keep(self) -> bool:
        """Whether it may stay in hand until its input is answered; if not, the input is done."""
        self._is_kept = self._is_kept or self._kept.takes(self.received.queue)
        return self._is_kept

    def done(self) -> None:
        self._left -= 1
        if self._left > 0:
            return
        self._let_go()
        if self._poison is None:
            self.received.ack()
        else:
            self.received.bury(self._poison)

    def bury(self, error: str) -> None:
        """It is buried once its other inputs are dealt with: until then a crash must bring them back."""
        self._poison = error
        self.done()

    def release(self) -> None:
        self._let_go()
        self.received.release()

    def _let_go(self) -> None:
        if self._is_kept:
            self._is_kept = False
            self._kept.lets_go(self.received.queue)


@dataclass(slots=True)
class Mail:
    """A happening in the mailbox. `accepted` tells whoever posted it whether the call took it."""

    happening: Happening
    parcel: Parcel | None = None
    accepted: asyncio.Future[bool] | None = None
    was_taken: bool = False

    @property
    def key(self) -> str | None:
        return getattr(self.happening, "key", None)

    @property
    def is_redelivered(self) -> bool:
        return self.parcel is not None and self.parcel.received.is_redelivered


@dataclass(slots=True)
class _Work:
    """One step in the making."""

    state: CallState
    turn: LiveTurn | None
    entries: list[Entry] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)


class Conversation:
    """The actor of one (agent, channel, contact). `home` is the routing key of all it does."""

    def __init__(self, world: World, conversation: str, org: str, agent: str, channel: str, home: str) -> None:
        self._world = world
        self.conversation = conversation
        self.home = home
        self._org = org
        self._agent_slug = agent
        self._channel = channel
        self._contact: Contact | None = None
        self._identities: tuple[Identity, ...] = ()
        party = conversation.split("/", 3)[-1]
        self._group = party.removeprefix("group:") if party.startswith("group:") else None
        self._recipient: Recipient | None = None
        self._state: CallState | None = None
        self._snapshot_seq = 0
        self._turn: LiveTurn | None = None
        self._thinking: Thinking | None = None
        self._old_thoughts: set[asyncio.Task[None]] = set()
        self._inbox: deque[Mail] = deque()
        self._new_mail = asyncio.Event()
        self._held: dict[str, list[Parcel]] = {}
        self._let_go = False
        self._wake_at: float | None = None
        self._handled: dict[str, None] = {}
        self._must_recover = False
        self._is_stopping = False
        self.task: asyncio.Task[None] | None = None

    # what the worker sees

    @property
    def call_id(self) -> str | None:
        return self._state.id if self._state is not None else None

    def belongs_to(self, org: str, agent: str) -> bool:
        return (self._org, self._agent_slug) == (org, agent)

    @property
    def is_busy(self) -> bool:
        """True while a brain is at work or mail waits."""
        return bool(self._inbox) or self._turn is not None

    @property
    def is_thinking(self) -> bool:
        return self._turn is not None and self._turn.phase == "generating"

    def post(self, mail: Mail, contact: Contact | None = None, sender: Sender | None = None) -> None:
        """Put mail in the mailbox; the contact is the person as they are by now."""
        if contact is not None and contact is not self._contact:
            self._contact, self._recipient = contact, None
        if sender is not None and sender.identities != self._identities:
            self._identities, self._recipient = sender.identities, None
        self._inbox.append(mail)
        self._new_mail.set()

    async def run(self) -> None:
        """Work until there is nothing left to do."""
        while not self._is_stopping:
            mails = self._due_mail()
            if mails:
                await self._handle(mails)
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
        if self._old_thoughts:
            await asyncio.wait(self._old_thoughts)
        for mail in self._inbox:
            self._refuse(mail)
        self._inbox.clear()
        for parcels in self._held.values():
            for parcel in parcels:
                parcel.release()
        self._held.clear()
        if self._let_go and self._state is not None:
            with contextlib.suppress(StoreUnavailableError):  # then it is woken a minute later
                now = self._world.clock()
                await self._world.store.rest_call(self._state.id, now, was=self._wake_at)

    # the loop

    def _due_mail(self) -> list[Mail]:
        self._new_mail.clear()
        mails = [self._inbox.popleft() for _ in range(min(len(self._inbox), MAILS_AT_ONCE))]
        turn = self._turn
        if not mails and turn is not None and turn.phase == "waiting" and turn.due <= self._world.clock():
            mails.append(Mail(Tick()))
        return mails

    async def _wait(self) -> None:
        turn = self._turn
        timeout = None
        if turn is not None and turn.phase == "waiting":
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
        failures = 0
        repeats: list[Mail] = []
        while True:
            try:
                await self._step(mails)
                for mail in repeats:
                    self._settle(mail)
                    if mail.accepted is not None and not mail.accepted.done():
                        mail.accepted.set_result(True)  # it was our own append whose outcome was unknown
                return
            except SeqConflictError:
                self._start_over("another worker had the call")
            except DuplicateInputError as duplicate:
                again = [mail for mail in mails if mail.key in duplicate.keys]
                mails = [*(mail for mail in mails if mail.key not in duplicate.keys), Mail(Tick())]
                self._note_repeats(again)
                repeats += again
                # Whoever logged it may have died before its effects were out.
                self._state, self._must_recover = None, True
            except (StoreUnavailableError, BusUnavailableError) as error:
                log.warning("a call waits for its engine: %s", error, extra=self._about())
                self._state, self._must_recover = None, True
                await self._world.sleep(BACKOFF[min(failures, len(BACKOFF) - 1)])
                failures += 1
            except Exception as error:
                self._state, self._must_recover = None, True
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
                await self._world.sleep(BACKOFF[min(failures - 1, len(BACKOFF) - 1)])

    def _start_over(self, because: str) -> None:
        """Read the log again, and let a brain at work go: the answer may have been given elsewhere."""
        self._state, self._turn, self._must_recover = None, None, True
        self._abort(because)

    def _note_repeats(self, mails: Sequence[Mail]) -> None:
        for mail in mails:
            metrics.DUPLICATES.labels(self._channel.partition(":")[0]).inc()
            log.info("an input came again and is ignored: %s", mail.key, extra=self._about())

    # one step

    async def _step(self, mails: list[Mail]) -> None:
        fresh, repeats = self._without_repeats(mails)
        if not fresh:
            for mail in repeats:
                self._settle(mail)
            return
        work = await self._load(fresh)
        around: Around | None = None
        rest: list[Mail] = []
        for place, mail in enumerate(fresh):
            if work is not None and not work.state.is_open:
                fresh, rest = fresh[:place], fresh[place:]  # the call ended before these: they may open the next one
                break
            if work is None:
                work = await self._begin_call(mail)
                if work is None:
                    continue
            around = self._around(work.state)
            step = decide(work.state, work.turn, mail.happening, around)
            self._take(work, step, around)
            mail.was_taken = bool(step.facts)
            if mail.was_taken and mail.key is not None:
                work.keys.append(mail.key)
        if work is not None and around is not None:
            if work.turn is None:
                work.turn = owed_turn(work.state, around)
            if work.turn is not None and work.turn.phase == "waiting" and work.turn.due <= around.now:
                self._take(work, decide(work.state, work.turn, Tick(), around), around)
            await self._commit(work, around.agent)
            await self._perform(work)
            self._remember(work.keys)
        self._must_recover = False
        for mail in repeats:  # not before: a step that fails is done again with all of its mail
            self._settle(mail)
        for mail in fresh:
            self._settle(mail)
            if mail.accepted is not None and not mail.accepted.done():
                mail.accepted.set_result(mail.was_taken)
        self._release_answered()
        self._inbox.extendleft(reversed(rest))

    def _without_repeats(self, mails: list[Mail]) -> tuple[list[Mail], list[Mail]]:
        """Set aside inputs this actor has just dealt with: cheaper than asking the store, which has the last word.

        One that the bus delivers again is asked about: meanwhile another worker may have had this call.
        """
        fresh: list[Mail] = []
        repeats: list[Mail] = []
        batch: set[str] = set()
        for mail in mails:
            key = mail.key
            if key is not None and (key in batch or (key in self._handled and not mail.is_redelivered)):
                self._note_repeats([mail])
                repeats.append(mail)
                continue
            if key is not None:
                batch.add(key)
            fresh.append(mail)
        return fresh, repeats

    def _remember(self, keys: Sequence[str]) -> None:
        """These inputs are in the log and their effects are out."""
        for key in keys:
            self._handled[key] = None
        while len(self._handled) > REMEMBERED_KEYS:
            del self._handled[next(iter(self._handled))]

    def _take(self, work: _Work, step: Step, around: Around) -> None:
        for fact in step.facts:
            entry = Entry(seq=work.state.seq + 1, ts=around.now, call=work.state.id, agent=work.state.agent, fact=fact)
            work.entries.append(entry)
            work.state = fold(work.state, entry)
        work.effects += step.effects
        work.deliveries += step.asked
        work.turn = files_came(work.state, step.turn, around.now)

    async def _load(self, mails: Sequence[Mail]) -> _Work | None:
        """The call as it is: from memory, or from the log (and then what a dead worker left undone is done)."""
        if self._state is not None and self._state.is_open:
            return _Work(self._state, self._turn)
        self._state = None
        loaded = await self._world.store.open_call(self.conversation)
        if loaded is None:
            self._abort("the call has ended")
            self._turn = None
            return None
        state = state_of(loaded)
        self._snapshot_seq = loaded.snapshot.seq if loaded.snapshot is not None else 0
        if self._contact is None or self._contact.id != state.contact:
            self._contact = await self._world.store.contact(state.contact) or self._contact
            self._recipient = None
        if not state.is_open or state.seq == 0:
            await self._bury_husk(loaded, state)
            return None
        work = _Work(state, self._turn if self._thinking is not None or not self.is_thinking else None)
        around = self._around(state)
        if loaded.entries and loaded.entries[-1].seq > loaded.call.last_seq:
            await self._repair(loaded, state, around.agent)
        if self._must_recover or any(mail.is_redelivered for mail in mails):
            self._must_recover = True
            self._recover(work, loaded, around)
        work.turn = resumed(state, work.turn, around)
        return work

    async def _bury_husk(self, loaded: Loaded, state: CallState) -> None:
        """The log says that the call is over (or never began), the document not yet: let the document follow."""
        now = self._world.clock()
        ended = state.model_copy(update={"ended_at": state.ended_at or now, "reason": state.reason or "lost"})
        await self._world.store.save_call(document_of(ended, None))

    async def _repair(self, loaded: Loaded, state: CallState, agent: Agent) -> None:
        """A worker died between the log and what follows from it: write the document and the missing deliveries."""
        late = [e.fact for e in loaded.entries if e.seq > loaded.call.last_seq]
        deliveries = [f.delivery for f in late if isinstance(f, BotSaid | HumanSaid) and f.delivery is not None]
        wake_at = next_wake(state, agent, None, self._world.clock())
        await self._world.store.save_call(document_of(state, wake_at), deliveries)
        await self._publish([self._dispatch(delivery) for delivery in deliveries])

    def _recover(self, work: _Work, loaded: Loaded, around: Around) -> None:
        """An input came back, so its worker may have died between the log and the bus: hand everything over again.
        The delivery worker knows what was sent, and the media worker's answers act once."""
        if is_silent(work.state, around):
            work.effects.append(Withdraw())
        work.effects += [Dispatch(delivery) for delivery in loaded.unsent]
        awaited = {a.message_id for a in work.state.awaited}
        for line in work.state.lines:
            if line.ref in awaited and line.content is not None:
                work.effects += media_jobs(work.state, around, line.ref, line.content)

    async def _begin_call(self, mail: Mail) -> _Work | None:
        """A new call, when the happening may open one."""
        happening = mail.happening
        opens = isinstance(happening, FromPerson | SendMessage) or (
            isinstance(happening, PersonNotice) and happening.opens_window
        )
        agent = self._world.agents.get(self._org, self._agent_slug)
        if not opens or self._contact is None or agent is None:
            return None
        transport = self._channel.partition(":")[0]
        state = CallState(
            id=self._world.new_call_id(TRANSPORT_PREFIX.get(transport, transport)),
            org=self._org,
            agent=self._agent_slug,
            channel=self._channel,
            transport=transport,
            conversation=self.conversation,
            contact=self._contact.id,
            home=self.home,
        )
        earlier = await self._world.store.last_call(self.conversation)
        is_inbound = not isinstance(happening, SendMessage)
        person = self._contact.identities[-1].value if self._contact.identities else self._contact.id
        business = self._channel.partition(":")[2] or self._agent_slug
        started = CallStarted.model_validate(
            {
                "direction": "inbound" if is_inbound else "outbound",
                "from": person if is_inbound else business,
                "to": business if is_inbound else person,
                "channel": self._channel,
                "contact": self._contact.id,
                "name": self._contact.name,
                "last_user_at": max(earlier.last_user_at if earlier else 0, self._wrote_at(happening)),
                "recap": await self._recap(agent, earlier),
                "metadata": {"group": self._group} if self._group else {},
            }
        )
        work = _Work(state, None)
        self._snapshot_seq = 0
        around = self._around(state)
        self._take(work, Step((started,)), around)
        greets = isinstance(happening, UserMessage) and happening.mode == "live" and not is_silent(work.state, around)
        if agent.greeting and greets:
            self._take(work, greet(work.state, self._world.render(agent.greeting, agent.vars), around), around)
        return work

    def _wrote_at(self, happening: Happening) -> float:
        """When the user wrote what opens this call: the greeting, too, is sent in the window that it opens."""
        return min(happening.sent_at, self._world.clock()) if isinstance(happening, UserMessage) else 0

    async def _recap(self, agent: Agent, earlier: Call | None) -> str | None:
        if agent.history == "none":
            return None
        if agent.history == "all_channels" and self._contact is not None and self._group is None:
            where = CallFilter(org=self._org, agent=self._agent_slug, contact=self._contact.id)
            found = await self._world.store.calls(where, limit=1)
            earlier = found[0] if found else None
        if earlier is None:
            return None
        loaded = await self._world.store.load_call(earlier.id)
        return recap_of(state_of(loaded)) if loaded is not None else None

    def _around(self, state: CallState) -> Around:
        agent = self._world.agents.get(state.org, state.agent)
        if agent is None:
            agent = Agent(slug=state.agent, org=state.org, brain="script", is_paused=True)
        contact = self._contact or Contact(id=state.contact, org=state.org, home=state.home, identities=())
        if self._recipient is None:
            self._recipient = Recipient(
                identities=reachable(self._identities, contact),
                group=self._group,
                identity_hash=contact.identity_hash,
                name=contact.name,
            )
        return Around(
            now=self._world.clock(),
            agent=agent,
            contact=contact,
            new_id=self._world.new_id,
            recipient=self._recipient,
        )

    async def _commit(self, work: _Work, agent: Agent) -> None:
        if work.entries:
            wake_at = next_wake(work.state, agent, work.turn, self._world.clock())
            is_long = work.state.seq - self._snapshot_seq >= SNAPSHOT_EVERY
            await self._world.store.append(
                Append(
                    call=document_of(work.state, wake_at),
                    entries=work.entries,
                    keys=work.keys,
                    deliveries=work.deliveries,
                    snapshot=snapshot_of(work.state) if is_long else None,
                )
            )
            self._wake_at = wake_at
            if is_long:
                self._snapshot_seq = work.state.seq
            self._tell(work)
        self._state = work.state if work.state.is_open else None
        self._turn = work.turn if work.state.is_open else None

    def _tell(self, work: _Work) -> None:
        for entry in work.entries:
            fact: Fact = entry.fact
            if isinstance(fact, HandoffRequested):
                metrics.HANDOVERS.labels(fact.by).inc()
            elif isinstance(fact, DeliveryLost):
                log.warning("a delivery failed: %s", fact.reason, extra=self._about(work.state))

    # effects

    async def _perform(self, work: _Work) -> None:
        """Run the effects of entries that are in the log. They may run twice, never not at all: whatever waits for an
        engine here keeps its inputs unacknowledged."""
        outgoing: list[Outgoing] = []
        for effect in work.effects:
            match effect:
                case AbortTurn():
                    self._abort(effect.because)
                case Withdraw():
                    await self._insist(
                        lambda: self._world.store.cancel_deliveries(call=work.state.id, now=self._world.clock())
                    )
                case Dispatch():
                    outgoing.append(self._dispatch(effect.delivery))
                case Fetch():
                    id_ = f"{effect.job.message_id}:{effect.job.part}"
                    outgoing.append(Outgoing(MEDIA.name, effect.job.model_dump_json().encode(), id_))
                case BeginTurn():
                    pass
        await self._publish(outgoing)
        begun = [effect.turn for effect in work.effects if isinstance(effect, BeginTurn)]
        if begun and self._turn == begun[-1]:
            self._begin(work.state, begun[-1])
        elif self._turn is None or self._turn.phase == "waiting":
            self._abort("the call went on")

    def _dispatch(self, delivery: Delivery) -> Outgoing:
        queue = outbound_for(self.home, self._world.partitions)
        return Outgoing(queue.name, pack_outbound(Send(delivery=delivery)), delivery.id)

    async def _publish(self, outgoing: Sequence[Outgoing]) -> None:
        if outgoing:
            await self._insist(lambda: self._world.bus.publish(outgoing))

    async def _insist(self, act: Callable[[], Coroutine[Any, Any, object]]) -> None:
        failures = 0
        while True:
            try:
                await act()
                return
            except (StoreUnavailableError, BusUnavailableError) as error:
                log.warning("a call waits for its engine: %s", error, extra=self._about())
                await self._world.sleep(BACKOFF[min(failures, len(BACKOFF) - 1)])
                failures += 1

    def _begin(self, state: CallState, turn: LiveTurn) -> None:
        self._abort("a newer turn began")
        around = self._around(state)
        self._thinking = Thinking(self._world, state, turn, around.agent, self._report)
        self._thinking.start()

    def _abort(self, because: str) -> None:
        thinking, self._thinking = self._thinking, None
        if thinking is None:
            return
        stale = [mail for mail in self._inbox if thinking.said(mail.key)]
        for mail in stale:  # the next turn may have the same number
            self._inbox.remove(mail)
            self._refuse(mail)
        task = thinking.cancel(because)
        if task is not None:
            self._old_thoughts.add(task)
            task.add_done_callback(self._old_thoughts.discard)

    def _report(self, happening: Happening, accepted: asyncio.Future[bool] | None = None) -> None:
        self._inbox.append(Mail(happening, accepted=accepted))
        self._new_mail.set()

    # settling

    def _settle(self, mail: Mail) -> None:
        """The input is in the log and its effects are out; a message that is still owed an answer stays in hand, so
        that another worker gets it if we die before answering."""
        if mail.parcel is None:
            return
        owed = self._owed(mail.happening)
        if owed is None:
            mail.parcel.done()
        elif mail.parcel.keep():
            self._held.setdefault(owed, []).append(mail.parcel)
        else:
            self._let_go = True  # if we die, the call's alarm clock brings it back instead of the bus
            mail.parcel.done()

    def _owed(self, happening: Happening) -> str | None:
        if self._state is None or not isinstance(happening, UserMessage):
            return None
        id_ = self._state.message_id(happening.provider_id)
        return id_ if id_ in self._state.unanswered else None

    def _release_answered(self) -> None:
        if self._turn is None:
            self._let_go = False
        if not self._held:
            return
        is_owed = self._state is not None and self._turn is not None
        owed = frozenset(self._state.unanswered) if self._state is not None and is_owed else frozenset[str]()
        for id_ in [id_ for id_ in self._held if id_ not in owed]:
            for parcel in self._held.pop(id_):
                parcel.done()

    def _refuse(self, mail: Mail) -> None:
        if mail.parcel is not None:
            mail.parcel.release()
        if mail.accepted is not None and not mail.accepted.done():
            mail.accepted.cancel()

    def _bury(self, mail: Mail, error: Exception) -> None:
        """Give up on an input; with a brain's report, on the messages it answers. A replay starts from the log."""
        reason = f"{type(error).__name__}: {error}"[:2000]
        if mail.accepted is not None and not mail.accepted.done():
            mail.accepted.set_result(False)
        if mail.parcel is not None:
            mail.parcel.bury(reason)
            return
        self._abort("its report could not be handled")
        self._turn = None
        self._handled.clear()  # the messages may come back: then the log says that they are still owed an answer
        for parcels in self._held.values():
            for parcel in parcels:
                parcel.bury(reason)
        self._held.clear()

    def _about(self, state: CallState | None = None) -> dict[str, str]:
        about = {"conversation": self.conversation, "agent": self._agent_slug}
        known = state or self._state
        return {**about, "call": known.id} if known is not None else about
