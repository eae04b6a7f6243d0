"""What every test gets: real services in a corner of their own, and nothing left running behind.

* `rabbitmq_url`, `rabbitmq_prefix`: the broker, and a name prefix of this test's own. Queues and exchanges that this
  process declares under the prefix are deleted after the test.
* `mongo_url`: a URL with a database of this test's own (`mongodb://host/omni_test_...`), dropped after the test.
* `loop_lag`: how long the event loop was held up while the test ran.
* Every coroutine test fails when it leaves a task pending, or an exception that nobody took (`_nothing_left_behind`).
  A socket, session or loop that is not closed fails it too: it is a ResourceWarning, and warnings are errors here.

A missing service skips its tests with a loud line. In CI it fails them; only MongoDB may be missing, where neither a
`mongod` nor the stand-in for one runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import itertools
import json
import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aio_pika
import aiormq
import hypothesis
import pymongo
import pytest
import services

# Timings are never assertions: a busy machine generates inputs slowly, and that is no fault of what is tested.
hypothesis.settings.register_profile("omni", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("omni")

ROOT = Path(__file__).resolve().parent.parent
GRACE_SECONDS = 0.25  # for tasks that are already on their way out when a test returns


# --- services ---------------------------------------------------------------------------------------------------------


@functools.cache
def _missing(service: str) -> str:
    """The sentence that says why a service is not there; empty when it answers."""
    there = (
        services.speaks_amqp(services.RABBITMQ_URL)
        if service == "RabbitMQ"
        else services.speaks_mongodb(services.MONGO_URL)
    )
    return "" if there else (_reported(service).get("missing") or "it does not run; try `make services`")


def _reported(service: str) -> dict[str, Any]:
    """What `make services` wrote down about a service."""
    with contextlib.suppress(OSError, ValueError):
        return next(row for row in json.loads(services.STATUS.read_text()) if row["name"] == service)
    return {}


def _need(service: str) -> None:
    why = _missing(service)
    if not why:
        return
    sentence = f"{service} is missing: {why}"
    if services.IN_CI and not _reported(service).get("excused"):
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: most tests wait for other processes and for the clock, and two of them share a core well."""
    return min(2 * (os.cpu_count() or 1), 16)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by the services their fixtures need, so that `-m "not mongodb"` needs nobody's help."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "rabbitmq_url" in names:
            item.add_marker("rabbitmq")
        if "mongo_url" in names or "mongo_server_url" in names:
            item.add_marker("mongodb")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    yield  # after the list of failures, right above the closing line
    for service in ("RabbitMQ", "MongoDB"):
        if why := _missing(service):
            terminalreporter.write_line(f"!!! {service} WAS MISSING, its tests did not run: {why}", red=True, bold=True)


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """The broker's URL. Take `rabbitmq_prefix` as well, and name every queue and exchange under it."""
    _need("RabbitMQ")
    return str(services.RABBITMQ_URL)


@pytest.fixture
async def rabbitmq_prefix(rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A prefix for the names of this test's queues and exchanges; what was declared under it is deleted afterwards."""
    prefix = f"omni-test-{uuid.uuid4().hex[:10]}."
    queues: set[str] = set()
    exchanges: set[str] = set()
    for method, names in (("queue_declare", queues), ("exchange_declare", exchanges)):
        monkeypatch.setattr(aiormq.Channel, method, _noting(getattr(aiormq.Channel, method), names, prefix))
    yield prefix
    monkeypatch.undo()
    if queues or exchanges:
        connection = await aio_pika.connect(rabbitmq_url)
        async with connection:
            channel = await connection.channel(publisher_confirms=False)
            for name in queues:
                await channel.queue_delete(name)
            for name in exchanges:
                await channel.exchange_delete(name)


def _noting(declare: Any, names: set[str], prefix: str) -> Any:
    signature = inspect.signature(declare)

    @functools.wraps(declare)
    async def noting(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        name = str(given.get("queue", given.get("exchange", "")))
        if name.startswith(prefix):
            names.add(name)
        return await declare(*args, **kwargs)

    return noting


@pytest.fixture(scope="session")
def _mongo_admin() -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    _need("MongoDB")
    with pymongo.MongoClient[dict[str, Any]](services.MONGO_URL) as client:
        yield client


@pytest.fixture
def mongo_url(_mongo_admin: pymongo.MongoClient[dict[str, Any]]) -> Iterator[str]:
    """The URL of a database that only this test uses, as OMNI_STORE_URL would name it; dropped afterwards."""
    name = f"omni_test_{uuid.uuid4().hex[:10]}"
    base, _, options = str(services.MONGO_URL).partition("?")
    host = base.removeprefix("mongodb://").rstrip("/").split("/")[0]
    yield f"mongodb://{host}/{name}" + (f"?{options}" if options else "")
    _mongo_admin.drop_database(name)


# --- nothing left behind ----------------------------------------------------------------------------------------------


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # so that collecting after each test looks at that test's objects only


LOOKED_THROUGH_EVERY = 40
_ended = itertools.count(1)


@pytest.fixture(autouse=True)
def _garbage_is_its_own() -> Iterator[None]:
    """The first of these fixtures, and so torn down when the test's loop is closed: what only that made garbage is
    collected now, and not told to whichever test comes next. What is still there (modules that it imported, caches) is
    left alone for a while: to look through it after every test would be most of the work of all tests, and never to do
    so would keep what only turns into garbage later."""
    yield
    if next(_ended) % LOOKED_THROUGH_EVERY == 0:
        gc.unfreeze()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest) -> None:
    """Set up before, and so torn down after, whatever else a coroutine test asks for."""
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("_watched_loop")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Levels and handlers belong to the process: a test that sets them must not silence the next one's `caplog`."""
    levels = {logger: (logger.level, logger.propagate, logger.disabled) for logger in _loggers()}
    handlers = list(logging.root.handlers)
    disabled = logging.root.manager.disable
    yield
    logging.root.manager.disable = disabled
    for logger in _loggers():
        logger.level, logger.propagate, logger.disabled = levels.get(logger, (logging.NOTSET, True, False))
    logging.root.manager._clear_cache()  # loggers remember what they were enabled for
    for handler in logging.root.handlers[:]:
        if handler not in handlers and not type(handler).__module__.startswith("_pytest."):
            logging.root.removeHandler(handler)


def _loggers() -> list[logging.Logger]:
    named = list(logging.root.manager.loggerDict.values())
    return [logging.root, *(logger for logger in named if isinstance(logger, logging.Logger))]


@pytest.fixture
async def _watched_loop() -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    complaints: list[str] = []
    loop.set_exception_handler(lambda _, context: complaints.append(_told(context)))
    known = asyncio.all_tasks(loop)
    yield
    ours = {task for task in asyncio.all_tasks(loop) if task not in known and task is not asyncio.current_task()}
    if ours:
        _, ours = await asyncio.wait(ours, timeout=GRACE_SECONDS)
    gc.collect()  # a task that died with its exception unread says so when it is collected
    await asyncio.sleep(0)
    for task in ours:
        task.cancel()
        complaints.append(f"task still pending: {task.get_name()} {task.get_coro()}")
    if complaints:
        pytest.fail("the test left something behind:\n  " + "\n  ".join(complaints), pytrace=False)


def _told(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return (
        context.get("message", "")
        + (f": {error!r}" if error else "")
        + (f" in {context['future']}" if "future" in context else "")
    )


# --- no test waits for ever -------------------------------------------------------------------------------------------

AGAIN_SECONDS = 10.0
LAST_SECONDS = 60.0
"""For the fixtures of a test that failed: pytest-timeout ends its timer there."""


class TimedOut(SystemExit):
    """Ends a test that takes too long, and its fixtures. Not the exception of pytest-timeout: a task takes that for
    a result of its own, Hypothesis for an example to make smaller, and both go on for ever."""


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> Generator[None, Any, Any]:
    done = yield
    if settings.method == "signal" and threading.current_thread() is threading.main_thread():
        _end_after(settings.timeout)
    return done


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    if isinstance(node, pytest.Item) and not node.config.getoption("usepdb"):
        _end_after(LAST_SECONDS)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Generator[None, bool | None, bool | None]:
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _end_after(seconds: float) -> None:
    def end(*_: object) -> None:
        raise TimedOut(f"it took more than {seconds:g} s, and was ended where it stood")

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)


# --- the event loop's lag ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class LoopLag:
    """Seconds by which the event loop was late, sampled every few milliseconds."""

    samples: list[float] = field(default_factory=list)

    @property
    def worst(self) -> float:
        return max(self.samples, default=0.0)

    def reset(self) -> None:
        self.samples.clear()

    async def watch(self, every: float = 0.005) -> None:
        while True:
            due = time.perf_counter() + every
            await asyncio.sleep(every)
            self.samples.append(max(0.0, time.perf_counter() - due))


@pytest.fixture
async def loop_lag() -> AsyncIterator[LoopLag]:
    """`assert loop_lag.worst < 0.05` at the end of a test; `loop_lag.reset()` starts again."""
    lag = LoopLag()
    watching = asyncio.create_task(lag.watch(), name="loop_lag")
    yield lag
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
