"""The webhook's contract: who is let in, what is stored before the answer, what is refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import pytest
from yarl import URL

from channels.per_minute import PerMinute
from channels.whatsapp.directory import Directory
from channels.whatsapp.signature import HEADER, appsecret_proof, sign
from channels.whatsapp.simulator import SimulatorSettings, running
from channels.whatsapp.webhook import PATH, WebhookLimits
from omni.bus.base import BusFullError, BusUnavailableError, Outgoing
from omni.model.channel import WhatsAppChannel
from omni.model.ids import partition_of

VECTOR = rb'{"object":"whatsapp_business_account","entry":[{"id":"1","note":"\u00e4\u00f6 \/ ok"}]}'
VERIFY = "a-verify-token-of-the-tests"
Bodies = Callable[[str], bytes]


def text_body(number: str, *texts: tuple[str, str, int], waba: str = "1") -> bytes:
    """A webhook of text messages: (from, text, timestamp)."""
    messages = [
        {"from": who, "id": f"wamid.{n}.{who}", "timestamp": str(at), "type": "text", "text": {"body": said}}
        for n, (who, said, at) in enumerate(texts)
    ]
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": number}, "messages": messages}
    changes = [{"field": "messages", "value": value}]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": waba, "changes": changes}]}).encode()


def test_signature_vector() -> None:
    expected = "sha256=c41a46d916ab52aa561be5bf1941fa3764be8e1596b12dfaa4f64d29afc0ad19"
    assert sign("omni-vector-secret", VECTOR) == expected


def test_appsecret_proof_vector() -> None:
    expected = "e2e3a2668b409e4948a2726b2fcd56a681c4ab22d947c86e3e2984e4882b6e59"
    assert appsecret_proof("omni-vector-secret", "omni-vector-token") == expected


# --- handshake --------------------------------------------------------------------------------------------------------


async def ask(gate: Any, *query: tuple[str, str]) -> tuple[int, str, str]:
    async with gate.client.get(gate.url, params=list(query)) as response:
        return response.status, await response.text(), response.headers["Content-Type"]


async def test_handshake_echoes_the_challenge_as_plain_text(gate: Any) -> None:
    query = [("hub.mode", "subscribe"), ("hub.verify_token", VERIFY), ("hub.challenge", "1158201444")]
    assert await ask(gate, *query) == (200, "1158201444", "text/plain; charset=utf-8")
    async with gate.client.get(gate.url, params=query) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "query",
    [
        (),
        (("hub.mode", "subscribe"), ("hub.challenge", "1")),
        (("hub.mode", "subscribe"), ("hub.verify_token", "wrong"), ("hub.challenge", "1")),
        (("hub.mode", "subscribe"), ("hub.verify_token", ""), ("hub.challenge", "1")),
        (("hub.mode", "unsubscribe"), ("hub.verify_token", VERIFY), ("hub.challenge", "1")),
        (("hub.mode", "subscribe"), ("hub.verify_token", VERIFY)),
        (("hub.mode", "subscribe"), ("hub.verify_token", VERIFY), ("hub.challenge", "1"), ("hub.challenge", "2")),
        (("hub.mode", "subscribe"), ("hub.verify_token", VERIFY), ("hub.challenge", "x" * 257)),
        (("hub.mode", "subscribe"), ("hub.verify_token", VERIFY), ("hub.challenge", "a\nb")),
    ],
)
async def test_handshake_refuses_anything_else(query: tuple[tuple[str, str], ...], gate: Any) -> None:
    status, text, _ = await ask(gate, *query)
    assert (status, text) == (403, "forbidden")


async def test_a_hostile_challenge_is_never_html(gate: Any) -> None:
    query = [("hub.mode", "subscribe"), ("hub.verify_token", VERIFY), ("hub.challenge", "<script>1</script>")]
    status, _, content_type = await ask(gate, *query)
    assert status == 403 or content_type.startswith("text/plain")


async def test_handshake_stops_listening_to_an_address_that_guesses(gate: Any) -> None:
    right = (("hub.mode", "subscribe"), ("hub.verify_token", VERIFY), ("hub.challenge", "1"))
    wrong = (("hub.mode", "subscribe"), ("hub.verify_token", "guess"), ("hub.challenge", "1"))
    for _ in range(30):
        await ask(gate, *wrong)
    assert (await ask(gate, *right))[0] == 403
    gate.now += 61
    assert (await ask(gate, *right))[0] == 200


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH"])
async def test_other_methods_are_not_allowed(method: str, gate: Any) -> None:
    async with gate.client.request(method, gate.url) as response:
        assert response.status == 405


# --- signature --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mangle",
    [
        lambda right: right.upper(),
        lambda right: right.removeprefix("sha256="),
        lambda right: right[:-1],
        lambda right: right + "0",
        lambda right: "sha1=" + right.removeprefix("sha256="),
        lambda right: right[:-1] + ("0" if right[-1] != "0" else "1"),
    ],
)
async def test_a_mangled_signature_is_refused(mangle: Callable[[str], str], gate: Any, fixture_body: Bodies) -> None:
    body = fixture_body("text")
    assert await gate.post(body, signature=mangle(sign("omni-fixture-app-secret-4d1f", body))) == 403
    assert await gate.stored() == ([], [])


async def test_a_flipped_byte_is_refused(gate: Any, fixture_body: Bodies) -> None:
    body = fixture_body("text")
    signature = sign("omni-fixture-app-secret-4d1f", body)
    assert await gate.post(body.replace(b"Saturday", b"saturday"), signature=signature) == 403


async def test_a_repeated_signature_header_is_refused(gate: Any, fixture_body: Bodies) -> None:
    body = fixture_body("text")
    right = sign("omni-fixture-app-secret-4d1f", body)
    async with gate.client.post(gate.url, data=body, headers=[(HEADER, right), (HEADER, right)]) as response:
        assert response.status == 403


async def test_the_old_sha1_header_alone_is_refused(gate: Any, fixture_body: Bodies) -> None:
    async with gate.client.post(gate.url, data=fixture_body("text"), headers={"X-Hub-Signature": "sha1=0"}) as response:
        assert response.status == 401


async def test_both_secrets_are_accepted_while_one_is_rotated(
    gate: Any, fixture_body: Bodies, our_channel: Callable[..., WhatsAppChannel]
) -> None:
    gate.serve(our_channel("204917735580163", app_secret="new", previous_app_secret="old"))
    for secret, status in (("new", 200), ("old", 200), ("older", 403)):
        assert await gate.post(fixture_body("text"), secret=secret) == status


async def test_the_owner_of_one_secret_cannot_speak_for_another_number(
    gate: Any, our_channel: Callable[..., WhatsAppChannel]
) -> None:
    gate.serve(our_channel("1001", app_secret="secret-a"), our_channel("1002", app_secret="secret-b"))
    forged = text_body("1002", ("12025550171", "open the door", 1794823200))
    assert await gate.post(forged, secret="secret-a") == 200
    assert await gate.stored() == ([], [])
    assert await gate.post(forged, secret="secret-b") == 200
    assert len((await gate.stored())[0]) == 1


async def test_a_pinned_account_is_the_only_one_that_is_heard(
    gate: Any, our_channel: Callable[..., WhatsAppChannel]
) -> None:
    gate.serve(our_channel("1001", waba_id="77"))
    for waba, heard in (("78", 0), ("77", 1)):
        assert await gate.post(text_body("1001", ("12025550171", "hi", 1794823200), waba=waba)) == 200
        assert len((await gate.stored())[0]) == heard


async def test_refusals_are_logged_once_a_minute_and_address(gate: Any, log_lines: Callable[[], list[str]]) -> None:
    for _ in range(5):
        await gate.post(b"{}", signature=None)
        await gate.post(b"{}", signature="sha256=" + "0" * 64)
    assert len([line for line in log_lines() if "refused" in line]) == 2
    gate.now += 61
    await gate.post(b"{}", signature=None)
    assert len([line for line in log_lines() if "refused" in line]) == 3


def test_counts_of_a_minute_are_forgotten_and_bounded() -> None:
    now = [0.0]
    counts = PerMinute(lambda: now[0], capacity=2)
    assert [counts.count("a"), counts.count("a"), counts.count("b"), counts.count("c")] == [1, 2, 1, 1]
    assert counts.seen("a") == 0
    now[0] = 60
    assert counts.count("c") == 1


# --- the body ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def webhook_limits() -> WebhookLimits:
    return WebhookLimits(read_seconds=0.3)


def padded(body: bytes, size: int) -> bytes:
    return body + b" " * (size - len(body))


async def test_a_body_at_the_cap_is_taken_and_one_over_it_is_not(gate: Any, fixture_body: Bodies) -> None:
    cap = 4 * 1024 * 1024
    assert await gate.post(padded(fixture_body("text"), cap)) == 200
    assert len((await gate.stored())[0]) == 1
    assert await gate.post(padded(fixture_body("text"), cap + 1)) == 413
    assert await gate.stored() == ([], [])


async def test_a_body_over_the_cap_without_a_length_is_cut(gate: Any) -> None:
    async def endless() -> Any:
        for _ in range(5 * 1024):
            yield b" " * 1024

    headers = {HEADER: "sha256=" + "0" * 64}
    try:
        async with gate.client.post(gate.url, data=endless(), headers=headers) as response:
            assert response.status == 413
    except aiohttp.ClientConnectionError:
        pass  # the server closed the connection before the client was done writing
    assert await gate.stored() == ([], [])


@pytest.mark.parametrize(("length", "status"), [("999999999", 413), ("2000", 408)])
async def test_a_body_that_never_comes_is_not_waited_for(length: str, status: int, gate: Any) -> None:
    url = URL(gate.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{HEADER}: sha256={'0' * 64}\r\nContent-Length: {length}\r\n\r\n{{"
    writer.write(head.encode())
    async with asyncio.timeout(5):
        line = await reader.readline()
    assert int(line.split()[1]) == status
    writer.close()
    await writer.wait_closed()


async def test_an_encoded_body_is_refused(gate: Any) -> None:
    headers = {HEADER: "sha256=" + "0" * 64, "Content-Encoding": "gzip"}
    async with gate.client.post(gate.url, data=b"x", headers=headers) as response:
        assert response.status in (400, 415)


# --- storing ----------------------------------------------------------------------------------------------------------


class Failing:
    """A bus that takes nothing: somebody unplugged it."""

    def __init__(self, error: BusUnavailableError) -> None:
        self.error = error

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        raise self.error


@pytest.mark.parametrize("error", [BusUnavailableError("the broker is away"), BusFullError("too much waits")])
async def test_what_cannot_be_stored_is_not_acknowledged(
    error: BusUnavailableError, gate: Any, fixture_body: Bodies, aiohttp_client: Any
) -> None:
    from aiohttp import web

    from channels.whatsapp.webhook import routes

    app = web.Application()
    app.add_routes(routes(lambda: gate.directory, Failing(error), 4, lambda: gate.now))  # type: ignore[arg-type]
    client = await aiohttp_client(app)
    body = fixture_body("text")
    headers = {HEADER: sign("omni-fixture-app-secret-4d1f", body)}
    response = await client.post(PATH, data=body, headers=headers)
    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0
    ignored = fixture_body("dashboard_test")
    response = await client.post(PATH, data=ignored, headers={HEADER: sign("omni-fixture-app-secret-4d1f", ignored)})
    assert response.status == 200  # nothing to store, nothing to retry


async def test_a_closed_bus_answers_503_and_a_reopened_one_takes_it(gate: Any, fixture_body: Bodies) -> None:
    await gate.bus.close()
    assert await gate.post(fixture_body("text")) == 503
    await gate.bus.open()
    assert await gate.post(fixture_body("text")) == 200
    assert len((await gate.stored())[0]) == 1


async def test_a_persons_messages_act_in_the_order_of_writing(
    gate: Any, our_channel: Callable[..., WhatsAppChannel]
) -> None:
    gate.serve(our_channel("1001"))
    ada, bram = "12025550171", "447700900318"
    body = text_body(
        "1001", (ada, "3", 1794823203), (bram, "a", 1794823200), (ada, "1", 1794823201), (ada, "2", 1794823201)
    )
    assert await gate.post(body) == 200
    inputs, _ = await gate.stored()
    assert [one.message.text for one in inputs if one.sender.identities[0].value == ada] == ["1", "2", "3"]


async def test_one_post_becomes_one_bus_message_for_each_partition_it_touches(gate: Any, fixture_body: Bodies) -> None:
    assert await gate.post(fixture_body("batch_mixed")) == 200
    inputs, _ = await gate.stored()
    touched = {partition_of(one.sender.routing, 4) for one in inputs}
    assert await gate.post(fixture_body("batch_mixed")) == 200
    ready = {n: (await gate.bus.depth(f"inbound.{n}")).ready for n in range(4)}
    assert {n for n, number in ready.items() if number} == touched
    assert set(ready.values()) <= {0, 1}
    assert (await gate.bus.depth("statuses")).ready == 1


async def test_many_statuses_travel_in_chunks_in_a_lane_of_their_own(gate: Any, fixture_body: Bodies) -> None:
    assert await gate.post(fixture_body("hostile/statuses_2000")) == 200
    assert (await gate.bus.depth("statuses")).ready == 10
    inputs, statuses = await gate.stored()
    assert inputs == []
    assert len(statuses) == 2000


async def test_the_same_post_many_times_at_once(gate: Any, fixture_body: Bodies) -> None:
    body = fixture_body("text")
    assert await asyncio.gather(*(gate.post(body) for _ in range(20))) == [200] * 20
    inputs, _ = await gate.stored()
    assert len(inputs) == 20
    assert len({one.key for one in inputs}) == 1


async def test_numbers_can_change_while_the_server_runs(
    gate: Any, our_channel: Callable[..., WhatsAppChannel], fixture_body: Bodies
) -> None:
    gate.directory = Directory(())
    assert await gate.post(fixture_body("text")) == 403
    gate.serve(our_channel("204917735580163"), org="acme", agent="sales")
    assert await gate.post(fixture_body("text")) == 200
    inputs, _ = await gate.stored()
    assert (inputs[0].org, inputs[0].agent) == ("acme", "sales")
    assert inputs[0].sender.routing == "whatsapp:acme:12025550171"


async def test_the_stand_ins_webhooks_are_taken(gate: Any, our_channel: Callable[..., WhatsAppChannel]) -> None:
    secret = "omni-fixture-app-secret-4d1f"
    gate.serve(our_channel("100200300"))
    gate.now = time.time()
    settings = SimulatorSettings(webhook_url=gate.url, app_secret=secret, verify_token=VERIFY, port=0)
    async with running(settings) as (simulator, _):
        assert (await simulator.handshake()).ok
        sent = [simulator.user_says(f"number {n}") for n in range(3)]
        simulator.user_does({"from": "12025550171", "type": "reaction", "message_id": sent[0], "emoji": "👍"})
        heard: list[Any] = []
        async with asyncio.timeout(10):
            while len(heard) < 4:
                cursor = simulator.journal.last_id
                heard += (await gate.stored())[0]
                if len(heard) < 4:
                    await simulator.journal.changed(cursor)
    assert sorted(one.provider_id for one in heard if one.type == "message") == sorted(sent)
    assert [one.target for one in heard if one.type == "reaction"] == [sent[0]]
