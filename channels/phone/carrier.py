"""Telephone calls through Twilio, as a `Carrier`: placed, ended and given away by its REST API."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from channels.audio import CarrierError, Order, Transfer
from channels.phone import twiml
from channels.phone.addresses import (
    AFTER_PATH,
    AMD_PATH,
    ANNOUNCE_PATH,
    ANNOUNCE_PREFIX,
    JOINED_PATH,
    STATUS_PATH,
    stream_url,
)
from channels.phone.directory import Directory
from channels.phone.errors import carrier_error, is_over
from channels.twilio import package
from channels.twilio.account import Account
from channels.twilio.failures import ApiFailure
from omni.access.seal import Sealer
from omni.model.channel import Channel, PhoneChannel

if TYPE_CHECKING:
    from channels.twilio.rest import Clients

API_URL: Final = "https://api.twilio.com"
_EVENTS: Final = ["initiated", "ringing", "answered", "completed"]
_CALLED: Final = re.compile(r"\+[1-9][0-9]{6,14}|sips?:[\x21-\x7e]{3,250}", re.ASCII)


class TwilioCarrier:
    """`url` is our public address without a trailing slash, `media_url` that of this worker's media socket
    (`addresses.media_url`), `timeout` a whole request's, in seconds. Open it before use; `warm` loads Twilio's package
    ahead of the first call."""

    kind = "phone"

    def __init__(
        self,
        directory: Callable[[], Directory],
        url: Callable[[], str],
        media_url: Callable[[], str],
        sealer: Sealer,
        *,
        api_url: str = API_URL,
        timeout: float = 10,
    ) -> None:
        self._directory = directory
        self._url = url
        self._media_url = media_url
        self._sealer = sealer
        self._api_url = api_url
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._clients: Clients | None = None
        self._loading = asyncio.Lock()

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=100, ttl_dns_cache=300, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        session, self._session, self._clients = self._session, None, None
        if session is not None:
            await session.close()

    async def warm(self) -> None:
        """Load Twilio's package, in a thread, before it is needed. Raises TwilioMissingError."""
        package.require()
        await self._loaded()

    async def dial(self, order: Order) -> str:
        what = f"the call to {_shown(order.to)} could not be placed"
        phone, account = self._account(order.channel, what)
        _check(order.to, what)
        base = self._url()
        wanted: dict[str, Any] = {
            "twiml": twiml.connect(stream_url(self._media_url(), account.sid), order.token),
            "status_callback": f"{base}{STATUS_PATH}",
            "status_callback_event": _EVENTS,
            "status_callback_method": "POST",
            "timeout": max(1, round(order.ring)),
        }
        if order.detects_machine:
            # Asynchronous: the bot listens at once, and is told later who picked up. The callback's form names no
            # number, so its address does: by digits, which nobody on the way writes in another way.
            wanted |= {
                "machine_detection": "Enable",
                "async_amd": "true",
                "async_amd_status_callback": f"{base}{AMD_PATH}?n={phone.number[1:]}",
                "async_amd_status_callback_method": "POST",
            }
        made = await self._asked(what, account, lambda client: client.calls.create_async(
            to=order.to, from_=order.from_ or phone.number, **wanted
        ))  # fmt: skip
        call = getattr(made, "sid", None)
        if not isinstance(call, str) or not call.isalnum() or len(call) > 64:
            raise CarrierError(f"{what}: Twilio answered without a call id.")
        return call

    async def hang_up(self, channel: Channel, call: str) -> None:
        # `completed` ends a call that rings as well as one that is answered.
        await self._update(channel, call, "the call could not be ended", may_be_over=True, status="completed")

    async def transfer(self, channel: Channel, call: str, transfer: Transfer) -> None:
        what = f"the call could not be transferred to {_shown(transfer.to)}"
        phone, _ = self._account(channel, what)
        _check(transfer.to, what)
        base = self._url()
        announce = None
        if transfer.announce is not None:
            sealed = self._sealer.seal(ANNOUNCE_PREFIX, {"say": transfer.announce})
            announce = f"{base}{ANNOUNCE_PATH}?m={sealed}"
        text = twiml.transfer(
            transfer.to,
            number=transfer.number,
            ring=transfer.ring,
            after=f"{base}{AFTER_PATH}",
            joined=f"{base}{JOINED_PATH}?n={phone.number[1:]}",
            announce_url=announce,
        )
        if len(text) > twiml.LONGEST:
            raise CarrierError(f"{what}: the announcement is too long; keep it under 2,000 characters.")
        await self._update(channel, call, what, twiml=text)

    async def press(self, channel: Channel, call: str, digits: str) -> bool:
        """False: Twilio presses keys only from TwiML, which takes the call off its stream and starts another. The bot
        would be deaf for a second or two, and what it was saying would be lost; tones in the sound cost nothing."""
        return False

    async def _update(
        self, channel: Channel, call: str, what: str, *, may_be_over: bool = False, **wanted: str
    ) -> None:
        _, account = self._account(channel, what)
        await self._asked(what, account, lambda client: client.calls(call).update_async(**wanted), may_be_over)

    async def _asked(self, what: str, account: Account, ask: Callable[[Any], Any], may_be_over: bool = False) -> Any:
        """What Twilio answered; None for a call that is over, where that is fine, and for an answer that is none.
        Raises CarrierError."""
        if not package.is_installed():
            raise CarrierError(f"{what}: {package.MISSING}.")
        clients = await self._loaded()
        from twilio.base.exceptions import TwilioException

        try:
            async with asyncio.timeout(self._timeout + 1):  # the client keeps to its own; this is for all around it
                return await ask(clients.of(account.sid, account.auth_token.get_secret_value()))
        except ApiFailure as failure:
            if may_be_over and is_over(failure):
                return None
            raise carrier_error(what, failure) from None
        except TimeoutError:
            raise CarrierError(f"{what}: Twilio did not answer in time.") from None
        except (TwilioException, ValueError, TypeError, KeyError, AttributeError):
            return None  # it was answered 2xx, but not by anything that Twilio says

    def _account(self, channel: Channel, what: str) -> tuple[PhoneChannel, Account]:
        if not isinstance(channel, PhoneChannel):
            raise TypeError(f"the phone carrier was given the channel {channel.id!r}")
        account = self._directory().account(channel)
        if account is None:
            raise CarrierError(
                f"{what}: no account is known for {channel.number}; give its channel account_sid and auth_token."
            )
        return channel, account

    async def _loaded(self) -> Clients:
        if self._clients is None:
            async with self._loading:
                if self._clients is None:
                    await asyncio.to_thread(importlib.import_module, "channels.twilio.rest")
                    from channels.twilio.rest import Clients

                    if self._session is None:
                        raise RuntimeError("the phone carrier is not open; await carrier.open() first")
                    self._clients = Clients(self._api_url, self._session, self._timeout)
        return self._clients


def _check(to: str, what: str) -> None:
    if _CALLED.fullmatch(to) is None:
        raise CarrierError(f"{what}: write a number as +12025550142, or a SIP address as sip:desk@example.com.")


def _shown(to: str) -> str:
    return ascii(to)[1:-1][:60]
