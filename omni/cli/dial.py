"""`omni dial`: an agent of a running server calls somebody."""

from __future__ import annotations

import click

from omni.cli.address import address_for, server_options
from omni.cli.opening import on_loop
from omni.cli.remote import dial as dial_remote
from omni.model.slugs import slug_of


@click.command()
@click.argument("number", metavar="NUMBER")
@click.option("--agent", required=True, help="Who calls.")
@click.option("--from", "caller_id", help="Which of the agent's numbers is shown.  [default: its first]")
@click.option("--channel", "channel_id", help="What to call by, as whatsapp_call:<phone number id>.  [default: phone]")
@click.option("--greeting", help="What is said first; empty for nothing.  [default: the agent's own]")
@click.option("--record", is_flag=True, help="Keep the call as a WAV.")
@server_options
@on_loop
async def dial(
    number: str,
    agent: str,
    caller_id: str | None,
    channel_id: str | None,
    greeting: str | None,
    record: bool,
    server: str | None,
    api_key: str | None,
) -> None:
    """Call NUMBER, written with its country: +12025550171. Prints the id of the call while it rings.

    `omni calls tail CALL` shows what becomes of it, `omni calls listen CALL` lets you hear it.
    """
    wanted: dict[str, object] = {"phone_number": number, "agent_id": slug_of(agent)}
    given = {
        "caller_id": caller_id,
        "channel_id": channel_id,
        "first_message": greeting,
        "record": True if record else None,
    }
    wanted |= {name: value for name, value in given.items() if value is not None}
    call = await dial_remote(address_for(server, api_key), wanted)
    click.echo(call)
