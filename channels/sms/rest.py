"""Messages through Twilio's REST API. Imports Twilio's package: see `channels.twilio.rest`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
from twilio.base.exceptions import TwilioException

from channels.base import Action, RefusedError
from channels.sms.errors import refusal_of
from channels.twilio.failures import ApiFailure
from channels.twilio.rest import Clients
from omni.model.channel import SmsChannel


@dataclass(frozen=True, slots=True)
class Taken:
    """A message as Twilio took it. `segments` is None when it has not counted them yet."""

    sid: str
    segments: int | None


class Rest:
    """Every account's requests to one API. `timeout` is a whole request's, in seconds; raises RefusedError."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession, timeout: float) -> None:
        self._clients = Clients(base_url, session, timeout)

    async def send(
        self, channel: SmsChannel, to: str, body: str | None, media_url: str | None, status_callback: str | None
    ) -> Taken:
        wanted: dict[str, Any] = {
            "from_": channel.number,
            "messaging_service_sid": channel.messaging_service_sid,
            "body": body,
            "media_url": [media_url] if media_url is not None else None,
            "status_callback": status_callback,
        }
        try:
            taken = await self._of(channel).messages.create_async(
                to=to, **{name: value for name, value in wanted.items() if value is not None}
            )
        except ApiFailure as failure:
            raise refusal_of(failure) from None
        except (TwilioException, ValueError, TypeError, KeyError, AttributeError):
            taken = None  # it was answered 2xx, but not by anything that Twilio says
        sid = getattr(taken, "sid", None)
        if not isinstance(sid, str) or not sid.isalnum() or len(sid) > 64:
            raise RefusedError(
                "Twilio answered without a message id.", action=Action.RETRY, code="no_answer", is_unclear=True
            )
        counted = str(getattr(taken, "num_segments", None) or "")
        return Taken(sid, int(counted) if counted.isdecimal() and len(counted) < 4 and counted != "0" else None)

    async def account(self, channel: SmsChannel) -> tuple[str, str]:
        """The account's name and status."""
        try:
            account = await self._of(channel).api.v2010.accounts(channel.account_sid).fetch_async()
        except ApiFailure as failure:
            raise refusal_of(failure) from None
        except (TwilioException, ValueError, TypeError, KeyError, AttributeError):
            account = None
        name, status = getattr(account, "friendly_name", None), getattr(account, "status", None)
        if account is None or status is None:
            raise RefusedError("Twilio's answer names no account.", action=Action.RETRY, code="transient")
        return str(name or channel.account_sid)[:80], str(getattr(status, "value", status))[:20]

    def _of(self, channel: SmsChannel) -> Any:
        return self._clients.of(channel.account_sid, channel.auth_token.get_secret_value())
