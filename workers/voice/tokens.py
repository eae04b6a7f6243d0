"""The tokens by which the sound of calls is let in: each once, for its call, and within its time."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from workers.voice.call import VoiceCall

TOKEN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Issued:
    call: VoiceCall
    until: float


class Tokens:
    """`clock` is in epoch seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._issued: dict[str, _Issued] = {}

    def __len__(self) -> int:
        return len(self._issued)

    def issue(self, call: VoiceCall, seconds: float = TOKEN_SECONDS, token: str | None = None) -> str:
        """`token`, or a fresh one, lets the sound of a call in for so long."""
        token = token or fresh()
        self._issued[token] = _Issued(call, self._clock() + seconds)
        return token

    def redeem(self, token: str, call: str) -> VoiceCall | None:
        """The call whose sound is here; None when it is not waited for (any more)."""
        issued = self._issued.get(token)
        if issued is None or issued.call.id != call or issued.until < self._clock():
            return None
        del self._issued[token]
        return issued.call

    def withdraw(self, token: str) -> VoiceCall | None:
        """Its sound will not come."""
        issued = self._issued.pop(token, None)
        return None if issued is None else issued.call

    def forget(self, call: VoiceCall) -> None:
        """The call is over."""
        for token in [token for token, issued in self._issued.items() if issued.call is call]:
            del self._issued[token]

    def run_out(self) -> list[VoiceCall]:
        """Calls whose sound did not come in time; their tokens are gone."""
        now = self._clock()
        late = {token: issued.call for token, issued in self._issued.items() if issued.until < now}
        for token in late:
            del self._issued[token]
        return [call for call in late.values() if call.leg is None]


def fresh() -> str:
    return secrets.token_urlsafe(24)
