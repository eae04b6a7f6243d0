"""The media socket: who gets in, what each message does, and that every leg ends once."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.phone import media
from channels.phone.addresses import MEDIA_PATH, media_url
from channels.phone.directory import Directory
from channels.twilio.simulator.signing import headers
from omni.audio.g711 import mulaw_to_pcm, pcm_to_mulaw
from tests.phone.line import ACCOUNT, CALL, NUMBER, PUBLIC, TOKEN, Board, Listener, directory_of, line_of, until

STREAM = "MZ" + "2" * 32
ADDRESS = f"wss://bots.example.com{MEDIA_PATH}"
SOUND = bytes(range(160))


@dataclass
class Door:
    """The media side on a socket."""

    url: str
    http: aiohttp.ClientSession
    board: Board

    async def connect(self, path: str = MEDIA_PATH, **signed: str) -> aiohttp.ClientWebSocketResponse:
        given = {"auth_token": TOKEN, "url": f"wss://bots.example.com{path}", **signed}
        return await self.http.ws_connect(f"{self.url}{path}", headers=headers(given.pop("url"), (), **given))

    async def call(self, token: str = "tok-1", **more: Any) -> tuple[aiohttp.ClientWebSocketResponse, Listener]:
        """A stream that was let in, and who listens to it."""
        socket = await self.connect()
        await socket.send_json({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        await socket.send_json(start_of(token, **more))
        (ear,) = await until(lambda: self.board.ears)
        return socket, ear


def start_of(token: str = "tok-1", **form: Any) -> dict[str, Any]:
    return {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": STREAM,
        "start": {
            "streamSid": STREAM,
            "accountSid": ACCOUNT,
            "callSid": CALL,
            "tracks": ["inbound"],
            "customParameters": {"token": token},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1, **form},
        },
    }


def media_of(number: int, sound: bytes = SOUND, **more: Any) -> dict[str, Any]:
    said = {"track": "inbound", "chunk": str(number + 1), "timestamp": str(number * 20)}
    payload = base64.b64encode(sound).decode()
    return {
        "event": "media",
        "sequenceNumber": str(number + 2),
        "streamSid": STREAM,
        "media": {**said, "payload": payload, **more},
    }


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    other = line_of(org="other", account_sid="AC" + "6" * 32, auth_token="their-own-token", number="+12025550199")
    async with _open(directory_of(line_of(), other)) as found:
        yield found


class _open:
    def __init__(self, directory: Directory) -> None:
        self._board = Board()
        app = web.Application()
        app.add_routes(media.routes(self._board, lambda: directory, lambda: PUBLIC))
        self._server = TestServer(app)

    async def __aenter__(self) -> Door:
        await self._server.start_server()
        self._http = aiohttp.ClientSession()
        return Door(str(self._server.make_url("")).rstrip("/"), self._http, self._board)

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()
        await self._server.close()


async def heard(ear: Listener, done: Callable[[Listener], bool]) -> None:
    async with asyncio.timeout(5):
        while not done(ear):
            ear.news.clear()
            await ear.news.wait()


async def said(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    found: dict[str, Any] = await socket.receive_json(timeout=5)
    return found


# who gets in


@pytest.mark.parametrize(
    "signed",
    [
        {"auth_token": "somebody-else's"},
        {"url": f"https://bots.example.com{MEDIA_PATH}"},
        {"url": "wss://evil.example.com/twilio/media"},
    ],
)
async def test_an_upgrade_without_our_signature_is_refused_before_it_is_accepted(
    door: Door, signed: dict[str, str]
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await door.connect(**signed)
    assert refused.value.status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError) as unsigned:
        await door.http.ws_connect(f"{door.url}{MEDIA_PATH}")
    assert unsigned.value.status == 403


async def test_an_address_with_an_account_is_for_its_own_secrets_only(door: Door) -> None:
    socket = await door.connect(f"{MEDIA_PATH}/{ACCOUNT}")
    await socket.close()
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await door.connect(f"{MEDIA_PATH}/{ACCOUNT}", auth_token="their-own-token")
    assert media_url(PUBLIC) == ADDRESS


async def test_a_slash_at_the_end_of_what_was_signed_does_not_matter(door: Door) -> None:
    socket = await door.connect(url=f"{ADDRESS}/")
    await socket.close()


async def test_a_token_admits_once(door: Door) -> None:
    socket, _ = await door.call()
    assert door.board.calls == [CALL]
    again = await door.connect()
    await again.send_json(start_of())
    assert (await again.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
    await socket.close()


@pytest.mark.parametrize(
    "first",
    [
        start_of("of somebody else"),
        start_of(encoding="audio/l16"),
        start_of(sampleRate="16000"),
        {**start_of(), "start": "nonsense"},
        {**start_of(), "start": {**start_of()["start"], "accountSid": "AC" + "6" * 32}},
    ],
)
async def test_a_stream_that_is_not_wanted_is_closed(door: Door, first: dict[str, Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(media, "START_SECONDS", 0.2)
    socket = await door.connect()
    await socket.send_json(first)
    assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
    assert door.board.ears == []


async def test_a_socket_that_says_nothing_is_closed(door: Door, monkeypatch: Any) -> None:
    monkeypatch.setattr(media, "START_SECONDS", 0.05)
    socket = await door.connect()
    assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE


# what each message does


async def test_sound_keys_and_time_reach_the_ear(door: Door) -> None:
    socket, ear = await door.call()
    for number in (0, 1, 4):
        await socket.send_json(media_of(number))
    await socket.send_json({"event": "dtmf", "streamSid": STREAM, "dtmf": {"track": "inbound_track", "digit": "#"}})
    await heard(ear, lambda one: bool(one.keys))
    assert ear.keys == ["#"]
    assert ear.times == [0, 20, 80]
    assert {pcm for pcm, _ in ear.frames} == {mulaw_to_pcm(SOUND)}
    await socket.close()


LIES: list[Any] = [
    "not json",
    "[" * 30_000,
    "null",
    '"media"',
    "{}",
    {"event": "of tomorrow"},
    {"event": "media"},
    {"event": "media", "media": {"payload": None, "timestamp": "20"}},
    media_of(1, payload="@@@@"),
    media_of(1, payload="abc"),
    media_of(1, track="outbound"),
    {"event": "mark"},
    {"event": "mark", "mark": {"name": "never asked for"}},
    {"event": "dtmf", "dtmf": {"digit": "launch"}},
    {"event": "dtmf", "dtmf": {}},
    {"event": "start", "start": {}},
]


async def test_rubbish_changes_nothing(door: Door) -> None:
    socket, ear = await door.call()
    await socket.send_json(media_of(0))
    for lie in LIES:
        await socket.send_str(lie if isinstance(lie, str) else json.dumps(lie))
    await socket.send_json(media_of(1, timestamp="rubbish", chunk="-5", sequenceNumber=None))
    await socket.send_json(media_of(2, timestamp=None))
    await heard(ear, lambda one: len(one.frames) == 3)
    assert ear.times == [0, 20, 40]
    assert (ear.keys, ear.marks, ear.ends) == ([], [], [])
    await socket.close()


async def test_what_is_played_goes_out_as_one_message_each(door: Door) -> None:
    socket, _ = await door.call()
    leg = door.board.legs[0]
    assert leg.rate == 8000
    pcm = mulaw_to_pcm(SOUND)
    leg.play(pcm)
    leg.play(pcm * 100)
    sent = [await said(socket) for _ in range(3)]
    assert {(each["event"], each["streamSid"]) for each in sent} == {("media", STREAM)}
    played = [base64.b64decode(each["media"]["payload"]) for each in sent]
    assert [len(each) for each in played] == [160, 8000, 8000]
    assert b"".join(played) == pcm_to_mulaw(pcm * 101)
    await socket.close()


async def test_a_mark_counts_once_and_never_after_a_clear(door: Door) -> None:
    socket, ear = await door.call()
    leg = door.board.legs[0]
    leg.mark("one")
    leg.mark("two")
    leg.clear()
    leg.mark("two")
    sent = [await said(socket) for _ in range(4)]
    assert [each["event"] for each in sent] == ["mark", "mark", "clear", "mark"]
    for each in (sent[0], sent[1], sent[3], sent[3], sent[3]):
        await socket.send_json({"event": "mark", "streamSid": STREAM, "mark": each["mark"]})
    await socket.send_json(media_of(0))
    await heard(ear, lambda one: bool(one.frames))
    assert ear.marks == ["two"]
    await socket.close()


# ends


async def test_a_stop_is_a_hangup_once(door: Door) -> None:
    socket, ear = await door.call()
    await socket.send_json({"event": "stop", "stop": {"accountSid": ACCOUNT, "callSid": CALL}})
    await socket.send_json(media_of(0))
    await socket.close()
    await heard(ear, lambda one: bool(one.ends))
    assert ear.ends == ["hangup"]
    assert ear.frames == []


@pytest.mark.parametrize("how", ["closed", "cut", "too large", "binary"])
async def test_a_socket_that_goes_without_a_stop_is_lost_once(door: Door, how: str) -> None:
    socket, ear = await door.call()
    await socket.send_json(media_of(0))
    if how == "closed":
        await socket.close()
    elif how == "cut":
        socket._response.connection.transport.abort()  # type: ignore[union-attr]
    elif how == "too large":
        await socket.send_str("x" * (media.MOST + 1))
    else:
        await socket.send_bytes(b"\0")
    await heard(ear, lambda one: bool(one.ends))
    assert ear.ends == ["lost"]
    leg = door.board.legs[0]
    leg.play(bytes(320))
    leg.mark("late")
    leg.clear()
    leg.hang_up()
    assert ear.ends == ["lost"]
    await socket.close()


async def test_a_socket_that_falls_silent_is_lost(door: Door, monkeypatch: Any) -> None:
    monkeypatch.setattr(media, "SILENCE_SECONDS", 0.05)
    socket, ear = await door.call()
    await heard(ear, lambda one: bool(one.ends))
    assert ear.ends == ["lost"]
    await socket.close()


async def test_hanging_up_closes_the_socket_and_says_nothing_more(door: Door) -> None:
    socket, ear = await door.call()
    leg = door.board.legs[0]
    leg.play(bytes(320))
    leg.hang_up()
    leg.hang_up()
    assert (await said(socket))["event"] == "media"
    assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
    assert ear.ends == []


async def test_a_socket_that_takes_nothing_is_dropped(door: Door) -> None:
    """Nobody reads: what is played fills the buffers on the way, and then the leg is lost instead of growing."""
    socket, ear = await door.call()
    wire = socket._response.connection.transport  # type: ignore[union-attr]
    wire.pause_reading()
    leg = door.board.legs[0]
    second = bytes(16_000)
    async with asyncio.timeout(20):
        for _ in range(100_000):
            if ear.ends:
                break
            leg.play(second)
            await asyncio.sleep(0)
    assert ear.ends == ["lost"]
    wire.abort()
    await socket.close()


def test_the_number_of_the_test_is_served() -> None:
    assert directory_of().find(ACCOUNT, NUMBER)[0].agent == "desk"
