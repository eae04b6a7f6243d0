"""`/v1/conversations`: list, get, memory, messages; typing and backgrounds."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web
from pydantic import Field, JsonValue

from omni.gateway.agentphone.agents import AgentOperations
from omni.gateway.agentphone.answers import Fields, answer, moment, moment_or_none, nothing, page
from omni.gateway.agentphone.asking import Asked, Operation
from omni.gateway.agentphone.errors import wrong
from omni.gateway.agentphone.reading import Span, Talk, TimeQuery, newest, shown_in_conversation, shown_message
from omni.gateway.agentphone.shapes import Snake, Window
from omni.gateway.agentphone.talks import PublicUrl, Talks
from omni.gateway.inbox.casework import Becomes, Casework
from omni.gateway.inbox.courtesy import Courtesy
from omni.gateway.rest.kit import RestKit
from omni.model.case import Case
from omni.model.conversations import conversation_id, party_of
from omni.model.numbers import number_id_of
from omni.store.inbox import Listed

GROUP = "group:"


class Whole(Snake):
    message_limit: int = Field(default=50, ge=1, le=100)


class Change(Snake):
    """`metadata` replaces what was kept; null empties it."""

    metadata: dict[str, JsonValue] | None = Field(default=None, max_length=200)
    group_name: str | None = Field(default=None, max_length=200)


class Background(Snake):
    image_url: str = Field(pattern=r"^https://", max_length=2_048)


class ConversationOperations:
    def __init__(self, kit: RestKit, agents: AgentOperations, talks: Talks, url: PublicUrl) -> None:
        self._kit = kit
        self._agents = agents
        self._talks = talks
        self._url = url
        self._casework = Casework(kit.store, kit.bus, kit.clock)
        self._courtesy = Courtesy(kit.store, kit.bus, kit.partitions, kit.clock, kit.new_id)

    def operations(self) -> list[Operation]:
        one = "/v1/conversations/{conversation}"
        return [
            Operation("GET", "/v1/conversations", self.every),
            Operation("GET", "/v1/agents/{agent}/conversations", self.of_agent),
            Operation("GET", one, self.get),
            Operation("PATCH", one, self.change),
            Operation("GET", f"{one}/messages", self.messages),
            Operation("POST", f"{one}/typing", self.typing),
            Operation("POST", f"{one}/background", self.set_background),
            Operation("DELETE", f"{one}/background", self.drop_background),
        ]

    async def every(self, asked: Asked) -> web.Response:
        return await self._listed(asked.query(Window), await self._talks.listed(asked.org))

    async def of_agent(self, asked: Asked) -> web.Response:
        agent = await self._agents.find(asked.org, asked.named("agent"))
        return await self._listed(asked.query(Window), await self._talks.listed(asked.org, agent=agent.slug))

    async def get(self, asked: Asked) -> web.Response:
        row = await self._talks.find(asked.org, asked.named("conversation"))
        return answer(await self._whole(row, asked.query(Whole).message_limit))

    async def change(self, asked: Asked) -> web.Response:
        row, body = await self._talks.find(asked.org, asked.named("conversation")), asked.body(Change)
        if body.group_name is not None:
            raise wrong("group_name: only groups on iMessage are renamed here", "group_name")
        if "metadata" in body.model_fields_set:
            memory = body.metadata

            def remember(case: Case) -> Becomes:
                return case.model_copy(update={"memory": memory}), ()

            await self._casework.change(asked.org, row.call.conversation, asked.by.name, remember)
            row = await self._talks.find(asked.org, asked.named("conversation"))
        return answer(await self._whole(row, asked.query(Whole).message_limit))

    async def messages(self, asked: Asked) -> web.Response:
        """Newest first."""
        row, query = await self._talks.find(asked.org, asked.named("conversation")), asked.query(TimeQuery)
        [talk] = await self._talks.talks([row.call])
        found, has_more = await newest(self._kit, row.call.conversation, Span.of(query), query.limit)
        shown: list[JsonValue] = [shown_message(each, talk, self._url) for each in found if each.type == "message"]
        return answer({"data": shown, "hasMore": has_more})

    async def typing(self, asked: Asked) -> web.Response:
        """Best effort, on WhatsApp; it goes away by itself."""
        call = (await self._talks.find(asked.org, asked.named("conversation"))).call
        can_show = call.transport == "whatsapp"
        if can_show:
            await self._courtesy.typing(call, True)
        return answer(
            {
                "conversationId": conversation_id(call.conversation),
                "channel": call.transport,
                "status": "sent" if can_show else "unsupported",
            }
        )

    async def set_background(self, asked: Asked) -> web.Response:
        call = (await self._talks.find(asked.org, asked.named("conversation"))).call
        asked.body(Background)
        raise wrong(f"{call.transport} shows no backgrounds; only iMessage does")

    async def drop_background(self, asked: Asked) -> web.Response:
        await self._talks.find(asked.org, asked.named("conversation"))
        return nothing()

    async def _listed(self, window: Window, rows: Sequence[Listed]) -> web.Response:
        wanted = rows[window.offset : window.offset + window.limit]
        talks = await self._talks.talks([row.call for row in wanted])
        shown: list[JsonValue] = [await self._shown(row, talk) for row, talk in zip(wanted, talks, strict=True)]
        return answer(page(shown, offset=window.offset, total=len(rows)))

    async def _whole(self, row: Listed, limit: int) -> Fields:
        """Its latest messages, oldest first."""
        [talk] = await self._talks.talks([row.call])
        found, _ = await newest(self._kit, row.call.conversation, Span(), limit)
        messages = shown_in_conversation(found, talk, self._url)[:limit]
        return {**await self._shown(row, talk), "messages": messages[::-1]}

    async def _shown(self, row: Listed, talk: Talk) -> Fields:
        call = row.call
        calls = await self._kit.store.calls_of_conversation(call.conversation, limit=1_000)
        is_group = party_of(call.conversation).startswith(GROUP)
        stopped = talk.contact is not None and talk.contact.has_stopped(call.transport)
        is_closed = call.window_closes_at is not None and call.window_closes_at <= self._kit.clock()
        is_whatsapp = call.transport == "whatsapp"
        agent = self._kit.book.get(call.org, call.agent)
        return {
            "id": conversation_id(call.conversation),
            "phoneNumber": talk.ours,
            "phoneNumberId": number_id_of(call.channel, talk.ours),
            "participant": talk.theirs,
            "contactNumber": talk.theirs,
            "agentId": call.agent if agent is not None else None,
            "lastMessageAt": moment_or_none(call.last_at or None),
            "lastMessagePreview": call.last_text or None,
            "messageCount": sum(each.user_messages + each.bot_messages + each.human_messages for each in calls),
            "metadata": row.case.memory if row.case is not None else None,
            "createdAt": moment(calls[-1].started_at if calls else call.started_at),
            "channel": call.transport,
            "isGroup": is_group,
            "groupId": party_of(call.conversation).removeprefix(GROUP) if is_group else None,
            "groupName": None,
            "groupIconUrl": None,
            "participants": [talk.theirs],
            "capabilities": {
                "availableChannels": [call.transport],
                "mediaChannels": [call.transport],
                "canSendMessages": not stopped and not is_closed,
                "media": True,
                "reactions": is_whatsapp,
                "emojiReactions": is_whatsapp,
                "sendDisabledReason": "opted_out" if stopped else "window_closed" if is_closed else None,
                "sendChannel": call.transport,
            },
            "omni": {"paused": call.is_open and call.handler == "human", "callId": call.id},
        }
