"""`/v1/calls`, and the calls of one agent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from aiohttp import web
from pydantic import JsonValue

from omni.gateway.rest.agents.keeping import Agents
from omni.gateway.rest.calls.controls import CallControls
from omni.gateway.rest.calls.ending import end_call
from omni.gateway.rest.calls.placing import Placed, line_of, place
from omni.gateway.rest.calls.reading import shown_call, whole_call
from omni.gateway.rest.calls.recordings import send_recording
from omni.gateway.rest.calls.shapes import (
    AgentCallCreate,
    AgentCallsQuery,
    CallCreate,
    CallQueued,
    CallShown,
    CallsQuery,
    CallWhole,
)
from omni.gateway.rest.errors import ApiError, contradiction, missing
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.messages.sending import Sending, text_channel
from omni.gateway.rest.messages.shapes import MessageSend
from omni.gateway.rest.paging import closed, opened
from omni.gateway.rest.routing import Caller, Route, Wanted, route, stream
from omni.gateway.rest.shapes import Nothing, Page
from omni.model.agent import Agent
from omni.model.behaviour import Overrides
from omni.model.call import Call
from omni.model.channel import Channel, WhatsAppChannel, calls_of, can_dial, has_account, own_channel
from omni.model.conversations import conversation_id
from omni.model.inbound import Opening
from omni.store.rest import CallQuery

TAG = "Calls"


class CallRoutes:
    def __init__(self, kit: RestKit, agents: Agents, sending: Sending) -> None:
        self._kit = kit
        self._agents = agents
        self._sending = sending
        self._controls = CallControls(kit, self.find, self.shown)

    def routes(self) -> list[Route]:
        one = "/v1/calls/{call_id}"
        of_agent = "/v1/agents/{agent_id}/calls"
        return [
            route(
                "POST", "/v1/calls", self.create_call, tag=TAG, summary="Reach somebody",
                body=CallCreate, answer=CallQueued, status=201, errors=(404, 409, 422, 503),
            ),
            route(
                "GET", "/v1/calls", self.list_calls, tag=TAG, summary="List calls",
                query=CallsQuery, answer=Page[CallShown], errors=(422,),
            ),
            route(
                "POST", of_agent, self.create_agent_call, tag=TAG, summary="Have an agent reach somebody",
                body=AgentCallCreate, answer=CallQueued, status=201, errors=(404, 409, 422, 503),
            ),
            route(
                "GET", of_agent, self.list_agent_calls, tag=TAG, summary="List an agent's calls",
                query=AgentCallsQuery, answer=Page[CallShown], errors=(404, 422),
            ),
            route("GET", one, self.get_call, tag=TAG, summary="Get a call with its transcript",
                  answer=CallWhole, errors=(404,)),
            route("POST", f"{one}/end", self.end_call, tag=TAG, summary="End a call",
                  answer=CallShown, errors=(404,)),
            stream(f"{one}/recording", self.get_recording, tag=TAG, summary="Download a call's recording",
                   media="audio/wav", errors=(404, 416)),
            *self._controls.routes(),
        ]  # fmt: skip

    async def create_call(self, wanted: Wanted[CallCreate, Nothing]) -> CallQueued:
        """By telephone, when the agent has a number: answered as soon as the carrier has the call, which then rings;
        GET /v1/calls/{call_id} tells how it goes on. In writing: the message is sent and opens a conversation, in which
        the agent answers."""
        return await self._create(wanted.by, wanted.body.agent_id, wanted.body)

    async def create_agent_call(self, wanted: Wanted[AgentCallCreate, Nothing]) -> CallQueued:
        """As POST /v1/calls, with the agent in the path."""
        return await self._create(wanted.by, wanted.path["agent_id"], wanted.body)

    async def list_calls(self, wanted: Wanted[Nothing, CallsQuery]) -> Page[CallShown]:
        """Newest first. Of calls that are spoken some ring and some are not answered; those in writing are
        `in_progress` until they end."""
        query = wanted.query
        return await self._page(wanted.org, query, agent=query.agent_id, contact=query.contact_id)

    async def list_agent_calls(self, wanted: Wanted[Nothing, AgentCallsQuery]) -> Page[CallShown]:
        """Newest first; of an agent that was deleted, too, once another has its id."""
        agent = await self._agents.find(wanted.org, wanted.path["agent_id"])
        return await self._page(wanted.org, wanted.query, agent=agent.slug)

    async def get_call(self, wanted: Wanted[Nothing, Nothing]) -> CallWhole:
        call = await self.find(wanted.org, wanted.path["call_id"])
        return await whole_call(self._kit.store, await self.shown(call))

    async def end_call(self, wanted: Wanted[Nothing, Nothing]) -> CallShown:
        """Harmless for a call that has ended. What the person writes next opens another."""
        call = await self.find(wanted.org, wanted.path["call_id"])
        return await self.shown(await end_call(self._kit, call, wanted.by.name))

    async def get_recording(self, wanted: Wanted[Nothing, Nothing]) -> web.StreamResponse:
        """A stereo WAV of a spoken call that was recorded, once it has ended: the caller left, our side right. `Range`
        is understood."""
        call = await self.find(wanted.org, wanted.path["call_id"])
        if call.recording is None:
            raise ApiError(
                404,
                "no_recording",
                f"the call {call.id} was not recorded, or goes on; its transcript is in GET /v1/calls/{call.id}",
            )
        return await send_recording(wanted.request, self._kit.blobs, call)

    async def _create(self, by: Caller, agent_id: str, body: AgentCallCreate) -> CallQueued:
        agent = await self._agents.find(by.org, agent_id)
        named = own_channel(agent.channels, body.channel_id) if body.channel_id is not None else None
        if body.message is None and (body.channel_id is None or (named is not None and can_dial(named))):
            return await self._dialled(by, agent, body)
        if isinstance(named, WhatsAppChannel) and body.channel_id == named.calls_id:
            why = "speak, without a message" if named.calls else "switch calls on there (calls: true), or write"
            raise contradiction("channel_id", f"{named.calls_id} is for calls, and this is none; {why}")
        return await self._written(by, agent, body)

    async def _dialled(self, by: Caller, agent: Agent, body: AgentCallCreate) -> CallQueued:
        line = line_of(agent, body.channel_id, body.caller_id)
        given = body.model_fields_set
        audio: dict[str, JsonValue] = {}
        if "record" in given:
            audio["media"] = _with(agent.audio.get("media"), recording=body.record)
        if "max_duration" in given:
            audio["session_limits"] = _with(agent.audio.get("session_limits"), max_duration_seconds=body.max_duration)
        placed = Placed(
            agent=agent,
            line=line,
            to=body.phone_number,
            by=by.name,
            key=f"rest:{by.org}:{by.act}",
            greeting=body.first_message,
            opening=Opening(metadata=body.metadata),
            overrides=Overrides(vars=_vars(body.context), audio=audio or None),
        )
        return CallQueued(
            id=await place(self._kit, placed),
            agent_id=agent.slug,
            channel_id=calls_of(line),
            conversation_id=None,
            message_id=None,
            phone_number=body.phone_number,
        )

    async def _written(self, by: Caller, agent: Agent, body: AgentCallCreate) -> CallQueued:
        channel = text_channel(agent, body.channel_id)
        if body.message is None:
            raise contradiction("message", "a conversation in writing begins with one; give it")
        to = MessageSend(agent_id=agent.slug, channel_id=channel.id, to=body.phone_number, **dict(body.message))
        line = await self._sending.line(by, to)
        self._sending.check(line, is_template=to.template is not None)
        message, upload = await self._sending.message(by, line, to, None)
        await self._sending.sent(upload)
        opening = Opening(metadata=body.metadata)
        overrides = Overrides(vars=_vars(body.context)) if body.context else None
        id_ = await self._sending.send(by, line, message, opening=opening, overrides=overrides)
        return CallQueued(
            id=None,
            agent_id=agent.slug,
            channel_id=channel.id,
            conversation_id=conversation_id(line.conversation),
            message_id=id_,
            phone_number=body.phone_number,
        )

    async def find(self, org: str, id_: str) -> Call:
        """Raises ApiError 404."""
        call = await self._kit.store.call(id_)
        if call is None or call.org != org:
            raise missing("call", "GET /v1/calls lists them")
        return call

    async def _page(
        self, org: str, query: AgentCallsQuery, *, agent: str | None, contact: str | None = None
    ) -> Page[CallShown]:
        where = CallQuery(
            org,
            agent=agent,
            contact=contact,
            status=query.status,
            created_after=query.created_after,
            created_before=query.created_before,
        )
        question = question_of(where)
        where = replace(where, cursor=opened(question, query.cursor))
        page = await self._kit.store.call_page(where, limit=query.limit)
        return Page[CallShown].of(await self._shown(page.calls), closed(question, page.next))

    async def shown(self, call: Call) -> CallShown:
        [shown] = await self._shown([call])
        return shown

    async def _shown(self, calls: Sequence[Call]) -> list[CallShown]:
        people = await self._kit.store.contacts([call.contact for call in calls])
        channels: dict[tuple[str, str], Channel | None] = {}  # a page's calls share a few
        for call in calls:
            where = (call.agent, call.channel)
            if where not in channels:
                channels[where] = self._channel(call)
        return [shown_call(call, people.get(call.contact), channels[call.agent, call.channel]) for call in calls]

    def _channel(self, call: Call) -> Channel | None:
        book = self._kit.book
        owner = book.owner(call.org, call.channel) if has_account(call.channel) else book.get(call.org, call.agent)
        return own_channel(owner.channels, call.channel) if owner is not None else None


def question_of(where: CallQuery) -> str:
    """What a cursor is bound to: a page is continued by whoever asks for the same calls."""
    return (
        f"calls {where.org} {where.agent} {where.contact} {where.status} {where.created_after} {where.created_before}"
    )


def _with(settings: JsonValue, **more: JsonValue) -> dict[str, JsonValue]:
    return {**(settings if isinstance(settings, dict) else {}), **more}


def _vars(context: dict[str, JsonValue]) -> dict[str, str] | None:
    return {name: _words(value) for name, value in context.items()} or None


def _words(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
