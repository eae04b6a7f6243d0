"""The one protocol of all brains: a turn goes in, chunks come out until the brain is closed or cancelled."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import JsonValue

from omni.model.agent import Agent
from omni.model.base import Value
from omni.model.contact import Contact
from omni.model.message import Message


class BrainError(Exception):
    """The brain could not answer; the text says why, without secrets.

    Text of a message that was not complete is to be forgotten; the agent's fallback text is sent instead.
    """


class TurnOverError(Exception):
    """The turn this call belongs to was cancelled: the user went on, or a person took over. Stop at once."""


class ToolCall(Value):
    """`arguments` is JSON text, as models write it."""

    id: str
    name: str
    arguments: str


class Line(Value):
    """One line of a conversation as models read it (the OpenAI chat shape)."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    def wire(self) -> dict[str, Any]:
        """The line as a request carries it."""
        message: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            message["content"] = self.content or None
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in self.tool_calls
            ]
        if self.role == "tool":
            message["tool_call_id"] = self.tool_call_id
        return message


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """`result` is any JSON value; for an error a sentence that the model can read.

    `passing`: for the answer that follows only. `is_final`: when all tools of a round say so, none follows.
    """

    result: JsonValue
    is_error: bool = False
    passing: bool = False
    is_final: bool = False


class UseTool(Protocol):
    """Runs one of the agent's tools and logs the call and its result before it returns. Never raises for a tool that
    fails (that is an outcome with `is_error`); raises TurnOverError when the turn is over."""

    async def __call__(self, id_: str, name: str, arguments: JsonValue) -> ToolOutcome: ...


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something that was said earlier. `at` in epoch seconds; `transport` says on what kind of channel."""

    by: Literal["user", "us"]
    text: str
    at: float
    id: str
    transport: str


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a turn takes place: who speaks with whom.

    `person` is the customer's number or a provider's id of theirs, `business` ours; `asked` are the ids of the messages
    the turn answers and when the newest of them was logged (epoch seconds).
    """

    org: str = ""
    transport: str = ""
    channel: str = ""
    conversation: str = ""
    direction: Literal["inbound", "outbound"] = "inbound"
    person: str = ""
    business: str = ""
    contact: Contact | None = None
    metadata: dict[str, JsonValue] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    asked_at: float = 0


Past = Callable[[int], Awaitable[Sequence[Spoken]]]
"""The newest so many things said before the messages of the turn, oldest first; those of earlier calls, too."""


async def _nothing_was_said(limit: int) -> Sequence[Spoken]:
    return ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What a brain needs to know to answer.

    `messages` are the user's messages it answers (several when they came in quick succession), `text` the same as
    words. `history` is everything before them, oldest first, without the system prompt; `prompt` is rendered already.
    `number` counts the call's turns from 1.
    """

    call: str
    agent: Agent
    number: int
    prompt: str
    text: str
    messages: tuple[Message, ...]
    history: Sequence[Line]
    use_tool: UseTool
    vars: dict[str, str] = field(default_factory=dict)
    setting: Setting = Setting()
    past: Past = _nothing_was_said


@dataclass(frozen=True, slots=True)
class Say:
    """More text of the message being written. `is_whole`: where it is spoken, it is said at once, whether it ends a
    sentence or not."""

    text: str
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Break:
    """The message is complete; what follows is another one."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Forget the text said since the last `Break` or `Show`: its source broke off, and it is said anew."""


@dataclass(frozen=True, slots=True)
class Show:
    """A whole message with structure: buttons, a list, a picture. Text said before it is a message of its own."""

    message: Message


@dataclass(frozen=True, slots=True)
class HandOver:
    """Ask for a person. The bot is silent in this call until it gets it back; the turn is over."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """End the call after what was said."""

    reason: str = "completed"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Give the caller to another number, after what was said. Only where people speak."""

    to: str
    announce: bool = False


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys towards the other party. Only where people speak."""

    digits: str


@dataclass(frozen=True, slots=True)
class Write:
    """Write to the person on a channel where people write. Only where people speak: elsewhere the answer itself is
    written."""

    text: str


Chunk = Say | Break | Restart | Show | HandOver | Finish | Transfer | Press | Write


class Brain(Protocol):
    def answer(self, turn: Turn) -> AsyncGenerator[Chunk, None]:
        """Yields chunks until the answer is complete. Raises BrainError when there is no answer to be had. Closing or
        cancelling the generator stops all work for the turn at once."""

    async def close(self) -> None:
        """Release connections."""
