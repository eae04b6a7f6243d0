"""A request to a model, as its trace tells it: OpenTelemetry's semantic conventions for generative AI."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, Final

from yarl import URL

from omni.telemetry import tracing
from sessions.brains.endpoint import Endpoint

if TYPE_CHECKING:
    from sessions.brains.completion import Completion

_OWN: Final = (".local", ".internal", ".svc", ".lan", ".localhost", ".home.arpa")


class Asking:
    """`headers` go with the request: the trace's, to endpoints of one's own network only. A model of somebody else's
    cloud has no part in our traces, and is not told that there are any."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.headers: dict[str, str] = {}
        self.span = tracing.goes_on("chat", "client") if not tracing.is_on() else _begin(endpoint)
        if self.span.traceparent is not None and is_near(endpoint.base_url):
            self.headers[tracing.HEADER] = self.span.traceparent
        self._began = time.monotonic()
        self._has_begun = False

    def heard(self, part: str | Completion) -> None:
        if not self._has_begun:
            self._has_begun = True
            self.span.put("gen_ai.response.time_to_first_chunk", round(time.monotonic() - self._began, 4))
        if not isinstance(part, str):
            self.span.put("gen_ai.response.model", part.model)
            self.span.put("omni.finish_reason", part.finish_reason)
            self.span.put("gen_ai.usage.input_tokens", part.input_tokens)
            self.span.put("gen_ai.usage.output_tokens", part.output_tokens)


def _begin(endpoint: Endpoint) -> tracing.Span:
    url = URL(endpoint.base_url)
    attributes: dict[str, tracing.Value | None] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": endpoint.model,
        "gen_ai.request.stream": True,
        "server.address": url.host,
        "server.port": url.port,
    }
    return tracing.goes_on(f"chat {endpoint.model}", "client", attributes=attributes)


def is_near(address: str) -> bool:
    """Whether an address is surely of one's own network: a private number, or a name that only lives there."""
    try:
        host = (URL(address).host or "").lower()
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return bool(host) and ("." not in host or host.endswith((*_OWN, ".cluster.local")))
