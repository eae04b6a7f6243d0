"""Where the microseconds of a message go: the bench's load on `omni serve`, watched by py-spy.

    pip install py-spy
    python scripts/profile_server.py                     64 conversations for 15 s, text on stdout
    python scripts/profile_server.py --flame out.svg     the same as a flame graph
    python scripts/profile_server.py --what gateway      acknowledgements alone
    python scripts/profile_server.py --what voice        64 calls with sound; microseconds of 20 ms of one call
    python scripts/profile_server.py --keep raw.txt      the stacks themselves (for speedscope, flamegraph.pl)

Samples are of the event loop's thread and in microseconds a message: waits for the GIL and for the core are in them.
py-spy stops the server for every sample, so it answers fewer messages while it is watched.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from benchmark import ack, answers, graph, machine, voice, voice_level, voice_load  # noqa: E402
from benchmark.floor import run  # noqa: E402
from benchmark.plan import DEFAULT  # noqa: E402
from benchmark.server import BenchError, Process, omni  # noqa: E402

RATE = 200
OURS = ("omni/", "channels/", "sessions/", "workers/")
STAGES = (
    ("the voice detector", ("probability (workers/voice/vad",)),
    ("endpoint: where the voice began and ended", ("Endpointer.",)),
    ("turn rules, and what they decide", ("Talking.", "Turning.")),
    ("the caller's frames: decode, order, hand on", ("StreamLeg.take",)),
    ("marks that come back", ("StreamLeg.returned",)),
    ("reading the socket: WebSocket, JSON, base64", ("Stream._read",)),
    ("encoding and writing frames", ("StreamLeg._send", "StreamLeg.play")),
    ("playout: what is due, what was heard", ("Playout.", "Pacer.")),
    ("the words of an answer and their times", ("Utterance.", "_Making.", "Reading.")),
    ("the brain", ("Speaking.", "Caller.ask")),
    ("the call's log", ("CallLog.", "Conversation.")),
)
"""Of a call with sound, by a frame of the stack: the first that is there counts."""
WAITING = ("_worker ", "SqliteFile._work ")


def main() -> int:
    parser = argparse.ArgumentParser(description="Profiles the server under the bench's load (needs py-spy).")
    parser.add_argument("--conversations", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--statuses", action="store_true", help="sent, delivered and read come back")
    parser.add_argument("--what", choices=["answers", "gateway", "voice"], default="answers")
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("--flame", type=Path, metavar="SVG", help="a flame graph instead of text")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the raw stacks")
    chosen = parser.parse_args()
    spy = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if spy is None:
        print("profile: there is no py-spy; install it with `pip install py-spy`", file=sys.stderr)
        return 1
    cores = machine.cores()
    if cores is not None:
        machine.pin(os.getpid(), cores[1])
    try:
        run(_profile(spy, chosen, cores[0] if cores else None))
    except BenchError as error:
        print(f"profile: {error}", file=sys.stderr)
        return 1
    return 0


async def _profile(spy: str, chosen: argparse.Namespace, cores: set[int] | None) -> None:
    with tempfile.TemporaryDirectory(prefix="omni-profile-") as place:
        folder = Path(place)
        raw = folder / "stacks.txt"
        async with AsyncExitStack() as stack:
            if chosen.what == "voice":
                plan = replace(DEFAULT, server_cores=cores)
                server = await stack.enter_async_context(voice.omni(plan, folder, chosen.conversations))
                watching = _Watching(spy, server, chosen, raw)
                dial = await stack.enter_async_context(voice_load.dialling(server))
                done = await voice_level.level(server, chosen.conversations, chosen.seconds, dial, begun=watching.begin)
                await watching.end()
                handled = int(done.calls * done.seconds * 50)
            else:
                handled = await _messages(
                    stack, folder, cores, chosen, lambda server: _Watching(spy, server, chosen, raw)
                )
        if chosen.flame is None:
            print(_told(raw.read_text().splitlines(), handled, chosen.top, is_voice=chosen.what == "voice"))
            if chosen.keep is not None:
                shutil.copy(raw, chosen.keep)


async def _messages(
    stack: AsyncExitStack,
    folder: Path,
    cores: set[int] | None,
    chosen: argparse.Namespace,
    watch: Callable[[Process], _Watching],
) -> int:
    """How many messages were handled while somebody watched."""
    stand_in = await stack.enter_async_context(graph.running())
    if chosen.what == "gateway":
        server = await stack.enter_async_context(ack.gateway(folder / "gateway", cores))
    else:
        server = await stack.enter_async_context(omni(folder, stand_in.url, cores=cores))
    await _load(server, stand_in, chosen, 2.0)
    watching = watch(server)
    await watching.begin()
    try:
        handled = await _load(server, stand_in, chosen, chosen.seconds)
    finally:
        await watching.end()
    return handled


class _Watching:
    """py-spy at work on a server."""

    def __init__(self, spy: str, server: Process, chosen: argparse.Namespace, raw: Path) -> None:
        shape = ["-f", "flamegraph", "-o", str(chosen.flame)] if chosen.flame else ["-f", "raw", "-o", str(raw)]
        length = ["--rate", str(RATE), "-d", str(int(chosen.seconds))]
        self._command = [spy, "record", "--pid", str(server.pid), *length, *shape]
        self._watcher: asyncio.subprocess.Process | None = None

    async def begin(self) -> None:
        self._watcher = await asyncio.create_subprocess_exec(
            *self._command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )

    async def end(self) -> None:
        """It ends by itself after its time. Raises BenchError when it could not watch."""
        assert self._watcher is not None
        try:
            async with asyncio.timeout(30):
                _, complaints = await self._watcher.communicate()
        finally:
            if self._watcher.returncode is None:
                self._watcher.kill()
                await self._watcher.wait()
        if self._watcher.returncode:
            raise BenchError(f"py-spy failed (it may need root): {complaints.decode()[-500:]}")


async def _load(server: Process, stand_in: graph.Graph, chosen: argparse.Namespace, seconds: float) -> int:
    """How many messages the server handled."""
    if chosen.what == "gateway":
        handled, until = 0.0, asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            done = await ack.hammer(server, 2.0)
            handled += done.rate * done.seconds
        return int(handled)
    done_round = await answers.measure(
        server, stand_in, chosen.conversations, seconds=seconds, warm_up=0.0, with_statuses=chosen.statuses
    )
    print(
        f"{done_round.rate:,.0f} answers/s, {done_round.cpu_ms:.2f} ms CPU a message, "
        f"{chosen.conversations} conversations{', with statuses' if chosen.statuses else ''}"
    )
    return done_round.answers


def _told(lines: Sequence[str], handled: int, top: int, *, is_voice: bool) -> str:
    """The loop's thread: own time, cumulative time, and our functions with the libraries they call."""
    own: Counter[str] = Counter()
    cumulative: Counter[str] = Counter()
    ours: Counter[str] = Counter()
    stages: Counter[str] = Counter()
    commits = samples = total = 0
    for stack, number in _stacks(lines):
        if (stage := _stage(stack)) is not None:
            stages[stage] += number
            total += number
        commits += number if any("SqliteFile._commit" in frame for frame in stack) else 0
        if not any(frame.startswith("Runner.run ") for frame in stack):
            continue
        samples += number
        own[stack[-1]] += number
        cumulative.update(dict.fromkeys(set(stack), number))
        nearest = next((frame for frame in reversed(stack) if any(f"({folder}" in frame for folder in OURS)), None)
        ours[nearest or "aiohttp and asyncio, outside our code"] += number

    def micros(number: int) -> float:
        return 1e6 * number / RATE / max(1, handled)

    if is_voice:
        rows = sorted(stages.items(), key=lambda each: -each[1])
        parts = [f"{micros(n):9.1f} µs  {n / max(1, total):6.1%}  {name}" for name, n in rows]
        return "\n".join([f"{handled:,} times 20 ms of a call; {micros(total):,.0f} µs each\n", *parts])
    parts = [f"{handled:,} messages; event loop {micros(samples):,.0f} µs each, COMMIT {micros(commits):,.0f} µs"]
    for title, counted in (("own time", own), ("cumulative", cumulative), ("ours, with libraries called", ours)):
        parts.append(f"\n{title}")
        parts += [f"{micros(n):9.1f} µs  {n / max(1, samples):6.1%}  {frame}" for frame, n in counted.most_common(top)]
    return "\n".join(parts)


def _stage(stack: Sequence[str]) -> str | None:
    """None: a thread that waits for work, which py-spy takes for busy."""
    if stack[-1].startswith(WAITING):
        return None
    if not any(frame.startswith("Runner.run ") for frame in stack):
        return "SQLite's thread, and others"
    if stack[-1].startswith("Runner.run "):
        return "the event loop itself"
    for name, frames in STAGES:
        if any(wanted in frame for frame in stack for wanted in frames):
            return name
    return "everything else"


def _stacks(lines: Sequence[str]) -> Iterator[tuple[list[str], int]]:
    """py-spy's raw lines: `frame;frame;… count`, outermost first; here without line numbers and process names."""
    for line in lines:
        frames, _, number = line.rpartition(" ")
        stack = [re.sub(r":\d+\)$", ")", frame) for frame in frames.split(";")]
        yield [frame for frame in stack if not frame.startswith(("process ", "thread "))] or ["?"], int(number)


if __name__ == "__main__":
    sys.exit(main())
