"""One delivery's way from the queue to the provider.

The record in the store says what is known: `queued` nobody is sending it, `sending` somebody is or died doing so,
`sent` the provider has it. It is claimed after every wait and right before the provider is called, so a reply that
was withdrawn while it waited is not sent; and a claim that finds a predecessor's claim knows that the provider may
have the message already.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from channels.base import Accepted, Action, Adapter, Piece, RefusedError
from omni.bus.base import Bus
from omni.model.contact import STOPPABLE
from omni.model.delivery import (
    Delivery,
    DeliveryError,
    DeliveryState,
    Send,
    accept,
    claim,
    hand_back,
    next_piece,
)
from omni.store.base import Store
from omni.telemetry import tracing
from omni.telemetry.metrics import DELIVERIES, DELIVERY_SECONDS, PROVIDER_SECONDS, UNCLEAR_SENDS
from sessions.state import WINDOW_MARGIN, WINDOW_SECONDS
from workers.clock import Clock
from workers.line import TOKEN_PROBE_EVERY, Channels, DrainingError, HeldError, Line, Lines, Route, pair_of
from workers.pacing import PairRates
from workers.patience import Again, Lost, Patience, error_of, judge
from workers.records import NoRecordError, Records, names_of

log = logging.getLogger(__name__)

T = TypeVar("T")

_LOOK_EVERY = 1.0
"""Seconds between looks at a record whose outcome is unknown."""

_HOLD_LOOK = 30.0
"""Seconds after which a delivery on hold looks at its channel again: the operator may have changed the token."""

_CROWDED_LOOK = 2.0
"""Seconds a delivery that must wait longer stays in hand when others have no room."""


class _LostError(Exception):
    def __init__(self, error: DeliveryError) -> None:
        super().__init__(error.reason)
        self.error = error


@dataclass(slots=True)
class _Attempt:
    """What one delivery's sender remembers between tries.

    `held` is the record while the claim is ours. `may_resend` names the piece that may be sent although it may have
    been sent before: its status was waited for, and did not come. `is_closed`: the provider said that the service
    window is closed, whatever the clock says.
    """

    delivery: Delivery
    closes_at: float | None
    is_crowded: Callable[[], bool]
    held: Delivery | None = None
    may_resend: int | None = None
    is_closed: bool = False
    patience: Patience = field(default_factory=Patience)


class Sender:
    """`settle_wait` is how many seconds to wait for a status that tells an unknown outcome, before sending again."""

    def __init__(
        self,
        *,
        bus: Bus,
        store: Store,
        adapters: Mapping[str, Adapter],
        channels: Channels,
        partitions: int,
        clock: Clock,
        slots: int,
        settle_wait: float,
        probe_every: float = TOKEN_PROBE_EVERY,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.stopping = asyncio.Event()
        self.lines = Lines(slots, clock, probe_every)
        self._store = store
        self._records = Records(bus, store, clock, self.stopping, partitions)
        self._adapters = adapters
        self._channels = channels
        self._clock = clock
        self._settle_wait = settle_wait
        self._draw = draw
        self._pairs = PairRates()

    async def deliver(self, send: Send, *, is_redelivered: bool, is_crowded: Callable[[], bool]) -> Delivery:
        """Send it, or find that nobody should; returns the record when that is written down.

        Raises DrainingError when the worker stops first, HeldError when it has to wait for long while others have no
        room, and whatever a defect raises: then it is still to be sent.
        """
        attempt = _Attempt(send.delivery, send.delivery.window_closes_at, is_crowded)
        try:
            if send.after:
                await self._sleep(send.after - self._clock.now())
            while (done := await self._try(attempt)) is None:
                pass
        except _LostError as lost:
            return await self._records.fail(attempt.delivery, lost.error)
        except BaseException:
            # Nothing is on its way to the provider, or else `held` was given up before: the next one may send at once.
            if attempt.held is not None:
                await self._hand_back(attempt)
            raise
        if is_redelivered and done.state is DeliveryState.FAILED and done.error is not None:
            await self._records.tell_failed(done, done.error)  # a predecessor may have died before it could
        return done

    async def _try(self, attempt: _Attempt) -> Delivery | None:
        """Wait for every gate, then send the next piece; returns the record once nothing is left to do."""
        if self.stopping.is_set():
            raise DrainingError
        delivery = attempt.delivery
        route, adapter = await self._route(delivery)
        line = self.lines.of(route)
        if not line.is_open():
            is_long = line.held_for >= _HOLD_LOOK and attempt.is_crowded()
            if not await line.wait_open(_CROWDED_LOOK if is_long else _HOLD_LOOK) and is_long:
                raise HeldError
            return None
        pair = (route.channel.id, delivery.contact)
        interval, burst = pair_of(route.channel)
        if (wait := self._pairs.wait(pair, interval, burst, self._clock.ticks())) > 0:
            is_long = wait > _CROWDED_LOOK and attempt.is_crowded()
            await self._sleep(_CROWDED_LOOK if is_long else wait)
            if is_long:
                raise HeldError
            return None
        index = -1
        answer: Accepted | RefusedError | None = None
        async with line.turn(self.stopping):
            if not line.is_open() or self._pairs.wait(pair, interval, burst, self._clock.ticks()) > 0:
                return None
            await self._require_consent(route, attempt.delivery)
            pieces = await self._pieces(route, adapter, attempt)
            if attempt.held is None and (done := await self._claim(attempt, len(pieces), route)) is not None:
                return done
            if attempt.held is not None:
                index = next_piece(attempt.held)
                self._pairs.take(pair, interval, self._clock.ticks())
                held, attempt.held = attempt.held, None  # from here to the answer its outcome is unknown
                try:
                    answer = await self._send(route, adapter, held, index, pieces[index])
                except RefusedError as refused:
                    answer = refused
                    attempt.held = None if refused.is_unclear else held
        match answer:
            case Accepted():
                self._pairs.went_well(pair)
                return await self._accepted(attempt, route, index, answer, len(pieces))
            case RefusedError():
                await self._refused(answer, attempt, route, adapter, line, pair)
            case None:
                await self._await_outcome(attempt, self._settle_wait)
        return None

    async def _route(self, delivery: Delivery) -> tuple[Route, Adapter]:
        route = await self._channels.route(delivery.org, delivery.channel, delivery.agent)
        if route is None:
            raise _LostError(
                DeliveryError(
                    code="no_channel",
                    reason=f"the channel {delivery.channel} is not configured (any more): give it to an agent again",
                )
            )
        adapter = self._adapters.get(route.channel.kind)
        if adapter is None:
            raise _LostError(
                DeliveryError(code="no_channel", reason=f"this server cannot send on {route.channel.kind} channels")
            )
        return route, adapter

    async def _require_consent(self, route: Route, delivery: Delivery) -> None:
        """Nothing is sent to somebody who told this kind of channel to stop, whoever wrote it."""
        kind = route.channel.kind
        if kind not in STOPPABLE:
            return
        known = await self._store.find_contacts(delivery.org, delivery.to.identities)
        if any(contact.has_stopped(kind) for contact in known):
            raise _LostError(
                DeliveryError(
                    code="opted_out",
                    reason="the person wrote STOP: nothing may be sent to them until they write START",
                )
            )

    async def _pieces(self, route: Route, adapter: Adapter, attempt: _Attempt) -> Sequence[Piece]:
        """The delivery's pieces, or the template in their place when the service window is closed."""
        delivery = attempt.delivery
        try:
            pieces = adapter.pieces(route.channel, delivery)
            if await self._may_send_freely(attempt) or all(piece.is_template for piece in pieces):
                return pieces
            template = adapter.closed_window_pieces(route.channel, delivery)
        except RefusedError as refused:
            raise _LostError(error_of(refused)) from refused
        if template is None or (attempt.held is not None and next_piece(attempt.held) > 0):
            raise _LostError(
                DeliveryError(
                    code="window_closed",
                    reason="more than 24 hours passed since the person wrote: only a template may be sent",
                )
            )
        return template

    async def _may_send_freely(self, attempt: _Attempt) -> bool:
        if attempt.is_closed:
            return False
        if attempt.closes_at is None or self._clock.now() < attempt.closes_at:
            return True
        call = await self._store.call(attempt.delivery.call)  # the person may have written since
        if call is not None and call.last_user_at:
            attempt.closes_at = max(attempt.closes_at, call.last_user_at + WINDOW_SECONDS - WINDOW_MARGIN)
        return self._clock.now() < attempt.closes_at

    async def _claim(self, attempt: _Attempt, pieces: int, route: Route) -> Delivery | None:
        """Make the record ours (`attempt.held`).

        Returns the record when nothing is left to do, and None without a claim when its outcome is unknown.
        """
        may_resend = attempt.may_resend
        was: Delivery | None = None

        def change(record: Delivery) -> Delivery | None:
            nonlocal was
            was = record
            if record.state is DeliveryState.SENDING and may_resend is None:
                return None
            claimed = claim(record, pieces, self._clock.now())
            if claimed is not None and record.state is DeliveryState.SENDING and next_piece(record) == may_resend:
                claimed = claimed.model_copy(update={"unclear": record.unclear + 1})
            if claimed is not None and (trace := tracing.here()) is not None:
                claimed = claimed.model_copy(update={"trace": trace})
            return claimed

        record = await self._records.change(attempt.delivery.id, change)
        if was is None or record is None:
            raise NoRecordError(f"the store has no record of delivery {attempt.delivery.id}")
        if was.is_settled:
            if was.state is DeliveryState.CANCELLED:
                DELIVERIES.labels(route.channel.kind, was.origin, "cancelled").inc()
            elif may_resend is not None and was.state is not DeliveryState.FAILED:
                DELIVERIES.labels(route.channel.kind, was.origin, "sent").inc()
                log.info("a status told that it was sent", extra=names_of(record))
            return record
        if was.state is DeliveryState.SENDING and may_resend is None:
            return None
        if record.unclear > was.unclear:
            UNCLEAR_SENDS.labels(route.channel.kind).inc()
            log.warning("sent again: whether the provider took it is unknown", extra=names_of(record))
        attempt.may_resend = None
        if record.state is DeliveryState.CANCELLED:
            DELIVERIES.labels(route.channel.kind, was.origin, "cancelled").inc()
            return record
        taken = next_piece(record)
        if taken >= pieces:  # an older release had cut it into more pieces, and they are all sent
            last = record.receipts[taken - 1].provider_id or ""
            return await self._records.change(
                record.id, lambda record: accept(record, taken - 1, last, self._clock.now())
            )
        attempt.held = record
        return None

    async def _send(self, route: Route, adapter: Adapter, held: Delivery, index: int, piece: Piece) -> Accepted:
        started = time.perf_counter()
        outcome = "broken"
        kind = route.channel.kind
        about = {
            "messaging.system": kind,
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.message.id": held.id,
            "omni.piece": index + 1,
            "omni.pieces": held.pieces,
        }
        with tracing.goes_on(f"send {kind}", "client", attributes=about) as span:
            try:
                accepted = await adapter.send(route.channel, held, index, piece)
                outcome = "accepted"
                return accepted
            except RefusedError as refused:
                outcome = "unclear" if refused.is_unclear else refused.action.value
                span.fail(outcome)
                raise
            finally:
                PROVIDER_SECONDS.labels(kind, outcome).observe(time.perf_counter() - started, tracing.exemplar())

    async def _accepted(
        self, attempt: _Attempt, route: Route, index: int, accepted: Accepted, pieces: int
    ) -> Delivery | None:
        now = self._clock.now()
        record = await self._records.change(
            attempt.delivery.id,
            lambda record: accept(record, index, accepted.provider_id, now, segments=accepted.segments),
        )
        if record is None:
            raise NoRecordError(f"the record of delivery {attempt.delivery.id} disappeared while it was sent")
        if accepted.identities:
            log.debug("the provider named %d identities", len(accepted.identities), extra=names_of(record))
        if record.withdrawn and record.state is DeliveryState.SENDING:
            DELIVERIES.labels(route.channel.kind, record.origin, "cancelled").inc()
            return await self._records.change(record.id, lambda record: claim(record, pieces, now))
        if record.state is DeliveryState.SENDING and next_piece(record) < pieces:
            attempt.held = record
            attempt.patience = Patience()
            return None
        kind = route.channel.kind
        DELIVERIES.labels(kind, record.origin, "sent").inc()
        DELIVERY_SECONDS.labels(kind).observe(max(0.0, now - record.created_at), tracing.exemplar())
        return record

    async def _refused(
        self,
        refused: RefusedError,
        attempt: _Attempt,
        route: Route,
        adapter: Adapter,
        line: Line,
        pair: tuple[str, str],
    ) -> None:
        """Do what the refusal asks for, and wait; raises _LostError when the delivery cannot be sent."""
        names = names_of(attempt.delivery)
        log.info("refused (%s): %s", refused.action.value, refused.reason, extra=names)
        ticks = self._clock.ticks()
        match refused.action:
            case Action.SLOW_PAIR:
                self._pairs.slow_down(pair, ticks, refused.retry_after)
            case Action.SLOW_NUMBER:
                line.rate.slow_down(ticks, refused.retry_after)
            case Action.STOP_TOKEN:
                line.token.trip(refused.reason, lambda: self._is_well(route, adapter))
            case Action.STOP_NUMBER:
                line.rate.slow_down(ticks)  # when it goes on, it goes on carefully
                line.number.trip(refused.reason, lambda: self._is_well(route, adapter))
            case Action.WINDOW_CLOSED if not attempt.is_closed:
                attempt.is_closed = True
                if adapter.closed_window_pieces(route.channel, attempt.delivery) is not None:
                    await self._hand_back(attempt)
                    return
            case _:
                pass
        verdict = judge(refused, attempt.patience, self._draw)
        if isinstance(verdict, Lost):
            raise _LostError(verdict.error)
        await self._again(verdict, attempt)

    async def _again(self, verdict: Again, attempt: _Attempt) -> None:
        if attempt.held is None:
            await self._await_outcome(attempt, max(self._settle_wait, verdict.seconds))
            return
        await self._hand_back(attempt)
        await self._sleep(verdict.seconds)

    async def _is_well(self, route: Route, adapter: Adapter) -> bool:
        """Whether sends may go on: the provider answers us, or has nothing to do with us any more."""
        now = await self._channels.route(route.org, route.channel.id, route.agent)
        if now is not None:
            await adapter.probe(now.channel)
        return True

    async def _await_outcome(self, attempt: _Attempt, seconds: float) -> None:
        """Wait for a status that tells what became of a piece; afterwards it may be sent again.

        Ends early when the record says that it arrived.
        """
        until = self._clock.ticks() + seconds
        record = await self._records.get(attempt.delivery.id)
        piece = next_piece(record)
        while not record.is_settled and next_piece(record) == piece:
            left = until - self._clock.ticks()
            if left <= 0:
                break
            await self._sleep(min(left, _LOOK_EVERY))
            record = await self._records.get(attempt.delivery.id)
        attempt.may_resend = piece

    async def _hand_back(self, attempt: _Attempt) -> None:
        """The provider does not have it: the record says so, for a withdrawal, a restart or the next try."""
        now = self._clock.now()
        attempt.held = None
        await self._records.change(attempt.delivery.id, lambda record: hand_back(record, now))

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0 and await self._clock.wait(self.stopping, seconds):
            raise DrainingError
