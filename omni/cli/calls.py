"""`omni calls`: conversations, and a live log in the terminal."""

from __future__ import annotations

import asyncio
import time

import click

from omni.cli.address import Address, address_for, server_options
from omni.cli.listening import listen
from omni.cli.naming import LAST, find_call
from omni.cli.observing import Envelope, Observer
from omni.cli.opening import Failure, config_option, on_loop, opened, settings_for
from omni.cli.show import CALL_HEADS, as_json, call_row, day, delivery_line, entry_line, person_of, said, table
from omni.cli.show_observed import observed_line
from omni.cli.tailing import PAGE, POLL_SECONDS, Tail
from omni.model.base import DEFAULT_ORG
from omni.model.call import Call
from omni.model.entry import Entry
from omni.model.slugs import slug_of
from omni.store.base import CallFilter, StoreUnavailableError


@click.group()
def calls() -> None:
    """Conversations: list, show, and a live log in the terminal; listen in on those that are spoken."""


calls.add_command(listen)


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
        f"{call.id}  {said(person_of(call), 40)} with {call.agent} on {call.channel}, "
        f"since {day(call.started_at)}, {state}{handled}"
    )


@calls.command()
@click.argument("call", required=False)
@click.option("--lines", "-n", type=click.IntRange(0, 1000), default=10, show_default=True, help="Begin with so many.")
@click.option("--agent", metavar="SLUG", help="Only this agent's calls.")
@click.option("--json", "as_lines", is_flag=True, help="Entries as JSON, one object a line.")
@click.option("--no-follow", is_flag=True, help="Show what there is, and stop.")
@config_option
@server_options
@on_loop
async def tail(
    call: str | None,
    lines: int,
    agent: str | None,
    as_lines: bool,
    no_follow: bool,
    config: str | None,
    server: str | None,
    api_key: str | None,
) -> None:
    """A live log: of CALL (or `last`), or of all calls. Ctrl-C ends it.

    It reads the store, so it works beside a server on this machine; with --server it follows a server anywhere, as its
    observers may. Of all calls it follows the 500 newest open ones (100 over the network).
    """
    if server is not None:
        await _observe(address_for(server, api_key), call, agent, lines, as_lines=as_lines, no_follow=no_follow)
        return
    async with opened(settings_for(config)) as found:
        only = None if call is None else (await find_call(found.store, call)).id
        reader = Tail(found.store, agent, only)
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


async def _observe(
    address: Address, call: str | None, agent: str | None, lines: int, *, as_lines: bool, no_follow: bool
) -> None:
    names: dict[str, str] = {}

    def tell(entry: Envelope) -> None:
        shown = as_json(entry) if as_lines else observed_line(entry, names)
        if shown is not None:
            click.echo(shown)

    def note(text: str) -> None:
        click.echo(f"({text})", err=True)

    if call == LAST:
        raise Failure("`last` is known on the server's own machine only; name the call by its id")
    slug = slug_of(agent) if agent is not None else None
    async with Observer(address, slug, call, tell, note) as observer:
        for entry in await observer.begin(lines):
            tell(entry)
        if not no_follow:
            await observer.follow()


def _print(entry: Entry, names: dict[str, str], *, as_lines: bool) -> None:
    if as_lines:
        click.echo(as_json(entry.wire()))
        return
    line = entry_line(entry, names)
    if line is not None:
        click.echo(line)
