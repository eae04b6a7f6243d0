"""SMS as a process has it: what it needs from the settings, and its adapter."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from channels.sms.adapter import API_URL, SmsAdapter
from channels.twilio import package
from omni.app.engines import Engines
from omni.app.links import open_links
from omni.model.channel import SmsChannel
from omni.settings import Settings, SettingsError


def require_sms(settings: Settings) -> None:
    """Raises SettingsError when an SMS channel is declared that cannot work here."""
    channel = _first(settings)
    if channel is None:
        return
    if not package.is_installed():
        raise SettingsError(f"the channel {channel.id} cannot be served: {package.MISSING}")
    if settings.public_url is None and settings.twilio_api_url == API_URL:
        raise SettingsError(
            f"OMNI_PUBLIC_URL is missing, and the channel {channel.id} needs it: Twilio signs the address it posts to; "
            "set the https address at which Twilio reaches this server"
        )


async def open_sms(
    stack: AsyncExitStack, settings: Settings, opened: Engines, url: Callable[[], str | None]
) -> SmsAdapter:
    """The adapter, open until the stack is closed. Raises StoreError."""
    adapter = SmsAdapter(opened.blobs, await open_links(settings, opened, url), url, api_url=settings.twilio_api_url)
    await adapter.open()
    stack.push_async_callback(adapter.close)
    if _first(settings) is not None:
        await adapter.warm()
    return adapter


def _first(settings: Settings) -> SmsChannel | None:
    declared = [channel for agent in settings.agents for channel in agent.channels]
    return next((channel for channel in (*declared, *settings.inventory) if isinstance(channel, SmsChannel)), None)
