"""The terminal of whoever writes a bot: what the bot writes, who is connected, what is said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from urllib.parse import quote

import click

from omni.cli.chat.screen import visible
from omni.cli.programs import connected_programs
from omni.cli.show import entry_line
from omni.cli.tailing import POLL_SECONDS, Tail
from omni.live.presence import Program
from omni.model.base import DEFAULT_ORG
from omni.store.base import Store, StoreUnavailableError


def note(text: str) -> None:
    """What happens to the bot."""
    click.secho(f"● {visible(text)}", fg="yellow")


def bot_line(text: str) -> None:
    """What the bot itself writes."""
    click.echo(click.style("bot │ ", dim=True) + visible(text))


class Showing:
    """`url` is where the server is."""

    def __init__(self, store: Store, url: str) -> None:
        self._store = store
        self._url = url
        self._tail = Tail(store)
        self._names: dict[str, str] = {}
        self._programs: dict[str, Program] = {}
        self._pages: set[str] = set()

    async def begin(self) -> None:
        """What was said before is not shown. Raises StoreError."""
        await self._tail.begin()

    async def follow(self) -> None:
        """Shows what is said and who connects, until it is cancelled."""
        while True:
            try:
                programs = await connected_programs(self._store)
                pages = await self._with_page(programs)
                entries = await self._tail.news()
            except StoreUnavailableError as error:
                note(f"the conversations cannot be read now: {error}")
                await asyncio.sleep(10 * POLL_SECONDS)
                continue
            for line in [*arrivals(self._programs, programs), *page_lines(pages - self._pages, self._url)]:
                click.echo(line)
            self._programs, self._pages = programs, pages
            for entry in entries:
                if shown := entry_line(entry, self._names):
                    click.echo(shown)
            await asyncio.sleep(POLL_SECONDS)

    async def _with_page(self, programs: Collection[str]) -> set[str]:
        """Those of the agents that have a chat channel. Raises StoreError."""
        agents = await self._store.agents(DEFAULT_ORG)
        return {a.slug for a in agents if a.slug in programs and any(one.kind == "chat" for one in a.channels)}


def arrivals(before: dict[str, Program], now: dict[str, Program], style: Callable[..., str] = click.style) -> list[str]:
    """A line for every agent whose program came, came anew, or went."""
    lines = []
    for agent, program in sorted(now.items()):
        if agent not in before or before[agent].holder != program.holder:
            lines.append(style(f"● {agent} is connected; talk to it: omni chat {agent}", fg="green"))
    lines += [
        style(f"● {agent} is not connected any more", fg="yellow") for agent in sorted(before.keys() - now.keys())
    ]
    return lines


def page_lines(agents: Collection[str], url: str, style: Callable[..., str] = click.style) -> list[str]:
    """Where the chats of agents are that have one since just now."""
    return [style(f"● {agent} has a page: {url}/chat/{quote(agent)}", fg="green") for agent in sorted(agents)]
