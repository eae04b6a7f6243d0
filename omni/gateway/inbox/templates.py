"""An approved template that is asked for by name, filled."""

from __future__ import annotations

from collections.abc import Sequence

from omni.gateway.inbox.asking import InboxError
from omni.gateway.inbox.kit import TemplatesError, TemplateSource
from omni.gateway.inbox.queries import invalid
from omni.gateway.inbox.writing import TemplateRef
from omni.model.message import Template
from omni.model.template import ApprovedTemplate


async def approved(source: TemplateSource, org: str, agent: str, channel: str) -> Sequence[ApprovedTemplate]:
    """Those of a channel. Raises InboxError 409 when they cannot be listed."""
    try:
        return await source.approved(org, agent, channel)
    except TemplatesError as error:
        raise InboxError(409, "setup", str(error)) from None


async def template_of(source: TemplateSource, org: str, agent: str, channel: str, wanted: TemplateRef) -> Template:
    """Ready to be sent. Raises InboxError: 422 for one that is not there or lacks a value, 409 as `approved`."""
    for each in await approved(source, org, agent, channel):
        if (each.name, each.language) == (wanted.name, wanted.language):
            try:
                return source.filled(each, wanted.values)
            except ValueError as error:
                raise invalid("template", str(error)) from None
    raise invalid("template", f"there is no approved template {wanted.name[:80]!r} in {wanted.language!r}")
