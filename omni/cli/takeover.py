"""`omni pause`, `omni resume`, `omni send`: a person takes a conversation over and gives it back."""

from __future__ import annotations

import getpass

import click

from omni.app.engines import Engines
from omni.cli.naming import find, find_call
from omni.cli.opening import Failure, config_option, on_loop, opened, settings_for
from omni.model.agent import Agent
from omni.model.call import Call
from omni.model.message import Message
from omni.settings import Settings
from omni.telemetry.logs import one_line
from sessions.commands import Commands


def _me() -> str:
    try:
        return one_line(getpass.getuser(), 40)
    except (KeyError, OSError):
        return "operator"


def _commands(settings: Settings, found: Engines) -> Commands:
    return Commands(found.store, found.bus, settings.partitions)


@click.command()
@click.argument("who", metavar="CALL|PERSON|AGENT")
@click.option("--by", default=_me, help="Your name, for the log.  [default: your user name]")
@config_option
@on_loop
async def pause(who: str, by: str, config: str | None) -> None:
    """Silence the bot: for one call (its id, or `last`), for a person (number or contact id) or for a whole agent."""
    await _set(who, by, config, paused=True)


@click.command()
@click.argument("who", metavar="CALL|PERSON|AGENT")
@click.option("--by", default=_me, help="Your name, for the log.  [default: your user name]")
@click.option("--note", help="A line for the bot to know what happened meanwhile (calls only).")
@config_option
@on_loop
async def resume(who: str, by: str, note: str | None, config: str | None) -> None:
    """Give a call, a person or an agent back to the bot."""
    await _set(who, by, config, paused=False, note=note)


@click.command()
@click.argument("call")
@click.argument("text")
@click.option("--by", default=_me, help="Your name, for the log.  [default: your user name]")
@click.option("--keep-bot", is_flag=True, help="Let the bot go on answering; else you take the conversation over.")
@config_option
@on_loop
async def send(call: str, text: str, by: str, keep_bot: bool, config: str | None) -> None:
    """Write to a person in their call (its id, or `last`). The bot falls silent until `omni resume`."""
    if not text.strip():
        raise Failure("there is no text to send")
    settings = settings_for(config)
    async with opened(settings) as found:
        wanted = await find_call(found.store, call)
        _require_open(wanted)
        await _commands(settings, found).send(wanted, by, Message.of(text), takes_over=not keep_bot)
    click.echo(f"Handed to the server: {wanted.id} gets your message.")


async def _set(who: str, by: str, config: str | None, *, paused: bool, note: str | None = None) -> None:
    settings = settings_for(config)
    async with opened(settings) as found:
        commands = _commands(settings, found)
        wanted = await find(found.store, who)
        if isinstance(wanted, Call):
            _require_open(wanted)
            if paused:
                await commands.pause(wanted, by)
            else:
                await commands.resume(wanted, by, note)
            name = wanted.id
        elif isinstance(wanted, Agent):
            await commands.pause_agent(wanted.org, wanted.slug, by, paused=paused)
            name = f"the agent {wanted.slug}"
        else:
            contact = wanted.contact
            await commands.pause_person(contact, wanted.agent, by, paused=paused)
            name = f"{one_line(contact.name or contact.home, 40)} (in every call)"
    click.echo(f"The bot is silent for {name}." if paused else f"The bot answers for {name} again.")


def _require_open(call: Call) -> None:
    if not call.is_open:
        raise Failure(f"the call {call.id} has ended; the person's next message opens a new one")
