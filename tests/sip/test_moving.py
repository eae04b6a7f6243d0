"""The other side asks us to speak with somebody else (REFER): the call moves, or stays, and nobody is left hanging."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.sip.board import until
from tests.sip.caller import Caller, Message, calling
from tests.sip.conftest import OpenSip, Sip, trunk

SDP_TYPE = "Content-Type: application/sdp\r\n"


@asynccontextmanager
async def transferred(open_sip: OpenSip, **settings: object) -> AsyncIterator[tuple[Sip, Caller, Caller]]:
    """A call that is talked in, and somebody at the trunk's address to whom it may be given."""
    async with calling(1) as third:
        sip = await open_sip(trunk(**{"host": f"127.0.0.1:{third.port}", "refer": True, **settings}), scale=0.2)
        third.towards = ("127.0.0.1", sip.port())
        async with calling(sip.port()) as asker:
            assert (await asker.call()).status == 200
            await until(lambda: bool(sip.board.ears))
            yield sip, asker, third


def refer(asker: Caller, to: str = "<sip:+12025550199@127.0.0.1>") -> None:
    asker.cseq += 1
    asker.send(asker.request("REFER", more=f"Refer-To: {to}\r\nReferred-By: <sip:boss@example.com>\r\n"))


def reply(who: Caller, message: Message, status: str, *, body: str = "", tag: str = "third") -> None:
    kept = [f"{name}: {message.header(name)}" for name in ("Via", "From", "Call-ID", "CSeq")]
    to = message.header("to")
    to = to if "tag=" in to else f"{to};tag={tag}"
    kind = SDP_TYPE if body else ""
    contact = f"Contact: <sip:third@127.0.0.1:{who.port}>\r\n"
    who.send(
        f"SIP/2.0 {status}\r\n" + "\r\n".join([*kept, f"To: {to}"]) + f"\r\n{contact}{kind}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )


async def next_of(who: Caller, method: str) -> Message:
    """The next request of this kind; answers to our own are passed over, and NOTIFYs are answered."""
    while not (message := await who.receive()).line.startswith(method):
        if message.line.startswith("NOTIFY"):
            reply(who, message, "200 OK", tag=who.name)
    return message


async def told(asker: Caller) -> str:
    """What the next NOTIFY says."""
    notify = await next_of(asker, "NOTIFY")
    reply(asker, notify, "200 OK", tag=asker.name)
    assert notify.header("event") == "refer"
    return f"{notify.body.strip()} {notify.header('subscription-state').partition(';')[0]}"


async def leaves(asker: Caller) -> None:
    asker.cseq += 1
    asker.send(asker.request("BYE"))
    while (answer := await asker.receive()).status != 200 or "BYE" not in answer.header("cseq"):
        pass


async def answers(third: Caller) -> Message:
    """Whoever we were to call takes the call; returns our INVITE."""
    invite = await next_of(third, "INVITE")
    reply(third, invite, "180 Ringing")
    reply(third, invite, "200 OK", body=third.sdp())
    ack = await next_of(third, "ACK")
    assert ack.header("call-id") == invite.header("call-id")
    return invite


async def test_the_call_goes_on_with_whoever_was_named(open_sip: OpenSip) -> None:
    async with transferred(open_sip) as (sip, asker, third):
        refer(asker)
        assert (await asker.receive()).status == 202
        assert await told(asker) == "SIP/2.0 100 Trying active"
        invite = await answers(third)
        assert invite.line.startswith("INVITE sip:+12025550199@127.0.0.1")
        assert invite.header("referred-by") == "<sip:boss@example.com>"
        assert await told(asker) == "SIP/2.0 200 OK terminated"
        assert (await asker.bye()).status == 200
        ear = sip.board.only
        assert ear.ends == []
        third.answer = None
        before = len(ear.heard_frames)
        third.answer = Message(f"SIP/2.0 200 OK\r\n\r\n{invite.body}")  # where our sound is
        await third.say(b"\x05" * 1600)
        await until(lambda: len(ear.heard_frames) > before + 5, "the third is heard")
        ear.leg.play(b"\x11\x22" * 1600)
        await until(lambda: (third.listen(), b"\xff" * 160 not in bytes(third.heard[-160:]) and bool(third.heard))[1])
        ear.leg.hang_up()
        bye = await next_of(third, "BYE")
        assert bye.header("call-id") == invite.header("call-id")
        reply(third, bye, "200 OK")
        await sip.at_rest()


async def test_whoever_does_not_hang_up_after_it_is_hung_up_on(open_sip: OpenSip) -> None:
    async with transferred(open_sip) as (sip, asker, third):
        refer(asker)
        await answers(third)
        bye = await next_of(asker, "BYE")
        reply(asker, bye, "200 OK", tag=asker.name)
        assert len(sip.calls) == 1
        assert sip.board.only.ends == []


async def test_when_the_new_one_hangs_up_the_call_is_over(open_sip: OpenSip) -> None:
    async with transferred(open_sip) as (sip, asker, third):
        refer(asker)
        invite = await answers(third)
        await leaves(asker)
        us = invite.header("from")
        third.send(
            f"BYE {invite.header('contact').strip('<>')} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{third.port};branch=z9hG4bKbye;rport\r\n"
            f"From: {invite.header('to')};tag=third\r\nTo: {us}\r\nCall-ID: {invite.header('call-id')}\r\n"
            "CSeq: 1 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        await until(lambda: sip.board.only.ends == ["hangup"])
        await sip.at_rest()


@pytest.mark.parametrize("status", ["486 Busy Here", "404 Not Found", "603 Decline"])
async def test_when_nobody_is_reached_the_call_stays_where_it_is(open_sip: OpenSip, status: str) -> None:
    async with transferred(open_sip) as (sip, asker, third):
        refer(asker)
        assert (await asker.receive()).status == 202
        assert await told(asker) == "SIP/2.0 100 Trying active"
        reply(third, await next_of(third, "INVITE"), status)
        assert await told(asker) == f"SIP/2.0 {status} terminated"
        ear, before = sip.board.only, len(sip.board.only.heard_frames)
        await asker.say(b"\x05" * 1600)
        await until(lambda: len(ear.heard_frames) > before + 5)
        assert (await asker.bye()).status == 200
        assert ear.ends == ["hangup"]
        await sip.at_rest()


async def test_who_leaves_at_once_and_nobody_is_reached_has_ended_the_call(open_sip: OpenSip) -> None:
    async with transferred(open_sip) as (sip, asker, third):
        refer(asker)
        invite = await next_of(third, "INVITE")
        await leaves(asker)
        assert sip.board.only.ends == []
        reply(third, invite, "486 Busy Here")
        await until(lambda: sip.board.only.ends == ["hangup"])
        await sip.at_rest()


async def test_who_leaves_at_once_is_not_missed_when_somebody_answers(open_sip: OpenSip) -> None:
    async with transferred(open_sip) as (sip, asker, third):
        refer(asker)
        invite = await next_of(third, "INVITE")
        await leaves(asker)
        reply(third, invite, "200 OK", body=third.sdp())
        await next_of(third, "ACK")
        await until(lambda: next(iter(sip.calls.values())).dialog.call_id == invite.header("call-id"))
        assert sip.board.only.ends == []


async def test_we_may_hang_up_while_it_rings_there(open_sip: OpenSip) -> None:
    async with transferred(open_sip) as (sip, asker, third):
        refer(asker)
        invite = await next_of(third, "INVITE")
        reply(third, invite, "180 Ringing")
        sip.board.only.leg.hang_up()
        cancel = await next_of(third, "CANCEL")
        reply(third, cancel, "200 OK")
        reply(third, invite, "487 Request Terminated")
        bye = await next_of(asker, "BYE")
        reply(asker, bye, "200 OK", tag=asker.name)
        await sip.at_rest()


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("<tel:+12025550199>", 416),
        ("<sip:a@127.0.0.1?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3>", 603),
        ("<sip:a@127.0.0.1;method=SUBSCRIBE>", 603),
        ("<sip:>", 400),
        ("rubbish", 416),
    ],
)
async def test_what_cannot_be_followed_is_refused(open_sip: OpenSip, to: str, status: int) -> None:
    async with transferred(open_sip) as (sip, asker, _):
        refer(asker, to)
        answer = await asker.receive()
        assert answer.status == status, answer.text
        assert answer.header("warning")
        assert len(sip.calls) == 1


async def test_without_the_trunks_leave_nobody_is_called(open_sip: OpenSip) -> None:
    async with transferred(open_sip, refer=False) as (_, asker, third):
        refer(asker)
        assert (await asker.receive()).status == 603
        assert third.quiet()


async def test_one_at_a_time(open_sip: OpenSip) -> None:
    async with transferred(open_sip) as (_, asker, third):
        refer(asker)
        await next_of(third, "INVITE")
        refer(asker)
        while (answer := await asker.receive()).status != 491:
            assert answer.status in (0, 202), answer.text
