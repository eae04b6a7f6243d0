"""Why a request to Twilio's API came to nothing, before a channel says what that means for it."""

from __future__ import annotations

import aiohttp


class ApiFailure(Exception):
    """`may_act`: it was a request that changes something."""

    may_act: bool


class ApiRefusal(ApiFailure):
    """An answer that is an error: Twilio's code and words where it gave them, and the HTTP status."""

    def __init__(
        self, code: int | None, words: str | None, http: int, *, retry_after: float | None = None, may_act: bool = True
    ) -> None:
        super().__init__(f"Twilio answered {http}{f' ({code})' if code is not None else ''}")
        self.code = code
        self.words = words
        self.http = http
        self.retry_after = retry_after
        self.may_act = may_act


class NoAnswer(ApiFailure):
    """No answer at all. It can only have had an effect if it was `written`."""

    def __init__(self, error: BaseException, *, may_act: bool) -> None:
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientSSLError | aiohttp.ConnectionTimeoutError):
            why, written = "cannot be reached", False
        elif isinstance(error, TimeoutError):
            why, written = "did not answer in time", True
        else:
            why, written = "broke the connection off", True
        super().__init__(f"Twilio {why} ({type(error).__name__}).")
        self.written = written
        self.may_act = may_act
