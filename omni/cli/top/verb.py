"""`omni top`: how a server is doing, now, in a terminal."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import aiohttp
import click

from omni.cli.address import Address, address_for, base_url
from omni.cli.opening import Failure, on_loop
from omni.cli.show import as_json
from omni.cli.top.figures import Span, figures, queues
from omni.cli.top.look import Look, look_at
from omni.cli.top.people import People, people_at
from omni.cli.top.screen import Process, View, lines

WINDOW_SECONDS: Final = 60.0
"""Rates and times are about so long a time, once the view has watched for it."""

_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_REST_OF_LINE: Final = "\x1b[K"
_BELOW: Final = "\x1b[J"


@click.command()
@click.argument("urls", metavar="[URL]...", nargs=-1, envvar="OMNI_URL")
@click.option("--api-key", metavar="KEY", envvar="OMNI_API_KEY", show_envvar=True, help="The key to show there.")
@click.option("--every", type=click.FloatRange(min=0.2, max=3600), default=2.0, show_default=True, metavar="SECONDS")
@click.option("--once", is_flag=True, help="Look once, print, and stop: rates and times since the processes began.")
@click.option("--json", "as_lines", is_flag=True, help="A JSON object a look, instead of a picture.")
@on_loop
async def top(urls: tuple[str, ...], api_key: str | None, every: float, once: bool, as_lines: bool) -> None:
    """Conversations, deliveries, waiting times, queues and engines, as they are now. Ctrl-C ends it.

    URL is a running server (OMNI_URL, or the one of this folder); with several, each is a process of one installation,
    and one of them has the gateway.
    """
    watch = Watch(_addresses(urls, api_key))
    async with aiohttp.ClientSession() as session:
        if once or not (sys.stdout.isatty() or as_lines):
            view = await watch.look(session)
            click.echo(as_json(view.json()) if as_lines else "\n".join(lines(view)))
        elif as_lines:
            while True:
                click.echo(as_json((await watch.look(session)).json()))
                await asyncio.sleep(every)
        else:
            await _show(watch, session, every)


async def _show(watch: Watch, session: aiohttp.ClientSession, every: float) -> None:
    view = await watch.look(session)  # what cannot be asked at all is said before the screen is taken
    click.echo(_ENTER, nl=False)
    try:
        while True:
            shown = f"{_REST_OF_LINE}\n".join(lines(view))
            click.echo(f"{_HOME}{shown}{_REST_OF_LINE}{_BELOW}", nl=False)
            await asyncio.sleep(every)
            view = await watch.look(session, must_answer=False)
    finally:
        click.echo(_LEAVE, nl=False)


def _addresses(urls: Sequence[str], api_key: str | None) -> list[Address]:
    if not urls:
        return [address_for(None, api_key)]
    first = address_for(urls[0], api_key)
    return [first, *(Address(base_url(url), first.key) for url in dict.fromkeys(urls[1:]))]


class Watch:
    """Looks at processes again and again, and knows those of the last minute."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = addresses
        self._looks: dict[str, deque[Look]] = {address.url: deque() for address in addresses}

    async def look(self, session: aiohttp.ClientSession, *, must_answer: bool = True) -> View:
        """Raises Failure when `must_answer` and nobody does."""
        now = time.time()
        people, found = await asyncio.gather(
            self._people(now),
            asyncio.gather(*(self._look_at(session, address.url, now) for address in self._addresses)),
        )
        spans: list[Span] = []
        processes: list[Process] = []
        for address, one in zip(self._addresses, found, strict=True):
            if isinstance(one, Failure):
                processes.append(Process(address.url, None, one.message))
            else:
                spans.append(one)
                processes.append(Process(address.url, figures([one])))
        problem = next((one for one in found if isinstance(one, Failure)), None)
        if must_answer and not spans and problem is not None:
            raise problem
        if must_answer and isinstance(people, Failure) and "refuses the API key" in people.message:
            raise people
        return View(
            at=now,
            total=figures(spans),
            queues=queues([look for _, look in spans]),
            processes=processes,
            people=None if isinstance(people, Failure) else people,
            problem=people.message if isinstance(people, Failure) else None,
        )

    async def _people(self, now: float) -> People | Failure:
        try:
            return await people_at(self._addresses, now)
        except Failure as failure:
            return failure

    async def _look_at(self, session: aiohttp.ClientSession, url: str, now: float) -> Span | Failure:
        known = self._looks[url]
        try:
            look = await look_at(session, url, now)
        except Failure as failure:
            known.clear()
            return failure
        while len(known) > 1 and known[1].at <= look.at - WINDOW_SECONDS:
            known.popleft()
        was = known[0] if known else None
        known.append(look)
        return was, look
