"""Calls of ours, as sipp takes them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from channels.audio import CarrierError, Order, Transfer
from omni.model.channel import PhoneChannel
from tests.ports import free_port
from tests.sip.board import until
from tests.sip.caller import SDP, Message
from tests.sip.conftest import NUMBER, OpenSip, Sip, trunk
from tests.sip.line import bad_line

LINE = PhoneChannel(number=NUMBER, trunk="pbx")
THEM = "+4930123456"


def order(**changes: Any) -> Order:
    return Order(**{"channel": LINE, "from_": NUMBER, "to": THEM, "token": "token", **changes})


async def answering(sipp: Any, scenario: str, port: int, *more: str, **options: Any) -> asyncio.Task[Any]:
    """sipp, listening."""
    running = asyncio.create_task(sipp(scenario, None, *more, port=port, **options))
    await until(lambda: is_bound(port), "sipp listens")
    return running


def is_bound(port: int) -> bool:
    """It says nowhere else that it listens."""
    tables = [Path(f"/proc/net/{kind}").read_text() for kind in ("udp", "tcp")]
    return any(f"0100007F:{port:04X} " in table for table in tables)


async def talking(sip: Sip, call: str) -> None:
    await until(lambda: call in sip.board.ears, "they have answered")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_rings_is_answered_and_ended_by_us(open_sip: OpenSip, sipp: Any, transport: Any) -> None:
    port = free_port()
    sip = await open_sip(trunk(host=f"127.0.0.1:{port}", transport=transport))
    running = await answering(sipp, "outbound", port, "-t", "u1" if transport == "udp" else "t1")
    call = await sip.carrier.dial(order())
    await talking(sip, call)
    await sip.carrier.hang_up(LINE, call)
    ran = await running
    assert ran, ran.out
    assert sip.board.statuses(call) == ["ringing", "answered"]
    await sip.at_rest()


async def test_a_call_that_they_end_is_over(open_sip: OpenSip, sipp: Any) -> None:
    port = free_port()
    sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
    running = await answering(sipp, "outbound_they_end", port)
    call = await sip.carrier.dial(order())
    ran = await running
    assert ran, ran.out
    await sip.at_rest()
    assert sip.board.ears[call].ends == ["hangup"]


async def test_sound_before_the_answer_rings(open_sip: OpenSip, sipp: Any) -> None:
    port = free_port()
    sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
    running = await answering(sipp, "outbound_early", port)
    call = await sip.carrier.dial(order())
    await talking(sip, call)
    await sip.carrier.hang_up(LINE, call)
    ran = await running
    assert ran, ran.out
    assert sip.board.statuses(call) == ["ringing", "answered"]


@pytest.mark.parametrize(
    ("code", "status"), [(486, "busy"), (404, "failed"), (603, "failed"), (480, "no_answer"), (503, "failed")]
)
async def test_a_refusal_is_acknowledged_and_told(open_sip: OpenSip, sipp: Any, code: int, status: str) -> None:
    port = free_port()
    sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
    running = await answering(sipp, f"outbound_{code}", port)
    call = await sip.carrier.dial(order())
    ran = await running
    assert ran, ran.out
    await until(lambda: sip.board.statuses(call) == [status])
    assert sip.board.told[0].code == str(code)
    await sip.at_rest()


@pytest.mark.parametrize("scenario", ["outbound_cancel", "outbound_cancel_crossing"])
async def test_a_call_that_is_taken_back_ends_also_when_they_answer_just_then(
    open_sip: OpenSip, sipp: Any, scenario: str
) -> None:
    port = free_port()
    sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
    running = await answering(sipp, scenario, port)
    call = await sip.carrier.dial(order())
    await until(lambda: sip.board.statuses(call) == ["ringing"])
    await sip.carrier.hang_up(LINE, call)
    ran = await running
    assert ran, ran.out
    await until(lambda: sip.board.statuses(call) == ["ringing", "canceled"])
    await sip.at_rest()
    assert sip.board.ears == {}


async def test_a_call_that_nobody_takes_is_no_answer(open_sip: OpenSip, sipp: Any) -> None:
    port = free_port()
    sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
    running = await answering(sipp, "outbound_cancel", port)
    call = await sip.carrier.dial(order(ring=1.0))
    ran = await running
    assert ran, ran.out
    await until(lambda: sip.board.statuses(call) == ["ringing", "no_answer"])
    await sip.at_rest()


async def test_a_trunk_that_asks_who_we_are_is_told_also_in_the_call(open_sip: OpenSip, sipp: Any) -> None:
    port = free_port()
    sip = await open_sip(trunk(host=f"127.0.0.1:{port}", username="line", password="secret"))
    running = await answering(sipp, "outbound_407", port)
    call = await sip.carrier.dial(order())
    await talking(sip, call)
    await sip.carrier.hang_up(LINE, call)
    ran = await running
    assert ran, ran.out
    await sip.at_rest()


async def test_what_follows_an_answer_goes_the_way_that_it_says(open_sip: OpenSip, sipp: Any) -> None:
    port = free_port()
    sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
    running = await answering(sipp, "outbound_routed", port)
    call = await sip.carrier.dial(order())
    await talking(sip, call)
    await sip.carrier.hang_up(LINE, call)
    ran = await running
    assert ran, ran.out
    await sip.at_rest()


async def test_a_caller_who_is_given_away_leaves_when_they_are_reached(open_sip: OpenSip, sipp: Any) -> None:
    port = free_port()
    sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
    running = await answering(sipp, "outbound_refer", port)
    call = await sip.carrier.dial(order())
    await talking(sip, call)
    await sip.carrier.transfer(LINE, call, Transfer("+49309990", NUMBER))
    ran = await running
    assert ran, ran.out
    assert sip.board.statuses(call)[-1] == "forwarded"
    await sip.at_rest()


async def test_a_transfer_that_reaches_nobody_leaves_the_call_as_it_was(open_sip: OpenSip, sipp: Any) -> None:
    port = free_port()
    sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
    running = await answering(sipp, "outbound_refer_fails", port)
    call = await sip.carrier.dial(order())
    await talking(sip, call)
    await sip.carrier.transfer(LINE, call, Transfer("+49309990", NUMBER))
    await until(lambda: sip.board.statuses(call)[-1] == "not_forwarded")
    assert sip.board.ears[call].ends == []
    await sip.carrier.hang_up(LINE, call)
    ran = await running
    assert ran, ran.out
    await sip.at_rest()


async def test_a_transfer_that_is_refused_is_an_error_and_the_call_goes_on(open_sip: OpenSip, sipp: Any) -> None:
    port = free_port()
    sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
    running = await answering(sipp, "outbound_refer_refused", port)
    call = await sip.carrier.dial(order())
    await talking(sip, call)
    with pytest.raises(CarrierError, match="could not be transferred"):
        await sip.carrier.transfer(LINE, call, Transfer("+49309990", NUMBER))
    assert sip.board.ears[call].ends == []
    await sip.carrier.hang_up(LINE, call)
    ran = await running
    assert ran, ran.out
    await sip.at_rest()


async def test_a_call_to_nobody_at_all_fails(open_sip: OpenSip) -> None:
    sip = await open_sip(trunk(host=f"127.0.0.1:{free_port()}", transport="tcp"))
    call = await sip.carrier.dial(order())
    await until(lambda: sip.board.statuses(call) == ["failed"])
    await sip.at_rest()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"to": "12"}, "write a number"),
        ({"to": "sip:a@b.example>\r\nEvil: 1"}, "write a number"),
        ({"channel": PhoneChannel(number="+12025550177")}, "no SIP trunk"),
        ({"org": "another"}, "no SIP trunk"),
    ],
)
async def test_what_cannot_be_called_is_refused_in_a_sentence(
    open_sip: OpenSip, changes: dict[str, Any], says: str
) -> None:
    sip = await open_sip()
    with pytest.raises(CarrierError, match=says):
        await sip.carrier.dial(order(**changes))
    assert sip.calls == {}


async def test_a_full_trunk_places_no_more_calls(open_sip: OpenSip) -> None:
    sip = await open_sip(trunk(max_calls=0))
    with pytest.raises(CarrierError, match="which is all it takes"):
        await sip.carrier.dial(order())


class Answering(asyncio.DatagramProtocol):
    """Phones that answer at once and say so until they are acknowledged; each is reached by the line alone. (sipp gives
    a call up when a request comes again after its own two answers were lost, and so cannot be asked.)"""

    def __init__(self, line: int) -> None:
        self.line = line
        self.invited: dict[str, str] = {}
        self.acked: set[str] = set()
        self.ended: set[str] = set()
        self.wire: Any = None

    def connection_made(self, transport: Any) -> None:
        self.wire = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = Message(data.decode())
        call, method = message.header("Call-ID"), message.line.partition(" ")[0]
        if method == "INVITE":
            if call not in self.invited:
                self.invited[call] = message.header("Via")
                self.again(message, addr)
            assert self.invited[call] == message.header("Via"), "the same call twice"
        elif method == "ACK":
            self.acked.add(call)
        elif method == "BYE":
            self.ended.add(call)
            self.wire.sendto(self.ok(message).encode(), addr)

    def again(self, invite: Message, addr: tuple[str, int]) -> None:
        call = invite.header("Call-ID")
        if call not in self.acked | self.ended and not self.wire.is_closing():
            self.wire.sendto(self.ok(invite, body=SDP.format(ip="127.0.0.1", port=9)).encode(), addr)
            asyncio.get_running_loop().call_later(0.5, self.again, invite, addr)

    def ok(self, message: Message, body: str = "") -> str:
        kept = [f"{name}: {message.header(name)}" for name in ("Via", "From", "Call-ID", "CSeq")]
        to = message.header("To")
        kept.append(f"To: {to if ';tag=' in to else to + ';tag=' + message.header('Call-ID')[:8]}")
        kept.append(f"Contact: <sip:them@127.0.0.1:{self.line}>")
        kind = "Content-Type: application/sdp\r\n" if body else ""
        head = "\r\n".join(["SIP/2.0 200 OK", *kept])
        return f"{head}\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_sixty_calls_of_ours_over_a_bad_line_all_come_and_go_once(open_sip: OpenSip) -> None:
    """A quarter of everything is lost, both ways."""
    port, theirs = free_port(), free_port()
    loop = asyncio.get_running_loop()
    transport, phones = await loop.create_datagram_endpoint(lambda: Answering(port), local_addr=("127.0.0.1", theirs))
    async with bad_line(port, theirs) as line:
        sip = await open_sip(trunk(host=f"127.0.0.1:{port}", max_calls=100))
        calls = {await sip.carrier.dial(order(ring=60)) for _ in range(60)}
        ended: set[str] = set()

        def all_done() -> bool:
            for call in set(sip.board.ears) - ended:
                ended.add(call)
                sip.board.ears[call].leg.hang_up()
            return not sip.calls and not sip.service.agent._tasks

        await until(all_done, "every call is over", seconds=100)
        assert ended == calls
        assert len(phones.invited) == 60
        assert phones.ended == set(phones.invited)
        assert 0.15 < line.lost / line.sent < 0.35
    transport.close()
