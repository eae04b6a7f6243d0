"""Where we are signed in: at every trunk that wants it, also when trunks come, change and go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from channels.sip.registration import Registration
from channels.sip.requests import Requests
from omni.model.sip import SipTrunk

log = logging.getLogger("omni.sip")

Key = tuple[str, str]


class Registrations:
    """`learned` is told the address of whoever took us in, `forgotten` that we are not in any more. `begin` owns what
    takes time."""

    def __init__(
        self,
        requests: Requests,
        learned: Callable[[SipTrunk, str], None],
        forgotten: Callable[[Key], None],
        begin: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        self._requests = requests
        self._learned = learned
        self._forgotten = forgotten
        self._begin = begin
        self._wanted: dict[Key, SipTrunk] = {}
        self._running: dict[Key, Registration] = {}
        self._settling: dict[Key, asyncio.Future[None]] = {}

    @property
    def running(self) -> list[Registration]:
        return list(self._running.values())

    def follow(self, trunks: Iterable[SipTrunk]) -> None:
        """Sign in at these and nowhere else. One that is signed in at in the same way as before is left alone."""
        self._wanted = {trunk.key: trunk for trunk in trunks if trunk.register_}
        for key in [*self._running, *self._wanted]:
            if key in self._settling or self._is_settled(key):
                continue
            if key not in self._running:
                self._sign_in(key)
            else:
                self._settling[key] = asyncio.get_running_loop().create_future()
                self._begin(self._settle(key), f"sign in and out at {key[1]}")

    async def stop(self) -> None:
        """Out everywhere."""
        self.follow(())
        if self._settling:
            await asyncio.wait(list(self._settling.values()))

    def _is_settled(self, key: Key) -> bool:
        running, wanted = self._running.get(key), self._wanted.get(key)
        if running is None or wanted is None:
            return running is None and wanted is None
        return running.trunk.signing == wanted.signing

    async def _settle(self, key: Key) -> None:
        """Out before in: with the same address, to go out would take the new one away."""
        try:
            while not self._is_settled(key):
                running = self._running.pop(key, None)
                if running is not None:
                    self._forgotten(key)
                    await running.stop()
                else:
                    self._sign_in(key)
        finally:
            self._settling.pop(key).set_result(None)

    def _sign_in(self, key: Key) -> None:
        self._running[key] = registration = Registration(self._wanted[key], self._requests, self._learned)
        registration.start()
