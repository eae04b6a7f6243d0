"""`omni agents`: who answers, on which numbers, with which brain."""

from __future__ import annotations

import click

from omni.app.engines import Engines
from omni.cli.opening import Failure, config_option, on_loop, opened, settings_for
from omni.cli.show import said, table
from omni.cli.takeover import pause as pause_any
from omni.cli.takeover import resume as resume_any
from omni.model.agent import Agent
from omni.model.base import DEFAULT_ORG


@click.group(invoke_without_command=True)
@click.pass_context
def agents(ctx: click.Context) -> None:
    """Who answers: list, show, pause and resume agents. Agents are declared in the settings file."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_agents)


@agents.command("list")
@config_option
@click.option("--json", "as_lines", is_flag=True, help="One JSON object a line, without secrets.")
@on_loop
async def list_agents(config: str | None = None, as_lines: bool = False) -> None:
    """Every agent that the server knows."""
    async with opened(settings_for(config)) as found:
        known = await found.store.agents(DEFAULT_ORG)
    if as_lines:
        for agent in known:
            click.echo(agent.model_dump_json(exclude_defaults=True))
        return
    if not known:
        click.echo("There are no agents yet; declare one under `agents:` in omni.yaml and start the server.")
        return
    table(("AGENT", "BRAIN", "STATE", "CHANNELS"), [_row(agent) for agent in known])


def _row(agent: Agent) -> tuple[str, ...]:
    channels = ", ".join(channel.id for channel in agent.channels) or "none"
    return agent.slug, agent.brain, "paused" if agent.is_paused else "answers", said(channels, 120)


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
