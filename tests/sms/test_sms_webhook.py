"""What the two addresses take and refuse, over a real socket in front of a real bus."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from channels.sms.directory import Directory, Line
from channels.sms.webhook import WebhookLimits, routes
from channels.twilio import package
from channels.twilio.simulator.signing import headers, sign
from omni.bus.base import BusUnavailableError, Outgoing, Received
from omni.bus.sqlite import SqliteBus
from omni.model.delivery import StatusUpdate, unpack_statuses
from omni.model.inbound import AnyInput, unpack
from omni.model.queues import every_queue
from omni.sqlite import SqliteFile
from tests.server.shop import until
from tests.sms.desk import ACCOUNT, ADA, NUMBER, TOKEN, form_of, line_of

PUBLIC = "https://bots.example.com"
SMS, STATUS = "/twilio/sms", "/twilio/status"
OTHER = "AC" + "6" * 32


@dataclass(slots=True)
class Door:
    """The webhook on a socket; what it published is read back from the bus."""

    url: str
    http: aiohttp.ClientSession
    inputs: list[AnyInput] = field(default_factory=list)
    statuses: list[StatusUpdate] = field(default_factory=list)

    async def post(self, path: str, form: dict[str, str], signed: dict[str, str] | None = None) -> int:
        given = headers(f"{PUBLIC}{path}", list(form.items()), auth_token=TOKEN) if signed is None else signed
        async with self.http.post(f"{self.url}{path}", data=list(form.items()), headers=given) as answer:
            await answer.read()
            return answer.status

    async def took(self, number: int = 1) -> list[AnyInput]:
        return await until(lambda: self.inputs if len(self.inputs) >= number else None)


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[SqliteBus]:
    file = SqliteFile(tmp_path / "bus.db", sync="normal")
    await file.open()
    bus = SqliteBus(file)
    await bus.open()
    await bus.declare(every_queue(2))
    yield bus
    await bus.close()
    await file.close()


@pytest.fixture
async def door(bus: SqliteBus) -> AsyncIterator[Door]:
    lines = (
        Line("default", "echo", line_of(previous_auth_token="the-token-before", signing_key="a-shared-key")),
        Line("other", "theirs", line_of(number="+12025550143", account_sid=OTHER, auth_token="their-own-token")),
    )
    async with _opened(bus, Directory(lines)) as found:
        yield found


def _opened(bus: SqliteBus, directory: Directory, limits: WebhookLimits | None = None) -> _Opened:
    return _Opened(bus, directory, limits)


class _Opened:
    def __init__(self, bus: SqliteBus, directory: Directory, limits: WebhookLimits | None) -> None:
        self._bus = bus
        app = web.Application()
        app.add_routes(routes(lambda: directory, bus, 2, lambda: PUBLIC, limits=limits))
        self._server = TestServer(app)

    async def __aenter__(self) -> Door:
        await self._server.start_server()
        self._http = aiohttp.ClientSession()
        door = Door(str(self._server.make_url("")).rstrip("/"), self._http)

        def took(received: Received) -> None:
            if received.queue == "statuses":
                door.statuses += unpack_statuses(received.body)
            else:
                door.inputs += unpack(received.body)
            received.ack()

        names = ("statuses", "inbound.0", "inbound.1")
        self._consumers = [
            await self._bus.consume(queue, took, prefetch=10) for queue in every_queue(2) if queue.name in names
        ]
        return door

    async def __aexit__(self, *_: object) -> None:
        for consumer in self._consumers:
            await consumer.stop()
        await self._http.close()
        await self._server.close()


async def test_a_signed_form_becomes_an_input(door: Door) -> None:
    assert await door.post(SMS, form_of(body="hi  you")) == 200
    (heard,) = await door.took()
    assert heard.type == "message"
    assert heard.message.text == "hi  you"
    assert heard.key == f"sms:{NUMBER}:SM{'1' * 32}"
    assert heard.sender.routing == "sms:default:12025550171"


def test_the_stand_in_signs_as_twilios_own_package_does() -> None:
    form = form_of(body="añ + & = ?", Zebra="", Apple="1")
    url = f"{PUBLIC}{SMS}?a=b"
    validator = RequestValidator(TOKEN)
    assert sign(TOKEN, url, list(form.items())) == validator.compute_signature(url, form)
    assert sign(TOKEN, url, list(form.items()), "sha256") == validator.compute_signature(url, form, "HMAC_SHA256")


@pytest.mark.parametrize(
    "address",
    [
        f"https://evil.example.com{SMS}",
        f"https://bots.example.com:8443{SMS}",
        f"http://bots.example.com{SMS}",
        f"{PUBLIC}{STATUS}",
        f"{PUBLIC}{SMS}/",
        f"{PUBLIC}{SMS}?a=1",
        f"{PUBLIC}/Twilio/SMS",
    ],
)
async def test_a_signature_for_another_address_is_refused(door: Door, address: str) -> None:
    form = form_of()
    assert await door.post(SMS, form, headers(address, list(form.items()), auth_token=TOKEN)) == 403


async def test_a_query_is_part_of_what_was_signed(door: Door) -> None:
    assert await door.post(f"{SMS}?shop=1&x=%20y", form_of()) == 200
    form = form_of()
    signed = headers(f"{PUBLIC}{SMS}", list(form.items()), auth_token=TOKEN)
    assert await door.post(f"{SMS}?shop=1", form, signed) == 403


async def test_headers_about_the_host_are_not_believed(door: Door) -> None:
    form = form_of()
    signed = headers(f"https://evil.example.com{SMS}", list(form.items()), auth_token=TOKEN)
    told = {"X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "https", "Host": "evil.example.com"}
    assert await door.post(SMS, form, {**signed, **told}) == 403


async def test_a_signature_with_another_key_is_refused(door: Door) -> None:
    form = form_of()
    fields, url = list(form.items()), f"{PUBLIC}{SMS}"
    for signed in (
        headers(url, fields, auth_token="somebody-else's"),
        headers(url, fields, auth_token="their-own-token"),
        headers(url, fields, auth_token="", signing_key="another-shared-key"),
        headers(url, fields, auth_token="", signing_key=TOKEN),  # the token is no key of the newer kind
        {"X-Twilio-Signature": sign("a-shared-key", url, fields)},  # nor the other way round
        {"X-Twilio-Signature": "x" * 28},
        {"X-Twilio-Signature": "é" * 28},
        {**headers(url, fields, auth_token=TOKEN), "X-Twilio-Webhooks-Signature-Settings": "algorithm=NONE"},
    ):
        assert await door.post(SMS, form, signed) == 403
    assert await door.post(SMS, form, {}) == 401
    assert door.inputs == []


async def test_a_changed_field_is_refused(door: Door) -> None:
    form = form_of(body="pay 10")
    signed = headers(f"{PUBLIC}{SMS}", list(form.items()), auth_token=TOKEN)
    assert await door.post(SMS, {**form, "Body": "pay 1000"}, signed) == 403
    assert await door.post(SMS, {**form, "Extra": ""}, signed) == 403


@pytest.mark.parametrize(
    "signing", [{"auth_token": "the-token-before"}, {"auth_token": "", "signing_key": "a-shared-key"}]
)
async def test_older_and_newer_secrets_are_accepted(door: Door, signing: dict[str, str]) -> None:
    form = form_of()
    assert await door.post(SMS, form, headers(f"{PUBLIC}{SMS}", list(form.items()), **signing)) == 200


async def test_a_request_with_two_signatures_is_refused(door: Door) -> None:
    form = form_of()
    right = headers(f"{PUBLIC}{SMS}", list(form.items()), auth_token=TOKEN)["X-Twilio-Signature"]
    twice = [("X-Twilio-Signature", right), ("X-Twilio-Signature", "another")]
    async with door.http.post(f"{door.url}{SMS}", data=list(form.items()), headers=twice) as answer:
        assert answer.status == 401
    assert door.inputs == []


async def test_an_account_speaks_for_its_own_numbers_only(door: Door) -> None:
    form = form_of(To="+12025550143")
    assert await door.post(SMS, form) == 403
    form = form_of(To=NUMBER, AccountSid=OTHER)
    signed = headers(f"{PUBLIC}{SMS}", list(form.items()), auth_token="their-own-token")
    assert await door.post(SMS, form, signed) == 403
    assert door.inputs == []


async def test_of_two_organisations_with_one_number_the_signature_decides(bus: SqliteBus) -> None:
    lines = (Line("squatter", "x", line_of(auth_token="made-up")), Line("default", "echo", line_of()))
    for order in (lines, lines[::-1]):
        async with _opened(bus, Directory(order)) as door:
            assert await door.post(SMS, form_of()) == 200
            (heard,) = await door.took()
            assert heard.org == "default"


async def test_a_status_names_its_delivery(door: Door) -> None:
    form = {
        "AccountSid": ACCOUNT, "MessageSid": "SM9", "MessageStatus": "undelivered", "ErrorCode": "30007",
        "From": NUMBER, "To": ADA,
    }  # fmt: skip
    assert await door.post(f"{STATUS}?d=omni.dlv_01.2", form) == 200
    (update,) = await until(lambda: door.statuses)
    assert (update.tracker, update.state, update.provider_id) == ("omni:dlv_01:2", "failed", "SM9")
    assert update.error is not None
    assert (update.error.code, update.error.provider_code) == ("filtered", 30007)
    signed = headers(f"{PUBLIC}{STATUS}?d=omni.dlv_01.2", list(form.items()), auth_token=TOKEN)
    assert await door.post(f"{STATUS}?d=omni.dlv_02.2", form, signed) == 403


async def test_a_bus_that_is_away_for_a_moment_is_waited_for(bus: SqliteBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twilio does not try again by itself."""
    really, tries = bus.publish, 0

    async def away(messages: tuple[Outgoing, ...]) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise BusUnavailableError("the disk is being moved")
        await really(messages)

    monkeypatch.setattr(bus, "publish", away)
    async with _opened(
        bus, Directory([Line("default", "echo", line_of())]), WebhookLimits(patience=(0.0, 0.0))
    ) as door:
        assert await door.post(SMS, form_of()) == 200
        assert tries == 3
        tries = -10
        assert await door.post(SMS, form_of()) == 503


async def test_without_the_package_it_is_said_and_nothing_breaks(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(package, "is_installed", lambda: False)
    assert await door.post(SMS, form_of()) == 503
    assert "pip install 'omni-server[twilio]'" in caplog.text


async def test_a_body_without_end_or_of_the_wrong_kind_is_refused(bus: SqliteBus) -> None:
    limits = WebhookLimits(read_seconds=0.05)
    async with _opened(bus, Directory([Line("default", "echo", line_of())]), limits) as door:
        signed = {"X-Twilio-Signature": "x" * 28, "Content-Type": "application/x-www-form-urlencoded"}
        stalled = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"Body="
            await stalled.wait()

        for content, more, expected in (
            (b"a=" + b"b" * 70_000, {}, 413),
            (b"&".join(b"a%d=b" % n for n in range(500)), {}, 400),
            (b"\xff\xfe=1", {}, 400),
            (b"{}", {"Content-Type": "application/json"}, 415),
            (slow(), {}, 408),
        ):
            async with door.http.post(f"{door.url}{SMS}", data=content, headers={**signed, **more}) as answer:
                assert answer.status == expected
        async with door.http.get(f"{door.url}{SMS}") as answer:
            assert answer.status == 405


_NAMES = st.sampled_from(
    [
        "AccountSid",
        "MessageSid",
        "SmsSid",
        "From",
        "To",
        "Body",
        "NumMedia",
        "MediaUrl0",
        "MediaContentType0",
        "MediaUrl1",
        "OptOutType",
        "Latitude",
        "Longitude",
        "Label",
        "Address",
        "MessageStatus",
        "SmsStatus",
        "ErrorCode",
        "MessagingServiceSid",
        "bodySHA256",
    ]
)
_VALUES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [ACCOUNT, NUMBER, ADA, "", "0", "-1", "99999999999", "nan", "1e999", "STOP", "\x00", "whatsapp:+1202", "72975",
         "delivered", "http://169.254.169.254/x", "https://api.twilio.com/x/Messages/MM1/Media/ME1"]
    ),
)  # fmt: skip


@pytest.mark.parametrize("path", [SMS, STATUS])
async def test_no_signed_form_makes_a_server_error(door: Door, path: str) -> None:
    loop = asyncio.get_running_loop()

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(_NAMES, _VALUES, max_size=12), st.booleans())
    def posts(fields: dict[str, str], is_complete: bool) -> None:
        form = {**fields, "AccountSid": ACCOUNT, "To" if path == SMS else "From": NUMBER} if is_complete else fields
        status = asyncio.run_coroutine_threadsafe(door.post(path, form), loop).result(30)
        assert status in (200, 400, 401, 403)

    await asyncio.to_thread(posts)


async def test_no_unsigned_body_makes_a_server_error(door: Door) -> None:
    loop = asyncio.get_running_loop()
    kinds = st.sampled_from(["application/x-www-form-urlencoded", "application/json", "multipart/form-data", ""])

    async def post(path: str, body: bytes, kind: str, signature: str) -> int:
        given = {"X-Twilio-Signature": signature, "Content-Type": kind}
        async with door.http.post(f"{door.url}{path}", data=body, headers=given) as answer:
            return answer.status

    def random_body() -> st.SearchStrategy[bytes]:
        half = urlencode({"AccountSid": ACCOUNT, "To": NUMBER, "From": NUMBER}).encode()
        return st.one_of(st.binary(max_size=300), st.binary(max_size=80).map(lambda tail: half + b"&" + tail))

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from([SMS, STATUS]), random_body(), kinds, st.binary(min_size=1, max_size=40))
    def posts(path: str, body: bytes, kind: str, signature: bytes) -> None:
        given = base64.b64encode(signature).decode()
        status = asyncio.run_coroutine_threadsafe(post(path, body, kind, given), loop).result(30)
        assert 400 <= status < 500

    await asyncio.to_thread(posts)
    assert door.inputs == []


async def test_odd_messages_of_a_known_account_are_answered_and_left_out(door: Door) -> None:
    for form in (form_of(""), form_of(From="72975"), form_of(From="whatsapp:+12025550171"), form_of("../../etc")):
        assert await door.post(SMS, form) == 200
    assert await door.post(SMS, form_of("SM7", body="heard")) == 200
    (heard,) = await door.took()
    assert heard.type == "message"
    assert heard.message.text == "heard"


async def test_a_customer_is_heard_though_another_organisation_names_their_number_as_its_own(bus: SqliteBus) -> None:
    mine = [Line("default", "echo", line_of(number=number)) for number in (NUMBER, "+12025550149")]
    claimed = Line("other", "theirs", line_of(number=ADA, account_sid=OTHER, auth_token="their-own-token"))
    async with _opened(bus, Directory([*mine, claimed])) as door:
        assert await door.post(SMS, form_of("SM8", From="+12025550149")) == 200  # a bot of ours
        assert await door.post(SMS, form_of("SM9", From=ADA)) == 200
        (heard,) = await door.took()
        assert heard.key.endswith("SM9")


async def test_an_address_of_a_file_is_never_kept(door: Door) -> None:
    """Only its ids are, and they are asked for at the configured API."""
    for url in ("http://169.254.169.254/latest", "file:///etc/passwd", "https://api.twilio.com/", "x" * 5000):
        assert await door.post(SMS, form_of(NumMedia="1", MediaUrl0=url, MediaContentType0="image/png")) == 200
    for heard in await door.took(4):
        assert heard.type == "message"
        part = heard.message.parts[-1]
        assert part.type == "media"
        assert part.link is None
        assert part.provider_id is None
        assert part.problem == "Twilio sent no usable address of the file."
        assert not part.is_pending
