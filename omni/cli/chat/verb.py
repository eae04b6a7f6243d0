"""`omni chat`: somebody at the keyboard, and an agent. What is piped in is said line by line."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from typing import Final

import click

from omni.cli.address import Address, address_for, server_options
from omni.cli.chat.client import ChatClient, ChatError, Conversation, connected
from omni.cli.chat.events import ByPeople, Failed
from omni.cli.chat.loop_thread import LoopThread
from omni.cli.chat.screen import Screen
from omni.cli.credentials import credentials_file, keep_key
from omni.cli.opening import Failure
from omni.cli.remote import connected_agents

HELP: Final = "/reset or /new: a new conversation   /clear: an empty screen   /quit: the end   //text: says /text"
COLOURED_PROMPT: Final = "\x01\x1b[36;1m\x02you › \x01\x1b[0m\x02"
"""Its colours stand between the marks by which readline knows that they take no place."""
EMPTY_LINE: Final = "\r\x1b[K"
AGAIN: Final = frozenset({"/reset", "/new"})
END: Final = frozenset({"/quit", "/exit"})


@click.command()
@click.argument("agent", required=False)
@server_options
@click.option("--json", "as_lines", is_flag=True, help="The server's frames as they come, one JSON object a line.")
@click.option("--save", is_flag=True, help="Keep the key for this server in your credentials file.")
def chat(agent: str | None, server: str | None, api_key: str | None, as_lines: bool, save: bool) -> None:
    """Talk to an agent of a running server. Ctrl-C gives an answer up, Ctrl-D ends the chat.

    AGENT may be left out where one program is connected. Texts may be piped in, one a line; the status is 1 then when
    an answer failed.
    """
    address = address_for(server, api_key)
    try:
        with LoopThread() as loop:
            agent = agent or loop.run(_only_agent(address))
            opened = connected(address)
            client = loop.run(opened.__aenter__())
            try:
                if save:
                    _save(address)
                has_failed = _Chat(loop, client, agent, as_lines=as_lines).run()
            finally:
                loop.run(opened.__aexit__(None, None, None))
    except ChatError as error:
        raise Failure(str(error)) from None
    if has_failed and not sys.stdin.isatty():
        raise SystemExit(1)


async def _only_agent(address: Address) -> str:
    names = [agent.slug for agent in await connected_agents(address)]
    if len(names) != 1:
        there = f"connected are {', '.join(names)}" if names else "no program is connected"
        raise Failure(f"say whom to talk to: omni chat AGENT ({there})")
    return names[0]


def _save(address: Address) -> None:
    path = credentials_file()
    keep_key(path, address.url, address.key)
    click.echo(f"The key for {address.url} is kept in {path}.", err=True)


class _Chat:
    def __init__(self, loop: LoopThread, client: ChatClient, agent: str, *, as_lines: bool) -> None:
        self._loop = loop
        self._client = client
        self._agent = agent
        self._as_lines = as_lines
        self._is_typed = sys.stdin.isatty() and not as_lines
        self._prompt = "" if not self._is_typed else "you › " if os.environ.get("NO_COLOR") else COLOURED_PROMPT
        self._screen = Screen(agent, click.get_current_context().color)
        self._is_at_prompt = False
        self._typed_so_far: Callable[[], str] = lambda: ""
        self._conversation = self._begin()
        self._has_failed = False

    def run(self) -> bool:
        """Until there is no more to say; True when an answer failed."""
        if self._is_typed:
            with contextlib.suppress(ImportError):
                import readline  # gives `input` arrows and a history

                self._typed_so_far = readline.get_line_buffer
            click.secho(f"Write to {self._agent}. {HELP}", dim=True)
        while (line := self._line()) is not None:
            text = line.strip()
            if text in END:
                break
            if text in AGAIN:
                self._conversation = self._begin()
                self._note("A new conversation.")
            elif text == "/clear":
                click.clear()
            elif text.startswith("/") and not text.startswith("//"):
                self._note(HELP)
            elif text:
                self._say(text.removeprefix("/") if text.startswith("//") else text)
        return self._has_failed

    def _begin(self) -> Conversation:
        begun = self._client.conversation(self._agent)
        if self._as_lines:
            begun.on_frame = lambda told: click.echo(json.dumps(told))
        else:
            begun.on_people = lambda event: self._step_in(begun, event)
        return begun

    def _step_in(self, conversation: Conversation, event: ByPeople) -> None:
        """Somebody on the agent's side did something while a text is being typed: it stands above that."""
        if conversation is not self._conversation:
            return
        is_typing = self._is_at_prompt and sys.stdout.isatty()
        if is_typing:
            sys.stdout.write(EMPTY_LINE)
        self._screen.show(event)
        if is_typing:
            prompt = self._prompt.replace("\x01", "").replace("\x02", "")
            click.echo(prompt + self._typed_so_far(), nl=False, color=True)

    def _line(self) -> str | None:
        self._is_at_prompt = self._is_typed
        try:
            return input(self._prompt)
        except (EOFError, KeyboardInterrupt):
            if self._is_typed:
                click.echo()
            return None
        finally:
            self._is_at_prompt = False

    def _note(self, text: str) -> None:
        if not self._as_lines:
            click.secho(text, dim=True)

    def _say(self, text: str) -> None:
        try:
            self._loop.run(self._turn(text))
        except KeyboardInterrupt:
            if not self._is_typed:
                raise
            self._screen.given_up()

    async def _turn(self, text: str) -> None:
        async with contextlib.aclosing(self._conversation.say(text)) as events:
            async for event in events:
                self._has_failed |= isinstance(event, Failed)
                if not self._as_lines:
                    self._screen.show(event)
