"""An agent: what a program is on the server, for the people who call and write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from omni.sdk import commands
from omni.sdk.answer import Answer, Sent
from omni.sdk.call import Call
from omni.sdk.config import CHANNELS, answers_by_itself, channel_ref, merged, own_tools, slug, wire_config
from omni.sdk.desk import Desk
from omni.sdk.emitter import Emitter
from omni.sdk.errors import AgentNotRegisteredError, ConfigError
from omni.sdk.history import HistoryStore, Memory, contact_key
from omni.sdk.line import Line
from omni.sdk.plain import plain
from omni.sdk.registration import Channel, Registration
from omni.sdk.stream import EventStream, Streams
from omni.sdk.token import Token

Mint: TypeAlias = Callable[[str, str, Mapping[str, Any] | None, str | None, str | None], Awaitable[Token]]
"""Makes a token: channel, agents, metadata, scope, call id."""


class Agent(Emitter[Call]):
    """Made by `omni.agent(name, …)`. What a command returns may be awaited, and need not be."""

    def __init__(
        self,
        name: str,
        config: Mapping[str, Any],
        line: Line,
        on_all: Emitter[Call],
        *,
        refused: Callable[[], None],
        mint: Mint,
    ) -> None:
        super().__init__()
        if not slug(name):
            raise ConfigError(f"an agent cannot be called {name!r}: its name needs a letter or a digit")
        self.name = name
        self._line = line
        self._mint = mint
        self._registration = Registration(name, line, refused)
        self._registration.config = wire_config(config)
        self._desk = Desk(self._registration, line, (self, on_all))
        self._desk.tools = own_tools(config.get("tools"))
        self._desk.answers = answers_by_itself(self._registration.config)
        self._streams = Streams()

    @property
    def slug(self) -> str:
        """How the server writes the name."""
        return slug(self.name)

    async def ready(self) -> None:
        """Waits until the server has the agent. Raises RegistrationError when it refuses it."""
        await self._registration.ready()

    # --- configuration ---

    def configure(self, **config: Any) -> None:
        """Changes the agent for calls that begin from now on: `agent.configure(language="fr")`."""
        changes = wire_config(config)
        self._registration.config = merged(self._registration.config, changes)
        if "tools" in config:
            self._desk.tools = own_tools(config["tools"])
        self._desk.answers = answers_by_itself(self._registration.config)
        self._registration.configured(changes)

    def configure_session(self, call_id: str, **config: Any) -> Sent:
        """Changes a call that goes on; the same as `call.configure`."""
        return self.send(commands.session_configure(call_id, wire_config(config)))

    def get_config(self) -> dict[str, Any]:
        """The agent's configuration as the server has it."""
        return dict(self._registration.config)

    def remember(self, store: HistoryStore, key: Callable[[Call], str | None] = contact_key) -> None:
        """Gives a returning contact's call what was said before. `key` names the contact; None forgets the call."""
        self._desk.memory = Memory(store, key)

    # --- channels ---

    def add_channel(self, type_: str, ref: str | None = None, **config: Any) -> None:
        """Takes a channel: `phone`, `sip`, `webrtc`, `chat`, `whatsapp`, `sms` or `mic`.

        `ref` is a phone's number or SIP address. WhatsApp wants `phone_number_id=`, `access_token=`, `verify_token=`
        and `app_secret=`. Everything else is what the channel has otherwise than the agent, such as `language=`.
        """
        known = channel_ref(type_, ref, config)
        rest = {key: value for key, value in config.items() if key not in {"phone_number_id", "phoneNumberId"}}
        channel = Channel(type_, known, wire_config(rest))
        self._registration.channels[known or type_] = channel
        self._registration.channel_added(channel)

    def configure_channel(self, ref: str, **config: Any) -> None:
        """Changes a channel for calls that begin from now on; `ref` is its number, or its type where it has none."""
        changes = wire_config(config)
        if (channel := self._registration.channels.get(ref)) is not None:
            channel.config = merged(channel.config, changes)
        self._registration.channel_changed(commands.channel_configure(self.name, ref, changes))

    def remove_channel(self, ref: str) -> None:
        channel = self._registration.channels.pop(ref, None)
        type_ = None if channel is None or ref in CHANNELS else channel.type
        self._registration.channel_changed(commands.channel_remove(self.name, ref, type_))

    def route_callers(self, numbers: Iterable[str]) -> None:
        """Gives this program the calls and messages of these numbers, whoever else has the channel; `[]` ends it.

        For development: the agent's name then begins with `dev-` or `staging-`.
        """
        self._line.callers[self.name] = tuple(numbers)
        self._registration.callers_changed()

    # --- calls ---

    def call(self, call_id: str) -> Call | None:
        """A call that goes on."""
        return self._desk.call(call_id)

    async def dial(
        self,
        to: str,
        from_: str | None = None,
        *,
        greeting: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        detect_turn_end: bool | None = None,
    ) -> Call:
        """Calls somebody and waits until they answer. `from_` is one of the agent's numbers.

        Raises DialError with the reason when nobody does.
        """
        await self.ready()
        numbers = [one.ref for one in self._registration.channels.values() if one.type in {"phone", "sip"}]
        if from_ is None and len(numbers) != 1:
            raise ConfigError(
                f"say which number to call from, from_=…: the agent {self.name!r} has {len(numbers)} of them"
            )
        dial = self._desk.dials.begin(to)
        fields = {
            "greeting": greeting,
            "metadata": None if metadata is None else plain(dict(metadata), "metadata"),
            "config": None if config is None else wire_config(config),
            "detect_turn_end": detect_turn_end,
        }
        self._registration.post(commands.call_dial(self.name, to, from_ or numbers[0], **fields))
        timer = asyncio.get_running_loop().call_later(
            self._line.timing.dial, self._desk.dials.give_up, dial, self._line.timing.dial
        )
        try:
            return await dial.answer
        finally:
            timer.cancel()

    # --- people take over ---

    def pause(self, session_id: str | None = None, *, contact: str | None = None) -> Answer[None]:
        """Silences the bot: in a call, for a contact (a phone number), or everywhere."""
        return self._take_over(commands.session_pause(self.name, session_id, contact))

    def resume(self, session_id: str | None = None, *, contact: str | None = None) -> Answer[None]:
        """Lets the bot speak again; without an argument everywhere."""
        return self._take_over(commands.session_resume(self.name, session_id, contact))

    def send_message(self, text: str, session_id: str | None = None, *, contact: str | None = None) -> Answer[None]:
        """Writes to the user as a person would, in a call or to a contact."""
        if session_id is None and contact is None:
            raise ConfigError(
                "say to whom: agent.send_message(text, session_id) or agent.send_message(text, contact=…)"
            )
        return self._take_over(commands.session_send(self.name, text, session_id, contact))

    def _take_over(self, frame: commands.Frame) -> Answer[None]:
        return self._registration.ask(frame, lambda _: None)

    # --- the rest ---

    async def create_token(
        self,
        channel: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        scope: str | None = None,
        call_id: str | None = None,
    ) -> Token:
        """A token for a browser: `webrtc`, `chat` or `stream`. `metadata` is sealed in it and becomes `call.metadata`.

        Raises AgentNotRegisteredError, or TokenError with the server's reason.
        """
        patience = self._line.timing.registered
        try:
            await asyncio.wait_for(self.ready(), patience)
        except TimeoutError:
            raise AgentNotRegisteredError(
                f"the agent {self.name!r} is not registered after {patience:g} s: is the program connected?"
            ) from None
        return await self._mint(channel, self.slug, metadata, scope, call_id)

    def stream(self) -> EventStream:
        """What happens from now on, as server-sent events for a page."""
        return self._streams.open([self.name], one=True)

    def send(self, frame: Mapping[str, Any]) -> Sent:
        """A frame of your own making, when no method says it."""
        return self._registration.send(plain(dict(frame), "a frame"))

    def _take(self, frame: commands.Frame) -> None:
        """A frame about this agent."""
        self._streams.offer(frame, self.name)
        self._desk.take(frame)

    async def _close(self) -> None:
        """The program stops."""
        await self._desk.close()
        self._streams.close()

    def __repr__(self) -> str:
        return f"Agent({self.name!r})"
