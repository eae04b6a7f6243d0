"""One signed request to a developer's endpoint, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from omni.access.webhooks import signed_headers
from omni.model.webhook import KEPT_REPLY, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from omni.outgoing.errors import AddressRefusedError, OutgoingError
from omni.outgoing.http import Answer, OutgoingHttp

LONGEST_NUMBER = 9


class Courier:
    """`clock` gives epoch seconds. Every attempt is stamped and signed anew, under the delivery's one id."""

    def __init__(self, http: OutgoingHttp, clock: Callable[[], float] = time.time) -> None:
        self._http = http
        self._clock = clock

    async def send(self, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> WebhookAttempt:
        """Never raises but for a defect, or when it is cancelled: then the outcome is unknown."""
        at, began = self._clock(), time.perf_counter()
        body = delivery.body.encode()
        headers = signed_headers(
            endpoint.dialect, endpoint.secret, body, event=delivery.event, delivery=delivery.id, at=int(at)
        )

        def attempt(**outcome: object) -> WebhookAttempt:
            ms = round((time.perf_counter() - began) * 1000)
            return WebhookAttempt.model_validate({"at": at, "ms": ms, **outcome})

        try:
            async with self._http.request(
                "POST", endpoint.url, headers=headers, body=body, timeout_s=endpoint.timeout_s
            ) as answer:
                reply = b""
                with suppress(OutgoingError):  # its status is what counts
                    reply = await answer.beginning(KEPT_REPLY)
                return attempt(
                    status=answer.status,
                    error=_complaint(answer.status),
                    reply=reply.decode("utf-8", "replace"),
                    retry_after=_retry_after(answer),
                )
        except OutgoingError as error:
            return attempt(error=str(error), is_final=isinstance(error, AddressRefusedError))


def _complaint(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"answered {status}, a redirect, which is not followed: register the final address"
    return f"answered {status}"


def _retry_after(answer: Answer) -> float | None:
    """In seconds; a date is not worth its trouble."""
    value = answer.headers.get("Retry-After", "").strip()
    return float(value) if value.isascii() and value.isdigit() and len(value) <= LONGEST_NUMBER else None
