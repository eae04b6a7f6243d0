"""A telephone by hand, which knows no better: it sends what the test writes, when the test says so."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiosipua.message import SipResponse

from channels.sip.digest import proof
from channels.sip.messages import read

_NAMES = itertools.count(1)

SDP = (
    "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
)


class _Socket(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.came: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.came.put_nowait((data, addr))


@dataclass
class Message:
    text: str

    @property
    def line(self) -> str:
        return self.text.split("\r\n", 1)[0]

    @property
    def status(self) -> int:
        return int(self.line.split()[1]) if self.line.startswith("SIP/") else 0

    def header(self, name: str) -> str:
        for line in self.text.split("\r\n\r\n", 1)[0].split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.strip().lower() == name.lower():
                return value.strip()
        return ""

    @property
    def body(self) -> str:
        return self.text.partition("\r\n\r\n")[2]


@dataclass
class Caller:
    """`port` is its own, `towards` where it sends."""

    towards: tuple[str, int]
    wire: asyncio.DatagramTransport
    socket: _Socket
    ip: str
    rtp: asyncio.DatagramTransport
    rtp_socket: _Socket
    name: str = field(default_factory=lambda: f"c{next(_NAMES)}")
    to: str = "+12025550142"
    who: str = "+4930123456"
    answer: Message | None = None
    cseq: int = 1
    heard: bytearray = field(default_factory=bytearray)
    packets: list[bytes] = field(default_factory=list)
    number: int = 0
    stamp: int = 0

    @property
    def port(self) -> int:
        return int(self.wire.get_extra_info("sockname")[1])

    @property
    def rtp_port(self) -> int:
        return int(self.rtp.get_extra_info("sockname")[1])

    def send(self, text: str | bytes) -> None:
        self.wire.sendto(text if isinstance(text, bytes) else text.encode(), self.towards)

    async def receive(self, seconds: float = 10) -> Message:
        data, _ = await asyncio.wait_for(self.socket.came.get(), seconds)
        return Message(data.decode())

    async def final(self) -> Message:
        while (message := await self.receive()).status < 200:
            pass
        return message

    def quiet(self) -> bool:
        return self.socket.came.empty()

    def sdp(self, ip: str | None = None) -> str:
        return SDP.format(ip=ip or self.ip, port=self.rtp_port)

    def request(
        self, method: str, *, body: str = "", more: str = "", branch: str | None = None, cseq: int | None = None
    ) -> str:
        number = self.cseq if cseq is None else cseq
        to = f"<sip:{self.to}@127.0.0.1>" if self.answer is None else self.answer.header("to")
        kind = "Content-Type: application/sdp\r\n" if body and "Content-Type" not in more else ""
        return (
            f"{method} sip:{self.to}@127.0.0.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{branch or f'{self.name}{method}{number}'};rport\r\n"
            f"From: <sip:{self.who}@127.0.0.1>;tag={self.name}\r\nTo: {to}\r\nCall-ID: {self.name}@test\r\n"
            f"CSeq: {number} {method}\r\nContact: <sip:me@127.0.0.1:{self.port}>\r\nMax-Forwards: 70\r\n{more}{kind}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )

    async def call(self, **how: str) -> Message:
        """INVITE, until the final answer; a good one is acknowledged."""
        invite = self.request("INVITE", body=self.sdp(), **how)
        self.send(invite)
        answer = await self.final()
        if answer.status < 300:
            self.answer = answer
            self.send(self.request("ACK"))
        return answer

    async def bye(self) -> Message:
        self.cseq += 1
        self.send(self.request("BYE"))
        return await self.final()

    # sound

    @property
    def their_rtp(self) -> tuple[str, int]:
        assert self.answer is not None
        line = next(each for each in self.answer.body.split("\r\n") if each.startswith("m=audio"))
        return "127.0.0.1", int(line.split()[1])

    def packet(self, payload: bytes, *, kind: int = 0, source: int = 7, number: int | None = None) -> bytes:
        if number is None:
            self.number = (self.number + 1) & 0xFFFF
            self.stamp += 160
        return struct.pack("!BBHII", 0x80, kind, number or self.number, self.stamp, source) + payload

    async def say(self, mulaw: bytes, *, pace: float = 0.02) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for at in range(0, len(mulaw), 160):
            self.rtp.sendto(self.packet(mulaw[at : at + 160].ljust(160, b"\xff")), self.their_rtp)
            due += pace
            await asyncio.sleep(max(0.0, due - loop.time()))

    def listen(self) -> None:
        """What has come until now."""
        while not self.rtp_socket.came.empty():
            data, _ = self.rtp_socket.came.get_nowait()
            self.packets.append(data)
            if data[1] & 0x7F == 0:
                self.heard += data[12:]


@asynccontextmanager
async def calling(port: int, *, ip: str = "127.0.0.1", own: int = 0) -> AsyncIterator[Caller]:
    loop = asyncio.get_running_loop()
    wire, socket = await loop.create_datagram_endpoint(_Socket, local_addr=(ip, own))
    rtp, rtp_socket = await loop.create_datagram_endpoint(_Socket, local_addr=(ip, 0))
    try:
        yield Caller(("127.0.0.1", port), wire, socket, ip, rtp, rtp_socket)
    finally:
        wire.close()
        rtp.close()
        await asyncio.sleep(0)


def proof_of(challenge: Message, line: str, username: str, password: str) -> str:
    """The header that a challenge (401 or 407) to a request with this first line asks for."""
    method, uri, _ = line.split()
    answer = read(challenge.text.encode())
    assert isinstance(answer, SipResponse)
    found = proof(answer, method, uri, username=username, password=password)
    assert found is not None
    return f"{found[0]}: {found[1]}\r\n"


async def calls_with_password(caller: Caller, username: str, password: str) -> Message:
    """A call by who is challenged first; what it was answered in the end."""
    challenge = await caller.call()
    assert challenge.status == 401, challenge.line
    caller.cseq += 1
    line = f"INVITE sip:{caller.to}@127.0.0.1 SIP/2.0"
    return await caller.call(more=proof_of(challenge, line, username, password))
