"""The same client where people write on WhatsApp; on the embedded engines, and on RabbitMQ and MongoDB."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from agentphone import AgentPhoneError, AsyncAgentPhone

from omni.model.channel import SmsChannel
from tests.agentphone.house import POOL
from tests.brains.llm_server import LlmServer, says
from tests.server.conftest import (  # noqa: F401 - fixtures
    OpenShop,
    clean_environment,
    embedded,
    engine,
    llm,
    open_shop,
    services,
)
from tests.server.shop import ADA, Shop, agent_of, until
from tests.sms.desk import LINE
from tests.webhooks.receivers import Receiver

KEY = "pk_the-key-of-the-tests-0123456789"
OURS = "+4930100200"


@asynccontextmanager
async def client_of(shop: Shop) -> AsyncIterator[Any]:
    async with AsyncAgentPhone(api_key=KEY, base_url=f"{shop.url}/agentphone") as client:
        yield client


def desk_of() -> Any:
    return agent_of("desk", brain="webhook", script=[], channel={"phone": OURS})


async def test_what_people_write_on_whatsapp_is_answered_read_and_reacted_to(
    open_shop: OpenShop,  # noqa: F811
    engine: dict[str, Any],  # noqa: F811
) -> None:
    shop = await open_shop(engine, desk_of(), api_key=KEY)
    receiver = Receiver(lambda: 0.0)
    await receiver.start()
    async with client_of(shop) as c:
        await c.webhooks.set(receiver.url)
        [number] = (await c.numbers.list()).data
        assert (number.phone_number, number.type, number.whatsapp_enabled) == (OURS, "whatsapp", True)
        with pytest.raises(AgentPhoneError) as caught:
            await c.messages.send(number_id=number.id, to_number=f"+{ADA}", body="too early")
        assert (caught.value.status, shop.simulator.sent()) == (403, [])
        shop.say("hello")
        await until(lambda: receiver.taken)
        told = receiver.taken[0].json
        assert (told["channel"], told["data"]["numberId"], told["data"]["to"]) == ("whatsapp", number.id, OURS)
        conversation = told["data"]["conversationId"]
        sent = await c.messages.send(
            agent_id="desk", to_number=f"+{ADA}", body="hi Ada", reply_to_message_id=told["data"]["messageId"]
        )
        assert (sent["channel"], sent["reply_parent_unresolved"]) == ("whatsapp", False)
        [arrived] = await shop.arrived()
        assert (arrived.body["text"]["body"], "context" in arrived.body) == ("hi Ada", True)
        reacted = await c.messages.react(told["data"]["messageId"], "love")
        assert (reacted["reaction_type"], reacted["channel"]) == ("love", "whatsapp")
        reaction = (await shop.arrived(2))[1]
        assert (reaction.type, reaction.body["reaction"]["emoji"]) == ("reaction", "❤️")
        assert (await c.conversations.send_typing(conversation))["status"] == "sent"

        async def whole() -> Any:
            found = await c.conversations.get(conversation)
            return found if found.messages[0].reactions else None

        found = await until(whole)
        assert [each.body for each in found.messages] == ["hello", "hi Ada"]
        assert found.messages[0].reactions[0].reaction_type == "❤️"
        assert found.messages[1].reply_to.message_id == found.messages[0].id
        assert (found.participant, found.capabilities.reactions) == (f"+{ADA}", True)
        odd = {"$a.b": {"": 1}, "big": 2**80, "é": [None, True, "\u2028"]}
        assert (await c.conversations.update(conversation, metadata=odd)).metadata == odd
        status = await c.whatsapp.whatsapp_status()
        assert (status["connected"], status["connections"][0]["phone_number"]) == (True, OURS)
    await receiver.stop()


async def test_numbers_are_bought_moved_and_released_on_every_engine(
    open_shop: OpenShop,  # noqa: F811
    engine: dict[str, Any],  # noqa: F811
) -> None:
    stock = tuple(SmsChannel.model_validate({**LINE, "number": number}) for number in POOL)
    shop = await open_shop(engine, desk_of(), api_key=KEY, inventory=stock, public_url="https://omni.example")
    async with client_of(shop) as c:
        agent = await c.agents.create(name="Shop")
        number = await c.numbers.buy(agent_id=agent.id, external_id="x")
        assert (await c.agents.get(agent.id)).numbers[0].id == number.id
        await c.agents.detach_number(agent.id, number.id)
        await c.agents.attach_number("desk", number.id)
        assert (await c.numbers.get(number.id)).agent_id == "desk"
        own = await shop.engines.store.agent("default", "desk")
        assert own is not None
        [line] = [each for each in own.channels if isinstance(each, SmsChannel)]
        assert line.auth_token.get_secret_value() == LINE["auth_token"]  # kept while nobody had it
        await c.numbers.release(number.id)
        assert (await c.numbers.get(number.id)).status == "released"
        again = await c.numbers.buy()
        assert (again.phone_number, again.external_id) == (number.phone_number, None)
        await c.conversations.list()
        contact = await c.contacts.create(phone_number="+12025550188", name="Ada")
        assert (await c.contacts.list(search="ada")).data[0].id == contact.id
        assert (await c.usage.get()).numbers.limit == 4
        with pytest.raises(AgentPhoneError) as caught:
            await c.agents.delete("desk")
        assert caught.value.status == 409  # the configuration declares it


async def test_a_hosted_agent_writes_itself_only_where_no_webhook_hears(
    open_shop: OpenShop,  # noqa: F811
    embedded: dict[str, Any],  # noqa: F811
    llm: LlmServer,  # noqa: F811
) -> None:
    hosted = agent_of(
        "desk", brain="llm", script=[], prompt="You are it.", audio={"texts": "webhook"}, channel={"phone": OURS}
    )
    shop = await open_shop(embedded, hosted, api_key=KEY, llm_base_url=llm.base_url)
    receiver = Receiver(lambda: 0.0)
    await receiver.start()
    llm.will(says("from the model"))
    async with client_of(shop) as c:
        await c.webhooks.set(receiver.url)
        shop.say("one")
        await until(lambda: receiver.taken)
        (ended,) = await shop.logged("turn.end")
        assert (ended.outcome, llm.requests, shop.simulator.sent()) == ("silent", [], [])
        await c.webhooks.delete()
        shop.say("two")
        assert await shop.answers(1) == ["from the model"]
    await receiver.stop()
