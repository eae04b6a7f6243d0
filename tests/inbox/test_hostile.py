"""Whatever is sent to the inbox: it answers with a sentence, never with a fault of its own, and stays small."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import hdrs

from tests.inbox.colleagues import Colleague
from tests.inbox.conftest import Hire
from tests.inbox.test_api_routes import ROUTES, House, Route, furnish
from tests.server.conftest import OpenShop
from tests.server.shop import Shop
from tests.server.test_server_hostile import MEGABYTE, resident

EVIL = "<script>alert(1)</script>"
OVERRIDE = "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe"
DEEP = "[" * 100_000
NESTED = '{"a":' * 5_000 + "1" + "}" * 5_000

BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "a word": b"hello",
    "null": b"null",
    "a number": b"1e999",
    "not a number": b'{"text": NaN}',
    "a list": b"[1, 2]",
    "a text": b'"text"',
    "deep lists": DEEP.encode(),
    "deep objects": NESTED.encode(),
    "broken UTF-8": b'{"text": "\xff\xfe\xc3("}',
    "half a character": b'{"text": "\\ud83d"}',
    "zero bytes": b'{"text": "a\\u0000b", "name": "\\u0000"}',
    "UTF-16": '{"text": "x"}'.encode("utf-16"),
    "other types": json.dumps(
        {name: [{}] for name in ("text", "name", "email", "until", "to", "add", "call", "files", "filter", "paused")}
    ).encode(),
    "huge numbers": json.dumps({"until": 1e300, "user_messages": 10**30, "paused": 7}).encode(),
    "long texts": json.dumps(dict.fromkeys(("text", "name", "email", "note", "call"), "W" * 400000)).encode(),
    "markup": json.dumps(
        dict.fromkeys(("text", "name", "email", "note", "call", "to", "target", "emoji", "other"), EVIL)
    ).encode(),
    "overrides": json.dumps(dict.fromkeys(("text", "name", "email", "note", "colour"), OVERRIDE)).encode(),
    "many keys": json.dumps({f"key{n}": n for n in range(20_000)}).encode(),
    "many labels": json.dumps({"add": [f"label {n}" for n in range(5_000)], "remove": ["x"] * 5_000}).encode(),
    "many files": json.dumps({"files": ["up_x"] * 5_000, "text": "x"}).encode(),
    "a template of everything": json.dumps(
        {"template": {"name": EVIL, "language": OVERRIDE, "values": {f"v{n}": EVIL for n in range(2_000)}}}
    ).encode(),
}
NAMES = [EVIL, OVERRIDE, "../../etc/passwd", "%00", "W" * 4000, "cv_", "cv_////", "cv_" + "A" * 3000, "-1", "é", "."]
QUERIES = [
    "limit=0", "limit=-1", "limit=1e9", "limit=x", "before=x", "before=" + "A" * 4000, "after=%FF%FE", "state=<b>",
    "handler=bot,bot,,x", "order=sideways", "assignee=%00", "label=" + "a," * 2000, "q=", "q=%22", "q=" + "(" * 3000,
    "q=%22AND%22%20OR%20NEAR(*", "q=%EF%BF%BF%00", "since=x&until=y", "since=9e99&until=-1", "since=-1e18&until=1e18",
    "zone=../../etc/passwd", "zone=" + "W" * 3000, "conversation=" + "x" * 3000, "actor=%00", "agent=%2e%2e",
]  # fmt: skip
HEADERS: list[dict[str, str]] = [
    {hdrs.CONTENT_TYPE: "multipart/form-data; boundary=x"},
    {hdrs.CONTENT_TYPE: "application/json; charset=utf-7"},
    {hdrs.CONTENT_TYPE: "application/json; charset=nonsense"},
    {hdrs.CONTENT_ENCODING: "gzip", hdrs.CONNECTION: "close"},  # the server shuts the line after that
    {"Idempotency-Key": "k" * 4000},
    {"Idempotency-Key": EVIL},
    {"X-Filename": "%2e%2e%2f" * 500},
    {"X-Filename": "%FF%FE%00"},
    {"Range": "bytes=9-1,-,x"},
    {"If-None-Match": 'W/"' + "x" * 4000},
]


@pytest.fixture
async def house(open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]) -> tuple[Shop, Colleague, House]:
    shop = await open_shop(embedded)
    boss = await hire(shop, "boss", role="admin")
    return shop, boss, await furnish(shop, boss)


def told(route: Route, what: str, status: int, body: Any) -> str:
    return f"{route} with {what}: {status} {str(body)[:300]}"


async def ask(boss: Colleague, route: Route, path: str, **more: Any) -> tuple[int, Any]:
    headers = {"Idempotency-Key": "k", hdrs.CONTENT_TYPE: "application/json", **more.pop("headers", {})}
    found = await boss.ask(route.method, path, headers=headers, **more)
    return found.status, found.body


ASKED = [route for route in ROUTES if route.path != "/live"]


async def test_no_body_makes_any_route_fail(house: tuple[Shop, Colleague, House]) -> None:
    shop, boss, made = house
    for route in ASKED:
        if route.method == "GET" or route.path == "/operators/{id}":
            continue
        for what, body in BODIES.items():
            status, answer = await ask(boss, route, made.path(route), data=io.BytesIO(body))
            assert status < 500, told(route, what, status, answer)
            if status >= 400:
                assert len(answer["error"]["message"].split()) > 1, told(route, what, status, answer)
                assert len(str(answer)) < 4_000, told(route, what, status, "a long answer")
    assert (await boss.get("/me"))["role"] == "admin"
    shop.say("still here?")
    await boss.told(made.names["id"], "user.message", 2)


async def test_no_name_in_a_path_makes_any_route_fail(house: tuple[Shop, Colleague, House]) -> None:
    _, boss, made = house
    for route in ASKED:
        if not route.names:
            continue
        for name in NAMES:
            quoted = quote(name, safe="")
            names = dict.fromkeys(made.names, quoted)
            path = route.path.format(**names, item=quoted)
            status, answer = await ask(boss, route, path, data=None if route.method == "GET" else b"{}")
            assert status in (400, 404, 405, 409, 414, 422), told(route, name[:40], status, answer)


async def test_no_query_and_no_header_makes_any_route_fail(house: tuple[Shop, Colleague, House]) -> None:
    _, boss, made = house
    for route in ASKED:
        path = made.path(route).partition("?")[0]
        for query in QUERIES if route.method == "GET" else ():
            status, answer = await ask(boss, route, f"{path}?{query}")
            assert status < 500, told(route, query[:60], status, answer)
        for headers in HEADERS:
            if route.path == "/operators/{id}":
                continue
            data = None if route.method == "GET" else b'{"text": "x"}'
            status, answer = await ask(boss, route, path, headers=headers, data=data)
            assert status < 500, told(route, str(headers)[:60], status, answer)


async def much(megabytes: int) -> AsyncIterator[bytes]:
    for _ in range(megabytes):
        yield bytes(MEGABYTE)


@pytest.mark.parametrize("says_its_length", [True, False])
async def test_two_hundred_megabytes_are_refused_with_a_sentence_and_without_being_held(
    house: tuple[Shop, Colleague, House], says_its_length: bool
) -> None:
    _, boss, made = house
    before = resident()
    headers = {**boss.headers, hdrs.CONTENT_TYPE: "image/png"}
    if says_its_length:
        headers[hdrs.CONTENT_LENGTH] = str(200 * MEGABYTE)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        url = f"{boss.url}/v1/inbox/uploads?conversation={made.names['id']}"
        with contextlib.suppress(aiohttp.ClientConnectionError):  # we were cut off before we had read the answer
            async with http.post(url, data=much(200), headers=headers) as answer:
                refused = await answer.json()
                assert answer.status in (413, 422), refused
                assert len(refused["error"]["message"].split()) > 3
    assert resident() - before < 60 * MEGABYTE
    assert (await boss.rows())[0]["id"] == made.names["id"]


FRAMES: list[str | bytes] = [
    "", "{", "null", "[]", "1", '"x"', "{}", '{"type": 7}', '{"type": "nothing"}', '{"type": "open"}',
    '{"type": "open", "conversation": 1, "after": {}}', '{"type": "open", "conversation": "cv_x", "after": "x"}',
    '{"type": "open", "conversation": "cv_' + "A" * 60_000 + '", "after": null}', '{"type": "close"}',
    '{"type": "close", "conversation": null}', '{"type": "typing", "conversation": "cv_x", "on": "yes"}',
    '{"type": "typing"}', DEEP, NESTED, '{"type": "ping", "x": "' + "W" * 60_000 + '"}', b"\x00\xff", b"{}",
    json.dumps({"type": EVIL, "conversation": OVERRIDE}),
    '{"type": "open", "conversation": "\\ud800", "after": "\\u0000"}',
]  # fmt: skip


async def test_no_frame_makes_the_socket_fail(house: tuple[Shop, Colleague, House]) -> None:
    shop, boss, made = house
    for frame in FRAMES:
        async with boss.http.ws_connect(f"{boss.url}/v1/inbox/live", headers=boss.headers) as ws:
            await (ws.send_bytes(frame) if isinstance(frame, bytes) else ws.send_str(frame))
            await ws.send_str('{"type": "ping"}')
            async with asyncio.timeout(10):
                async for message in ws:
                    if message.type is aiohttp.WSMsgType.TEXT and message.json()["type"] == "pong":
                        break
            assert ws.close_code not in (1006, 1011), f"{frame[:60]!r}: {ws.close_code}"
    page = await boss.look_on()
    await page.say(type="open", conversation=made.names["id"], after=None)
    shop.say("still here?")
    await page.heard(lambda one: one["type"] == "items" and "still here?" in str(one))


async def test_bytes_that_are_no_frames_end_their_own_socket_alone(house: tuple[Shop, Colleague, House]) -> None:
    shop, boss, made = house
    cookie, port = boss.headers["Cookie"], shop.server.port
    handshake = (
        f"GET /v1/inbox/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {boss.url}\r\nCookie: {cookie}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    huge = b"\x81\xff" + struct.pack(">Q", 2**62) + bytes(4)
    for garbage in (
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(200),
        b"\xff" * 200,
        huge,
        b"\x81\x05hello",
        b"\xf1\x80" + bytes(4),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(handshake)
        assert b"101" in (await reader.readuntil(b"\r\n\r\n"))[:20]
        writer.write(garbage)
        writer.write_eof()
        async with asyncio.timeout(20):
            while await reader.read(65_536):  # until the server shuts it
                pass
        writer.close()
    assert (await boss.row())["id"] == made.names["id"]


async def test_names_types_and_words_that_lie_are_kept_as_text(
    house: tuple[Shop, Colleague, House], tmp_path: Path
) -> None:
    _, boss, made = house
    conversation = made.names["id"]
    for name in (OVERRIDE, EVIL, "../../etc/passwd", "a\nb\r\nSet-Cookie: x=1", "W" * 4000 + ".png", "\x00.png"):
        path = f"/uploads?conversation={conversation}"
        headers = {"X-Filename": quote(name)}
        status, answer = await ask(boss, Route("POST", path, "agent"), path, data=b"%PDF-1.4 x", headers=headers)
        assert status in (201, 422), (name, answer)
        if status == 201:
            kept = answer["filename"]
            assert len(kept) <= 255
            assert not set(kept) & set("\n\r\x00/\\"), kept
            assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in kept, kept
    noted = await boss.post(f"/conversations/{conversation}/notes", {"text": f"{'W' * 4000} {EVIL} {OVERRIDE}"})
    assert noted.status < 300
    (note,) = [item for item in await boss.items(conversation) if item["type"] == "note"]
    assert note["text"].endswith(f"{EVIL} {OVERRIDE}")
