"""What a program does to a call with sound while it goes on: speaks in it, holds it, gives it away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from omni.gateway.rest.calls.shapes import CallShown, ForwardBody, KeysBody, SayBody, SwitchBody
from omni.gateway.rest.errors import conflict
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.routing import B, Route, Wanted, route
from omni.gateway.rest.shapes import Nothing
from omni.model.call import SOUND, Call
from omni.model.inbound import Forward, Hold, Mute, PressKeys, ProgramReply, ToCall
from omni.model.message import Message

TAG = "Calls"

Find = Callable[[str, str], Awaitable[Call]]
Show = Callable[[Call], Awaitable[CallShown]]


class CallControls:
    """Each is asked for and answered at once; that it has happened stands in the call's log."""

    def __init__(self, kit: RestKit, find: Find, show: Show) -> None:
        self._kit = kit
        self._find = find
        self._show = show

    def routes(self) -> list[Route]:
        one = "/v1/calls/{call_id}"
        return [
            route("POST", f"{one}/say", self.say_in_call, tag=TAG, summary="Say something in a spoken call",
                  body=SayBody, answer=CallShown, status=202, errors=(404, 409)),
            route("POST", f"{one}/hold", self.hold_call, tag=TAG, summary="Hold a spoken call, or take it back",
                  body=SwitchBody, answer=CallShown, status=202, errors=(404, 409)),
            route("POST", f"{one}/mute", self.mute_call, tag=TAG, summary="Stop listening to a caller, or go on",
                  body=SwitchBody, answer=CallShown, status=202, errors=(404, 409)),
            route("POST", f"{one}/keys", self.press_keys, tag=TAG, summary="Press keys in a spoken call",
                  body=KeysBody, answer=CallShown, status=202, errors=(404, 409)),
            route("POST", f"{one}/forward", self.forward_call, tag=TAG, summary="Give the caller to another number",
                  body=ForwardBody, answer=CallShown, status=202, errors=(404, 409)),
        ]  # fmt: skip

    async def say_in_call(self, wanted: Wanted[SayBody, Nothing]) -> CallShown:
        """In the bot's voice, behind what it is saying; it remembers it as its own."""
        call, message = await self._live(wanted), f"msg_{wanted.by.act.removeprefix('req_')}"
        text = Message.of(wanted.body.text)
        return await self._ask(call, ProgramReply(**self._kit.commands.head(call), message_id=message, message=text))

    async def hold_call(self, wanted: Wanted[SwitchBody, Nothing]) -> CallShown:
        """The caller hears music and is not listened to until `on` is false."""
        call = await self._live(wanted)
        return await self._ask(call, Hold(**self._kit.commands.head(call), on=wanted.body.on))

    async def mute_call(self, wanted: Wanted[SwitchBody, Nothing]) -> CallShown:
        """What they say meanwhile is kept for the end of it, and becomes no turn."""
        call = await self._live(wanted)
        return await self._ask(call, Mute(**self._kit.commands.head(call), on=wanted.body.on))

    async def press_keys(self, wanted: Wanted[KeysBody, Nothing]) -> CallShown:
        call = await self._live(wanted)
        return await self._ask(call, PressKeys(**self._kit.commands.head(call), digits=wanted.body.digits))

    async def forward_call(self, wanted: Wanted[ForwardBody, Nothing]) -> CallShown:
        """The call ends here when somebody takes it; when nobody does, the caller is back."""
        call, body = await self._live(wanted), wanted.body
        head = self._kit.commands.head(call)
        return await self._ask(call, Forward(**head, to=body.to, message=body.message, announce=body.announce))

    async def _live(self, wanted: Wanted[B, Nothing]) -> Call:
        """Raises ApiError 404 and 409."""
        call = await self._find(wanted.org, wanted.path["call_id"])
        if call.transport not in SOUND:
            raise conflict("not_spoken", f"the call {call.id} is in writing; send messages with POST /v1/messages")
        if not call.is_open or call.is_ringing:
            raise conflict("not_in_progress", f"the call {call.id} is not in progress; nobody would hear of it")
        return call

    async def _ask(self, call: Call, command: ToCall) -> CallShown:
        await self._kit.commands.issue(command)
        return await self._show(call)
