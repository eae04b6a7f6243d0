"""What a bot's author imports: `from omni import Omni, tool`."""

from omni.sdk import webhooks
from omni.sdk.agent import Agent
from omni.sdk.call import Call
from omni.sdk.client import Omni
from omni.sdk.errors import (
    AgentConflictError,
    AgentNotRegisteredError,
    AuthenticationError,
    CallEndedError,
    CapacityError,
    ConfigError,
    ConnectError,
    ConnectionLostError,
    DialError,
    DisplacedError,
    OmniError,
    RegistrationError,
    RequestRefusedError,
    RequestTimeoutError,
    TokenError,
    ToolError,
)
from omni.sdk.events import Turn
from omni.sdk.history import HistoryStore, JsonHistory, MongoHistory
from omni.sdk.reply import ReplyStream, Utterance
from omni.sdk.ringing import RingingCall
from omni.sdk.stream import EventStream, StreamEvent
from omni.sdk.timing import Timing
from omni.sdk.token import Token
from omni.sdk.tools import Tool, ToolResult, tool

__all__ = [
    "Agent",
    "AgentConflictError",
    "AgentNotRegisteredError",
    "AuthenticationError",
    "Call",
    "CallEndedError",
    "CapacityError",
    "ConfigError",
    "ConnectError",
    "ConnectionLostError",
    "DialError",
    "DisplacedError",
    "EventStream",
    "HistoryStore",
    "JsonHistory",
    "MongoHistory",
    "Omni",
    "OmniError",
    "RegistrationError",
    "ReplyStream",
    "RequestRefusedError",
    "RequestTimeoutError",
    "RingingCall",
    "StreamEvent",
    "Timing",
    "Token",
    "TokenError",
    "Tool",
    "ToolError",
    "ToolResult",
    "Turn",
    "Utterance",
    "tool",
    "webhooks",
]
