"""What can go wrong, each as a sentence that says what to do."""

from __future__ import annotations


class OmniError(Exception):
    """Whatever the SDK raises by itself."""


class ConfigError(OmniError, ValueError):
    """A value that the program gave cannot work."""


class ConnectError(OmniError):
    """The server cannot be reached, or what answers is not omni."""


class AuthenticationError(OmniError):
    """The server does not know the API key."""


class ConnectionLostError(OmniError):
    """The connection broke before an answer came."""


class DisplacedError(OmniError):
    """The server gave this program's agents to somebody else; it does not connect again."""


class RegistrationError(OmniError):
    """The server refused an agent. `code` is the server's."""

    def __init__(self, sentence: str, agent: str, code: str) -> None:
        super().__init__(sentence)
        self.agent = agent
        self.code = code


class AgentConflictError(RegistrationError):
    """Another program has the agent's name, and keeps it."""


class CapacityError(RegistrationError):
    """The server takes no more agents. `used` and `limit` count them, when it says so."""

    def __init__(self, sentence: str, agent: str, code: str, used: int | None, limit: int | None) -> None:
        super().__init__(sentence, agent, code)
        self.used = used
        self.limit = limit


class AgentNotRegisteredError(OmniError):
    """The agent is not on the server (yet)."""


class RequestTimeoutError(OmniError):
    """The server did not answer a request in time."""


class RequestRefusedError(OmniError):
    """The server answered a request with an error. `code` is the server's."""

    def __init__(self, sentence: str, code: str) -> None:
        super().__init__(sentence)
        self.code = code


class CallEndedError(OmniError):
    """The call is over."""


class DialError(OmniError):
    """Nobody answered. `reason` is `busy`, `no-answer`, `failed`, `canceled`, `timeout` or the server's own words."""

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class TokenError(OmniError):
    """The server refused to make a token. `status` is the HTTP status."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class ToolError(Exception):
    """Raise it in a tool: the model reads its text as the tool's error, and nothing is logged."""
