"""`open_exchange(…)` starts the phone channel on a socket, and the stand-in for Twilio that calls it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.phone import media
from channels.phone.addresses import STATUS_PATH, VOICE_PATH, media_url
from channels.phone.carrier import TwilioCarrier
from channels.phone.reception import Answer
from channels.phone.webhook import PhoneWebhook
from channels.twilio.simulator import Simulator, SimulatorSettings, running
from omni.access.seal import Sealer
from tests.phone.line import ACCOUNT, NUMBER, TOKEN, Board, Desk, directory_of

SEALER = Sealer("a-secret-of-the-tests")


@dataclass
class Exchange:
    """The phone channel as a server has it: `board` and `desk` are what stands behind it."""

    twilio: Simulator
    api_url: str
    url: str
    board: Board
    desk: Desk
    carrier: TwilioCarrier


OpenExchange = Callable[..., Awaitable[Exchange]]


@pytest.fixture
async def open_exchange() -> AsyncIterator[OpenExchange]:
    """`await open_exchange(…)`: arguments are changes of the stand-in's settings."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Exchange:
            board, desk, directory = Board(), Desk(), directory_of()
            server = TestServer(web.Application())
            webhook = PhoneWebhook(desk, lambda: directory, lambda: url, SEALER)
            server.app.add_routes(webhook.routes(with_status=True))
            server.app.add_routes(media.routes(board, lambda: directory, lambda: url))
            await server.start_server(shutdown_timeout=1.0)
            stack.push_async_callback(server.close)
            stack.push_async_callback(webhook.close)
            url = str(server.make_url("")).rstrip("/")
            desk.answers = [Answer("tok-1", media_url(url))]
            given = {"voice_url": f"{url}{VOICE_PATH}", "voice_status_url": f"{url}{STATUS_PATH}", **settings}
            told = SimulatorSettings(account_sid=ACCOUNT, auth_token=TOKEN, number=NUMBER, port=0, **given)
            twilio, api_url = await stack.enter_async_context(running(told))
            carrier = TwilioCarrier(
                lambda: directory, lambda: url, lambda: media_url(url), SEALER, api_url=api_url, timeout=2
            )
            await carrier.open()
            stack.push_async_callback(carrier.close)
            return Exchange(twilio, api_url, url, board, desk, carrier)

        yield start


@pytest.fixture
async def exchange(open_exchange: OpenExchange) -> Exchange:
    return await open_exchange()
