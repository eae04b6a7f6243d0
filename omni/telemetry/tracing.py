"""Spans of a turn, across processes: what the parts of omni say of themselves, whoever listens.

Off until `install` was called (`omni.telemetry.otel`, and only where OTEL_EXPORTER_OTLP_ENDPOINT is set): then a span
is one shared object that does nothing, and nothing of OpenTelemetry is imported.

Where a piece of work belongs is a W3C `traceparent`, kept in a context variable: a message on the bus takes it along,
and whoever takes the message begins there. Attributes never hold texts, people's numbers or secrets.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final, Literal, Protocol, TypeAlias

Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
Value: TypeAlias = str | int | float | bool
Attributes: TypeAlias = Mapping[str, Value | None]

HEADER: Final = "traceparent"
"""The header's name, in HTTP and on RabbitMQ. Source: W3C Trace Context."""

_FORM: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Recorder(Protocol):
    """A span that is recorded, or counted out by the sampler. `at` is epoch seconds, None is now."""

    @property
    def traceparent(self) -> str: ...

    def put(self, name: str, value: Value) -> None: ...

    def fail(self, reason: str) -> None: ...

    def end(self, at: float | None) -> None: ...


class Tracer(Protocol):
    def begin(
        self, name: str, kind: Kind, parent: str | None, attributes: Attributes, links: Iterable[str], at: float | None
    ) -> Recorder: ...


_here: Final[ContextVar[str | None]] = ContextVar("omni_trace", default=None)
_tracer: Tracer | None = None


def install(tracer: Tracer | None) -> None:
    """Record from now on; None: no more."""
    global _tracer  # noqa: PLW0603 - one process tells of itself to one place
    _tracer = tracer


def is_on() -> bool:
    return _tracer is not None


def here() -> str | None:
    """The `traceparent` of the work that is going on; None where nothing is traced."""
    return _here.get()


def trace_id() -> str | None:
    """The trace's id as people look for it: 32 hex digits."""
    found = _here.get()
    return None if found is None else found[3:35]


def exemplar() -> dict[str, str] | None:
    """For `Histogram.observe`: the trace that an observation came from, where somebody keeps it."""
    found = _here.get()
    return {"trace_id": found[3:35]} if found is not None and found.endswith("1") else None


def known(traceparent: object) -> str | None:
    """A `traceparent` from outside, if it is one."""
    return traceparent if isinstance(traceparent, str) and _FORM.fullmatch(traceparent) else None


class Span:
    """A piece of work. As a context manager it is where the work in it belongs, and ends with it; what it raises is
    its error. Begun with `begin` it is ended by hand."""

    __slots__ = ("_recorder", "_token")

    def __init__(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        self._token: Token[str | None] | None = None

    @property
    def traceparent(self) -> str | None:
        return None if self._recorder is None else self._recorder.traceparent

    def put(self, name: str, value: Value | None) -> None:
        if self._recorder is not None and value is not None:
            self._recorder.put(name, value)

    def fail(self, reason: str) -> None:
        """`reason` is a word or two (`error.type`), never what somebody said."""
        if self._recorder is not None:
            self._recorder.fail(reason)

    def end(self, at: float | None = None) -> None:
        """At `at` (epoch seconds). Again: nothing."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.end(at)

    def __enter__(self) -> Span:
        if self._recorder is not None:
            self._token = _here.set(self._recorder.traceparent)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        token, self._token = self._token, None
        if token is not None:
            _leave(token)
        if self._recorder is not None:
            if kind is not None and not issubclass(kind, GeneratorExit):
                self.fail("cancelled" if issubclass(kind, asyncio.CancelledError) else kind.__name__)
            self.end()


_NOTHING: Final = Span(None)


def begin(
    name: str,
    kind: Kind = "internal",
    *,
    parent: str | None = None,
    root: bool = False,
    attributes: Attributes | None = None,
    links: Iterable[str] = (),
    at: float | None = None,
) -> Span:
    """Under `parent`, or under the work that is going on; with `root` it begins a trace of its own."""
    if _tracer is None:
        return _NOTHING
    under = None if root else parent or _here.get()
    return Span(_tracer.begin(name, kind, under, attributes or {}, links, at))


def goes_on(
    name: str,
    kind: Kind = "internal",
    *,
    parent: str | None = None,
    attributes: Attributes | None = None,
    links: Iterable[str] = (),
) -> Span:
    """As `begin`, but nothing where no trace is going on: what belongs to no turn begins none."""
    if _tracer is None or (parent is None and _here.get() is None):
        return _NOTHING
    return begin(name, kind, parent=parent, attributes=attributes, links=links)


class Within:
    """Work belongs to `traceparent` for as long as it is open; None: to nothing."""

    __slots__ = ("_token", "_where")

    def __init__(self, where: str | None) -> None:
        self._where = where
        self._token: Token[str | None] | None = None

    def __enter__(self) -> None:
        self._token = _here.set(self._where)

    def __exit__(self, *_: object) -> None:
        token, self._token = self._token, None
        if token is not None:
            _leave(token)


def taken(
    name: str, traceparent: str | None, *, attributes: Attributes | None = None, links: Iterable[str] = ()
) -> Span | Within:
    """Work on what came from elsewhere: it belongs where that was sent from, and to nothing that happens to go on
    here."""
    if _tracer is None:
        return _NOTHING
    if traceparent is None:
        return Within(None)
    return begin(name, "consumer", parent=traceparent, attributes=attributes, links=links)


def _leave(token: Token[str | None]) -> None:
    with contextlib.suppress(ValueError):  # closed by another task: the context is gone with the first
        _here.reset(token)
