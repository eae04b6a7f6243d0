"""Addresses at which others can fetch our files, as a process makes them."""

from __future__ import annotations

import time
from collections.abc import Callable

from channels.sms.links import Links
from omni.access.seal import Sealer, kept_secret
from omni.app.engines import Engines
from omni.model.message import Media
from omni.settings import Settings
from sessions.brains.webhook.envelope import MediaLink


async def open_links(settings: Settings, opened: Engines, url: Callable[[], str | None]) -> Links:
    """Under `url`, our public address as far as it is known. Raises StoreError."""
    return Links(await open_sealer(settings, opened), url)


async def open_sealer(settings: Settings, opened: Engines) -> Sealer:
    """With the installation's secret. Raises StoreError."""
    secret, previous = settings.secret, settings.previous_secret
    return Sealer(
        secret.get_secret_value() if secret is not None else await kept_secret(opened.store, time.time()),
        previous.get_secret_value() if previous is not None else None,
    )


def media_link(links: Links) -> MediaLink:
    """Where a developer's server can fetch a file of a message: ours once it is stored, else nowhere."""

    def link(media: Media) -> str | None:
        if media.blob is None:
            return None
        return links.of(media.blob, media.mime or "application/octet-stream", media.filename)

    return link
