"""What can go wrong with a request to somebody else's server."""

from __future__ import annotations


class OutgoingError(Exception):
    """A request that came to nothing. The text is a sentence without the address's query, its user or a secret;
    `reason` is a word for records and metrics."""

    reason = "failed"


class AddressRefusedError(OutgoingError):
    """An address that must not be asked; nothing was sent. The text says why and, where there is one, the mend."""

    reason = "refused"


class UnreachableError(OutgoingError):
    """No connection: no such name, nobody listens, no trust in the certificate. Nothing was sent."""

    reason = "unreachable"


class BrokenOffError(OutgoingError):
    """The connection broke, or what came over it was not HTTP. The server may have acted."""

    reason = "broken_off"


class TooSlowError(OutgoingError):
    """The time was used up. The server may have acted."""

    reason = "timeout"


class TooLargeError(OutgoingError):
    """The answer is larger than it may be."""

    reason = "too_large"
