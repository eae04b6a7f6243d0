"""The section "open sockets": programs and chat pages that are connected and silent, and a chat beside them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from benchmark import graph, machine
from benchmark.answers import Conversations, strangers
from benchmark.figures import Figure, Section, at_most, paragraph, percentile, table
from benchmark.pages import SECRET, Page, Talker, talk
from benchmark.plan import Plan
from benchmark.programs import API_KEY, Program
from benchmark.server import Process, omni
from benchmark.websocket import many
from benchmark.wire import Client

TALKERS: Final = 100
RATE: Final = 100.0
"""Messages a second of all talkers together."""

OTHERS: Final = 500
"""Open files of a process that are none of these sockets."""

ANSWERED: Final = 4
"""On one of so many pages a question is answered."""

SETTLE: Final = 2.0
LIMIT: Final = 40.0
KB: Final = 1000


@dataclass(frozen=True, slots=True)
class Opened:
    """What `number` sockets cost the server: memory each once they are silent, and CPU seconds to let them in."""

    number: int
    rss: float
    heap: float
    cpu: float
    seconds: float

    def row(self, name: str) -> list[str]:
        return [
            name,
            f"{self.number:,}",
            f"{self.rss / KB:.1f}",
            f"{self.heap / KB:.1f}",
            f"{self.number / self.seconds:,.0f}",
            f"{1000 * self.cpu / self.number:.2f}",
        ]

    def numbers(self) -> dict[str, Any]:
        return {"number": self.number, "rss_each": self.rss, "heap_each": self.heap, "cpu_ms": 1000 * self.cpu}


@dataclass(frozen=True, slots=True)
class Chat:
    """Several rounds of a chat: milliseconds from a message to the end of its turn, and how busy the server was."""

    messages: int
    p50: Figure
    p99: Figure
    worst: float
    busy: Figure

    def row(self, name: str) -> list[str]:
        shown = [self.p50.show(), self.p99.show(), self.p99.spread(), f"{self.worst:.1f}"]
        return [name, f"{self.messages:,}", *shown, f"{self.busy.median:.0%}"]

    def numbers(self) -> dict[str, Any]:
        return {"p50_ms": self.p50.median, "p99_ms": self.p99.median, "server_busy": self.busy.median}


async def section(plan: Plan, folder: Path) -> Section:
    wanted = plan.programs + plan.pages + OTHERS
    room = machine.allow_open_files(wanted)
    pages = plan.pages - max(0, wanted - room)
    settings = {"secret": SECRET, "api_key": API_KEY}
    async with graph.running() as stand_in, omni(folder, stand_in.url, cores=plan.server_cores, **settings) as server:
        await _fill_caches(server, stand_in, plan.pages // 3)
        talkers = await many(TALKERS, lambda _: Talker.open(server.port))
        await talk(talkers, RATE, plan.warm_up)
        settle = SETTLE if plan.name != "tiny" else 0.1
        none = await _chat(plan, server, talkers)

        clients: list[Program] = []
        visitors: list[Page] = []

        async def connect() -> None:
            clients.extend(await many(plan.programs, lambda n: Program.open(server.port, f"bench-{n}")))

        async def open_pages() -> None:
            visitors.extend(await many(pages, lambda _: Page.open(server.port)))

        async def say_one_thing() -> None:
            await many(pages // ANSWERED, lambda n: visitors[n].say_one_thing())

        programs = await _cost(server, plan.programs, settle, connect)
        beside_programs = await _chat(plan, server, talkers)
        silent = await _cost(server, pages, settle, open_pages)
        answered = await _cost(server, pages // ANSWERED, settle, say_one_thing)
        beside_all = await _chat(plan, server, talkers)
        everybody = [one.socket for one in clients] + [one.socket for one in visitors]
        lost = sum(not socket.is_open for socket in everybody)
        server.kill()  # saying goodbye to everybody is not part of this section
    chats = {
        "nobody else": none,
        f"{plan.programs:,} programs": beside_programs,
        f"and {pages:,} pages": beside_all,
    }
    return _report(plan, programs, silent, answered, chats, lost)


async def _fill_caches(server: Process, stand_in: graph.Graph, people: int) -> None:
    """So many people have had one exchange each by WhatsApp: what is bounded is nearly full, as it is in a server that
    runs for a while."""
    async with Client(server.port, 128) as client:
        load = Conversations(client, stand_in, 64, islice(strangers(), people), each=1)
        load.start()
        await load.over()
        await load.stop()


async def _cost(server: Process, number: int, settle: float, do: Callable[[], Awaitable[None]]) -> Opened:
    before, used = machine.memory(server.pid), server.usage().cpu
    loop = asyncio.get_running_loop()
    began = loop.time()
    await do()
    seconds, used = loop.time() - began, server.usage().cpu - used
    await asyncio.sleep(settle)
    after = machine.memory(server.pid)
    return Opened(
        number, (after.rss - before.rss) / number, (after.anonymous - before.anonymous) / number, used, seconds
    )


async def _chat(plan: Plan, server: Process, talkers: Sequence[Talker]) -> Chat:
    rounds: list[list[float]] = []
    busy: list[float] = []
    for _ in range(plan.rounds):
        used, began = server.usage().cpu, time.perf_counter()
        rounds.append([1000 * seconds for seconds in await talk(talkers, RATE, plan.talk_seconds)])
        busy.append((server.usage().cpu - used) / (time.perf_counter() - began))
    return Chat(
        messages=sum(len(one) for one in rounds),
        p50=Figure.of([percentile(one, 0.50) for one in rounds]),
        p99=Figure.of([percentile(one, 0.99) for one in rounds]),
        worst=max(one[-1] for one in rounds),
        busy=Figure.of(busy),
    )


def _report(
    plan: Plan, programs: Opened, silent: Opened, answered: Opened, chats: dict[str, Chat], lost: int
) -> Section:
    costs = [
        programs.row("a program with an agent of its own"),
        silent.row("a chat page that nobody has written on"),
        answered.row("and more, where one question was answered"),
    ]
    costs_head = ("connected and silent", "number", "RSS kB each", "of it heap", "a second", "CPU ms each")
    chats_head = ("a chat beside", "messages", "p50 ms", "p99 ms", "least–most", "worst ms", "server's core")
    each = (silent.heap + answered.heap) / KB
    text = (
        paragraph(
            f"""One server. Memory is the server's alone ({SETTLE:g} s later, no collection forced): what the kernel
            buffers for a connection is not in it. Heap is what is no file's (RssAnon), and what the target is held
            against; the rest of RSS is the mapped part of the database. Programs speak the frames of `/client` and do
            no more. Pages say hello with a token, as omni's own page does, and follow their conversation; on one of
            {ANSWERED} a question is asked and answered, which goes on filling SQLite's bounded caches, too. The chat
            beside: {TALKERS} other sockets with a token write {RATE:g} messages a second in all, whatever comes back;
            from writing a message to `chat.done`, script brain, debounce 0; {plan.rounds} rounds of
            {plan.talk_seconds:g} s, medians."""
        )
        + "\n\n"
        + table(costs_head, costs)
        + "\n\n"
        + table(chats_head, [chat.row(name) for name, chat in chats.items()])
        + f"\n\n  closed by the server meanwhile: {lost:,}"
    )
    if silent.number < plan.pages:
        text += (
            f"\n  fewer pages than planned: the system allows {silent.number + programs.number + OTHERS:,} open files"
        )
    targets = [at_most("memory of an idle chat socket, a question answered on it", each, LIMIT, "kB")]
    numbers = {
        "programs": programs.numbers(),
        "pages": silent.numbers(),
        "answered": answered.numbers(),
        "kb_per_idle_chat_socket": each,
        "closed": lost,
        "chats": {name: chat.numbers() for name, chat in chats.items()},
    }
    return Section("Open sockets", text, targets, numbers)
