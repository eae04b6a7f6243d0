"""RFC 4475's torture messages, and worse: refused with the right code, or not answered; and then a good call works."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from channels.sip.messages import read
from tests.sip.board import until
from tests.sip.caller import Caller, calling
from tests.sip.conftest import OpenSip, trunk


def crlf(text: str) -> bytes:
    return text.strip("\n").replace("\n", "\r\n").encode() + b"\r\n\r\n"


def invite(line: str = "INVITE sip:user@example.com SIP/2.0", **changes: str | None) -> bytes:
    """RFC 4475's plain INVITE with changed headers; None leaves one out."""
    headers: dict[str, str | None] = {
        "To": "sip:j.user@example.com",
        "From": "sip:caller@example.net;tag=8814",
        "Max-Forwards": "70",
        "Call-ID": secrets.token_hex(8),
        "CSeq": "8 INVITE",
        "Via": f"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{secrets.token_hex(8)}",
        "Contact": "<sip:caller@host5.example.net>",
        "Content-Length": "0",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    return crlf("\n".join([line, *(f"{name}: {value}" for name, value in headers.items() if value is not None)]))


# by the sections of RFC 4475: what it is, the message, and the status that it gets
BROKEN = {
    "3.1.2.1 badinv01 extraneous separators": (invite(From="sip:caller@example.net;tag=88;14 <"), 400),
    "3.1.2.2 clerr content length larger than message": (invite(Content_Length="9999"), 400),
    "3.1.2.3 ncl negative content length": (invite(Content_Length="-999"), 400),
    "3.1.2.4 scalar02 overlarge values": (invite(CSeq="36893488147419103232 INVITE"), 400),
    "3.1.2.4 scalar02 overlarge max-forwards": (invite(Max_Forwards="300"), 400),
    "3.1.2.6 quotbal unterminated quote": (invite(To='"Mr. J. User <sip:j.user@example.com>'), 400),
    "3.1.2.7 ltgtruri angle brackets": (invite("INVITE <sip:user@example.com> SIP/2.0"), 400),
    "3.1.2.8 lwsruri embedded spaces": (invite("INVITE sip:user@example.com; lr SIP/2.0"), 400),
    "3.1.2.9 lwsstart extra spaces": (invite("INVITE  sip:user@example.com  SIP/2.0"), 400),
    "3.1.2.10 trws trailing spaces": (invite("INVITE sip:user@example.com SIP/2.0  "), 400),
    "3.1.2.16 badvers unknown version": (invite("INVITE sip:user@example.com SIP/7.0"), 505),
    "3.1.2.17 mismatch01 method mismatch": (invite(CSeq="8 BYE"), 400),
    "3.3.1 insuf missing fields": (invite(CSeq=None), None),
    "3.3.2 unkscm unknown scheme": (
        invite("OPTIONS nobodyKnowsThisScheme:totallyopaque SIP/2.0", CSeq="8 OPTIONS"),
        416,
    ),
    "3.3.9 mcl01 several content lengths": (
        invite().replace(b"Content-Length: 0", b"Content-Length: 13\r\nContent-Length: 5"),
        400,
    ),
    "3.3.8 multi01 several From": (
        invite().replace(b"Max-Forwards", b"From: <sip:other@example.net>;tag=3\r\nMax-Forwards"),
        400,
    ),
    "3.3.5 bext01 unknown extension": (invite(Require="nothingSupportsThis, nothingSupportsThisEither"), 420),
    "3.3.6 invut unknown content type": (
        invite(Content_Type="application/unknownformat", Content_Length="3") + b"abc",
        415,
    ),
    "3.1.2.18 mismatch02 unknown method": (invite("NEWMETHOD sip:user@example.com SIP/2.0", CSeq="8 NEWMETHOD"), 501),
    "REGISTER is not for us": (invite("REGISTER sip:example.com SIP/2.0", CSeq="8 REGISTER"), 405),
    "a BYE of no call": (
        invite("BYE sip:user@example.com SIP/2.0", CSeq="8 BYE", To="sip:j.user@example.com;tag=1"),
        481,
    ),
    "a CANCEL of nothing": (invite("CANCEL sip:user@example.com SIP/2.0", CSeq="8 CANCEL"), 481),
    "a description that makes no sense": (
        invite("INVITE sip:+12025550142@example.com SIP/2.0", Content_Type="application/sdp", Content_Length="18")
        + b"v=0\r\nm=audio x y z",
        400,
    ),
    "a session that is too short": (
        invite(
            "INVITE sip:+12025550142@example.com SIP/2.0",
            Supported="timer",
            Session_Expires="10",
        ),
        422,
    ),
}
SILENT = {
    "3.1.2.19 bigcode a status of four digits": crlf("SIP/2.0 4294967301 better not break the receiver\nVia: x"),
    "3.1.1.? a response to nothing": crlf(
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\nCall-ID: x\nCSeq: 1 INVITE\n"
        "From: <sip:a@b>;tag=1\nTo: <sip:a@b>;tag=2"
    ),
    "bytes": bytes(range(256)) * 4,
    "zeros": b"\0" * 1000,
    "an ACK of nothing": invite("ACK sip:user@example.com SIP/2.0", CSeq="8 ACK"),
    "lines without an end": b"INVITE sip:user@example.com SIP/2.0\r\n" + b"X" * 60_000,
    "a thousand headers": invite().replace(b"Max-Forwards", b"X: y\r\n" * 1000 + b"Max-Forwards"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_broken_is_refused(open_sip: OpenSip, name: str) -> None:
    message, status = BROKEN[name]
    sip = await open_sip()
    async with calling(sip.port()) as caller:
        caller.send(message.replace(b"192.0.2.1;", f"127.0.0.1:{caller.port};rport;".encode()))
        if status is not None:
            assert (await caller.final()).status == status
        await works(caller)
        assert len(sip.board.offers) == 1
    await sip.at_rest()


async def test_what_makes_no_sense_is_not_answered(open_sip: OpenSip) -> None:
    sip = await open_sip()
    async with calling(sip.port()) as caller:
        for message in SILENT.values():
            caller.send(message)
        await works(caller)
    await sip.at_rest()


async def works(caller: Caller) -> None:
    """A good call still does."""
    assert (await caller.call()).status == 200
    assert (await caller.bye()).status == 200
    assert caller.quiet()


def test_a_short_tortuous_invite_is_a_good_one() -> None:
    """RFC 4475 section 3.1.1.1, shortened."""
    message = read(
        crlf(
            """
INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
Content-Length   : 0
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
m:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33
"""
        )
    )
    assert message.get_header("call-id") == "wsinv.ndaksdj@192.0.2.1"


@pytest.mark.parametrize(
    "to", ['"A <b> c" <sip:user@example.com>', "sip:user@example.com", "<sip:%75se%72@example.com>"]
)
def test_unusual_addresses_are_read(to: str) -> None:
    assert read(invite(To=to)).get_header("to") == to


async def test_who_is_not_of_a_trunk_gets_no_answer(open_sip: OpenSip) -> None:
    sip = await open_sip(trunk(allow=["192.0.2.0/24"]))
    async with calling(sip.port()) as caller:
        for method in ("OPTIONS", "INVITE", "REGISTER", "BYE", "CANCEL", "NONSENSE"):
            caller.send(caller.request(method))
        caller.send(b"INVITE nonsense\r\n\r\n")
        with pytest.raises(TimeoutError):
            await caller.receive(0.5)
    assert sip.board.offers == []
    assert len(sip.service.agent.transactions) == 0


async def test_a_flood_of_invites_is_braked_and_grows_nothing(open_sip: OpenSip) -> None:
    sip = await open_sip(trunk(invites_per_minute=20, max_calls=5))
    async with calling(sip.port()) as caller:
        for number in range(400):
            caller.name = f"flood{number}"
            caller.send(caller.request("INVITE", body=caller.sdp()))
            if number % 50 == 0:
                await asyncio.sleep(0)
        await until(lambda: sip.service.policy._invites["default", "pbx"][1].take("127.0.0.1") > 0)
        caller.name = "after"
        caller.send(caller.request("OPTIONS"))
        while "OPTIONS" not in (await caller.final()).header("CSeq"):
            pass
        assert len(sip.calls) <= 5
        assert len(sip.service.agent.transactions) <= 25
        assert len(sip.board.offers) <= 5


async def test_a_strangers_flood_is_not_even_read(open_sip: OpenSip) -> None:
    sip = await open_sip(trunk(allow=[], inbound_username="door", inbound_password="x" * 10))
    async with calling(sip.port()) as caller:
        for number in range(600):
            caller.name = f"flood{number}"
            caller.send(caller.request("INVITE"))
            if number % 50 == 49:
                await asyncio.sleep(0.01)
        await until(lambda: sip.service.policy._strangers.take("127.0.0.1") > 0)
        assert len(sip.service.agent.transactions) == 0
        assert sip.calls == {}


async def test_an_invite_that_comes_again_is_one_call(open_sip: OpenSip) -> None:
    sip = await open_sip()
    async with calling(sip.port()) as caller:
        message = caller.request("INVITE", body=caller.sdp())
        for _ in range(5):
            caller.send(message)
        caller.answer = await caller.final()
        caller.send(caller.request("INVITE", body=caller.sdp(), branch="another").replace(
            caller.answer.header("to"), caller.answer.header("to").partition(";tag")[0]
        ))  # fmt: skip
        while (last := await caller.final()).status == 200:
            pass
        assert last.status == 482  # the same call by another way
        caller.send(caller.request("ACK"))
        await caller.bye()
    await sip.at_rest()
    assert len(sip.board.offers) == 1


async def test_an_answer_is_said_again_until_it_is_acknowledged(open_sip: OpenSip) -> None:
    sip = await open_sip(scale=0.05)
    async with calling(sip.port()) as caller:
        caller.send(caller.request("INVITE", body=caller.sdp()))
        first = await caller.final()
        again = await caller.final()
        assert again.text == first.text
        caller.answer = first
        caller.send(caller.request("ACK"))
        await caller.bye()
    await sip.at_rest()


async def test_an_answer_that_nobody_acknowledges_ends_the_call(open_sip: OpenSip) -> None:
    sip = await open_sip(scale=0.02)
    async with calling(sip.port()) as caller:
        caller.send(caller.request("INVITE", body=caller.sdp()))
        while not (message := await caller.receive()).line.startswith("BYE"):
            pass
        assert message.line.startswith("BYE")
        await until(lambda: sip.board.only.ends == ["lost"])
    await sip.at_rest()


async def test_a_refusal_is_said_again_until_it_is_acknowledged(open_sip: OpenSip) -> None:
    sip = await open_sip(trunk(max_calls=0), scale=0.05)
    async with calling(sip.port()) as caller:
        caller.send(caller.request("INVITE", body=caller.sdp()))
        assert [(await caller.final()).status for _ in range(3)] == [486] * 3


@pytest.mark.parametrize("ending", [b"\r\n\r\n", b"\r\n"])
async def test_a_stream_that_makes_no_sense_is_closed(open_sip: OpenSip, ending: bytes) -> None:
    sip = await open_sip()
    reader, writer = await asyncio.open_connection("127.0.0.1", sip.port("tcp"))
    writer.write(b"\r\n\r\n")
    assert await asyncio.wait_for(reader.readexactly(2), 5) == b"\r\n"
    writer.write(b"INVITE sip:x SIP/2.0\r\n" + b"X: " + b"y" * 20_000 + ending)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
