"""`omni dlq`: dead letters, the work that failed for good and waits for a person's decision."""

from __future__ import annotations

import time

import click

from omni.bus.base import Bus, DeadLetter
from omni.cli.opening import Failure, config_option, on_loop, opened, settings_for
from omni.cli.show import age, as_json, said, table
from omni.telemetry.logs import without_secrets

MOST = 10_000


@click.group()
def dlq() -> None:
    """Dead letters: list, show, replay and purge what was given up."""


@dlq.command("list")
@click.option("--queue", help="Only those of one queue, such as inbound.3 or statuses.")
@click.option("--limit", type=click.IntRange(1, MOST), default=50, show_default=True)
@click.option("--json", "as_lines", is_flag=True, help="One JSON object a line.")
@config_option
@on_loop
async def list_letters(queue: str | None, limit: int, as_lines: bool, config: str | None) -> None:
    """The oldest first, with the error that killed them."""
    async with opened(settings_for(config)) as found:
        letters = await found.bus.dead_letters(queue, limit=limit)
    if as_lines:
        for letter in letters:
            click.echo(as_json(_as_dict(letter)))
    elif letters:
        now = time.time()
        rows = [(one.id, one.queue, str(one.attempts), age(now - one.died_at), _error(one, 100)) for one in letters]
        table(("ID", "QUEUE", "ATTEMPTS", "AGE", "ERROR"), rows)
    else:
        click.echo("There are no dead letters.")


def _error(letter: DeadLetter, limit: int) -> str:
    return said(without_secrets(letter.error), limit)


def _as_dict(letter: DeadLetter) -> dict[str, object]:
    return {
        "id": letter.id,
        "queue": letter.queue,
        "attempts": letter.attempts,
        "died_at": letter.died_at,
        "error": without_secrets(letter.error),
        "bytes": len(letter.body),
    }


@dlq.command()
@click.argument("id_", metavar="ID")
@config_option
@on_loop
async def show(id_: str, config: str | None) -> None:
    """One dead letter: its error in full, and its content."""
    async with opened(settings_for(config)) as found:
        letter = await _find(found.bus, id_)
    click.echo(f"id        {letter.id}\nqueue     {letter.queue}\nattempts  {letter.attempts}")
    click.echo(f"died      {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(letter.died_at))}")
    click.echo(f"error     {_error(letter, 4_000)}")
    click.echo(f"content   {said(letter.body.decode('utf-8', 'backslashreplace'), 8_000)}")


async def _find(bus: Bus, id_: str) -> DeadLetter:
    letters = await bus.dead_letters(limit=MOST)
    letter = next((one for one in letters if one.id == id_), None)
    if letter is None:
        raise Failure(f"there is no dead letter {id_!r}; `omni dlq list` names them")
    return letter


@dlq.command()
@click.argument("ids", nargs=-1, metavar="ID...")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--queue", help="With --all: only those of one queue.")
@config_option
@on_loop
async def replay(ids: tuple[str, ...], everything: bool, queue: str | None, config: str | None) -> None:
    """Put dead letters back on their queues, to be tried as if for the first time. Do it after the mend."""
    async with opened(settings_for(config)) as found:
        chosen = await _chosen(found.bus, ids, everything, queue)
        number = await found.bus.replay(chosen) if chosen else 0
    click.echo(f"{number} put back.")
    _require_some(ids, number)


@dlq.command()
@click.argument("ids", nargs=-1, metavar="ID...")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--queue", help="With --all: only those of one queue.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@on_loop
async def purge(ids: tuple[str, ...], everything: bool, queue: str | None, yes: bool, config: str | None) -> None:
    """Delete dead letters for good."""
    async with opened(settings_for(config)) as found:
        chosen = await _chosen(found.bus, ids, everything, queue)
        if chosen and not yes:
            click.confirm(f"Delete {len(chosen)} dead letters for good?", abort=True)
        number = await found.bus.purge(chosen) if chosen else 0
    click.echo(f"{number} deleted.")
    _require_some(ids, number)


async def _chosen(bus: Bus, ids: tuple[str, ...], everything: bool, queue: str | None) -> list[str]:
    if bool(ids) == everything:
        raise Failure("name the ids, or all of them with --all")
    if ids:
        return list(ids)
    return [letter.id for letter in await bus.dead_letters(queue, limit=MOST)]


def _require_some(ids: tuple[str, ...], number: int) -> None:
    if ids and not number:
        raise Failure("none of these ids is a dead letter; `omni dlq list` names them")
