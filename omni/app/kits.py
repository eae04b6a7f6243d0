"""What the routes of the inbox and of the REST surfaces work with, made from the process's parts."""

from __future__ import annotations

import functools

from omni.app.parts import Parts
from omni.app.sip import sip_uri
from omni.app.voices import voices_of
from omni.gateway.inbox.guard import Guard
from omni.gateway.inbox.kit import Kit, TemplateSource
from omni.gateway.rest.kit import RestKit


def inbox_kit(parts: Parts, templates: TemplateSource) -> Kit:
    return Kit(
        store=parts.engines.store,
        blobs=parts.engines.blobs,
        bus=parts.engines.bus,
        hub=parts.hub,
        book=parts.book,
        commands=parts.commands,
        guard=Guard(parts.access, parts.engines.store, parts.settings.public_url),
        sealer=parts.access.sealer,
        partitions=parts.settings.partitions,
        templates=templates,
    )


def rest_kit(parts: Parts, templates: TemplateSource) -> RestKit:
    return RestKit(
        store=parts.engines.store,
        blobs=parts.engines.blobs,
        bus=parts.engines.bus,
        hub=parts.hub,
        book=parts.book,
        commands=parts.commands,
        access=parts.access,
        webhooks=parts.webhooks,
        trunks=parts.trunks,
        partitions=parts.settings.partitions,
        declared=frozenset((agent.org, agent.slug) for agent in parts.settings.agents),
        templates=templates,
        voices=functools.cache(lambda: voices_of(parts.settings)),
        sip_uri=lambda: sip_uri(parts.settings, parts.url()),
    )
