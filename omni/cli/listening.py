"""`omni calls listen`: hear a spoken call while it goes on, in a file or in a player's ears."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final
from urllib.parse import quote

import aiohttp
import click

from omni.cli.address import Address, address_for, server_options
from omni.cli.opening import Failure, on_loop

HEARTBEAT_SECONDS: Final = 30.0
ENDED: Final = 1000

Play = Callable[[bytes], object]
"""Takes 16-bit stereo, the caller left and the bot right."""


@click.command()
@click.argument("call")
@click.option("--wav", metavar="FILE", type=click.Path(dir_okay=False, writable=True), help="Write it to this file.")
@server_options
@on_loop
async def listen(call: str, wav: str | None, server: str | None, api_key: str | None) -> None:
    """What is said in CALL, as it is said, until it ends: the caller left, the bot right.

    Without --wav it is written to standard output as raw 16-bit sound for a player, for example
    `| ffplay -f s16le -ar 8000 -ac 2 -nodisp -`.
    """
    if wav is None and sys.stdout.isatty():
        raise Failure("that would fill the terminal with noise; give --wav FILE, or pipe it into a player")
    address = address_for(server, api_key)
    from omni.audio.wav import WavWriter  # loads numpy

    with ExitStack() as stack:
        if wav is None:
            play: Play = _play
        else:
            file = WavWriter(stack.enter_context(open(wav, "wb")), 8000, 2)  # noqa: PTH123, ASYNC230 - small writes, to a file that was asked for
            stack.callback(file.finish)
            play = file.write
        await hear(address, call, play)


async def hear(address: Address, call: str, play: Play) -> None:
    """Play a call to its end. Raises Failure."""
    from omni.audio.g711 import mulaw_to_pcm  # loads numpy

    url = f"{address.url}/v1/calls/{quote(call, safe='')}/listen"
    headers = {"Authorization": f"Bearer {address.key}"}
    try:
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.ws_connect(url, heartbeat=HEARTBEAT_SECONDS) as socket,
        ):
            while (message := await socket.receive()).type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                if message.type is aiohttp.WSMsgType.BINARY:
                    play(mulaw_to_pcm(message.data))
                else:
                    _check(message.data)
            if socket.close_code != ENDED:
                raise Failure(message.extra or f"the server broke it off ({socket.close_code}); listen again")
    except BrokenPipeError:
        return  # the player was closed: nobody listens any more
    except (aiohttp.ClientError, OSError) as error:
        raise Failure(f"the sound of {call} from {address.url} broke off: {error}") from None


def _check(text: str) -> None:
    """Refuse sound that a newer server might send."""
    try:
        said = json.loads(text)
        is_known = (said["encoding"], said["rate"], said["channels"]) == ("mulaw", 8000, 2)
    except (ValueError, KeyError, TypeError):
        is_known = False
    if not is_known:
        raise Failure("the server sends sound that this release of omni cannot read; install the server's")


def _play(pcm: bytes) -> None:
    sys.stdout.buffer.write(pcm)
    sys.stdout.buffer.flush()
