"""`omni mic`: talk to an agent of a running server, with the machine's microphone or with files."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

import aiohttp
import click

from omni.cli.address import Address, address_for, server_options
from omni.cli.mic.machine import Machine, machine
from omni.cli.mic.speaker import Speaker
from omni.cli.opening import Failure, on_loop
from omni.cli.show import said
from omni.model.slugs import slug_of

QUIET_SECONDS: Final = 3.0
"""After the last word of a file, the bot's silence for so long is the end."""
FRAMES_A_SECOND: Final = 50


@click.command()
@click.argument("agent")
@click.option(
    "--wav",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Say what is in this file, and hang up when the bot has answered. No device is needed.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write what is heard to this file.")
@click.option("--quiet", type=click.FloatRange(0.5), default=QUIET_SECONDS, show_default=True,
              help="With --wav: hang up after so long a silence of the bot.")  # fmt: skip
@server_options
@on_loop
async def mic(
    agent: str, wav: Path | None, out: Path | None, quiet: float, server: str | None, api_key: str | None
) -> None:
    """Talk to AGENT with this machine's microphone and speaker. Use headphones: the bot hears what the speaker plays.

    Ctrl-C hangs up. What is said is shown by `omni calls tail`.
    """
    if out is not None and wav is None:
        raise Failure("--out goes with --wav; a call with the microphone is recorded by the server (`recording`)")
    address = address_for(server, api_key)
    speaker = Speaker()
    with machine(speaker, wav, out) as found:
        await _talk(address, slug_of(agent), found, speaker, quiet)


async def _talk(address: Address, agent: str, found: Machine, speaker: Speaker, quiet: float) -> None:
    headers = {"Authorization": f"Bearer {address.key}"}
    url = f"ws{address.url.removeprefix('http')}/mic"
    try:
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.ws_connect(url, max_msg_size=2**20) as socket,
        ):
            await socket.send_json({"type": "start", "agent": agent})
            call = await _ready(socket)
            click.echo(f"{call}: you are through to {agent}.", err=True)
            hearing = asyncio.create_task(_hear(socket, speaker), name="hear the bot")
            try:
                await _say(socket, found, speaker, hearing, quiet)
            finally:
                hearing.cancel()
                await asyncio.wait([hearing])
                await socket.close()
    except aiohttp.WSServerHandshakeError as error:
        raise Failure(_refusal(error.status, address.url)) from None
    except (aiohttp.ClientError, OSError):
        raise Failure(f"no server answers at {address.url}; start one (omni serve), or name another") from None
    click.echo("The call is over.", err=True)


def _refusal(status: int, url: str) -> str:
    if status == 401:
        return f"{url} refuses the API key; `omni keys list` on the server shows the good ones"
    return (
        f"{url} does not take calls from terminals (it answered {status}); "
        "that needs `omni-server[local-speech]` there, and a server with every role"
    )


async def _ready(socket: aiohttp.ClientWebSocketResponse) -> str:
    message = await socket.receive(timeout=15)
    try:
        answer = json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else {}
    except ValueError:
        answer = {}
    if answer.get("type") == "ready":
        return said(str(answer.get("call")), 64)
    raise Failure(said(str(answer.get("error") or "the server hung up at once; its log says why"), 300))


async def _hear(socket: aiohttp.ClientWebSocketResponse, speaker: Speaker) -> None:
    async for message in socket:
        if message.type is aiohttp.WSMsgType.BINARY:
            speaker.sound(message.data)
            continue
        if message.type is not aiohttp.WSMsgType.TEXT:
            continue
        word = json.loads(message.data)
        if word.get("type") == "clear":
            speaker.clear()
        elif word.get("type") == "mark":
            speaker.mark(str(word.get("name")))


async def _say(
    socket: aiohttp.ClientWebSocketResponse,
    found: Machine,
    speaker: Speaker,
    hearing: asyncio.Task[None],
    quiet: float,
) -> None:
    """Until either side hangs up."""
    silent = 0
    while not hearing.done():
        pcm, marks = await found.exchange()
        if pcm is None:
            return
        await socket.send_bytes(pcm)
        for name in marks:
            await socket.send_json({"type": "played", "name": name})
        silent = 0 if speaker.is_playing or not found.is_through else silent + 1
        if silent >= quiet * FRAMES_A_SECOND:
            return
