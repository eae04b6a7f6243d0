"""What programs send: every command as a typed value. `omni.gateway.client.parsing` makes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from omni.model.base import Value

Name = Annotated[str, Field(min_length=1, max_length=256)]
"""An id or a name that the program chose, or that we gave it."""

Secret = Annotated[str, Field(min_length=1, max_length=4096)]

Note = Annotated[str | None, BeforeValidator(lambda value: value if isinstance(value, str) else None)]
"""A text that is nice to have: anything else counts as absent."""

Json = dict[str, JsonValue]


def _renamed(data: Any, names: dict[str, str]) -> Any:
    """The same with the keys renamed that were written otherwise. Not an object: as it is, for pydantic to refuse."""
    if not isinstance(data, dict):
        return data
    return {names.get(key, key): value for key, value in data.items()}


class Frame(Value):
    """One command. Keys that it does not name are ignored."""


class Configuring(Frame):
    """A command whose other keys are an agent's configuration, in whatever spelling (`omni.gateway.client.configs`)."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @property
    def config(self) -> Json:
        """What was set. `null` is as good as absent."""
        return {name: value for name, value in (self.model_extra or {}).items() if value is not None}


# connection


class Connect(Frame):
    event: Literal["connect"]
    api_key: Note = None


class Ping(Frame):
    event: Literal["ping"]


class Pong(Frame):
    event: Literal["pong"]


# registration


class AgentCreate(Configuring):
    event: Literal["agent.create"]
    agent_id: Name
    allowed_origins: tuple[str, ...] = Field(default=(), max_length=100)


class AgentConfigure(Configuring):
    event: Literal["agent.configure"]
    agent_id: Name


class AgentResume(Frame):
    event: Literal["agent.resume"]
    agent_id: Name


class AgentRemove(Frame):
    event: Literal["agent.remove"]
    agent_id: Name


Kind = Literal["phone", "sip", "webrtc", "chat", "whatsapp", "mic", "sms"]


class ChannelAdd(Configuring):
    """`ref` as the person typed it. The credentials are a WhatsApp number's."""

    event: Literal["channel.add"]
    agent_id: Name
    type: Kind
    ref: Name | None = None
    ringing: bool = False
    access_token: Secret | None = None
    verify_token: Secret | None = None
    app_secret: Secret | None = None
    phone: Note = None

    @model_validator(mode="before")
    @classmethod
    def _either_spelling(cls, data: Any) -> Any:
        return _renamed(data, {"accessToken": "access_token", "verifyToken": "verify_token", "appSecret": "app_secret"})


class ChannelConfigure(Configuring):
    event: Literal["channel.configure"]
    agent_id: Name
    ref: Name


class ChannelRemove(Frame):
    event: Literal["channel.remove"]
    agent_id: Name
    ref: Name
    type: Kind | None = None


class DevConfig(Frame):
    """The callers whose calls this socket wants, whoever owns the numbers they call."""

    event: Literal["dev.config"]
    callers: tuple[str, ...] = Field(default=(), max_length=1000)


# speech


class Speaking(Frame):
    call_id: Name


class BotReply(Speaking):
    """`in_reply_to` empty speaks unconditionally."""

    event: Literal["bot.reply"]
    message_id: Name
    text: str
    in_reply_to: str | None = ""
    add_to_history: bool | None = None


class BotReplyStream(Speaking):
    event: Literal["bot.reply.stream"]
    message_id: Name
    action: Literal["start", "chunk", "end"]
    in_reply_to: str | None = ""
    token: str | None = ""
    error: Note = None
    """At the end of a reply without a word: the program could not answer, and why."""


class BotCancel(Speaking):
    event: Literal["bot.cancel"]
    message_id: Name | None = None


class BotClear(Speaking):
    event: Literal["bot.clear"]


# call control


class CallHangup(Frame):
    event: Literal["call.hangup"]
    call_id: Name
    reason: Note = None


class AudioCommand(Frame):
    """What only a call with sound can do."""

    event: str
    call_id: Name


class CallSwitch(AudioCommand):
    event: Literal["call.hold", "call.unhold", "call.mute", "call.unmute"]


class CallDtmf(AudioCommand):
    event: Literal["call.dtmf"]
    digits: str


class CallForward(AudioCommand):
    """`message` is said to the caller first, or with `announce` to whoever is reached."""

    event: Literal["call.forward"]
    to: Name
    message: Note = None
    announce: bool | None = False


class CallDecision(AudioCommand):
    """What becomes of a call that rings; a `reason` belongs to the second."""

    event: Literal["call.accept", "call.reject"]
    reason: Note = None


class CallRoute(AudioCommand):
    event: Literal["call.route"]


class CallDial(Frame):
    """`config` is what the call has otherwise than its agent, in whatever spelling."""

    event: Literal["call.dial"]
    agent_id: Name
    to: Name
    from_: str | None = Field(default=None, alias="from")
    greeting: Note = None
    metadata: Json | None = None
    config: Json | None = None
    detect_turn_end: bool | None = None


class CallBridge(Frame):
    event: Literal["call.bridge"]
    agent_id: Name
    target: Name
    metadata: Json | None = None


class LineCreate(Frame):
    event: Literal["line.create"]
    number: Name


class LineDestroy(Frame):
    event: Literal["line.destroy"]
    number: Name


# a live call's settings and memory


class SessionConfigure(Configuring):
    event: Literal["session.configure"]
    session_id: Name
    agent_id: Name | None = None


class HistoryFrame(Frame):
    """Answered exactly once, with its `request_id`."""

    call_id: Name
    request_id: str | int | None = None


class HistoryGet(HistoryFrame):
    event: Literal["history.get"]


class HistoryAdd(HistoryFrame):
    event: Literal["history.add"]
    messages: tuple[Json, ...] = Field(max_length=2000)


class HistorySet(HistoryFrame):
    event: Literal["history.set"]
    messages: tuple[Json, ...] = Field(max_length=2000)


class HistoryClear(HistoryFrame):
    event: Literal["history.clear"]


class HistorySetInstructions(HistoryFrame):
    event: Literal["history.set_instructions"]
    prompt: str


class HistorySetVars(HistoryFrame):
    event: Literal["history.set_vars"]
    vars: Json


class HistoryAddContext(HistoryFrame):
    event: Literal["history.add_context"]
    text: str


class SetContext(Frame):
    """`value` null removes the key."""

    event: Literal["set_context"]
    call_id: Name
    key: Name
    value: JsonValue = None


# the model on our side, people on ours, and chats


class ToolAnswer(Value):
    tool_call_id: Name
    result: JsonValue = None
    ephemeral: bool | None = False
    no_followup: bool | None = False

    @model_validator(mode="before")
    @classmethod
    def _either_spelling(cls, data: Any) -> Any:
        return _renamed(data, {"noFollowup": "no_followup"})


class LlmToolResult(Frame):
    event: Literal["llm.tool_result"]
    call_id: Name
    msg_id: Name
    results: tuple[ToolAnswer, ...] = Field(max_length=1000)


class LlmReady(Frame):
    """No `turn`: whichever generation waits."""

    event: Literal["llm.ready"]
    call_id: Name
    turn: int | None = Field(default=None, ge=0, le=2**31)


class Takeover(Frame):
    """One call, one person, or (neither) the whole agent."""

    agent_id: Name
    session_id: Name | None = None
    contact: Name | None = None


class SessionPause(Takeover):
    event: Literal["session.pause"]


class SessionResume(Takeover):
    event: Literal["session.resume"]


class SessionSend(Takeover):
    event: Literal["session.send"]
    text: Annotated[str, Field(min_length=1)]


class LlmChat(Frame):
    event: Literal["llm.chat"]
    agent_id: Name
    session_id: Name
    text: Annotated[str, Field(min_length=1)]
    metadata: Json | None = None
