"""What goes out, through Twilio's own package to the stand-in on a real socket; and what each refusal asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

from channels.base import Accepted, Action, RefusedError
from channels.sms.adapter import SmsAdapter
from channels.sms.errors import REMEDIES, remedy
from channels.sms.links import LinkedFiles, Links
from channels.sms.outgoing import pieces_of
from channels.sms.people import address, identities_of
from channels.twilio import package
from channels.twilio.simulator import FaultRule, Simulator
from omni.access.seal import Sealer
from omni.blobs.folder import FolderBlobs
from omni.model.contact import Identity, IdentityKind
from omni.model.delivery import Delivery, Recipient
from omni.model.message import (
    Button,
    Buttons,
    ContactCard,
    ContactPhone,
    Contacts,
    LinkButton,
    Location,
    Media,
    MediaKind,
    Message,
    Part,
    Reaction,
    Template,
    Text,
)
from tests.sms.desk import ACCOUNT, ADA, NUMBER, SERVICE, TOKEN, line_of
from workers.clock import SystemClock
from workers.line import Lines, Route

Cloud = tuple[Simulator, str]
SEALER = Sealer("a-secret-of-the-tests")
PUBLIC = "http://127.0.0.1:9"


def delivery_of(*parts: Part, to: str = ADA, origin: str = "bot", identities: tuple[Identity, ...] = ()) -> Delivery:
    return Delivery.model_validate(
        {
            "id": "dlv_01",
            "call": "sms-1",
            "home": "sms:default:1",
            "agent": "echo",
            "channel": f"sms:{NUMBER}",
            "contact": "ct_1",
            "to": Recipient(identities=identities or identities_of(to)),
            "message": Message(parts=parts),
            "origin": origin,
            "seq": 1,
            "created_at": 0,
        }
    )


def bodies(*parts: Part, origin: str = "bot") -> list[str | None]:
    return [piece.payload.body for piece in pieces_of(delivery_of(*parts, origin=origin))]


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[FolderBlobs]:
    blobs = FolderBlobs(tmp_path / "blobs")
    await blobs.open()
    yield blobs
    await blobs.close()


@pytest.fixture
async def adapter(cloud: Cloud, blobs: FolderBlobs) -> AsyncIterator[SmsAdapter]:
    adapter = SmsAdapter(blobs, Links(SEALER, lambda: PUBLIC), lambda: PUBLIC, api_url=cloud[1], timeout=2)
    await adapter.open()
    yield adapter
    await adapter.close()


async def send(adapter: SmsAdapter, delivery: Delivery, **channel: object) -> Accepted:
    line = line_of(**channel)
    (piece,) = adapter.pieces(line, delivery)
    return await adapter.send(line, delivery, 0, piece)


async def refused(adapter: SmsAdapter, delivery: Delivery | None = None, **channel: object) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await send(adapter, delivery or delivery_of(Text(text="hi")), **channel)
    assert TOKEN not in str(caught.value)
    return caught.value


# what is sent


async def test_a_text_goes_out_with_an_address_for_its_statuses(cloud: Cloud, adapter: SmsAdapter) -> None:
    accepted = await send(adapter, delivery_of(Text(text="Grüß Gott")))
    (sent,) = cloud[0].sent()
    assert (sent.sid, sent.to, sent.sender, sent.body) == (accepted.provider_id, ADA, NUMBER, "Grüß Gott")
    assert sent.callback == f"{PUBLIC}/twilio/status?d=omni.dlv_01.0"
    assert accepted.segments == 1


async def test_a_service_sends_from_whichever_number_it_likes(cloud: Cloud, adapter: SmsAdapter) -> None:
    accepted = await send(adapter, delivery_of(Text(text="€" * 160)), number=None, messaging_service_sid=SERVICE)
    (sent,) = cloud[0].sent()
    assert sent.service == SERVICE
    assert accepted.segments == 3  # Twilio has not counted yet; 320 septets are 3


async def test_a_link_is_sent_as_a_file(cloud: Cloud, adapter: SmsAdapter) -> None:
    await send(adapter, delivery_of(Media(kind=MediaKind.IMAGE, link=f"{cloud[1]}/x.png", caption="look")))
    (sent,) = cloud[0].sent()
    assert (sent.body, sent.media) == ("look", (f"{cloud[1]}/x.png",))


def test_long_texts_are_cut_at_1600_characters() -> None:
    text = "A sentence of forty characters, or so it. " * 100
    pieces = bodies(Text(text=text), origin="human")
    assert all(piece is not None and len(piece) <= 1600 for piece in pieces)
    assert " ".join(piece or "" for piece in pieces) == text.strip()
    assert [len(piece or "") for piece in bodies(Text(text="😊" * 801))] == [800, 1]  # UTF-16 units are counted


def test_what_other_channels_show_with_buttons_is_spelled_out() -> None:
    assert bodies(Buttons(body="Size?", buttons=(Button(id="s", title="Small"), Button(id="l", title="Large")))) == [
        "Size?\n- Small\n- Large"
    ]
    assert bodies(LinkButton(body="Pay here", label="Pay", url="https://x.example/p")) == [
        "Pay here\nPay: https://x.example/p"
    ]
    assert bodies(Location(latitude=1.5, longitude=-2, name="Shop")) == [
        "Shop\nhttps://maps.google.com/?q=1.500000,-2.000000"
    ]
    card = ContactCard(name="Kim", phones=(ContactPhone(phone="+1202"),), emails=("k@x.example",))
    assert bodies(Contacts(cards=(card,))) == ["Kim\n+1202\nk@x.example"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("**Open** from *nine* to __five__, ~~six~~", "Open from nine to five, six"),
        ("# Menu\n* soup\n+ bread", "Menu\n- soup\n- bread"),
        (
            "see [the page](https://x.example/a_b_c) or **https://y.example/z_**",
            "see the page (https://x.example/a_b_c) or https://y.example/z_",
        ),
        ("```python\nprint(1)\n```\nand `code`", "print(1)\nand code"),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
    ],
)  # fmt: skip
def test_a_models_markdown_is_plain_on_a_phone(written: str, shown: str) -> None:
    assert bodies(Text(text=written)) == [shown]
    assert bodies(Text(text=written), origin="human") == [written]


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("+12025550171", "+12025550171"),
        ("+5511987654321", "+5511987654321"),
        ("+5491112345678", "+5491112345678"),
        ("+525512345678", "+525512345678"),
        ("+5215512345678", "+5215512345678"),
    ],
)
def test_a_number_is_answered_as_it_was_written(number: str, written: str) -> None:
    assert address(identities_of(number)) == written


def test_a_person_known_from_elsewhere_is_texted_at_their_mobile_number() -> None:
    for key, dialled in (("551187654321", "+5511987654321"), ("541112345678", "+5491112345678"), ("491", "+491")):
        assert address([Identity(kind=IdentityKind.PHONE, value=key)]) == dialled


@pytest.mark.parametrize(
    ("part", "code"),
    [
        (Template(name="hello", language="en"), "unsupported_message"),
        (Reaction(target="SM1", emoji="👍"), "unsupported_message"),
        (Media(kind=MediaKind.IMAGE, provider_id="MM1/ME1"), "media_unavailable"),
        (Text(text="  "), "invalid_message"),
    ],
)
def test_what_sms_cannot_carry_fails_before_any_request(part: Part, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        pieces_of(delivery_of(part))
    assert (caught.value.action, caught.value.code) == (Action.GIVE_UP, code)


def test_somebody_without_a_number_cannot_be_texted() -> None:
    visitor = Identity(kind=IdentityKind.VISITOR, value="v1")
    with pytest.raises(RefusedError, match="no phone number"):
        pieces_of(delivery_of(Text(text="hi"), identities=(visitor,)))


# what is refused, and what to do about it


@pytest.mark.parametrize(
    ("code", "http", "action", "word"),
    [
        (20003, 401, Action.STOP_TOKEN, "token_broken"),
        (20005, 403, Action.STOP_NUMBER, "account_locked"),
        (14107, 429, Action.SLOW_NUMBER, "rate_limited"),
        (21211, 400, Action.GIVE_UP, "no_address"),
        (21408, 400, Action.GIVE_UP, "country_blocked"),
        (21606, 400, Action.GIVE_UP, "setup"),
        (21608, 400, Action.GIVE_UP, "not_allow_listed"),
        (21610, 400, Action.GIVE_UP, "opted_out"),
        (21611, 429, Action.SLOW_NUMBER, "rate_limited"),
        (21614, 400, Action.GIVE_UP, "undeliverable"),
        (30003, 400, Action.GIVE_UP, "undeliverable"),
        (30007, 400, Action.GIVE_UP, "filtered"),
        (99999, 400, Action.GIVE_UP, "unknown"),
        (20503, 503, Action.RETRY, "transient"),
    ],
)
async def test_each_error_asks_for_its_own_remedy(
    cloud: Cloud, adapter: SmsAdapter, code: int, http: int, action: Action, word: str
) -> None:
    cloud[0].faults.add(FaultRule(kind="error", code=code, http=http))
    caught = await refused(adapter)
    assert (caught.action, caught.code, caught.provider_code) == (action, word, code)
    assert not caught.is_unclear
    assert f"({code})" in caught.reason


def test_every_remedy_is_a_sentence() -> None:
    for found in REMEDIES.values():
        assert found.reason[0].isupper()
        assert found.reason.endswith(".")
    assert remedy(None, http=401).action is Action.STOP_TOKEN
    assert remedy(None, http=429).action is Action.SLOW_NUMBER


async def test_too_many_requests_names_its_pause(cloud: Cloud, adapter: SmsAdapter) -> None:
    cloud[0].faults.add(FaultRule(kind="rate_limited", retry_after=7))
    caught = await refused(adapter)
    assert (caught.action, caught.retry_after) == (Action.SLOW_NUMBER, 7.0)


@pytest.mark.parametrize(
    ("fault", "is_unclear", "taken"),
    [
        ("server_error", True, 0),
        ("html_502", True, 0),
        ("garbage", True, 0),
        ("reset", True, 0),
        ("accept_then_reset", True, 1),
    ],
)
async def test_an_answer_that_does_not_say_is_unclear(
    cloud: Cloud, adapter: SmsAdapter, fault: str, is_unclear: bool, taken: int
) -> None:
    cloud[0].faults.add(FaultRule.model_validate({"kind": fault}))
    caught = await refused(adapter)
    assert (caught.action, caught.is_unclear) == (Action.RETRY, is_unclear)
    assert len(cloud[0].sent()) == taken


async def test_a_request_has_a_time_limit_that_holds(cloud: Cloud, blobs: FolderBlobs) -> None:
    adapter = SmsAdapter(blobs, Links(SEALER, lambda: None), lambda: None, api_url=cloud[1], timeout=0.2)
    await adapter.open()
    await adapter.warm()
    cloud[0].faults.add(FaultRule(kind="accept_then_hang"))
    began = time.monotonic()
    caught = await refused(adapter)
    assert time.monotonic() - began < 5
    assert (caught.code, caught.is_unclear) == ("no_answer", True)
    assert cloud[0].sent()[0].callback == ""  # without a public address nobody can tell us
    await adapter.close()


async def test_a_server_that_is_not_there_took_nothing(blobs: FolderBlobs) -> None:
    adapter = SmsAdapter(blobs, Links(SEALER, lambda: None), lambda: None, api_url="http://127.0.0.1:9")
    await adapter.open()
    caught = await refused(adapter)
    assert (caught.action, caught.code, caught.is_unclear) == (Action.RETRY, "unreachable", False)
    await adapter.close()


async def test_a_wrong_token_stops_the_account_and_a_probe_tells(cloud: Cloud, adapter: SmsAdapter) -> None:
    assert (await refused(adapter, auth_token="wrong")).action is Action.STOP_TOKEN
    with pytest.raises(RefusedError) as caught:
        await adapter.probe(line_of(auth_token="wrong"))
    assert caught.value.action is Action.STOP_TOKEN
    assert await adapter.probe(line_of()) == f"Sunrise Café ({NUMBER})"


async def test_without_the_package_a_send_says_so(adapter: SmsAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "is_installed", lambda: False)
    caught = await refused(adapter)
    assert (caught.action, caught.code) == (Action.GIVE_UP, "setup")
    assert "pip install 'omni-server[twilio]'" in caught.reason


async def test_many_sends_share_one_loading_of_the_package(cloud: Cloud, adapter: SmsAdapter) -> None:
    people = [f"+120255501{n}" for n in range(10, 30)]
    taken = await asyncio.gather(*(send(adapter, delivery_of(Text(text="hi"), to=who)) for who in people))
    assert len({one.provider_id for one in taken}) == len(people)
    assert sorted(message.to for message in cloud[0].sent()) == people


async def test_numbers_have_their_own_rate_and_share_their_accounts_credentials() -> None:
    lines = Lines(4, SystemClock())
    slow = lines.of(Route(line_of(rate=3), "default", "echo"))
    quick = lines.of(Route(line_of(number="+12025550143", rate=50), "default", "echo"))
    stranger = lines.of(Route(line_of(number="+12025550144", auth_token="another"), "default", "echo"))
    assert (slow.rate.rate, quick.rate.rate) == (3, 50)
    assert slow.token is quick.token
    assert stranger.token is not slow.token
    await lines.stop()


# files


@pytest.fixture
async def files(blobs: FolderBlobs) -> AsyncIterator[Callable[[float], str]]:
    """A server of linked files, and how to make a link that was made some seconds ago."""
    app = web.Application()
    app.add_routes(LinkedFiles(blobs, SEALER).routes())
    server = TestServer(app)
    await server.start_server()
    base = str(server.make_url("")).rstrip("/")

    async def content() -> AsyncIterator[bytes]:
        yield b"<script>alert(1)</script>"

    await blobs.put("a-file", content(), mime="text/html", max_bytes=100)
    yield lambda ago: str(
        Links(SEALER, lambda: base, lambda: time.time() - ago).of("a-file", "text/html", 'a"b\n.html')
    )
    await server.close()


async def test_a_link_to_a_file_works_for_a_while_and_shows_nothing(files: Callable[[float], str]) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(files(0)) as answer:
            assert await answer.read() == b"<script>alert(1)</script>"
            assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
            assert answer.headers["Content-Disposition"].startswith("attachment")
        async with http.head(files(0)) as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (200, "25")
        async with http.get(files(13 * 3600)) as answer:
            assert answer.status == 404
        for forged in (files(0)[:-1], files(0) + "A", files(0).replace("tmf_", "ctl_")):
            async with http.get(forged) as answer:
                assert answer.status == 404


async def test_a_file_too_large_for_mms_is_not_sent(adapter: SmsAdapter, cloud: Cloud, blobs: FolderBlobs) -> None:
    async def content() -> AsyncIterator[bytes]:
        for _ in range(6):
            yield bytes(1024 * 1024)

    await blobs.put("large", content(), mime="image/png", max_bytes=10**8)
    for key, code in (("large", "media_too_large"), ("missing", "media_unavailable")):
        assert (await refused(adapter, delivery_of(Media(kind=MediaKind.IMAGE, blob=key)))).code == code
    assert cloud[0].sent() == []


async def test_a_persons_file_is_asked_for_with_the_accounts_credentials(cloud: Cloud, adapter: SmsAdapter) -> None:
    cloud[0].files["ME1"] = ("image/png", b"a picture")
    picture = Media(kind=MediaKind.IMAGE, mime="image/png", provider_id="MM1/ME1")
    async with adapter.fetch(line_of(), picture) as download:
        assert b"".join([piece async for piece in download.content()]) == b"a picture"
    for provider_id, token, expected in (
        ("MM1/ME2", TOKEN, "media_unavailable"),
        ("../../x", TOKEN, "media_unavailable"),
        ("MM1/ME1", "wrong", "token_broken"),
    ):
        with pytest.raises(RefusedError) as caught:
            async with adapter.fetch(
                line_of(auth_token=token), picture.model_copy(update={"provider_id": provider_id})
            ):
                pass
        assert caught.value.code == expected


PRIVATE = "https://media.twiliocdn.com/x"
"""The right name, and an address of our own network behind it."""


class Names(AbstractResolver):
    """Everything is in the private network."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        found = ResolveResult(hostname=host, host="10.0.0.8", port=port, family=2, proto=0, flags=0)
        return [found]

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:9/",
        "https://evil.example.com/x",
        "https://media.twiliocdn.com.evil.example.com/x",
        "https://user@media.twiliocdn.com/x",
        "http://media.twiliocdn.com/x",
        "https://media.twiliocdn.com:8443/x",
        PRIVATE,
        "//[::1]/x",
        "http://[bad",
    ],
)
async def test_a_redirect_of_a_file_leads_nowhere_but_to_twilio(blobs: FolderBlobs, target: str) -> None:
    seen: list[str | None] = []

    async def media(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(status=307, headers={"Location": target})

    app = web.Application()
    app.router.add_get(f"/2010-04-01/Accounts/{ACCOUNT}/Messages/MM1/Media/ME1", media)
    api = TestServer(app)
    await api.start_server()
    adapter = SmsAdapter(
        blobs, Links(SEALER, lambda: None), lambda: None, api_url=str(api.make_url("")).rstrip("/"), resolver=Names()
    )
    await adapter.open()
    with pytest.raises(RefusedError) as caught:
        async with adapter.fetch(line_of(), Media(kind=MediaKind.IMAGE, provider_id="MM1/ME1")):
            pass
    assert caught.value.code == ("unreachable" if target == PRIVATE else "media_refused")
    assert len(seen) == 1
    await adapter.close()
    await api.close()
