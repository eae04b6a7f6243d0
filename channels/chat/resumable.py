"""A conversation with omni's own page or widget: it comes back where it left off (`channels.chat.transcript`)."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from channels.chat import wire
from channels.chat.admission import Admitted
from channels.chat.files import KINDS, MAX_FILE
from channels.chat.frames import MAX_TEXT, FrameRefusedError, MessageFrame
from channels.chat.line import Line
from channels.chat.talk import HangUp, Send, Services, Talk, message_of, wants_arrival
from channels.chat.transcript import Cursor, Transcript
from omni.live.told import Told
from omni.model.agent import Agent

NO_ID: Final = 'A message needs an "id" of its own, so that it acts once however often it is sent.'


class ResumableTalk(Talk):
    """`after` is the newest cursor that the page has."""

    def __init__(
        self, services: Services, admitted: Admitted, send: Send, hang_up: HangUp, after: Cursor | None
    ) -> None:
        super().__init__(services, admitted, send, hang_up)
        self._after = after
        self._transcript = Transcript(services.files.url_of)

    async def begin(self) -> None:
        await self.send(wire.welcome(about(self.admitted)))
        line = await self.line()
        if line.newest is None and self._after is None and wants_arrival(self.services, self.agent):
            await line.arrive()

    async def catch_up(self, line: Line) -> None:
        after = line.newest or self._after
        past = await line.missed(after) if after is not None else await line.recent()
        for frame in self._transcript.past(past):
            await self.send(frame)
        newest = line.newest or self._after
        await self.send(wire.caught_up(str(newest) if newest is not None else None))

    async def said(self, line: Line, frame: MessageFrame) -> None:
        if frame.id is None:
            raise FrameRefusedError(NO_ID, what="message")
        await line.say(message_of(self.services.files, self.admitted.claim.who, frame), frame.id)
        await self.send(wire.acknowledged(frame.id))

    async def refuse(self, refused: FrameRefusedError) -> None:
        await self.send(wire.refused(refused.what, str(refused), refused.id, may_retry=refused.may_retry))

    async def told(self, line: Line, told: Told) -> None:
        for signal in told.signals:
            for frame in self._transcript.signal(signal):
                await self.send(frame)
        for entry in line.fresh(told.entries):
            for frame in self._transcript.live(entry):
                await self.send(frame)


def about(admitted: Admitted) -> wire.Frame:
    """What the page needs to know: its session, who the visitor is, whom they talk to, and what it may send."""
    kinds: list[JsonValue] = [*KINDS]
    agent = admitted.agent
    calls = {"calls": True} if any(channel.kind == "webrtc" for channel in agent.channels) else {}
    return {
        "session": admitted.session,
        "visitor": admitted.identity,
        "agent": {"slug": agent.slug, "name": _name(agent), **calls},
        "limits": {"text": MAX_TEXT, "file": MAX_FILE, "types": kinds},
    }


def _name(agent: Agent) -> str:
    return agent.name or agent.slug.replace("-", " ").capitalize()
