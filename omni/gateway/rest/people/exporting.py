"""Everything about a person, line by line: it may be much, so none of it is held."""

from __future__ import annotations

import json
from typing import Final

from aiohttp import hdrs, web
from pydantic import BaseModel, JsonValue

from omni.gateway.rest.calls.reading import shown_call
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.messages.reading import MESSAGES, shown_of
from omni.gateway.rest.people.erasing import calls_of, entries_of
from omni.gateway.rest.people.shapes import ContactShown
from omni.model.call import Call
from omni.model.contact import Contact
from omni.model.conversations import conversation_id, party_of

GROUP: Final = "group:"
NDJSON: Final = "application/x-ndjson"


class Exporting:
    def __init__(self, kit: RestKit) -> None:
        self._kit = kit

    async def send(self, request: web.Request, contact: Contact, shown: ContactShown) -> web.StreamResponse:
        name = f'attachment; filename="{contact.id}.ndjson"'
        headers = {hdrs.CONTENT_TYPE: NDJSON, hdrs.CONTENT_DISPOSITION: name, hdrs.CACHE_CONTROL: "no-store"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        await response.write(_line(shown))
        conversations: dict[str, None] = {}
        async for call in calls_of(self._kit, contact):
            conversations[call.conversation] = None
            await self._call(response, call, contact)
        for key in conversations:
            if not party_of(key).startswith(GROUP):
                await self._case(response, key)
        await response.write(b'{"object":"end"}\n')
        await response.write_eof()
        return response

    async def _call(self, response: web.StreamResponse, call: Call, contact: Contact) -> None:
        await response.write(_line(shown_call(call, contact, None)))
        async for entries in entries_of(self._kit, call.id):
            messages = {entry.seq: entry for entry in entries if isinstance(entry.fact, MESSAGES)}
            shown = await shown_of(self._kit.store, call.conversation, [*messages.values()])
            by_seq = dict(zip(messages, shown, strict=True))
            for entry in entries:
                message = by_seq.get(entry.seq)
                event: dict[str, JsonValue] = {
                    "object": "event",
                    "call_id": call.id,
                    "type": entry.fact.type,
                    "at": entry.ts,
                    "data": _plain(entry.fact.model_dump(mode="json", by_alias=True, exclude_none=True)),
                }
                await response.write(_line(message) if message is not None else _text(event))

    async def _case(self, response: web.StreamResponse, key: str) -> None:
        store = self._kit.store
        case = await store.case(key)
        if case is None:
            return
        labels: list[JsonValue] = [*case.labels]
        about: dict[str, JsonValue] = {"object": "case", "conversation_id": conversation_id(key), "labels": labels}
        await response.write(_text({**about, "assignee": case.assignee}))
        after = 0
        while events := await store.case_events(key, after=after):
            after = events[-1].number
            for event in events:
                told: dict[str, JsonValue] = {"object": "case_event", "conversation_id": conversation_id(key)}
                await response.write(
                    _text({**told, "by": event.by, "at": event.at, "data": event.fact.model_dump(mode="json")})
                )


def _line(shown: BaseModel) -> bytes:
    return shown.model_dump_json().encode() + b"\n"


def _text(shown: dict[str, JsonValue]) -> bytes:
    return json.dumps(shown, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _plain(value: JsonValue) -> JsonValue:
    """Without where we keep files."""
    match value:
        case dict():
            return {name: _plain(each) for name, each in value.items() if name != "blob"}
        case list():
            return [_plain(each) for each in value]
        case _:
            return value
