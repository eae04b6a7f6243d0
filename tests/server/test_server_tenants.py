"""Several numbers and agents in one server: each with its own secrets, none can speak for another."""

from __future__ import annotations

from typing import Any

import pytest

from channels.whatsapp.simulator.webhooks import encode, sign
from omni.model.agent import Agent
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, NUMBER, SECRETS, Shop, agent_of, until

OTHER_NUMBER = "100200301"
THEIRS = {
    "app_secret": "the-other-tenants-secret-5d20",
    "verify_token": "the-other-token-11",
    "app_secret_proof": False,
}


def two_tenants() -> tuple[Agent, Agent]:
    says = [{"when": "(?s).*", "say": "The florist heard: {{ text }}"}]
    return agent_of("cafe"), agent_of("florist", number=OTHER_NUMBER, channel=THEIRS, script=says)


async def post(shop: Shop, number: str, text: str, secret: str, *, id_: str = "wamid.1") -> int:
    """A webhook for one of our numbers, signed with a secret of the sender's choice; the answer's status."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "12025550142", "phone_number_id": number},
        "contacts": [{"profile": {"name": "Ada"}, "wa_id": ADA}],
        "messages": [
            {
                "from": ADA,
                "id": id_,
                "timestamp": str(int(shop.simulator.now())),
                "type": "text",
                "text": {"body": text},
            }
        ],
    }
    change = {"value": value, "field": "messages"}
    body = encode({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]})
    headers = {"X-Hub-Signature-256": sign(body, secret), "Content-Type": "application/json"}
    async with shop.http.post(f"{shop.url}/whatsapp/webhook", data=body, headers=headers) as answer:
        return answer.status


async def open_two(open_shop: OpenShop, engine: dict[str, Any], **more: Any) -> Shop:
    shop = await open_shop(engine, *two_tenants(), simulator={"other_phone_number_ids": (OTHER_NUMBER,)}, **more)
    for number in (NUMBER, OTHER_NUMBER):
        shop.simulator.people.heard(number, ADA, shop.simulator.now())
    return shop


async def test_each_agent_answers_on_its_own_number(open_shop: OpenShop, engine: dict[str, Any]) -> None:
    shop = await open_two(open_shop, engine)
    assert await post(shop, NUMBER, "coffee", SECRETS["app_secret"], id_="wamid.1") == 200
    assert await post(shop, OTHER_NUMBER, "roses", THEIRS["app_secret"], id_="wamid.2") == 200
    await shop.arrived(2)
    said = {sent.phone_number_id: sent.body["text"]["body"] for sent in shop.simulator.sent()}
    assert said == {NUMBER: "You said: coffee", OTHER_NUMBER: "The florist heard: roses"}
    assert {call.agent for call in await shop.calls()} == {"cafe", "florist"}


async def test_a_webhook_signed_by_another_tenant_is_not_acted_on(
    open_shop: OpenShop, embedded: dict[str, Any]
) -> None:
    shop = await open_two(open_shop, embedded)
    assert await post(shop, NUMBER, "forged", THEIRS["app_secret"], id_="wamid.f") in (200, 403)
    assert await post(shop, OTHER_NUMBER, "honest", THEIRS["app_secret"], id_="wamid.h") == 200
    await shop.arrived(1)
    await shop.quiet()
    (sent,) = shop.simulator.sent()
    assert sent.phone_number_id == OTHER_NUMBER
    (call,) = await shop.calls()
    assert call.agent == "florist"
    _, metrics = await shop.get("/metrics")
    counted = [line for line in metrics.splitlines() if line.startswith("omni_webhook_items_total")]
    assert any("secret" in line or "signature" in line or "foreign" in line for line in counted), counted


@pytest.mark.parametrize("secret", ["nobody's secret", "", SECRETS["verify_token"]])
async def test_a_stranger_is_refused(open_shop: OpenShop, embedded: dict[str, Any], secret: str) -> None:
    shop = await open_two(open_shop, embedded)
    assert await post(shop, NUMBER, "forged", secret or "x") == 403
    await shop.quiet()
    assert not await shop.calls()


async def test_a_secret_being_rotated_is_accepted_beside_the_new_one(
    open_shop: OpenShop, embedded: dict[str, Any]
) -> None:
    rotating = {
        "app_secret": "the-new-secret-77",
        "previous_app_secret": SECRETS["app_secret"],
        "app_secret_proof": False,
    }
    agent = agent_of(channel=rotating)
    shop = await open_shop(embedded, agent)
    shop.say("signed with the old one")
    assert await shop.answers(1) == ["You said: signed with the old one"]
    shop.simulator.people.heard(NUMBER, ADA, shop.simulator.now())
    assert await post(shop, NUMBER, "with the new one", "the-new-secret-77", id_="wamid.new") == 200
    assert (await shop.answers(2))[1] == "You said: with the new one"


async def test_each_number_passes_the_handshake_with_its_own_token(
    open_shop: OpenShop, embedded: dict[str, Any]
) -> None:
    shop = await open_two(open_shop, embedded)
    assert (await shop.simulator.handshake()).ok
    for token, wanted in ((THEIRS["verify_token"], 200), ("guessed", 403)):
        query = f"hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444"
        status, text = await shop.get(f"/whatsapp/webhook?{query}")
        assert status == wanted
        assert (text == "1158201444") is (wanted == 200)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"access_token": "an-expired-token"}, 190), ({"app_secret": "not-of-this-app"}, 104)],
    ids=["token", "secret"],
)
async def test_broken_credentials_of_one_number_do_not_hold_the_other(
    open_shop: OpenShop, embedded: dict[str, Any], wrong: dict[str, str], code: int
) -> None:
    previous = {"previous_app_secret": SECRETS["app_secret"]}
    cafe = agent_of("cafe", channel={**wrong, **previous})
    florist = agent_of("florist", number=OTHER_NUMBER)
    shop = await open_shop(embedded, cafe, florist, simulator={"other_phone_number_ids": (OTHER_NUMBER,)})
    shop.say("coffee")
    await until(lambda: shop.simulator.stats.errors[code] >= 1)
    shop.say("roses", phone_number_id=OTHER_NUMBER)
    (sent,) = await shop.arrived(1)
    assert sent.phone_number_id == OTHER_NUMBER
