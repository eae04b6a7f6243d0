"""The `omni` command. A verb's module, and with it the server, is imported only when the verb is used."""

from __future__ import annotations

import importlib
import os
from typing import Final

import click

VERBS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("omni.cli.demo", "A sample bot and a phone to try it, on this machine alone."),
    "serve": ("omni.cli.serve", "Run the server: one role of it, or all in one process."),
    "dev": ("omni.cli.dev.verb", "A server and your bot in one terminal; the bot starts again when you change it."),
    "chat": ("omni.cli.chat.verb", "Talk to an agent of a running server."),
    "test": ("omni.cli.testing.verb", "Test agents: conversations that files describe, judged by a model or by rules."),
    "mic": ("omni.cli.mic.verb", "Talk to an agent with this machine's microphone, or with files."),
    "agents": ("omni.cli.agents", "Who answers: list, show, pause and resume agents."),
    "kick": ("omni.cli.kick", "Disconnect the program of an agent."),
    "dial": ("omni.cli.dial", "Have an agent call somebody."),
    "calls": ("omni.cli.calls", "Conversations: list, show, and a live log in the terminal."),
    "top": ("omni.cli.top.verb", "How a server is doing, live: conversations, queues, waiting times, engines."),
    "keys": ("omni.cli.keys", "API keys: create, list and revoke what programs show to omni."),
    "operators": ("omni.cli.operators", "Who may sign in to the inbox: add, list, reset and disable people."),
    "pause": ("omni.cli.takeover", "Silence the bot for a call, a person or an agent."),
    "resume": ("omni.cli.takeover", "Give a call, a person or an agent back to the bot."),
    "send": ("omni.cli.takeover", "Write to a person yourself, in their conversation."),
    "dlq": ("omni.cli.dlq", "Dead letters: list, show, replay and purge what was given up."),
    "backup": ("omni.cli.backup", "Save all that the server stores to a folder, while it runs."),
    "restore": ("omni.cli.backup", "Put a backup back, into an empty store."),
    "doctor": ("omni.cli.doctor", "Check settings, engines, disk, clock, WhatsApp and SMS numbers."),
    "simulate": ("omni.cli.simulate", "Stand-ins for providers, to develop and test against."),
}
"""Verb: its module (which has a command of the same name) and its line in the help."""


class Verbs(click.Group):
    """A group that knows its commands by name and imports them when one is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = getattr(importlib.import_module(VERBS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise click.UsageError(f"there is no command {args[0]!r}; the commands are {', '.join(VERBS)}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="omni-server", prog_name="omni")
@click.pass_context
def main(ctx: click.Context) -> None:
    """One bot on every channel, one inbox.

    Settings come from OMNI_* variables and from omni.yaml (or --config FILE). `omni demo` needs none.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False
