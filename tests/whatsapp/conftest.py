"""A WhatsApp webhook on a real socket, before a real bus, and the bodies to post to it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.whatsapp.directory import Directory
from channels.whatsapp.signature import HEADER, sign
from channels.whatsapp.webhook import PATH, WebhookLimits, routes
from omni.bus.base import Bus, Received
from omni.bus.sqlite import SqliteBus
from omni.model.channel import WhatsAppChannel
from omni.model.delivery import StatusUpdate, unpack_statuses
from omni.model.inbound import AnyInput, unpack
from omni.model.queues import STATUSES, every_queue
from omni.sqlite import SqliteFile

PARTITIONS = 4
NOW = 1794830000.0
"""A little later than everything in the fixtures happened."""
SECRET = "omni-fixture-app-secret-4d1f"
VERIFY = "a-verify-token-of-the-tests"
NUMBERS = ("204917735580163", "204917735580288", "204917735589044")


def channel_of(number: str, **changes: object) -> WhatsAppChannel:
    return WhatsAppChannel.model_validate(
        {
            "phone_number_id": number,
            "access_token": "an-access-token-of-the-tests",
            "app_secret": SECRET,
            "verify_token": VERIFY,
            **changes,
        }
    )


@dataclass
class Gate:
    """The webhook as the platform sees it, and what it put on the bus."""

    bus: Bus
    url: str
    client: aiohttp.ClientSession
    directory: Directory
    now: float = NOW
    _messages: list[Received] = field(default_factory=list)

    def serve(self, *channels: WhatsAppChannel, org: str = "default", agent: str = "echo") -> None:
        """From now on these are our numbers."""
        self.directory = Directory((org, agent, channel) for channel in channels)

    async def post(self, body: bytes, *, signature: str | None = "", secret: str = SECRET) -> int:
        """Post a body, correctly signed unless told otherwise; the answer's status."""
        headers = {"Content-Type": "application/json"}
        if signature is not None:
            headers[HEADER] = signature or sign(secret, body)
        async with self.client.post(self.url, data=io.BytesIO(body), headers=headers) as response:
            text = await response.read()
            assert len(text) < 64
            return response.status

    async def stored(self) -> tuple[list[AnyInput], list[StatusUpdate]]:
        """Everything on the bus so far, in the order of its queue."""
        messages: list[Received] = []
        consumers = []
        for queue in every_queue(PARTITIONS):
            waiting = (await self.bus.depth(queue.name)).ready
            if not waiting:
                continue
            done = asyncio.Event()

            def take(message: Received, until: int = len(messages) + waiting, done: asyncio.Event = done) -> None:
                messages.append(message)
                if len(messages) >= until:
                    done.set()

            consumers.append(await self.bus.consume(queue, take, prefetch=10_000))
            async with asyncio.timeout(10):
                await done.wait()
        for consumer in consumers:
            await consumer.stop()
        inputs: list[AnyInput] = []
        statuses: list[StatusUpdate] = []
        for message in messages:
            if message.queue == STATUSES.name:
                statuses.extend(unpack_statuses(message.body))
            else:
                inputs.extend(unpack(message.body))
            message.ack()
        return inputs, statuses


@pytest.fixture
def fixture_body() -> Callable[[str], bytes]:
    """The bytes of a fixture by name, `hostile/` and all, without `.json`."""
    folder = Path(__file__).parent / "fixtures"
    return lambda name: (folder / f"{name}.json").read_bytes()


@pytest.fixture
def our_channel() -> Callable[..., WhatsAppChannel]:
    return channel_of


@pytest.fixture
def our_numbers() -> Sequence[WhatsAppChannel]:
    return [channel_of(number) for number in NUMBERS]


@pytest.fixture
def webhook_limits() -> WebhookLimits:
    return WebhookLimits()


@pytest.fixture
async def gate(
    tmp_path: Path, our_numbers: Sequence[WhatsAppChannel], webhook_limits: WebhookLimits
) -> AsyncIterator[Gate]:
    bus = SqliteBus(SqliteFile(tmp_path / "bus.db"))
    await bus.open()
    await bus.declare(every_queue(PARTITIONS))
    async with aiohttp.ClientSession() as client:
        made = Gate(bus, "", client, Directory(("default", "echo", channel) for channel in our_numbers))
        app = web.Application()
        app.add_routes(routes(lambda: made.directory, bus, PARTITIONS, lambda: made.now, webhook_limits))
        server = TestServer(app)
        await server.start_server()
        made.url = str(server.make_url(PATH))
        try:
            yield made
        finally:
            await server.close()
            await bus.close()


@pytest.fixture
def log_lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was logged so far, a line each."""
    caplog.set_level("DEBUG")
    return lambda: [record.getMessage() for record in caplog.records]
