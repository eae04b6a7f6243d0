"""Requests that come in, as traces tell them: OpenTelemetry's semantic conventions for HTTP servers.

A `traceparent` that somebody sends is not taken over: anybody may write to a webhook, and must not choose what we keep.
"""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from omni.telemetry import tracing

_NOT_TOLD: Final = frozenset({"/health", "/ready", "/metrics"})


@web.middleware
async def tell_of_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every request that has an end: no sockets, no streams, nobody who only looks whether we are well."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else None
    is_stream = hdrs.UPGRADE in request.headers or "text/event-stream" in request.headers.get(hdrs.ACCEPT, "")
    if route in _NOT_TOLD or is_stream:
        return await handler(request)
    method = request.method if request.method in hdrs.METH_ALL else "_OTHER"
    attributes = {"http.request.method": method, "http.route": route, "url.scheme": request.scheme}
    with tracing.begin(f"{method} {route or ''}".strip(), "server", root=True, attributes=attributes) as span:
        try:
            response = await handler(request)
        except web.HTTPException as answer:
            _answered(span, answer.status)
            raise
        _answered(span, response.status)
        return response


def _answered(span: tracing.Span, status: int) -> None:
    span.put("http.response.status_code", status)
    if status >= 500:
        span.fail(str(status))
