"""What we do about calls over Graph: take one, refuse it, end it, place one.

Source: the platform's calling reference, `POST /{phone_number_id}/calls`.
"""

from __future__ import annotations

from typing import Any, Final

from channels.base import Action, RefusedError
from channels.whatsapp.graph import Graph, request_path
from channels.whatsapp.reading import identifier, items, mapping
from omni.model.channel import WhatsAppChannel

SECONDS: Final = 8.0
"""For one request: a caller who hears nothing for longer hangs up."""
EARLY_SECONDS: Final = 3.0
"""For what only saves time."""


class CallsApi:
    """All raise RefusedError."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def pre_accept(self, channel: WhatsAppChannel, call: str, sdp: str) -> None:
        """Connect the sound before the call is taken: nobody hears anything yet."""
        await self._act(channel, call, "pre_accept", sdp, min(EARLY_SECONDS, SECONDS))

    async def accept(self, channel: WhatsAppChannel, call: str, sdp: str) -> None:
        """Take a call; sound may go out when this returns. `sdp` is what `pre_accept` was given."""
        await self._act(channel, call, "accept", sdp)

    async def reject(self, channel: WhatsAppChannel, call: str) -> None:
        await self._act(channel, call, "reject")

    async def terminate(self, channel: WhatsAppChannel, call: str) -> None:
        await self._act(channel, call, "terminate")

    async def connect(self, channel: WhatsAppChannel, to: str, sdp: str, tracker: str) -> str:
        """Call somebody, by their number (digits) or business-scoped id; the platform's id of the call."""
        whom = {"to": to} if to.isdigit() else {"recipient": to}
        body = {**whom, "action": "connect", "session": _offer(sdp), "biz_opaque_callback_data": tracker}
        answer = await self._post(channel, body)
        call = next((identifier(mapping(one).get("id")) for one in items(answer.get("calls"))), None)
        if call is None:
            raise RefusedError("WhatsApp answered 200 without the call's id.", action=Action.GIVE_UP, code="no_answer")
        return call

    async def _act(
        self, channel: WhatsAppChannel, call: str, action: str, sdp: str | None = None, seconds: float | None = None
    ) -> None:
        body: dict[str, Any] = {"call_id": call, "action": action}
        if sdp is not None:
            body["session"] = {"sdp_type": "answer", "sdp": sdp}
        answer = await self._post(channel, body, seconds)
        if answer.get("success") is False:
            raise RefusedError(f"WhatsApp did not {action} the call.", action=Action.GIVE_UP, code="calling")

    async def _post(self, channel: WhatsAppChannel, body: dict[str, Any], seconds: float | None = None) -> Any:
        path = request_path(channel.phone_number_id, "calls")
        body = {"messaging_product": "whatsapp", **body}
        return await self._graph.call(channel, "POST", path, body=body, may_act=True, timeout=seconds or SECONDS)


def _offer(sdp: str) -> dict[str, str]:
    return {"sdp_type": "offer", "sdp": sdp}
