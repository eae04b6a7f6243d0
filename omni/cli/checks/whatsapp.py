"""WhatsApp numbers: credentials, the Graph version's remaining life, and the way in."""

from __future__ import annotations

import hmac
import importlib.util
import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from channels.base import RefusedError
from channels.whatsapp.adapter import WhatsAppAdapter
from channels.whatsapp.webhook import PATH
from omni.app.voice import NEEDED
from omni.blobs.base import Blob, BlobError
from omni.cli.checks.base import FAIL, OK, WARN, Finding
from omni.model.agent import Agent
from omni.model.channel import WhatsAppChannel
from omni.settings import Settings

GRAPH_VERSION_ENDS: Final = {
    "v20.0": date(2026, 9, 24),
    "v21.0": date(2027, 1, 21),
    "v22.0": date(2027, 5, 20),
    "v23.0": date(2027, 10, 8),
    "v24.0": date(2028, 2, 18),
    "v25.0": date(2028, 7, 29),
}
"""Last day of each version. Source: the Graph API's changelog; the newest version has no end yet."""

NEWEST: Final = "v26.0"
SOON: Final = timedelta(days=90)


def _numbers(agents: Sequence[Agent]) -> list[tuple[Agent, WhatsAppChannel]]:
    return [(agent, channel) for agent in agents for channel in agent.channels if isinstance(channel, WhatsAppChannel)]


def graph_version(version: str, today: date) -> Finding:
    """How long a Graph version lives. An expired one silently becomes the oldest that is still alive."""
    ends = GRAPH_VERSION_ENDS.get(version)
    if ends is None:
        known = int(version[1:3]) >= int(NEWEST[1:3])
        if known:
            return Finding(OK, "whatsapp", f"Graph {version} has no end yet")
        return Finding(FAIL, "whatsapp", f"Graph {version} has ended; set graph_version: {NEWEST}")
    if ends < today:
        return Finding(FAIL, "whatsapp", f"Graph {version} ended on {ends}; set graph_version: {NEWEST}")
    if ends - today < SOON:
        return Finding(WARN, "whatsapp", f"Graph {version} ends on {ends}; set graph_version: {NEWEST} before")
    return Finding(OK, "whatsapp", f"Graph {version} lives until {ends}")


def calls(name: str) -> Finding:
    """Whether this machine could carry the calls of a number."""
    missing = [package for package in (*NEEDED, "aiortc") if importlib.util.find_spec(package) is None]
    if missing:
        return Finding(
            WARN,
            "whatsapp",
            f"{name} takes calls, and {', '.join(missing)} is missing here; where the voice worker runs, "
            "pip install 'omni-server[voice]'",
        )
    return Finding(OK, "whatsapp", f"{name} takes calls; the app must be subscribed to the field calls")


async def check_numbers(settings: Settings, agents: Sequence[Agent]) -> list[Finding]:
    """Each number's token, by one harmless authenticated request."""
    numbers = _numbers(agents)
    if not numbers:
        return [Finding(OK, "whatsapp", "no number is configured")]
    today = datetime.now(UTC).date()
    findings = [graph_version(version, today) for version in sorted({channel.graph_version for _, channel in numbers})]
    adapter = WhatsAppAdapter(NoBlobs(), graph_url=settings.whatsapp_graph_url, timeout=10)
    await adapter.open()
    try:
        for agent, channel in numbers:
            name = f"number {channel.phone_number_id} of agent {agent.slug!r}"
            try:
                findings.append(Finding(OK, "whatsapp", f"{name}: {await adapter.probe(channel)}"))
            except RefusedError as refused:
                findings.append(Finding(FAIL, "whatsapp", f"{name}: {refused.reason}"))
            if channel.calls:
                findings.append(calls(name))
    finally:
        await adapter.close()
    if not settings.whatsapp_graph_url.startswith("https://graph.facebook.com"):
        host = urlsplit(settings.whatsapp_graph_url).netloc
        findings.append(
            Finding(WARN, "whatsapp", f"OMNI_WHATSAPP_GRAPH_URL points to {host}, not to Meta: nobody real is reached")
        )
    return findings


async def check_webhook(settings: Settings, agents: Sequence[Agent]) -> list[Finding]:
    """The handshake as Meta makes it, through the public address, with every number's token."""
    numbers = _numbers(agents)
    if not numbers:
        return []
    if settings.public_url is None:
        return [
            Finding(
                WARN,
                "webhook",
                f"not tried: set OMNI_PUBLIC_URL to the https address at which Meta reaches {PATH}",
            )
        ]
    findings = []
    url = f"{settings.public_url}{PATH}"
    if not url.startswith("https://"):
        findings.append(Finding(WARN, "webhook", f"{url} is not https; Meta only posts to https addresses"))
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        for _, channel in numbers:
            findings.append(await _handshake(session, url, channel))
    return findings


async def _handshake(session: aiohttp.ClientSession, url: str, channel: WhatsAppChannel) -> Finding:
    challenge = secrets.token_hex(8)
    query = {
        "hub.mode": "subscribe",
        "hub.verify_token": channel.verify_token.get_secret_value(),
        "hub.challenge": challenge,
    }
    name = f"{url} for number {channel.phone_number_id}"
    try:
        async with session.get(url, params=query, allow_redirects=False) as answer:
            text = (await answer.content.read(1024)).decode("utf-8", "replace")
    except (aiohttp.ClientError, TimeoutError) as error:
        return Finding(
            FAIL, "webhook", f"{name} cannot be reached ({type(error).__name__}); check server, proxy and DNS"
        )
    if answer.status == 200 and hmac.compare_digest(text.encode(), challenge.encode()):
        return Finding(OK, "webhook", f"{name} passes the handshake")
    if answer.status == 403:
        return Finding(FAIL, "webhook", f"{name} refuses its verify_token; restart the server with these settings")
    return Finding(FAIL, "webhook", f"{name} answered {answer.status}; the proxy must pass {PATH} on unchanged")


class NoBlobs:
    """A probe sends no files."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def put(self, key: str, content: AsyncIterator[bytes], *, mime: str | None, max_bytes: int) -> Blob:
        raise BlobError("a probe stores nothing")

    async def get(self, key: str) -> Blob | None:
        return None

    async def read(self, key: str) -> AsyncIterator[bytes]:
        for _ in ():
            yield b""

    async def delete(self, key: str) -> bool:
        return False

    async def all(self) -> AsyncIterator[Blob]:
        nothing: tuple[Blob, ...] = ()
        for blob in nothing:
            yield blob

    async def ping(self) -> None: ...
