"""`omni operators`: the people who may sign in to the inbox."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, get_args

import click
from pydantic import JsonValue

from omni.access.operators.links import LINK_SECONDS, Links, link_url
from omni.access.operators.passwords import PasswordError, Passwords, check_password
from omni.access.operators.sessions import Sessions
from omni.access.operators.staff import Staff, StaffError
from omni.access.seal import Sealer, kept_secret
from omni.app.engines import engines
from omni.cli.address import DEFAULT_URL, reachable
from omni.cli.opening import Failure, config_option, on_loop, opened, settings_for
from omni.cli.show import age, as_json, said, table
from omni.model.base import DEFAULT_ORG
from omni.model.ids import new_id
from omni.model.operator import AuditRecord, Operator, Role
from omni.settings import Settings
from omni.store.base import Store

YOU: Final = "you@localhost"
"""The operator of a demo."""

BY: Final = "cli"
"""The actor, in the audit, of what is done on the server's own machine."""

org_option = click.option("--org", default=DEFAULT_ORG, show_default=True, help="The organisation they belong to.")


@dataclass(frozen=True, slots=True)
class Office:
    """Where operators are managed from a terminal: beside the server, in its store."""

    settings: Settings
    store: Store
    staff: Staff

    async def link(self, operator: Operator) -> str:
        """A one-time address that signs them in."""
        secret, previous = self.settings.secret, self.settings.previous_secret
        sealer = Sealer(
            secret.get_secret_value() if secret is not None else await kept_secret(self.store, time.time()),
            previous.get_secret_value() if previous is not None else None,
        )
        return link_url(server_address(self.settings), Links(sealer, self.store).make(operator))

    async def audit(self, org: str, action: str, target: str, **details: JsonValue) -> None:
        """As the server does: before it is done, so that nothing is done that nobody wrote down."""
        record = AuditRecord(
            id=new_id("aud"),
            org=org,
            at=time.time(),
            actor=BY,
            name="omni operators",
            action=action,
            target=target,
            details=details,
        )
        await self.store.write_audit(record)


def server_address(settings: Settings) -> str:
    """Where people open the inbox, without a slash at the end."""
    if settings.public_url is not None:
        return settings.public_url
    return f"http://{reachable(settings.host)}:{settings.port}" if settings.port else DEFAULT_URL


@asynccontextmanager
async def _office(config: str | None, *, is_new: bool = False) -> AsyncIterator[Office]:
    """Refusals become sentences for a terminal. With `is_new` the database may be made."""
    settings = settings_for(config)
    async with engines(settings) if is_new else opened(settings) as found:
        try:
            yield Office(settings, found.store, Staff(found.store, Sessions(found.store)))
        except (StaffError, PasswordError) as error:
            raise Failure(str(error)) from None


def _show_link(link: str, operator: Operator) -> None:
    click.echo(link)
    click.echo(f"It signs {operator.name} in once, within {LINK_SECONDS / 60:.0f} minutes.", err=True)


@click.group(invoke_without_command=True)
@click.pass_context
def operators(ctx: click.Context) -> None:
    """The people who may sign in to the inbox: add, list, reset and disable them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_operators)


@operators.command()
@click.argument("email")
@click.option("--name", help="What colleagues call them; without it what stands before the @.")
@click.option("--role", type=click.Choice(get_args(Role)), default="agent", show_default=True,
              help="viewers read, agents answer, admins also manage people.")  # fmt: skip
@click.option("--password-stdin", is_flag=True, help="Read their password from standard input.")
@org_option
@config_option
@on_loop
async def add(email: str, name: str | None, role: Role, password_stdin: bool, org: str, config: str | None) -> None:
    """Add somebody, and show the one-time link that signs them in."""
    typed = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    async with _office(config, is_new=True) as office:
        hash_ = await Passwords().hash(check_password(typed, email)) if typed is not None else None
        await office.audit(org, "operator.add", email.strip().lower()[:254], role=role)
        operator = await office.staff.add(org, email, name or email.partition("@")[0], role, password_hash=hash_)
        link = await office.link(operator)
    click.echo(f"{operator.name} <{operator.email}> may sign in as {operator.role}.", err=True)
    _show_link(link, operator)


@operators.command("list")
@org_option
@config_option
@click.option("--json", "as_lines", is_flag=True, help="One JSON object a line.")
@on_loop
async def list_operators(org: str = DEFAULT_ORG, config: str | None = None, as_lines: bool = False) -> None:
    """Who there is, what they may do, and when each was last there (to some minutes)."""
    async with _office(config) as office:
        known = await office.store.operators(org)
    if as_lines:
        for operator in known:
            click.echo(as_json(operator.model_dump(exclude={"password_hash", "subject", "version"})))
    elif known:
        table(("E-MAIL", "NAME", "ROLE", "SIGNS IN BY", "LAST SEEN"), [_row(one, time.time()) for one in known])
    else:
        click.echo(f"{org} has no operators yet; add one: omni operators add you@example.com --role admin")


def _row(operator: Operator, now: float) -> tuple[str, ...]:
    ways = [*(["password"] if operator.password_hash else []), *(["provider"] if operator.subject else [])]
    way = "disabled" if operator.disabled_at is not None else " or ".join(ways) or "link only"
    seen = f"{age(now - operator.last_seen_at)} ago" if operator.last_seen_at is not None else "never"
    return said(operator.email, 60), said(operator.name, 40), operator.role, way, seen


@operators.command()
@click.argument("email")
@org_option
@config_option
@on_loop
async def reset(email: str, org: str, config: str | None) -> None:
    """Take somebody's password away, sign them out everywhere, and show a one-time link that signs them in."""
    async with _office(config) as office:
        operator = await office.staff.by_email(org, email)
        if operator.disabled_at is not None:
            raise Failure(f"{operator.email} is disabled; enable them first: omni operators enable {operator.email}")
        await office.audit(org, "operator.change", operator.id, reset=True)
        link = await office.link(await office.staff.reset(org, operator.id))
    _show_link(link, operator)


@operators.command()
@click.argument("email")
@org_option
@config_option
@on_loop
async def disable(email: str, org: str, config: str | None) -> None:
    """Let somebody in no more, and sign them out everywhere within seconds. What they did stays theirs."""
    await _enabled(email, org, config, is_disabled=True)


@operators.command()
@click.argument("email")
@org_option
@config_option
@on_loop
async def enable(email: str, org: str, config: str | None) -> None:
    """Let somebody in again who was disabled."""
    await _enabled(email, org, config, is_disabled=False)


async def _enabled(email: str, org: str, config: str | None, *, is_disabled: bool) -> None:
    async with _office(config) as office:
        operator = await office.staff.by_email(org, email)
        await office.audit(org, "operator.change", operator.id, disabled=is_disabled)
        await office.staff.change(org, operator.id, is_disabled=is_disabled)
    click.echo(f"{operator.email} is {'disabled, and signed out within seconds' if is_disabled else 'enabled'}.")


async def own_link(settings: Settings) -> str:
    """A link that signs the demo's own user in, who is made if there is none. Raises what the engines raise."""
    async with engines(settings) as found:
        office = Office(settings, found.store, Staff(found.store, Sessions(found.store)))
        operator = await found.store.operator_by_email(YOU)
        if operator is None:
            operator = await office.staff.add(DEFAULT_ORG, YOU, "Demo Admin", "admin")
        return await office.link(operator)
