"""What we send arrives as the platform wants it; what it refuses says what to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from channels.base import Action, RefusedError
from channels.splitting import units
from channels.whatsapp.adapter import WhatsAppAdapter
from channels.whatsapp.errors import REMEDIES
from channels.whatsapp.outgoing import pieces_of
from channels.whatsapp.signature import appsecret_proof
from channels.whatsapp.versions import concern
from omni.model.channel import WhatsAppChannel
from omni.model.contact import Identity, IdentityKind
from omni.model.delivery import Delivery, Origin, Recipient
from omni.model.message import (
    Button,
    Buttons,
    Choice,
    ContactCard,
    ContactPhone,
    Contacts,
    LinkButton,
    Location,
    LocationRequest,
    Media,
    MediaKind,
    Menu,
    Message,
    Part,
    Reaction,
    Row,
    Section,
    Template,
    Text,
)

ADA = Identity(kind=IdentityKind.WA_ID, value="12025550171")
ADA_USER = Identity(kind=IdentityKind.BSUID, value="US.41860027735519024683")
TOKEN = "an-access-token-of-the-tests"
SECRET = "an-app-secret-of-the-tests"
CHANNEL = WhatsAppChannel.model_validate(
    {"phone_number_id": "100200300", "access_token": TOKEN, "app_secret": SECRET, "verify_token": "v"}
)


def delivery(*parts: Part, to: tuple[Identity, ...] = (ADA,), origin: Origin = "human", **changes: Any) -> Delivery:
    reply_to = changes.pop("reply_to", None)
    recipient = Recipient(identities=to, group=changes.pop("group", None), identity_hash=changes.pop("hash", None))
    return Delivery(
        id="dlv_1",
        call="wa-1",
        home="h",
        agent="echo",
        channel=CHANNEL.id,
        contact="c",
        to=recipient,
        message=Message(parts=parts, reply_to=reply_to),
        origin=origin,
        seq=1,
        created_at=0,
        **changes,
    )


def bodies(made: Delivery) -> list[dict[str, Any]]:
    return [piece.payload.body for piece in pieces_of(made)]


# --- bodies -----------------------------------------------------------------------------------------------------------


def test_a_text_is_addressed_tracked_and_quoted() -> None:
    assert bodies(delivery(Text(text="Hi https://x.example"), reply_to="wamid.q", hash="h1")) == [
        {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": "12025550171",
            "type": "text",
            "text": {"body": "Hi https://x.example", "preview_url": True},
            "biz_opaque_callback_data": "omni:dlv_1:0",
            "context": {"message_id": "wamid.q"},
            "recipient_identity_key_hash": "h1",
        }
    ]


def test_a_hidden_number_is_written_to_by_user_id() -> None:
    assert bodies(delivery(Text(text="x"), to=(ADA_USER,)))[0]["recipient"] == ADA_USER.value
    both = bodies(delivery(Text(text="x"), to=(ADA, ADA_USER)))[0]
    assert both["to"] == ADA.value
    assert "recipient" not in both


def test_the_look_up_key_of_a_number_is_never_sent_to_when_whatsapp_named_another() -> None:
    key = Identity(kind=IdentityKind.PHONE, value="525555501234")
    as_sent = Identity(kind=IdentityKind.WA_ID, value="5215555501234")
    assert bodies(delivery(Text(text="x"), to=(key, as_sent)))[0]["to"] == "5215555501234"
    assert bodies(delivery(Text(text="x"), to=(key,)))[0]["to"] == "+525555501234"


def test_a_group_is_addressed_as_one() -> None:
    body = bodies(delivery(Text(text="x"), group="G=="))[0]
    assert (body["recipient_type"], body["to"]) == ("group", "G==")


def test_a_long_text_goes_out_in_pieces_with_trackers_of_their_own() -> None:
    sent = bodies(delivery(Text(text="Sentence number one is here. " * 400), reply_to="wamid.q"))
    assert len(sent) == 3
    assert [body["biz_opaque_callback_data"] for body in sent] == ["omni:dlv_1:0", "omni:dlv_1:1", "omni:dlv_1:2"]
    assert ["context" in body for body in sent] == [True, False, False]
    assert all(body["text"]["body"].endswith(".") for body in sent)


def test_a_code_block_that_must_be_cut_is_closed_and_opened_again() -> None:
    sent = bodies(delivery(Text(text="```\n" + "a line of code\n" * 600 + "```")))
    texts = [body["text"]["body"] for body in sent]
    assert len(texts) == 3
    assert all(text.startswith("```\n") and text.endswith("```") and units(text) <= 4096 for text in texts)


def test_the_bots_markdown_is_rewritten_and_a_persons_is_not() -> None:
    assert bodies(delivery(Text(text="**x**"), origin="bot"))[0]["text"]["body"] == "*x*"
    assert bodies(delivery(Text(text="**x**")))[0]["text"]["body"] == "**x**"


def test_pieces_are_the_same_every_time() -> None:
    made = delivery(Text(text="x " * 5000), LinkButton(body="b", label="l", url="https://x.example"), origin="bot")
    assert pieces_of(made) == pieces_of(Delivery.model_validate_json(made.model_dump_json()))


INTERACTIVE = [
    (
        Buttons(body="b", buttons=(Button(id="1", title="Yes"), Button(id="2", title="No")), header="h", footer="f"),
        {
            "type": "button",
            "body": {"text": "b"},
            "header": {"type": "text", "text": "h"},
            "footer": {"text": "f"},
            "action": {
                "buttons": [
                    {"type": "reply", "reply": {"id": "1", "title": "Yes"}},
                    {"type": "reply", "reply": {"id": "2", "title": "No"}},
                ]
            },
        },
    ),
    (
        Menu(body="b", button="Open", sections=(Section(rows=(Row(id="1", title="One", description="d"),)),)),
        {
            "type": "list",
            "body": {"text": "b"},
            "action": {"button": "Open", "sections": [{"rows": [{"id": "1", "title": "One", "description": "d"}]}]},
        },
    ),
    (
        LinkButton(body="b", label="Go", url="https://x.example"),
        {
            "type": "cta_url",
            "body": {"text": "b"},
            "action": {"name": "cta_url", "parameters": {"display_text": "Go", "url": "https://x.example"}},
        },
    ),
    (
        LocationRequest(body="Where?"),
        {"type": "location_request_message", "body": {"text": "Where?"}, "action": {"name": "send_location"}},
    ),
]


@pytest.mark.parametrize(("part", "expected"), INTERACTIVE)
def test_interactive_bodies(part: Part, expected: dict[str, Any]) -> None:
    body = bodies(delivery(part))[0]
    assert (body["type"], body["interactive"]) == ("interactive", expected)


def test_other_bodies() -> None:
    place, card, reaction, template, linked = bodies(
        delivery(
            Location(latitude=1, longitude=2, name="n"),
            Contacts(cards=(ContactCard(name="Ada", phones=(ContactPhone(phone="+1", wa_id="1"),)),)),
            Reaction(target="wamid.t"),
            Template(name="come_back", language="en_GB", components=({"type": "body", "parameters": []},)),
            Media(kind=MediaKind.DOCUMENT, link="https://x.example/a.pdf", filename="a.pdf", caption="c"),
        )
    )
    assert place["location"] == {"latitude": 1.0, "longitude": 2.0, "name": "n"}
    assert card["contacts"] == [
        {"name": {"formatted_name": "Ada", "first_name": "Ada"}, "phones": [{"phone": "+1", "wa_id": "1"}]}
    ]
    assert reaction["reaction"] == {"message_id": "wamid.t", "emoji": ""}
    assert template["template"]["language"] == {"code": "en_GB"}
    assert linked["document"] == {"link": "https://x.example/a.pdf", "filename": "a.pdf", "caption": "c"}


def test_a_reaction_quotes_nothing() -> None:
    assert "context" not in bodies(delivery(Reaction(target="wamid.t", emoji="👍"), reply_to="wamid.q"))[0]


def test_a_caption_that_does_not_fit_follows_as_text() -> None:
    voice, words = bodies(delivery(Media(kind=MediaKind.AUDIO, provider_id="1", voice=True, caption="listen")))
    assert (voice["audio"], words["text"]["body"]) == ({"id": "1", "voice": True}, "listen")
    image, words = bodies(delivery(Media(kind=MediaKind.IMAGE, provider_id="1", caption="c" * 1025)))
    assert (image["image"], len(words["text"]["body"])) == ({"id": "1"}, 1025)


@pytest.mark.parametrize(
    "part",
    [
        Text(text=" \n "),
        Buttons(body="b", buttons=(Button(id="1", title="Yes"), Button(id="1", title="No"))),
        Buttons(body="b", buttons=(Button(id="1", title="Yes"), Button(id="2", title="Yes"))),
        Buttons(body="😊" * 600, buttons=(Button(id="1", title="Yes"),)),
        Buttons(body="b", buttons=(Button(id="1", title="😊" * 11),)),
        Menu(body="b", button="o", sections=(Section(rows=tuple(Row(id=str(n), title="t") for n in range(11))),)),
        Menu(body="b", button="o", sections=(Section(rows=()),)),
        Menu(body="b", button="o", sections=(Section(rows=(Row(id="1", title="t"), Row(id="1", title="u"))),)),
        Menu(
            body="b",
            button="o",
            sections=(Section(title="s", rows=(Row(id="1", title="t"),)), Section(rows=(Row(id="2", title="t"),))),
        ),
        LinkButton(body="b", label="l", url="ftp://x"),
        Contacts(cards=()),
        Contacts(cards=(ContactCard(),)),
        Reaction(target="wamid.t", emoji="x" * 40),
        Reaction(target="sha256:00", emoji="👍"),
        Template(name="t", language="en", components=({"type": "body", "parameters": [{"text": "a\nb"}]},)),
        Media(kind=MediaKind.IMAGE),
        Media(kind=MediaKind.IMAGE, link="file:///etc/passwd"),
        Choice(kind="button", id="1"),
    ],
)
def test_what_whatsapp_can_never_carry_is_refused_before_the_call(part: Part) -> None:
    with pytest.raises(RefusedError) as refused:
        pieces_of(delivery(part))
    assert refused.value.action is Action.GIVE_UP
    assert not refused.value.is_unclear


def test_nobody_to_send_to_is_refused() -> None:
    with pytest.raises(RefusedError):
        pieces_of(delivery(Text(text="x"), to=(Identity(kind=IdentityKind.VISITOR, value="v"),)))


# --- a Graph server that answers what a test wants --------------------------------------------------------------------

Answer = Callable[[web.Request], Any]


@dataclass
class GraphServer:
    """Speaks Graph's protocol as far as a send needs it. `answers` are taken in turn, the last for ever."""

    answers: list[Answer]
    url: str = ""
    requests: list[tuple[str, dict[str, str], dict[str, str], Any]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if request.content_type == "application/json" and raw else None
        self.requests.append((request.path, dict(request.query), dict(request.headers), body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        response = answer(request)
        if asyncio.iscoroutine(response):
            response = await response
        assert isinstance(response, web.StreamResponse)
        return response


def graph_error(code: int, status: int = 400, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    error = {"message": f"(#{code}) no", "type": "OAuthException", "code": code, "fbtrace_id": "T", **more}
    return lambda _: web.json_response({"error": error}, status=status, headers=headers)


def accepted(request: web.Request) -> web.Response:
    contacts = [{"input": "x", "wa_id": "12025550171", "user_id": "US.1"}]
    return web.json_response({"messaging_product": "whatsapp", "contacts": contacts, "messages": [{"id": "wamid.1"}]})


class NoBlobs:
    """There are no files in these tests; asking for one is a mistake."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


@asynccontextmanager
async def sending(*answers: Answer, timeout: float = 5) -> AsyncIterator[tuple[WhatsAppAdapter, GraphServer]]:
    graph = GraphServer(list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", graph.handle)
    server = TestServer(app)
    await server.start_server()
    graph.url = str(server.make_url("")).rstrip("/")
    adapter = WhatsAppAdapter(NoBlobs(), graph_url=graph.url, timeout=timeout)
    await adapter.open()
    try:
        yield adapter, graph
    finally:
        await adapter.close()
        await server.close()


async def send(adapter: WhatsAppAdapter, made: Delivery | None = None) -> Any:
    made = made or delivery(Text(text="x"))
    piece = adapter.pieces(CHANNEL, made)[0]
    return await adapter.send(CHANNEL, made, 0, piece)


async def refusal_of(*answers: Answer, timeout: float = 5) -> RefusedError:
    async with sending(*answers, timeout=timeout) as (adapter, graph):
        with pytest.raises(RefusedError) as caught:
            await send(adapter)
        for secret in (TOKEN, SECRET, appsecret_proof(SECRET, TOKEN)):
            assert (
                secret not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}"
            )
        assert len(graph.requests) == 1 or caught.value.provider_code == 131030
        return caught.value


async def test_a_send_is_authorised_by_header_and_proof_and_teaches_identities() -> None:
    async with sending(accepted) as (adapter, graph):
        taken = await send(adapter)
    path, query, headers, body = graph.requests[0]
    assert path == "/v26.0/100200300/messages"
    assert query == {"appsecret_proof": appsecret_proof(SECRET, TOKEN)}
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert body["text"] == {"body": "x", "preview_url": False}
    assert taken.provider_id == "wamid.1"
    assert [i.key for i in taken.identities] == ["wa_id:12025550171", "phone:12025550171", "bsuid:US.1"]


CLASSES = [
    (131016, 503, Action.RETRY, "transient"),  # A
    (131056, 400, Action.SLOW_PAIR, "pair_rate_limited"),  # B
    (130429, 429, Action.SLOW_NUMBER, "rate_limited"),
    (80007, 400, Action.SLOW_NUMBER, "app_rate_limited"),
    (131047, 400, Action.WINDOW_CLOSED, "window_closed"),  # C
    (131026, 400, Action.GIVE_UP, "undeliverable"),  # D
    (132015, 400, Action.STOP_TEMPLATE, "template_unusable"),  # E
    (131049, 400, Action.STOP_MARKETING, "marketing_capped"),  # F
    (190, 401, Action.STOP_TOKEN, "token_broken"),  # G
    (200, 403, Action.STOP_TOKEN, "token_broken"),
    (131031, 403, Action.STOP_NUMBER, "account_locked"),  # H
    (999999, 400, Action.GIVE_UP, "unknown"),
    (999999, 500, Action.RETRY, "transient"),
]


@pytest.mark.parametrize(("code", "status", "action", "word"), CLASSES)
async def test_each_class_of_refusal_says_what_to_do(code: int, status: int, action: Action, word: str) -> None:
    refused = await refusal_of(graph_error(code, status))
    assert (refused.action, refused.code, refused.provider_code) == (action, word, code)
    assert not refused.is_unclear
    assert "[fbtrace_id T]" in refused.reason


async def test_refusals_that_name_their_wait() -> None:
    assert (await refusal_of(graph_error(130429, 429, {"Retry-After": "7"}))).retry_after == 7
    date = formatdate(9_999_999_999, usegmt=True)
    assert (await refusal_of(graph_error(130429, 429, {"Retry-After": date}))).retry_after == 3600
    assert (await refusal_of(graph_error(130429, 429, {"Retry-After": "soon"}))).retry_after is None
    assert (await refusal_of(graph_error(134101))).retry_after == 600
    assert (await refusal_of(graph_error(135000))).max_retries == 1
    assert (await refusal_of(graph_error(100, error_subcode=33))).code == "number_unknown"
    assert (await refusal_of(graph_error(999999, is_transient=True))).action is Action.RETRY


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(status=502, text="<html>502 Bad Gateway</html>", content_type="text/html"),
        lambda _: web.Response(status=503),
        lambda _: web.Response(status=200, text="<html>ok?</html>", content_type="text/html"),
        lambda _: web.json_response({"messages": []}),
        lambda _: web.json_response([1]),
        graph_error(1, 500),
    ],
)
async def test_an_answer_that_does_not_tell_leaves_the_outcome_unclear(answer: Answer) -> None:
    refused = await refusal_of(answer)
    assert (refused.action, refused.is_unclear) == (Action.RETRY, True)


async def test_a_page_with_status_400_is_final() -> None:
    refused = await refusal_of(lambda _: web.Response(status=400, text="<html>bad request</html>"))
    assert (refused.action, refused.is_unclear) == (Action.GIVE_UP, False)


async def test_a_connection_that_breaks_after_the_request_leaves_the_outcome_unclear() -> None:
    def reset(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    refused = await refusal_of(reset)
    assert (refused.action, refused.is_unclear) == (Action.RETRY, True)


async def test_an_answer_that_never_comes_leaves_the_outcome_unclear() -> None:
    release = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    try:
        refused = await refusal_of(hang, timeout=0.2)
    finally:
        release.set()
    assert (refused.action, refused.is_unclear) == (Action.RETRY, True)


async def test_a_server_that_cannot_be_reached_took_nothing() -> None:
    adapter = WhatsAppAdapter(NoBlobs(), graph_url=f"http://127.0.0.1:{unused_port()}")
    await adapter.open()
    try:
        with pytest.raises(RefusedError) as caught:
            await send(adapter)
    finally:
        await adapter.close()
    assert (caught.value.action, caught.value.is_unclear) == (Action.RETRY, False)


async def test_a_redirect_is_not_followed_with_the_token() -> None:
    refused = await refusal_of(lambda _: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}))
    assert refused.is_unclear


async def test_a_secret_that_graph_quotes_stays_out_of_the_reason() -> None:
    refused = await refusal_of(graph_error(190, 401, error_data={"details": f"bad token {TOKEN} of {SECRET}"}))
    assert "bad token *** of ***" in refused.reason


async def test_a_test_number_is_tried_once_in_its_other_spelling() -> None:
    to = (Identity(kind=IdentityKind.WA_ID, value="5491155501234"),)
    async with sending(graph_error(131030), accepted) as (adapter, graph):
        await send(adapter, delivery(Text(text="x"), to=to))
    assert [body["to"] for _, _, _, body in graph.requests] == ["5491155501234", "541155501234"]
    assert (await refusal_of(graph_error(131030))).code == "not_allow_listed"


async def test_typing_marks_as_read_and_is_skipped_when_it_is_not_wanted() -> None:
    async with sending(lambda _: web.json_response({"success": True})) as (adapter, graph):
        await adapter.show_typing(CHANNEL, "wamid.in", typing=True)
        await adapter.show_typing(CHANNEL, "wamid.in", typing=False)
        await adapter.show_typing(CHANNEL.model_copy(update={"read_receipts": False}), "wamid.in", typing=True)
        await adapter.show_typing(CHANNEL, "sha256:00", typing=True)
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.in"}
    assert [body for _, _, _, body in graph.requests] == [{**read, "typing_indicator": {"type": "text"}}, read]


async def test_probe_says_who_we_are() -> None:
    answer = {"id": "100200300", "display_phone_number": "+1 202-555-0142", "verified_name": "Sunrise Café"}
    async with sending(lambda _: web.json_response(answer)) as (adapter, _):
        assert await adapter.probe(CHANNEL) == "Sunrise Café (+1 202-555-0142)"


def test_the_template_for_a_closed_window() -> None:
    adapter = WhatsAppAdapter(NoBlobs())
    made = delivery(Text(text="x"), reply_to="wamid.q")
    assert adapter.closed_window_pieces(CHANNEL, made) is None
    pieces = adapter.closed_window_pieces(
        CHANNEL.model_copy(update={"closed_window_template": "come_back/en_GB"}), made
    )
    assert pieces is not None
    assert pieces[0].is_template
    assert pieces[0].payload.body["template"] == {"name": "come_back", "language": {"code": "en_GB"}}


def test_every_remedy_is_a_sentence_without_a_number() -> None:
    for code, found in REMEDIES.items():
        assert found.reason.endswith("."), code
        assert found.code.replace("_", "").isalpha(), code


@pytest.mark.parametrize(
    ("version", "today", "says"),
    [
        ("v26.0", date(2026, 11, 20), None),
        ("v24.0", date(2026, 11, 20), None),
        ("v21.0", date(2026, 11, 20), "ends on 2027-01-21"),
        ("v20.0", date(2026, 11, 20), "ended on 2026-09-24"),
        ("v16.0", date(2026, 11, 20), "no longer alive"),
        ("v31.0", date(2028, 11, 20), None),
    ],
)
def test_a_graph_version_that_ends_is_said_so(version: str, today: date, says: str | None) -> None:
    sentence = concern(version, today)
    assert (sentence is None) if says is None else (sentence is not None and says in sentence)
