"""The program stays connected: one socket after another, with pauses between them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

import aiohttp

from omni.sdk import commands
from omni.sdk.errors import AuthenticationError, ConnectError, DisplacedError, TokenError
from omni.sdk.socket import Closed, NotReachedError, Socket, open_socket
from omni.sdk.timing import Timing, reconnect_delay
from omni.sdk.token import Token

log = logging.getLogger("omni.sdk")


class Link:
    """`opened` is called with each new socket, `lost` after it; `take` with every frame between them.

    `url` is the server's, `http://…`.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        timing: Timing,
        *,
        opened: Callable[[Socket], None],
        take: Callable[[commands.Frame], None],
        lost: Callable[[Closed], None],
    ) -> None:
        self._url = url
        self._api_key = api_key
        self._timing = timing
        self._opened = opened
        self._take = take
        self._lost = lost
        self._session = aiohttp.ClientSession()
        self._socket: Socket | None = None

    async def run(self) -> None:
        """Connects again and again. Raises what no further try can mend: an AuthenticationError or ConnectError of the
        first connection, a DisplacedError of any."""
        ever, attempt = False, 0
        while True:
            try:
                socket = await open_socket(self._session, f"ws{self._url[4:]}/client", self._api_key, self._timing)
            except NotReachedError as error:
                reason = str(error)
            except (AuthenticationError, ConnectError) as error:
                if not ever:
                    raise
                reason = str(error)
            else:
                log.info("%s with %s", "connected again" if ever else "connected", self._url)
                ever, attempt = True, 0
                closed = await self._live(socket)
                reason = f"the connection ended: {closed.reason or closed.code or 'no reason given'}"
                if closed.is_displaced:
                    raise DisplacedError(f"{reason}; {_why_away(closed)}")
            delay = reconnect_delay(attempt, random.random(), self._timing)
            attempt += 1
            log.warning("%s; trying again in %.1f s", reason, delay)
            await asyncio.sleep(delay)

    async def _live(self, socket: Socket) -> Closed:
        self._socket = socket
        closed = Closed(None, "")
        self._opened(socket)
        try:
            closed = await socket.run(self._take)
        finally:
            self._socket = None
            self._lost(closed)
            await socket.close()
        return closed

    async def flush(self, patience: float) -> None:
        """Lets what was given leave the program."""
        if self._socket is not None:
            await self._socket.flush(patience)

    async def close(self) -> None:
        await self._session.close()

    async def token(self, channel: str, query: dict[str, str]) -> Token:
        """Raises TokenError with the server's reason, NotReachedError without one."""
        headers = {"Authorization": f"Bearer {self._api_key}"}
        timeout = aiohttp.ClientTimeout(total=self._timing.request)
        try:
            async with self._session.get(
                f"{self._url}/{channel}/token", params=query, headers=headers, timeout=timeout
            ) as answer:
                body = await answer.json(content_type=None)
                status = answer.status
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            raise NotReachedError(f"{self._url}/{channel}/token did not answer: {error!r}") from None
        if not isinstance(body, dict) or not isinstance(body.get("token"), str):
            told = body.get("detail") if isinstance(body, dict) else None
            raise TokenError(f"no token for {query['agent_id']}: {told or status}", status)
        return Token(body["token"], str(body.get("server") or self._url), int(body.get("expires_in") or 60))


def _why_away(closed: Closed) -> str:
    if closed.is_kicked:
        return "somebody disconnected this program on purpose, so it stays away; start it again when it may come back"
    return "another program has this one's agents, so it stays away"
