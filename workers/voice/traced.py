"""A spoken turn as a trace: from the end of the caller's voice to the first sound of the answer, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omni.telemetry import tracing


@dataclass(frozen=True, slots=True)
class Stage:
    """`began` and `ended` are milliseconds of the pacer's clock."""

    name: str
    began: float
    ended: float


class TurnTraces:
    """Of one call, where traces are told. `now` is in milliseconds of the pacer's clock, `wall` in epoch seconds.

    A turn's span begins with the end of the voice. It may turn out that the caller was not done; the brain that
    thought ahead is below it all the same.
    """

    def __init__(self, now: Callable[[], float], wall: Callable[[], float], call: str, transport: str) -> None:
        self._now = now
        self._wall = wall
        self._call = call
        self._transport = transport
        self._turn: int | None = None
        self._span: tracing.Span | None = None
        self._where: str | None = None

    def begin(self, turn: int, latency_ms: float) -> None:
        """The voice ended so long ago, and the turn with it, or so it seems. Again: nothing."""
        if not tracing.is_on() or self._turn == turn:
            return
        self.end("unheard")
        self._turn = turn
        attributes: dict[str, tracing.Value | None] = {
            "gen_ai.conversation.id": self._call,
            "omni.turn": turn,
            "omni.transport": self._transport,
        }
        self._span = tracing.begin(
            "voice turn", root=True, attributes=attributes, at=self._wall() - max(0.0, latency_ms) / 1000
        )
        self._where = self._span.traceparent

    def within(self, turn: int) -> tracing.Within:
        """What is done in it belongs to the turn."""
        return tracing.Within(self._where if self._turn == turn else None)

    def heard(self, turn: int, stages: Sequence[Stage]) -> None:
        """The answer begins to be heard: the turn is told, with where its time went."""
        if self._turn != turn or self._span is None:
            return
        now, wall = self._now(), self._wall()
        for stage in stages:
            began, ended = (wall - (now - at) / 1000 for at in (stage.began, max(stage.began, stage.ended)))
            tracing.begin(stage.name, parent=self._where, at=began).end(ended)
        self.end("heard")

    def over(self, outcome: str) -> None:
        """The turn was none, or goes on: what comes of it is another one."""
        self.end(outcome)
        self._turn = self._where = None

    def end(self, outcome: str) -> None:
        """Again: nothing."""
        span, self._span = self._span, None
        if span is not None:
            span.put("omni.outcome", outcome)
            span.end(self._wall())
