"""`omni keys`: the API keys that programs and servers show us."""

from __future__ import annotations

import time

import click

from omni.access.keys import Keys
from omni.app.engines import engines
from omni.cli.opening import Failure, config_option, on_loop, opened, settings_for
from omni.cli.show import age, as_json, day, said, table
from omni.model.access import ApiKey
from omni.model.base import DEFAULT_ORG

org_option = click.option(
    "--org", default=DEFAULT_ORG, show_default=True, help="The organisation that the key belongs to."
)


@click.group(invoke_without_command=True)
@click.pass_context
def keys(ctx: click.Context) -> None:
    """API keys: create, list and revoke what programs and servers show to omni."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_keys)


@keys.command()
@click.argument("name")
@org_option
@config_option
@on_loop
async def create(name: str, org: str, config: str | None) -> None:
    """Make a key and show it, this once. NAME says what it is for."""
    if not name.strip() or not org.strip():
        raise Failure("a key needs a name and an organisation, such as: omni keys create shop-server")
    async with engines(settings_for(config)) as found:
        key, secret = await Keys(found.store).create(org.strip(), name.strip())
    click.echo(secret)
    click.echo(f"This is {key.name!r} of {key.org} ({key.id}). It is never shown again: keep it now.", err=True)


@keys.command("list")
@org_option
@config_option
@click.option("--json", "as_lines", is_flag=True, help="One JSON object a line.")
@on_loop
async def list_keys(org: str = DEFAULT_ORG, config: str | None = None, as_lines: bool = False) -> None:
    """The keys in force, and when each was last used (to some minutes)."""
    settings = settings_for(config)
    async with opened(settings) as found:
        known = await Keys(found.store).of(org)
    if as_lines:
        for key in known:
            click.echo(as_json(key.model_dump(exclude={"hash", "revoked_at"})))
        return
    if known:
        table(("KEY", "NAME", "LOOKS LIKE", "MADE", "LAST USED"), [_row(key, time.time()) for key in known])
    else:
        click.echo(f"There are no keys of {org} yet; make one: omni keys create NAME")
    if settings.api_key is not None and org == DEFAULT_ORG:
        click.echo("OMNI_API_KEY is a key too; change the setting to change it.", err=True)


def _row(key: ApiKey, now: float) -> tuple[str, ...]:
    used = f"{age(now - key.last_used_at)} ago" if key.last_used_at is not None else "never"
    return key.id, said(key.name, 40), key.preview, day(key.created_at), used


@keys.command()
@click.argument("which", metavar="KEY|NAME")
@org_option
@config_option
@on_loop
async def revoke(which: str, org: str, config: str | None) -> None:
    """Make a key worthless, within seconds. It is named by its id, or by its name when no other key has it."""
    async with opened(settings_for(config)) as found:
        known = Keys(found.store)
        matching = [key for key in await known.of(org) if which in (key.id, key.name)]
        if len(matching) != 1:
            raise Failure(_not_one(which, org, matching))
        await known.revoke(org, matching[0].id)
    click.echo(
        f"{said(matching[0].name, 40)} ({matching[0].id}) is revoked; whatever uses it is refused within seconds."
    )


def _not_one(which: str, org: str, matching: list[ApiKey]) -> str:
    if matching:
        return f"{len(matching)} keys are named {which!r}; name one by its id: {', '.join(key.id for key in matching)}"
    return f"{org} has no key {which!r} in force; `omni keys list` shows them"
