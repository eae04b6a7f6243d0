"""`omni calls`: conversations, and a live log in the terminal."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import click

from omni.cli.naming import find_call
from omni.cli.opening import config_option, on_loop, opened, settings_for
from omni.cli.show import CALL_HEADS, as_json, call_row, day, delivery_line, entry_line, said, table
from omni.model.base import DEFAULT_ORG
from omni.model.call import Call
from omni.model.entry import Entry
from omni.store.base import CallFilter, Store, StoreUnavailableError

POLL_SECONDS: Final = 0.3
FOLLOWED: Final = 500
PAGE: Final = 500


@click.group()
def calls() -> None:
    """Conversations: list, show, and a live log in the terminal."""


@calls.command("list")
@click.option("--open", "state", flag_value="open", help="Only those that go on.")
@click.option("--ended", "state", flag_value="ended", help="Only those that have ended.")
@click.option("--waiting", is_flag=True, help="Only those that wait for a person.")
@click.option("--agent", metavar="SLUG", help="Only this agent's.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_lines", is_flag=True, help="One JSON object a line.")
@config_option
@on_loop
async def list_calls(
    state: str | None, waiting: bool, agent: str | None, limit: int, as_lines: bool, config: str | None
) -> None:
    """The newest calls: who writes, who answers, what was said last."""
    where = CallFilter(
        org=DEFAULT_ORG,
        agent=agent,
        is_open=True if waiting else None if state is None else state == "open",
        handler="nobody" if waiting else None,
    )
    async with opened(settings_for(config)) as found:
        newest = await found.store.calls(where, limit=limit)
    if as_lines:
        for call in newest:
            click.echo(as_json(call.model_dump(mode="json", exclude={"snapshot", "snapshot_seq"})))
    elif newest:
        now = time.time()
        table(CALL_HEADS, [call_row(call, now) for call in newest])
    else:
        click.echo("There are no such calls.")


@calls.command()
@click.argument("call", default="last")
@click.option("--json", "as_lines", is_flag=True, help="The log's entries, one JSON object a line.")
@config_option
@on_loop
async def show(call: str, as_lines: bool, config: str | None) -> None:
    """One call: its whole log, and what became of every answer. Without CALL the newest one."""
    async with opened(settings_for(config)) as found:
        wanted = await find_call(found.store, call)
        if not as_lines:
            _head(wanted)
        names: dict[str, str] = {}
        after = 0
        while page := await found.store.entries(wanted.id, after=after, limit=PAGE):
            for entry in page:
                _print(entry, names, as_lines=as_lines)
            after = page[-1].seq
        if not as_lines:
            for delivery in await found.store.deliveries(wanted.id):
                click.echo(f"  {delivery_line(delivery)}")


def _head(call: Call) -> None:
    state = "open" if call.is_open else f"ended: {said(call.reason or '?', 60)}"
    handled = f", handled by {said(call.handled_by or call.handler, 40)}" if call.is_open else ""
    click.echo(
        f"{call.id}  {said(call.name or call.home, 40)} with {call.agent} on {call.channel}, "
        f"since {day(call.started_at)}, {state}{handled}"
    )


@calls.command()
@click.argument("call", required=False)
@click.option("--lines", "-n", type=click.IntRange(0, 1000), default=10, show_default=True, help="Begin with so many.")
@click.option("--agent", metavar="SLUG", help="Only this agent's calls.")
@click.option("--json", "as_lines", is_flag=True, help="Entries as JSON, one object a line.")
@click.option("--no-follow", is_flag=True, help="Show what there is, and stop.")
@config_option
@on_loop
async def tail(
    call: str | None, lines: int, agent: str | None, as_lines: bool, no_follow: bool, config: str | None
) -> None:
    """A live log: of CALL (or `last`), or of all calls. Ctrl-C ends it.

    It reads the server's store from outside, so it also works beside a running server. Of all calls it follows the
    500 newest open ones.
    """
    async with opened(settings_for(config)) as found:
        only = None if call is None else (await find_call(found.store, call)).id
        reader = _Tail(found.store, agent, only)
        names: dict[str, str] = {}
        for entry in await reader.begin(lines):
            _print(entry, names, as_lines=as_lines)
        while not no_follow:
            try:
                for entry in await reader.news():
                    _print(entry, names, as_lines=as_lines)
            except StoreUnavailableError as error:
                click.echo(f"(waiting for the store: {error})", err=True)
                await asyncio.sleep(10 * POLL_SECONDS)
            await asyncio.sleep(POLL_SECONDS)


class _Tail:
    """A cursor in every call that is followed."""

    def __init__(self, store: Store, agent: str | None, only: str | None) -> None:
        self._store = store
        self._agent = agent
        self._only = only
        self._seen: dict[str, int] = {}

    async def begin(self, lines: int) -> list[Entry]:
        """The newest entries there are. Calls that have ended are among them, but not followed."""
        known = await self._calls(is_open=None)
        recent = sorted(known, key=lambda one: one.last_at)[-max(1, lines) :]
        found: list[Entry] = []
        for call in recent if lines else []:
            after = max(0, call.last_seq - 3 * lines)
            found += await self._store.entries(call.id, after=after, limit=3 * lines + PAGE)
        self._seen = {call.id: call.last_seq for call in known if call.is_open or self._only}
        for entry in found:
            if entry.call in self._seen:
                self._seen[entry.call] = max(self._seen[entry.call], entry.seq)
        found.sort(key=lambda entry: (entry.ts, entry.call, entry.seq))
        shown = [entry for entry in found if entry_line(entry, {}) is not None]
        return shown[-lines:] if lines else []

    async def news(self) -> list[Entry]:
        """What was appended since the last time, in the order of time."""
        known = {call.id: call.last_seq for call in await self._calls(is_open=True)}
        found: list[Entry] = []
        for call_id, last in known.items():
            if last > self._seen.get(call_id, 0):
                found += await self._read(call_id)
        for call_id in [one for one in self._seen if one not in known]:
            found += await self._read(call_id)  # ended: its last entries, and no more of it
            if self._only is None:
                del self._seen[call_id]
        found.sort(key=lambda entry: (entry.ts, entry.call, entry.seq))
        return found

    async def _read(self, call_id: str) -> list[Entry]:
        found: list[Entry] = []
        while page := await self._store.entries(call_id, after=self._seen.get(call_id, 0), limit=PAGE):
            found += page
            self._seen[call_id] = page[-1].seq
        return found

    async def _calls(self, *, is_open: bool | None) -> list[Call]:
        if self._only is not None:
            call = await self._store.call(self._only)
            return [call] if call is not None else []
        return await self._store.calls(CallFilter(org=DEFAULT_ORG, agent=self._agent, is_open=is_open), limit=FOLLOWED)


def _print(entry: Entry, names: dict[str, str], *, as_lines: bool) -> None:
    if as_lines:
        click.echo(as_json(entry.wire()))
        return
    line = entry_line(entry, names)
    if line is not None:
        click.echo(line)
