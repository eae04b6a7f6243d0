"""`omni kick`: a running server lets an agent's program go."""

from __future__ import annotations

import click

from omni.cli.address import address_for, server_options
from omni.cli.opening import Failure, on_loop
from omni.cli.remote import kick as kick_remote
from omni.model.slugs import slug_of


@click.command()
@click.argument("agent")
@server_options
@on_loop
async def kick(agent: str, server: str | None, api_key: str | None) -> None:
    """Disconnect the program of an agent of a running server, with all its agents; it does not come back by itself.

    The name is free then: for another program, or for the same one when somebody starts it again.
    """
    slug = slug_of(agent)
    if not slug:
        raise Failure(f"{agent[:64]!r} cannot name an agent; `omni agents` shows their names")
    address = address_for(server, api_key)
    await kick_remote(address, slug)
    click.echo(f"{slug} is kicked: its program is disconnected, and another one may connect as {slug} now.")
