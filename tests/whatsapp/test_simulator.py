"""The WhatsApp stand-in speaks the platform's protocol on a real socket: sends, refusals, webhooks, media, faults."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.whatsapp.simulator import (
    FaultRule,
    Rules,
    Simulator,
    SimulatorSettings,
    SimulatorSettingsError,
    StatusPlan,
    WebhookPlan,
    create_app,
    running,
)
from channels.whatsapp.simulator.webhooks import encode, sign

ADA = "12025550171"
SECRET = "a-secret-of-the-test"
TOKEN = "a-token-of-the-test"
VERIFY = "a-verify-token-of-the-test"
FAST = StatusPlan(sent_ms=0, delivered_ms=1, read_ms=2)


@dataclass
class Business:
    """A webhook receiver and a Graph client: the two things a channel adapter does, without any logic."""

    simulator: Simulator
    graph: str
    client: aiohttp.ClientSession
    bodies: list[bytes] = field(default_factory=list)
    signatures: list[str | None] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    got: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            right = request.query.get("hub.verify_token") == VERIFY
            return web.Response(status=200 if right else 403, text=request.query["hub.challenge"])
        self.bodies.append(await request.read())
        self.signatures.append(request.headers.get("X-Hub-Signature-256"))
        self.got.set()
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self.got.clear()
                await self.got.wait()

    def values(self) -> list[dict[str, Any]]:
        entries = [entry for body in self.bodies for entry in json.loads(body)["entry"]]
        return [change["value"] for entry in entries for change in entry["changes"]]

    def messages(self) -> list[dict[str, Any]]:
        return [message for value in self.values() for message in value.get("messages", [])]

    def statuses(self) -> list[dict[str, Any]]:
        return [status for value in self.values() for status in value.get("statuses", [])]

    async def call(self, method: str, path: str, body: object = None, **more: Any) -> tuple[int, Any]:
        headers = more.pop("headers", {"Authorization": f"Bearer {TOKEN}"})
        async with self.client.request(method, f"{self.graph}{path}", json=body, headers=headers, **more) as answer:
            return answer.status, await answer.json()

    async def send(self, kind: str, content: object, **more: object) -> tuple[int, Any]:
        body = {"messaging_product": "whatsapp", "to": f"+{ADA}", "type": kind, kind: content, **more}
        return await self.call("POST", "/v26.0/100200300/messages", body)

    async def say(self, text: str = "hello", **more: object) -> tuple[int, Any]:
        return await self.send("text", {"body": text}, **more)

    async def fault(self, **rule: object) -> None:
        status, answer = await self.call("POST", "/control/faults", rule)
        assert status == 201, answer


@asynccontextmanager
async def a_business(
    *,
    statuses: StatusPlan = FAST,
    webhooks: WebhookPlan | None = None,
    rules: Rules | None = None,
    window: bool = True,
) -> AsyncIterator[Business]:
    """A simulator and its business, connected both ways over real sockets, Ada's window open unless told."""
    business: list[Business] = []

    async def receive(request: web.Request) -> web.Response:
        return await business[0].receive(request)

    receiver = web.Application()
    receiver.router.add_route("*", "/hook", receive)
    async with TestServer(receiver) as server, aiohttp.ClientSession() as client:
        settings = SimulatorSettings(
            webhook_url=str(server.make_url("/hook")),
            app_secret=SECRET,
            access_token=TOKEN,
            verify_token=VERIFY,
            statuses=statuses,
            webhooks=webhooks or WebhookPlan(retry_ms=(0, 1, 2)),
            rules=rules or Rules(),
            port=0,
        )
        async with running(settings) as (simulator, url):
            business.append(Business(simulator, url, client))
            if window:
                simulator.set_window(ADA, is_open=True)
            yield business[0]


# -- webhooks ----------------------------------------------------------------------------------------------------------


async def test_a_user_message_arrives_signed_over_its_exact_escaped_bytes() -> None:
    async with a_business() as business:
        wamid = business.simulator.user_says("ça va? https://example.com/ 😊")
        await business.until(lambda: business.bodies)
        body = business.bodies[0]
        assert b"\\u00e7a va? https:\\/\\/example.com\\/ \\ud83d\\ude0a" in body
        digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert business.signatures[0] == f"sha256={digest}"
        (message,) = business.messages()
        assert message["id"] == wamid
        assert message["from"] == ADA
        assert message["text"]["body"] == "ça va? https://example.com/ 😊"
        value = business.values()[0]
        assert value["metadata"] == {"display_phone_number": "12025550142", "phone_number_id": "100200300"}
        assert value["contacts"][0]["profile"]["name"] == "Ada Quill"
        assert value["contacts"][0]["user_id"] == message["from_user_id"]


def test_signature_and_escapes_match_the_platforms_own_vector() -> None:
    body = encode({"object": "whatsapp_business_account", "entry": [{"id": "1", "note": "äö / ok"}]})
    assert body == b'{"object":"whatsapp_business_account","entry":[{"id":"1","note":"\\u00e4\\u00f6 \\/ ok"}]}'
    assert sign(body, "omni-vector-secret") == "sha256=c41a46d916ab52aa561be5bf1941fa3764be8e1596b12dfaa4f64d29afc0ad19"


async def test_the_handshake_tells_a_right_verify_token_from_a_wrong_one() -> None:
    async with a_business() as business:
        assert (await business.simulator.handshake()).ok
    async with a_business() as business:
        object.__setattr__(business.simulator.settings, "verify_token", "another")
        result = await business.simulator.handshake()
        assert not result.ok
        assert result.status == 403
        assert "verify token" in result.reason


async def test_a_webhook_that_is_not_answered_with_200_comes_again_with_the_same_bytes() -> None:
    async with a_business() as business:
        business.answers = [500, 202, 200]
        business.simulator.user_says("again")
        await business.until(lambda: len(business.bodies) == 3)
        assert len(set(business.bodies)) == 1
        await business.simulator.webhooks.idle()
        assert business.simulator.webhooks.counts.delivered == 1


async def test_a_webhook_is_given_up_after_its_last_repetition() -> None:
    async with a_business() as business:
        business.answers = [500] * 4
        business.simulator.user_says("never")
        await business.until(lambda: len(business.bodies) == 4)
        async with asyncio.timeout(5):
            await business.simulator.webhooks.idle()
        assert business.simulator.webhooks.counts.abandoned == 1


async def test_updates_share_a_post_when_batched_and_come_twice_when_duplicated() -> None:
    plan = WebhookPlan(batch_max=3, batch_ms=60_000, duplicates=1.0)
    async with a_business(webhooks=plan) as business:
        for number in range(3):
            business.simulator.user_says(f"message {number}", wa_id=f"1202555018{number % 2}")
        await business.until(lambda: len(business.bodies) == 2)
        assert business.bodies[0] == business.bodies[1]
        value = business.values()[0]
        assert [m["text"]["body"] for m in value["messages"]] == ["message 0", "message 1", "message 2"]
        assert len(value["contacts"]) == 2


async def test_jitter_loses_nothing() -> None:
    async with a_business(webhooks=WebhookPlan(jitter_ms=20)) as business:
        sent = {business.simulator.user_says(str(number)) for number in range(20)}
        await business.until(lambda: len(business.bodies) == 20)
        assert {message["id"] for message in business.messages()} == sent


USER_ACTIONS: list[tuple[dict[str, object], dict[str, object]]] = [
    ({"type": "location", "latitude": 0, "longitude": 0}, {"location": {"latitude": 0.0, "longitude": 0.0}}),
    (
        {"type": "button_reply", "button_id": "b1", "title": "Yes", "reply_to": "wamid.q"},
        {
            "interactive": {"type": "button_reply", "button_reply": {"id": "b1", "title": "Yes"}},
            "context": {"from": "12025550142", "id": "wamid.q"},
        },
    ),
    (
        {"type": "list_reply", "row_id": "r1", "title": "Row", "description": "first"},
        {
            "interactive": {
                "type": "list_reply",
                "list_reply": {"id": "r1", "title": "Row", "description": "first"},
            }
        },
    ),
    ({"type": "button", "payload": "P", "text": "T"}, {"button": {"payload": "P", "text": "T"}}),
    (
        {"type": "reaction", "message_id": "wamid.x", "emoji": "👍"},
        {"reaction": {"message_id": "wamid.x", "emoji": "👍"}},
    ),
    ({"type": "reaction", "message_id": "wamid.x"}, {"reaction": {"message_id": "wamid.x"}}),
    ({"type": "revoke", "message_id": "wamid.x"}, {"revoke": {"original_message_id": "wamid.x"}}),
    ({"type": "contacts", "contacts": [{"name": {"formatted_name": "B"}}]}, {"type": "contacts"}),
    ({"type": "system", "system": {"type": "user_changed_number"}}, {"type": "system"}),
    ({"type": "unsupported", "kind": "poll"}, {"unsupported": {"type": "poll"}}),
    ({"text": "hi", "forwarded": True}, {"context": {"forwarded": True}}),
    ({"type": "raw", "message": {"type": "order", "order": {"catalog_id": "1"}}}, {"order": {"catalog_id": "1"}}),
]


@pytest.mark.parametrize(("action", "expected"), USER_ACTIONS, ids=lambda value: str(value.get("type", "")))
async def test_every_kind_of_user_action_has_its_wire_shape(
    action: dict[str, object], expected: dict[str, object]
) -> None:
    async with a_business() as business:
        status, answer = await business.call("POST", "/control/messages", {"from": f"+{ADA}", **action})
        assert status == 201, answer
        await business.until(lambda: business.bodies)
        (message,) = business.messages()
        assert message["id"] == answer["id"]
        assert {name: message[name] for name in expected} == expected
        assert ("contacts" in business.values()[0]) == (action.get("type") != "system")


async def test_a_person_with_a_hidden_phone_appears_by_user_id_only() -> None:
    async with a_business() as business:
        person = {"wa_id": "12025550199", "name": "Una", "username": "una.s", "phone_hidden": True}
        _, known = await business.call("POST", "/control/people", person)
        business.simulator.user_says("hi", wa_id="12025550199")
        await business.until(lambda: business.bodies)
        (message,) = business.messages()
        assert "from" not in message
        assert message["from_user_id"] == known["user_id"]
        assert "wa_id" not in business.values()[0]["contacts"][0]
        body = {"messaging_product": "whatsapp", "recipient": known["user_id"], "text": {"body": "hello"}}
        status, answer = await business.call("POST", "/v26.0/100200300/messages", body)
        assert status == 200
        assert answer["contacts"] == [{"input": known["user_id"], "user_id": known["user_id"]}]
        await business.until(lambda: business.statuses())
        assert "recipient_id" not in business.statuses()[0]


async def test_raw_webhooks_go_out_byte_for_byte_and_can_be_badly_signed() -> None:
    async with a_business() as business:
        await business.call("POST", "/control/webhooks", {"raw": '{"broken', "signature": "valid"})
        await business.until(lambda: len(business.bodies) == 1)
        assert business.bodies == [b'{"broken']
        assert business.signatures == [sign(b'{"broken', SECRET)]
        await business.call("POST", "/control/webhooks", {"value": {"x": 1}, "field": "calls", "signature": "missing"})
        await business.until(lambda: len(business.bodies) == 2)
        assert business.signatures[1] is None


# -- sending -----------------------------------------------------------------------------------------------------------


async def test_an_accepted_message_is_reported_sent_delivered_and_read_with_its_tracker() -> None:
    async with a_business() as business:
        status, answer = await business.say(biz_opaque_callback_data="omni:1")
        assert status == 200
        assert answer["contacts"][0]["input"] == f"+{ADA}"
        assert answer["contacts"][0]["wa_id"] == ADA
        wamid = answer["messages"][0]["id"]
        assert wamid.startswith("wamid.")
        await business.until(lambda: len(business.statuses()) == 3)
        assert {s["status"] for s in business.statuses()} == {"sent", "delivered", "read"}
        assert all(s["id"] == wamid and s["biz_opaque_callback_data"] == "omni:1" for s in business.statuses())
        sent = next(s for s in business.statuses() if s["status"] == "sent")
        assert sent["recipient_id"] == ADA
        assert sent["pricing"]["category"] == "service"


async def test_manual_statuses_are_reported_on_command_only() -> None:
    async with a_business(statuses=StatusPlan(mode="manual")) as business:
        _, answer = await business.say()
        wamid = answer["messages"][0]["id"]
        for body in ({"id": wamid, "status": "read"}, {"id": wamid, "status": "failed", "code": 131026}):
            status, _ = await business.call("POST", "/control/statuses", body)
            assert status == 202
        await business.until(lambda: len(business.statuses()) == 2)
        assert {s["status"] for s in business.statuses()} == {"read", "failed"}


async def test_a_reaction_is_reported_as_sent_only() -> None:
    async with a_business(statuses=StatusPlan(sent_ms=0, delivered_ms=0, read_ms=0)) as business:
        wamid = business.simulator.user_says("nice")
        await business.send("reaction", {"message_id": wamid, "emoji": "👍"})
        await business.until(lambda: business.statuses())
        await business.simulator.webhooks.idle()
        assert [s["status"] for s in business.statuses()] == ["sent"]


def buttons(count: int, title: str = "T") -> dict[str, object]:
    shown = [{"type": "reply", "reply": {"id": f"b{i}", "title": f"{title}{i}"}} for i in range(count)]
    return {"type": "button", "body": {"text": "Choose"}, "action": {"buttons": shown}}


def rows(count: int) -> dict[str, object]:
    shown = [{"id": f"r{i}", "title": f"Row {i}"} for i in range(count)]
    return {"type": "list", "body": {"text": "Choose"}, "action": {"button": "Open", "sections": [{"rows": shown}]}}


GOOD: list[tuple[str, object]] = [
    ("text", {"body": "x" * 4096}),
    ("image", {"link": "https://example.com/a.png", "caption": "c"}),
    ("location", {"latitude": 1.5, "longitude": -2}),
    ("contacts", [{"name": {"formatted_name": "B C", "first_name": "B"}}]),
    ("interactive", buttons(3)),
    ("interactive", rows(10)),
    (
        "interactive",
        {
            "type": "cta_url",
            "body": {"text": "b"},
            "action": {"name": "cta_url", "parameters": {"display_text": "Go", "url": "https://example.com"}},
        },
    ),
    (
        "interactive",
        {"type": "location_request_message", "body": {"text": "Where?"}, "action": {"name": "send_location"}},
    ),
    ("template", {"name": "hello_world", "language": {"code": "en_US"}}),
]
BAD: list[tuple[str, object, int]] = [
    ("text", {"body": ""}, 100),
    ("text", {"body": "x" * 4097}, 100),
    ("text", {"body": "😀" * 2049}, 100),
    ("image", {}, 131008),
    ("image", {"id": "999"}, 131009),
    ("audio", {"link": "https://example.com/a.ogg", "caption": "no"}, 100),
    ("location", {"latitude": 91, "longitude": 0}, 131009),
    ("contacts", [{"name": {"formatted_name": "B"}}], 131009),
    ("interactive", buttons(4), 131009),
    ("interactive", buttons(1, "a title that is too long"), 131009),
    ("interactive", rows(11), 131009),
    ("interactive", rows(0), 131008),
    ("template", {"name": "unknown", "language": {"code": "en_US"}}, 132001),
    ("template", {"name": "conversation_follow_up", "language": {"code": "en_US"}}, 132000),
    ("poll", {}, 131051),
]


@pytest.mark.parametrize(("kind", "content"), GOOD)
async def test_messages_within_the_limits_are_accepted(kind: str, content: object) -> None:
    async with a_business() as business:
        status, answer = await business.send(kind, content)
        assert status == 200, answer


@pytest.mark.parametrize(("kind", "content", "code"), BAD)
async def test_messages_beyond_the_limits_are_refused_with_the_platforms_code(
    kind: str, content: object, code: int
) -> None:
    async with a_business() as business:
        status, answer = await business.send(kind, content)
        assert status in (400, 404), answer
        assert answer["error"]["code"] == code, answer
        assert answer["error"]["fbtrace_id"]
        assert answer["error"]["type"] == "OAuthException"
        assert business.simulator.sent() == []


async def test_tokens_numbers_versions_and_proofs_are_checked() -> None:
    async with a_business() as business:
        path, body = "/v26.0/100200300/messages", {"messaging_product": "whatsapp", "to": ADA, "text": {"body": "x"}}
        status, answer = await business.call("POST", path, body, headers={"Authorization": "Bearer other"})
        assert (status, answer["error"]["code"]) == (401, 190)
        status, answer = await business.call("POST", "/v26.0/999/messages", body)
        assert (status, answer["error"]["code"], answer["error"]["error_subcode"]) == (400, 100, 33)
        status, answer = await business.call("POST", "/v3.1/100200300/messages", body)
        assert (status, answer["error"]["code"]) == (400, 2500)
        status, answer = await business.call("POST", path, {**body, "messaging_product": "sms"})
        assert (status, answer["error"]["code"]) == (400, 100)
        status, answer = await business.call("POST", path + "?appsecret_proof=00", body)
        assert (status, answer["error"]["code"]) == (400, 104)
        proof = hmac.new(SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
        await business.call("PUT", "/control/rules", {"require_appsecret_proof": True})
        status, answer = await business.call("POST", path, body)
        assert answer["error"]["code"] == 104
        status, _ = await business.call("POST", f"{path}?appsecret_proof={proof}", body)
        assert status == 200


async def test_the_window_opens_with_a_user_message_and_gates_free_form_sends_only() -> None:
    async with a_business(rules=Rules(window_failure="sync"), window=False) as business:
        status, answer = await business.say()
        assert (status, answer["error"]["code"]) == (400, 131047)
        template = {"name": "hello_world", "language": {"code": "en_US"}}
        assert (await business.send("template", template))[0] == 200
        business.simulator.user_says("hi")
        assert (await business.say())[0] == 200
        await business.call("POST", "/control/windows", {"wa_id": ADA, "action": "close"})
        assert (await business.say())[0] == 400
        day_old = int(business.simulator.now()) - 86_401
        await business.call("POST", "/control/messages", {"from": ADA, "text": "late", "timestamp": day_old})
        assert (await business.say())[0] == 400


async def test_a_closed_window_can_be_reported_by_a_failed_status_instead() -> None:
    async with a_business(window=False) as business:
        status, answer = await business.say()
        assert status == 200
        await business.until(lambda: business.statuses())
        (failed,) = business.statuses()
        assert failed["id"] == answer["messages"][0]["id"]
        assert failed["status"] == "failed"
        assert failed["errors"][0]["code"] == 131047
        assert "contacts" not in business.values()[0]


async def test_rate_limits_of_a_pair_leave_other_pairs_alone() -> None:
    async with a_business(rules=Rules(rate_limits=True, enforce_window=False)) as business:
        answers = [await business.say(str(number)) for number in range(46)]
        assert [status for status, _ in answers].count(200) == 45
        assert answers[-1][1]["error"]["code"] == 131056
        assert (await business.say("other", to="12025550188"))[0] == 200


async def test_marking_as_read_covers_earlier_messages_and_shows_typing() -> None:
    async with a_business() as business:
        first, second = business.simulator.user_says("one"), business.simulator.user_says("two")
        body = {"messaging_product": "whatsapp", "status": "read", "message_id": second}
        path = "/v26.0/100200300/messages"
        status, answer = await business.call("POST", path, {**body, "typing_indicator": {"type": "text"}})
        assert (status, answer) == (200, {"success": True})
        events = [event.as_json() for event in business.simulator.journal.after(0)]
        assert [e["message_ids"] for e in events if e["type"] == "read"] == [[first, second]]
        assert [e["to"] for e in events if e["type"] == "typing"] == [ADA]
        status, answer = await business.call("POST", path, {**body, "message_id": "wamid.none"})
        assert answer["error"]["code"] == 131009


async def test_numbers_templates_and_subscriptions_can_be_looked_up() -> None:
    async with a_business() as business:
        status, answer = await business.call("GET", "/v26.0/100200300?fields=display_phone_number,quality_rating")
        assert answer == {"display_phone_number": "12025550142", "quality_rating": "GREEN", "id": "100200300"}
        waba = business.simulator.settings.waba_id
        status, answer = await business.call("GET", f"/v26.0/{waba}/message_templates?fields=name,language,status")
        assert {"name": "hello_world", "language": "en_US", "status": "APPROVED", "id": "10000"} in answer["data"]
        assert (await business.call("POST", f"/v26.0/{waba}/subscribed_apps"))[1] == {"success": True}
        assert len((await business.call("GET", f"/v26.0/{waba}/subscribed_apps"))[1]["data"]) == 1
        status, answer = await business.call("GET", "/v26.0/31337")
        assert (status, answer["error"]["error_subcode"]) == (400, 33)


# -- media -------------------------------------------------------------------------------------------------------------


async def upload(business: Business, content: bytes, mime_type: str = "image/png") -> tuple[int, Any]:
    form = aiohttp.FormData()
    form.add_field("messaging_product", "whatsapp")
    form.add_field("type", mime_type)
    form.add_field("file", content, filename="file.bin", content_type=mime_type)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with business.client.post(f"{business.graph}/v26.0/100200300/media", data=form, headers=headers) as answer:
        return answer.status, await answer.json()


async def user_image(business: Business, content: bytes = b"picture" * 1000) -> dict[str, Any]:
    """Ada sends a picture; returns the ``image`` object of the webhook."""
    url = f"{business.graph}/control/media?filename=a.png"
    async with business.client.post(url, data=content, headers={"Content-Type": "image/png"}) as answer:
        media = await answer.json()
    business.simulator.user_does({"from": ADA, "type": "image", "media_id": media["id"], "caption": "look"})
    await business.until(business.messages)
    image: dict[str, Any] = business.messages()[-1]["image"]
    return image


async def lookup(business: Business, media_id: str) -> dict[str, Any]:
    status, answer = await business.call("GET", f"/v26.0/{media_id}?phone_number_id=100200300")
    assert status == 200, answer
    found: dict[str, Any] = answer
    return found


async def test_media_of_a_user_can_be_looked_up_downloaded_once_authorised_and_deleted() -> None:
    async with a_business() as business:
        content = b"picture" * 1000
        image = await user_image(business, content)
        assert image["caption"] == "look"
        assert image["mime_type"] == "image/png"
        found = await lookup(business, image["id"])
        assert found["sha256"] == hashlib.sha256(content).hexdigest()
        assert found["file_size"] == len(content)
        assert found["url"].startswith(business.graph)
        async with business.client.get(found["url"]) as answer:
            assert answer.status == 401
        async with business.client.get(found["url"], headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            assert await answer.read() == content
        business.simulator.media.expire_links()
        async with business.client.get(found["url"], headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            assert answer.status == 404
        _status, answer_ = await business.call("GET", f"/v26.0/{image['id']}?phone_number_id=1")
        assert answer_["error"]["error_subcode"] == 33
        assert (await business.call("DELETE", f"/v26.0/{image['id']}"))[1] == {"success": True}


async def test_an_uploaded_file_can_be_sent_by_its_id_in_its_own_kind_only() -> None:
    async with a_business() as business:
        status, answer = await upload(business, b"png")
        assert status == 200
        assert (await business.send("image", {"id": answer["id"], "caption": "c"}))[0] == 200
        status, refused = await business.send("audio", {"id": answer["id"]})
        assert refused["error"]["code"] == 131053
        status, refused = await upload(business, b"gif", "image/gif")
        assert (status, refused["error"]["code"]) == (400, 100)


async def test_media_faults_reach_the_downloader() -> None:
    async with a_business() as business:
        content = b"picture" * 1000
        image = await user_image(business, content)
        headers = {"Authorization": f"Bearer {TOKEN}"}

        async def download() -> tuple[int, bytes, str | None]:
            url = (await lookup(business, image["id"]))["url"]
            async with business.client.get(url, headers=headers, allow_redirects=False) as answer:
                return answer.status, await answer.read(), answer.headers.get("Location")

        await business.fault(kind="wrong_digest")
        wrong = (await download())[1]
        assert wrong != content
        assert len(wrong) == len(content)
        await business.fault(kind="truncated")
        with pytest.raises(aiohttp.ClientPayloadError):
            await download()
        await business.fault(kind="oversize", bytes=300_000)
        assert len((await download())[1]) >= 300_000
        await business.fault(kind="expired_url")
        assert (await download())[0] == 404
        await business.fault(kind="redirect_private", location="http://10.0.0.1/")
        assert (await download())[::2] == (302, "http://10.0.0.1/")
        assert await download() == (200, content, None)


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("pair_rate_limited", 400, 131056),
        ("rate_limited", 429, 130429),
        ("server_error", 500, 131000),
        ("transient", 503, 2),
        ("auth", 401, 190),
        ("permanent", 400, 131026),
    ],
)
async def test_a_fault_refuses_once_and_then_lets_pass(kind: str, status: int, code: int) -> None:
    async with a_business() as business:
        await business.fault(kind=kind)
        got, answer = await business.say()
        assert (got, answer["error"]["code"]) == (status, code)
        assert (await business.say())[0] == 200


async def test_faults_hit_only_whom_they_name() -> None:
    async with a_business(rules=Rules(enforce_window=False)) as business:
        await business.fault(kind="server_error", to=ADA, type="text", times=None)
        assert (await business.say(to="12025550188"))[0] == 200
        assert (await business.send("location", {"latitude": 1, "longitude": 1}))[0] == 200
        assert (await business.say())[0] == 500
        assert (await business.say())[0] == 500
        await business.call("DELETE", "/control/faults")
        assert (await business.say())[0] == 200


async def test_retry_after_html_and_garbage_are_sent_as_asked() -> None:
    async with a_business() as business:
        url, headers = f"{business.graph}/v26.0/100200300/messages", {"Authorization": f"Bearer {TOKEN}"}
        body = {"messaging_product": "whatsapp", "to": ADA, "text": {"body": "x"}}
        await business.fault(kind="rate_limited", retry_after=7)
        await business.fault(kind="html_502")
        await business.fault(kind="garbage")
        async with business.client.post(url, json=body, headers=headers) as answer:
            assert answer.headers["Retry-After"] == "7"
            assert answer.headers["facebook-api-version"] == "v26.0"
        async with business.client.post(url, json=body, headers=headers) as answer:
            assert answer.status == 502
            assert answer.content_type == "text/html"
        async with business.client.post(url, json=body, headers=headers) as answer:
            with pytest.raises(json.JSONDecodeError):
                json.loads(await answer.read())
        assert business.simulator.sent() == []


async def test_a_reset_before_acceptance_leaves_nothing_behind() -> None:
    async with a_business() as business:
        await business.fault(kind="reset")
        with pytest.raises(aiohttp.ClientError):
            await business.say()
        assert business.simulator.sent() == []


@pytest.mark.parametrize("kind", ["accept_then_reset", "accept_then_hang"])
async def test_an_ambiguous_send_is_accepted_once_and_its_statuses_carry_the_tracker(kind: str) -> None:
    async with a_business() as business:
        await business.fault(kind=kind)
        with pytest.raises((aiohttp.ClientError, TimeoutError)):
            async with asyncio.timeout(0.3):
                await business.say(biz_opaque_callback_data="omni:lost")
        assert [m.tracker for m in business.simulator.sent()] == ["omni:lost"]
        await business.until(lambda: len(business.statuses()) == 3)
        assert {s["biz_opaque_callback_data"] for s in business.statuses()} == {"omni:lost"}


async def test_a_hanging_request_does_not_keep_the_server_from_closing() -> None:
    async with a_business() as business:
        await business.fault(kind="hang")
        hanging = asyncio.ensure_future(business.say())
        async with asyncio.timeout(5):
            while not business.simulator.faults.applied:
                await business.simulator.journal.changed(business.simulator.journal.last_id)
    with pytest.raises(aiohttp.ClientError):
        await hanging


async def test_slow_lets_the_next_fault_act_too() -> None:
    async with a_business() as business:
        await business.fault(kind="slow", ms=30)
        await business.fault(kind="transient", code=131000)
        started = asyncio.get_running_loop().time()
        _status, answer = await business.say()
        assert answer["error"]["code"] == 131000
        assert asyncio.get_running_loop().time() - started >= 0.03


async def test_async_failure_answers_200_and_fails_by_webhook() -> None:
    async with a_business() as business:
        await business.fault(kind="async_failure", code=131049)
        assert (await business.say())[0] == 200
        await business.until(lambda: business.statuses())
        assert business.statuses()[0]["errors"][0]["code"] == 131049


async def test_chances_are_drawn_from_the_seed() -> None:
    outcomes = []
    for _ in range(2):
        simulator = Simulator(SimulatorSettings(seed=7))
        simulator.faults.add(FaultRule(kind="transient", probability=0.5, times=None))
        outcomes.append([bool(simulator.faults.take("messages")) for _ in range(50)])
    assert outcomes[0] == outcomes[1]
    assert 10 < sum(outcomes[0]) < 40


# -- control -----------------------------------------------------------------------------------------------------------


async def test_duplicates_are_counted_by_tracker() -> None:
    async with a_business() as business:
        for tracker in ("a", "b", "a", "a"):
            await business.say(biz_opaque_callback_data=tracker)
        _, stats = await business.call("GET", "/control/stats")
        assert (stats["accepted"], stats["duplicates"], stats["distinct_trackers"]) == (4, 2, 2)
        assert (await business.call("GET", "/control/trackers"))[1] == {"trackers": {"a": 3}}
        assert (await business.call("GET", "/control/trackers/b"))[1] == {"tracker": "b", "accepted": 1}


async def test_sent_messages_are_listed_in_order_from_a_cursor() -> None:
    async with a_business() as business:
        for number in range(4):
            await business.say(str(number))
        _, page = await business.call("GET", f"/control/sent?after=1&to={ADA}&limit=2")
        assert [(m["seq"], m["message"]["text"]["body"]) for m in page["sent"]] == [(2, "1"), (3, "2")]
        assert len(await business.simulator.wait_sent(4)) == 4


async def test_the_event_stream_resumes_after_the_last_event_seen() -> None:
    async with a_business(window=False) as business:
        business.simulator.user_says("one")
        business.simulator.user_says("two")
        headers = {"Last-Event-ID": "1"}
        async with business.client.get(f"{business.graph}/control/events", headers=headers) as stream:
            lines: list[str] = []
            async with asyncio.timeout(5):
                while not any('"two"' in line for line in lines):
                    lines.append((await stream.content.readline()).decode())
        assert lines[0] == "event: hello\n"
        assert not any('"one"' in line for line in lines)


async def test_wrong_control_requests_are_answered_with_a_sentence() -> None:
    async with a_business() as business:
        for method, path, body, status in (
            ("POST", "/control/messages", {"from": "abc", "text": "x"}, 400),
            ("POST", "/control/messages", {"from": ADA, "type": "image", "media_id": "1"}, 404),
            ("POST", "/control/messages", {"from": ADA, "text": "x", "phone_number_id": "1"}, 404),
            ("POST", "/control/faults", {"kind": "flood"}, 400),
            ("POST", "/control/faults", {"kind": "truncated", "on": "messages"}, 400),
            ("POST", "/control/webhooks", {}, 400),
            ("PUT", "/control/statuses", {"mode": "sometimes"}, 400),
            ("GET", "/control/sent?after=x", None, 400),
        ):
            got, answer = await business.call(method, path, body)
            assert got == status, (path, answer)
            assert answer["error"].endswith("."), (path, answer)


async def test_pages_of_other_sites_cannot_use_the_control_api() -> None:
    async with a_business() as business:
        headers = {"Origin": "https://evil.example"}
        assert (await business.call("POST", "/control/reset", {}, headers=headers))[0] == 403


async def test_reset_starts_a_new_epoch_with_nothing_in_it() -> None:
    async with a_business() as business:
        await business.say()
        await business.fault(kind="auth", times=None)
        epoch = business.simulator.journal.epoch
        _, answer = await business.call("POST", "/control/reset")
        assert answer["epoch"] != epoch
        assert business.simulator.sent() == []
        assert business.simulator.faults.all() == []


async def test_secrets_are_in_no_state_log_or_representation() -> None:
    async with a_business() as business:
        _, state = await business.call("GET", "/control/state")
        seen = json.dumps(state) + repr(business.simulator.settings)
        assert not any(secret in seen for secret in (SECRET, TOKEN, VERIFY))


async def test_memory_stays_bounded_in_lean_mode() -> None:
    settings = SimulatorSettings(keep_sent=2, keep_events=3, keep_trackers=2, rules=Rules(enforce_window=False), port=0)
    async with running(settings) as (simulator, url), aiohttp.ClientSession() as client:
        headers = {"Authorization": f"Bearer {settings.access_token}"}
        for number in range(5):
            body = {
                "messaging_product": "whatsapp",
                "to": ADA,
                "text": {"body": "x"},
                "biz_opaque_callback_data": str(number),
            }
            async with client.post(f"{url}/v26.0/100200300/messages", json=body, headers=headers) as answer:
                assert answer.status == 200
        assert [m.seq for m in simulator.sent()] == [4, 5]
        assert len(simulator.journal.after(0)) == 3
        assert simulator.stats.accepted == 5


# -- the page ----------------------------------------------------------------------------------------------------------


async def test_the_page_is_served_at_the_root_of_its_own_server() -> None:
    async with (
        running(SimulatorSettings(port=0)) as (_, url),
        aiohttp.ClientSession() as client,
        client.get(url + "/", allow_redirects=False) as answer,
    ):
        assert answer.status == 200
        assert "phone.js" in await answer.text()


async def test_the_page_and_media_addresses_work_below_a_mount_point() -> None:
    parent = web.Application()
    simulator = Simulator(SimulatorSettings(access_token=TOKEN))
    parent.add_subapp("/demo", create_app(simulator))
    async with TestServer(parent) as server, aiohttp.ClientSession() as client:
        async with client.get(server.make_url("/demo")) as answer:
            assert answer.status == 200
            assert answer.url.path == "/demo/"
            page = await answer.text()
            policy = answer.headers["Content-Security-Policy"]
        assert "unsafe-inline" not in policy
        assert "<script>" not in page
        assert "style=" not in page
        for name in ("phone.css", "phone.js"):
            async with client.get(server.make_url(f"/demo/{name}")) as answer:
                assert answer.status == 200
        media = simulator.media.put("100200300", "image/png", b"x", filename="", owner="user")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with client.get(server.make_url(f"/demo/v26.0/{media.id}"), headers=headers) as answer:
            url = (await answer.json())["url"]
        assert "/demo/media-content/" in url
        async with client.get(url, headers=headers) as answer:
            assert await answer.read() == b"x"
        # Larger than the 1 MiB that a parent application allows by default: uploads are streamed.
        picture = bytes(3 * 1024 * 1024)
        form = aiohttp.FormData()
        form.add_field("messaging_product", "whatsapp")
        form.add_field("file", io.BytesIO(picture), filename="a.png", content_type="image/png")
        path = server.make_url("/demo/v26.0/100200300/media")
        async with client.post(path, data=form, headers=headers) as answer:
            assert answer.status == 200
        async with client.post(server.make_url("/demo/control/media"), data=io.BytesIO(picture)) as answer:
            assert answer.status == 201


@pytest.mark.parametrize(
    ("field_name", "value"),
    [("phone_number_id", "12a"), ("webhook_url", "ftp://x"), ("access_token", ""), ("graph_version", "(")],
)
async def test_a_wrong_setting_fails_with_its_name(field_name: str, value: str) -> None:
    with pytest.raises(SimulatorSettingsError, match=field_name):
        SimulatorSettings(**{field_name: value})  # type: ignore[arg-type]


async def test_a_taken_port_fails_with_a_sentence() -> None:
    async with running(SimulatorSettings(port=0)) as (_, url):
        port = int(url.rsplit(":", 1)[1])
        with pytest.raises(SimulatorSettingsError, match=str(port)):
            async with running(SimulatorSettings(port=port)):
                raise AssertionError("two servers on one port")
