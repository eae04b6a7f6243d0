"""Which trace a conversation's work belongs to, step by step, where traces are told."""

from __future__ import annotations

from collections.abc import Sequence

from omni.bus.traced import process
from omni.model.inbound import UserMessage
from omni.telemetry import tracing
from sessions.mail import Mail
from sessions.steps import LiveTurn, SpokenTurn


class Journey:
    """Of one conversation. A turn belongs to the trace of the newest message that it answers; so does whatever comes
    of it without a trace of its own: a pause that is over, the words of a connected program."""

    def __init__(self) -> None:
        self._turn: str | None = None
        self._program: tracing.Span | None = None
        self._asked = 0
        self._nowhere = tracing.Within(None)
        """Whoever woke the conversation has a trace of their own."""

    def __enter__(self) -> None:
        self._nowhere.__enter__()

    def __exit__(self, *_: object) -> None:
        self._nowhere.__exit__()
        self.end()

    def step(self, mails: Sequence[Mail]) -> tracing.Span | tracing.Within:
        """Work on mail."""
        if not tracing.is_on():
            return tracing.taken("", None)
        came = [mail.parcel.received for mail in mails if mail.parcel is not None and mail.trace is not None]
        if came:
            step = process(came[-1], came[:-1])
            if isinstance(step, tracing.Span) and any(isinstance(mail.happening, UserMessage) for mail in mails):
                self._turn = step.traceparent
            return step
        reported = [mail.trace for mail in mails if mail.parcel is None and mail.trace is not None]
        if reported and any(isinstance(mail.happening, SpokenTurn) for mail in mails):
            self._turn = reported[-1]
        asked = self._program.traceparent if self._program is not None else None
        return tracing.Within(reported[-1] if reported else asked or self._turn)

    def follow(self, turn: LiveTurn | None, agent: str) -> None:
        """After a step: a turn that a connected program has to answer is a span until it has."""
        if turn is None:
            self._turn = None  # what happens from now on is no part of it
        offered = turn.number if turn is not None and turn.phase == "offered" else 0
        if offered == self._asked:
            return
        self.end()
        if offered and self._turn is not None:
            self._asked = offered
            self._program = tracing.begin(
                f"invoke_agent {agent}",
                "client",
                parent=self._turn,
                attributes={
                    "gen_ai.operation.name": "invoke_agent",
                    "gen_ai.agent.name": agent,
                    "omni.brain": "client",
                    "omni.turn": offered,
                },
            )

    def end(self) -> None:
        """Nothing more is done here."""
        program, self._program, self._asked = self._program, None, 0
        if program is not None:
            program.end()
