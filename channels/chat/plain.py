"""A conversation with any browser client of the chat socket: it sends text and shows turns (`channels.chat.turns`)."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from channels.chat import wire
from channels.chat.admission import Admitted
from channels.chat.content import plain
from channels.chat.frames import FrameRefusedError, MessageFrame
from channels.chat.line import Line
from channels.chat.talk import NOT_NOW, HangUp, Send, Services, Talk, message_of, wants_arrival
from channels.chat.turns import Turns
from omni.bus.base import BusError
from omni.live.told import Told
from omni.model.entry import BotSaid, Entry, HumanSaid, UserSaid
from omni.model.message import Media

MOST_WAITING: Final = 6
"""Messages of one page that wait for an answer at a time."""

SPARE_SECONDS: Final = 30.0
PROGRAM_SECONDS: Final = 300.0
"""How long a turn may wait for a program to connect."""

NO_ANSWER: Final = "There was no answer. Please try again."
TOO_MANY: Final = "Too many messages wait for an answer; wait for one first."


class PlainTalk(Talk):
    """Unless it names a thread, the conversation ends with the connection."""

    def __init__(self, services: Services, admitted: Admitted, send: Send, hang_up: HangUp) -> None:
        super().__init__(services, admitted, send, hang_up)
        self._turns = Turns(self._url_of)
        self._deadlines: dict[str, float] = {}
        self._is_followed = False
        self._has_past = False
        self._has_spoken = False

    async def begin(self) -> None:
        if not self.admitted.stays:
            await self.send(wire.connected(f"chat-{secrets.token_hex(6)}"))
            if wants_arrival(self.services, self.agent):
                await self._arrive()
            return
        await self.line()  # sends both frames, because they depend on what there is
        if wants_arrival(self.services, self.agent) and not self._has_past:
            await self._arrive()

    async def _arrive(self) -> None:
        line = await self.line()
        self._has_spoken = True
        await line.arrive()
        await line.opened()  # so that the greeting comes first

    async def catch_up(self, line: Line) -> None:
        if self._is_followed:
            newest = line.newest
            await self._send_entries(await (line.recent() if newest is None else line.missed(newest)))
            return
        self._is_followed = True
        if not self.admitted.stays:
            return
        past = await line.recent()
        call = line.call or (past[-1].call if past else None)
        await self.send(wire.connected(call or f"chat-{secrets.token_hex(6)}"))
        spoken = [(role, text) for role, text in (_spoken(entry) for entry in past) if text]
        if spoken:
            self._has_past = True
            await self.send(wire.history(spoken))

    async def said(self, line: Line, frame: MessageFrame) -> None:
        if self._turns.waiting >= MOST_WAITING:
            raise FrameRefusedError(TOO_MANY, what="message")
        message = message_of(self.services.files, self.admitted.claim.who, frame)
        id_ = f"m-{secrets.token_hex(8)}"
        self._turns.ask(id_)
        self._deadlines[id_] = asyncio.get_running_loop().time() + self._limit()
        self._has_spoken = True
        try:
            await line.say(message, id_)
        except BusError:
            await self._send_all(self._turns.give_up(id_, NOT_NOW))

    async def refuse(self, refused: FrameRefusedError) -> None:
        is_message = refused.what == "message"
        await self.send(wire.failed(str(refused)) if is_message else wire.refused(refused.what, str(refused)))

    async def told(self, line: Line, told: Told) -> None:
        for signal in told.signals:
            await self._send_all(self._turns.signal(signal))
        await self._send_entries(line.fresh(told.entries))

    async def _send_entries(self, entries: list[Entry]) -> None:
        await self._send_all(self._turns.entries(entries))

    def patience(self) -> float | None:
        if not self._turns.waiting:
            self._deadlines.clear()
        now = asyncio.get_running_loop().time()
        return max(0.05, min(self._deadlines.values()) - now) if self._deadlines else None

    async def overdue(self) -> None:
        now = asyncio.get_running_loop().time()
        for id_ in [id_ for id_, due in self._deadlines.items() if due <= now]:
            del self._deadlines[id_]
            await self._send_all(self._turns.give_up(id_, NO_ANSWER))

    async def close(self) -> None:
        line = self._line
        try:
            if line is not None and self._has_spoken and not self.admitted.stays:
                if self._turns.is_unheard or line.newest is None:
                    await line.opened()  # what was said last may be about to open the call
                await line.end("disconnected")
        finally:
            await super().close()

    def _url_of(self, media: Media) -> str | None:
        url = self.services.files.url_of(media)
        return f"{self.services.url()}{url}" if url is not None and url.startswith("/") else url

    def _limit(self) -> float:
        wait = PROGRAM_SECONDS if self.agent.brain == "client" else 0.0
        return self.agent.turn_timeout_s + self.agent.max_debounce_ms / 1000 + wait + SPARE_SECONDS

    async def _send_all(self, frames: list[wire.Frame]) -> None:
        for frame in frames:
            await self.send(frame)


def _spoken(entry: Entry) -> tuple[str, str]:
    """Who said what in an entry, as a history shows it; no text when nobody said anything."""
    fact = entry.fact
    match fact:
        case UserSaid():
            return "user", fact.text
        case BotSaid():
            return "bot", plain(fact.message)
        case HumanSaid():
            return "bot", plain(fact.message)
        case _:
            return "", ""
