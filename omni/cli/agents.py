"""`omni agents`: who answers, on which numbers, with which brain, and whose program is connected."""

from __future__ import annotations

import json
import time

import click

from omni.app.engines import Engines
from omni.cli.address import address_for, server_options
from omni.cli.opening import Failure, config_option, on_loop, opened, settings_for
from omni.cli.programs import connected_programs
from omni.cli.remote import connected_agents
from omni.cli.show import age, as_json, said, table
from omni.cli.takeover import pause as pause_any
from omni.cli.takeover import resume as resume_any
from omni.live.presence import Program
from omni.model.agent import Agent
from omni.model.base import DEFAULT_ORG


class Listing(click.Group):
    """A group that lists when it is not told what to do: `omni agents --json` is `omni agents list --json`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Listing)
def agents() -> None:
    """Who answers: list, show, pause and resume agents. The settings file declares them; programs bring theirs."""


@agents.command("list")
@config_option
@click.option("--json", "as_lines", is_flag=True, help="One JSON object a line, without secrets.")
@server_options
@on_loop
async def list_agents(config: str | None, as_lines: bool, server: str | None, api_key: str | None) -> None:
    """Every agent that the server knows. With --server, the agents whose programs are connected there."""
    if server is not None:
        await _list_remote(server, api_key, as_lines=as_lines)
        return
    async with opened(settings_for(config)) as found:
        known = await found.store.agents(DEFAULT_ORG)
        programs = await connected_programs(found.store)
    if as_lines:
        for agent in known:
            click.echo(_line(agent, programs.get(agent.slug)))
    elif known:
        rows = [_row(agent, programs.get(agent.slug)) for agent in known]
        table(("AGENT", "BRAIN", "STATE", "PROGRAM", "CHANNELS"), rows)
    else:
        click.echo(
            "There are no agents yet; declare one under `agents:` in omni.yaml and start the server, or connect a "
            "program that has one."
        )


def _row(agent: Agent, program: Program | None) -> tuple[str, ...]:
    channels = ", ".join(channel.id for channel in agent.channels) or "none"
    state = "paused" if agent.is_paused else "answers"
    if program is not None:
        connected = f"connected for {age(time.time() - program.since)}"
    else:
        connected = "not connected" if agent.brain == "client" else "–"
    return agent.slug, agent.brain, state, connected, said(channels, 120)


def _line(agent: Agent, program: Program | None) -> str:
    shown = json.loads(agent.model_dump_json(exclude_defaults=True))
    return as_json({**shown, "connected_since": program.since if program is not None else None})


async def _list_remote(server: str, api_key: str | None, *, as_lines: bool) -> None:
    address = address_for(server, api_key)
    connected = await connected_agents(address)
    if as_lines:
        for agent in connected:
            click.echo(as_json(agent.model_dump()))
    elif connected:
        rows = [(agent.slug, agent.model or "–", ", ".join(agent.channels) or "none") for agent in connected]
        table(("AGENT", "MODEL", "CHANNELS"), [tuple(said(cell, 120) for cell in row) for row in rows])
    else:
        click.echo(f"No program is connected to {address.url}.")


@agents.command()
@click.argument("slug")
@config_option
@on_loop
async def show(slug: str, config: str | None) -> None:
    """One agent as JSON, as the server has it; secrets are starred out."""
    async with opened(settings_for(config)) as found:
        agent = await _agent(found, slug)
    click.echo(agent.model_dump_json(indent=2, exclude_defaults=True))


async def _agent(found: Engines, slug: str) -> Agent:
    agent = await found.store.agent(DEFAULT_ORG, slug)
    if agent is None:
        names = ", ".join(one.slug for one in await found.store.agents(DEFAULT_ORG)) or "none yet"
        raise Failure(f"there is no agent {slug!r}; there is: {names}")
    return agent


agents.add_command(pause_any, "pause")
agents.add_command(resume_any, "resume")
