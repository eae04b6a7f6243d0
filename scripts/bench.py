"""`make bench`: how fast omni is on this machine, beside the floor of an honest acknowledgement.

Every figure is measured in this run; nothing is remembered from another machine. The server gets one core and the load
generator (with the Graph stand-in in it) another, where processes can be pinned. See `--help`.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import platform
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]  # also when it is run from elsewhere, and without an installation

import services  # noqa: E402
from benchmark import (  # noqa: E402
    ack,
    bad_line,
    databases,
    e2e,
    events,
    flood,
    growth,
    idle,
    inbox,
    legs,
    machine,
    overload,
    program,
    rest,
    sockets,
    speech,
    voice,
    webhook,
)
from benchmark.brokers import Broker  # noqa: E402
from benchmark.figures import Section  # noqa: E402
from benchmark.plan import Plan, chosen  # noqa: E402
from benchmark.server import BenchError  # noqa: E402

PARTS = (
    "ack",
    "e2e",
    "overload",
    "idle",
    "growth",
    "program",
    "events",
    "sockets",
    "flood",
    "webhook",
    "rest",
    "inbox",
    "voice",
    "legs",
    "line",
    "speech",
)


def main() -> int:
    arguments = _arguments()
    plan = chosen(arguments)
    cores = machine.cores()
    if cores is not None:
        machine.pin(os.getpid(), cores[1])
        plan = dataclasses.replace(plan, server_cores=cores[0])
    try:
        return _run(_bench(plan, arguments, cores is not None))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\nstopped; servers ended, files removed", file=sys.stderr)
        return 130


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures omni on this machine and prints the figures.")
    parser.add_argument("--quick", dest="plan", action="store_const", const="quick", default="default",
                        help="two minutes instead of nine: rougher figures")  # fmt: skip
    parser.add_argument("--full", dest="plan", action="store_const", const="full",
                        help="for the inbox: an hour's events, 100,000 conversations, MongoDB too")  # fmt: skip
    parser.add_argument("--tiny", dest="plan", action="store_const", const="tiny", help=argparse.SUPPRESS)
    parser.add_argument("--only", metavar="PART,…", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--engines", metavar="BUS[,STORE]", default="",
                        help="`rabbitmq` or `rabbitmq,mongodb`: end to end on these as well")  # fmt: skip
    parser.add_argument("--rest-calls", metavar="NUMBER", type=int, help="calls that are stored for the part `rest`")
    parser.add_argument("--voice-calls", metavar="NUMBER,…", help="calls at a time for the part `voice`")
    parser.add_argument("--voice-seconds", metavar="SECONDS", type=float, help="how long each of them is measured")
    parser.add_argument("--voice-detector", choices=["silero", "webrtc"], help="what detects voices in `voice`")
    parser.add_argument("--speech-callers", metavar="NUMBER,…", help="callers at a time for the part `speech`")
    parser.add_argument("--speech-picture", metavar="SVG", type=Path, help="draw where their time goes")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures for machines")
    arguments = parser.parse_args()
    arguments.only = arguments.only.split(",")
    arguments.engines = [name for name in arguments.engines.split(",") if name]
    if unknown := [name for name in arguments.only if name not in PARTS]:
        parser.error(f"--only {unknown[0]}: known are {', '.join(PARTS)}")
    if arguments.rest_calls is not None and arguments.rest_calls < rest.LEAST_CALLS:
        parser.error(f"--rest-calls {arguments.rest_calls}: a deep page needs at least {rest.LEAST_CALLS}")
    if arguments.engines not in ([], ["rabbitmq"], ["rabbitmq", "mongodb"]):
        parser.error("--engines: use rabbitmq, or rabbitmq,mongodb")
    return arguments


async def _bench(plan: Plan, arguments: argparse.Namespace, is_pinned: bool) -> int:
    began = time.monotonic()
    broker = await Broker.find(services.RABBITMQ_URL)
    head = _head(plan, is_pinned)
    print(head, flush=True)
    found: list[Section] = []
    with tempfile.TemporaryDirectory(prefix="omni-bench-", ignore_cleanup_errors=True) as place:
        for name, measure in _parts(plan, Path(place), arguments, broker):
            started = time.monotonic()
            section = await measure()
            found.append(section)
            print(f"\n\n{section.name}   ({name}, {time.monotonic() - started:.0f} s)\n{section.text}", flush=True)
    print("\n\nTargets\n" + "\n".join(f"  {target.line()}" for section in found for target in section.targets))
    load = os.getloadavg()
    print(f"\n{time.monotonic() - began:.0f} s in all; load average now {load[0]:.1f} on {os.cpu_count()} cores")
    if arguments.json is not None:
        figures = {
            "machine": head,
            "sections": [
                {
                    "name": section.name,
                    "figures": section.numbers,
                    "targets": [dataclasses.asdict(target) for target in section.targets],
                }
                for section in found
            ],
        }
        await asyncio.to_thread(arguments.json.write_text, json.dumps(figures, indent=1))
    return 0


def _parts(
    plan: Plan, place: Path, arguments: argparse.Namespace, broker: Broker | None
) -> list[tuple[str, Callable[[], Awaitable[Section]]]]:
    known: dict[str, Callable[[], Awaitable[Section]]] = {
        "ack": lambda: ack.section(plan, place, broker),
        "e2e": lambda: e2e.section(plan, place / "e2e"),
        "overload": lambda: overload.section(plan, place / "overload"),
        "idle": lambda: idle.section(plan, place / "idle"),
        "growth": lambda: growth.section(plan, place / "growth"),
        "program": lambda: program.section(plan, place / "program"),
        "events": lambda: events.section(plan, place / "events"),
        "sockets": lambda: sockets.section(plan, place / "sockets"),
        "flood": lambda: flood.section(plan, place / "flood"),
        "webhook": lambda: webhook.section(plan, place / "webhook"),
        "rest": lambda: _rest(plan, place / "rest", broker),
        "inbox": lambda: _inbox(plan, place / "inbox"),
        "voice": lambda: voice.section(plan, place / "voice"),
        "legs": lambda: legs.section(plan, place / "legs"),
        "line": lambda: bad_line.section(plan),
        "speech": lambda: speech.section(plan, place / "speech", arguments.speech_picture),
    }
    parts = [(name, known[name]) for name in PARTS if name in arguments.only]
    if arguments.engines:
        parts.append(("engines", lambda: _on_engines(plan, place / "engines", arguments.engines, broker)))
    return parts


async def _on_engines(plan: Plan, folder: Path, engines: list[str], broker: Broker | None) -> Section:
    """End to end on RabbitMQ, and with "mongodb" on a MongoDB-speaking store as well."""
    if broker is None:
        raise BenchError("RabbitMQ does not answer; start it with `make services`, or leave --engines out")
    note = " on RabbitMQ and SQLite"
    async with AsyncExitStack() as stack:
        more = {"bus_url": broker.url, "bus_prefix": await stack.enter_async_context(broker.corner())}
        if "mongodb" in engines:
            more["store_url"] = await stack.enter_async_context(databases.empty())
            note = " on RabbitMQ and MongoDB"
            if services.is_stand_in(services.MONGO_URL):
                note += " (a slow stand-in for mongod: it is what is measured)"
        return await e2e.section(plan, folder, engines=note, **more)


async def _inbox(plan: Plan, folder: Path) -> Section:
    """On SQLite; in full on a MongoDB as well, unless a stand-in plays it."""
    if plan.name != "full" or not databases.is_there():
        return await inbox.section(plan, folder)
    async with databases.empty() as url:
        return await inbox.section(plan, folder, url)


async def _rest(plan: Plan, folder: Path, broker: Broker | None) -> Section:
    """On SQLite; where RabbitMQ and a MongoDB run, on these as well."""
    if broker is None or not databases.is_there():
        return await rest.section(plan, folder)
    async with broker.corner() as prefix, databases.empty() as url:
        return await rest.section(plan, folder, {"bus_url": broker.url, "bus_prefix": prefix, "store_url": url})


def _head(plan: Plan, is_pinned: bool) -> str:
    where = "server on one core, load generator and Graph stand-in on another" if is_pinned else (
        "processes cannot be pinned here: server and load generator share the cores"
    )  # fmt: skip
    busy = os.getloadavg()[0]
    warning = f"\n  !!! something else is running (load average {busy:.1f}): expect worse figures" if busy > 1 else ""
    return (
        f"omni bench, {plan.name}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n"
        f"  {machine.name()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}\n  {where}{warning}"
    )


def _run(body: Awaitable[int]) -> int:
    """On uvloop where it is installed. SIGTERM ends it as Ctrl-C does: servers ended, files removed."""
    factory = None
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:
        pass

    async def until_told() -> int:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await body

    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(until_told())


if __name__ == "__main__":
    sys.exit(main())
