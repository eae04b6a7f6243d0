"""Trunks as they are: they want to know who we are, move, restart, have several servers, and forget calls."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rrset
import pytest
from pydantic import ValidationError

from channels.audio import Order
from channels.sip.digest import Challenger, proof
from channels.sip.flow import Hop
from channels.sip.messages import read, request, response
from channels.sip.registration import Registration
from channels.sip.resolving import NoAddressError, Resolver, Srv, ordered
from omni.app.sip import warn_of_unknown
from omni.model.agent import Agent
from omni.model.channel import PhoneChannel, SipChannel
from omni.model.sip import SipTrunk, listens
from omni.settings import Settings
from tests.ports import free_port
from tests.sip.board import until
from tests.sip.caller import Caller, Message, calling
from tests.sip.conftest import NUMBER, OpenSip, Sip, trunk
from tests.sip.test_phone import certificate

__all__ = ["certificate"]
LINE = PhoneChannel(number=NUMBER, trunk="pbx")
THEM = "+4930123456"


def said(message: Message, line: str, *, more: str = "", body: str = "", tag: str = "them") -> str:
    """An answer to a request of ours."""
    kept = [
        f"{name}: {message.header(name)}"
        for name in ("Via", "From", "Call-ID", "CSeq", "Record-Route")
        if message.header(name)
    ]
    to = message.header("To")
    kept.append(f"To: {to}" if ";tag=" in to or line.startswith("SIP/2.0 100") else f"To: {to};tag={tag}")
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return f"{line}\r\n" + "\r\n".join(kept) + f"\r\n{more}{kind}Content-Length: {len(body)}\r\n\r\n{body}"


def them(port: int) -> AbstractAsyncContextManager[Caller]:
    """The other side of a trunk, by hand, on this port."""
    return calling(1, own=port)


async def asked(one: Caller, method: str) -> Message:
    while True:
        data, sender = await asyncio.wait_for(one.socket.came.get(), 10)
        one.towards = sender
        message = Message(data.decode())
        if message.line.startswith(method):
            return message


async def answered(one: Caller, *, more: str = "", port: int) -> Message:
    """An INVITE of ours is taken."""
    invite = await asked(one, "INVITE")
    contact = f"Contact: <sip:them@127.0.0.1:{port}>\r\n"
    one.send(said(invite, "SIP/2.0 200 OK", more=contact + more, body=one.sdp()))
    await asked(one, "ACK")
    return invite


def order(**changes: Any) -> Order:
    return Order(**{"channel": LINE, "from_": NUMBER, "to": THEM, "token": "token", **changes})


# signing in


def registering(port: int, **more: Any) -> SipTrunk:
    return trunk(
        host=f"127.0.0.1:{port}",
        register=True,
        username="line",
        password="secret",
        allow=[],
        register_seconds=60,
        **more,
    )


async def registered(one: Caller, expires: int = 60) -> Message:
    """One REGISTER, after its challenge."""
    first = await asked(one, "REGISTER")
    if not first.header("Authorization"):
        challenge = 'WWW-Authenticate: Digest realm="omni.test", nonce="n1", qop="auth", algorithm=SHA-256\r\n'
        one.send(said(first, "SIP/2.0 401 Unauthorized", more=challenge))
        first = await asked(one, "REGISTER")
    assert 'username="line"' in first.header("Authorization")
    contact = first.header("Contact").partition(";expires")[0]
    one.send(said(first, "SIP/2.0 200 OK", more=f"Contact: {contact};expires={expires}\r\n"))
    return first


async def test_we_sign_in_again_before_it_ends_and_out_when_we_stop(
    open_sip: OpenSip, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    waits: list[float] = []
    go = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await go.wait()
        go.clear()

    monkeypatch.setitem(Registration.__init__.__kwdefaults__, "sleep", sleep)  # type: ignore[arg-type]
    async with them(port) as registrar:
        sip = await open_sip(registering(port))
        await registered(registrar, expires=40)
        await until(lambda: waits == [36.0])
        go.set()
        second = await registered(registrar)
        assert int(second.header("CSeq").split()[0]) > 2
        await until(lambda: waits == [36.0, 54.0])
        go.set()
        await asked(registrar, "REGISTER")  # the registrar has restarted, and does not answer at first
        await registered(registrar)
        await until(lambda: len(waits) == 3)
        # calls come from there now, though no network is allowed
        registrar.towards = ("127.0.0.1", sip.port())
        registrar.send(registrar.request("OPTIONS"))
        assert (await registrar.final()).status == 200
        closing = asyncio.create_task(sip.service.close())
        last = await asked(registrar, "REGISTER")
        assert last.header("Expires") == "0"
        assert "expires=0" in last.header("Contact")
        if not last.header("Authorization"):
            registrar.send(said(last, "SIP/2.0 200 OK"))
        await closing


async def test_a_registrar_that_refuses_is_asked_again_later(open_sip: OpenSip) -> None:
    port = free_port()
    async with them(port) as registrar:
        sip = await open_sip(registering(port))
        first = await asked(registrar, "REGISTER")
        registrar.send(said(first, "SIP/2.0 423 Interval Too Brief", more="Min-Expires: 3600\r\n"))
        second = await asked(registrar, "REGISTER")
        assert second.header("Expires") == "3600"
        registrar.send(said(second, "SIP/2.0 403 Forbidden"))
        (registration,) = sip.service.registrations
        await until(lambda: registration._failures == 1)
        assert registration.granted == 0


# who they are


def test_a_proof_counts_once_and_not_for_ever() -> None:
    now = [1000.0]
    challenger = Challenger(clock=lambda: now[0])
    invite = request("INVITE", "sip:+12025550142@omni.test")
    for name in ("From", "To", "Call-ID", "CSeq"):
        invite.headers.set_single(name, "<sip:x@y>;tag=1")
    challenge = challenger.challenge("omni.test")

    def proven(password: str = "secret", challenge: str = challenge) -> bool | None:
        answer = response(invite, 401, headers={"WWW-Authenticate": challenge})
        found = proof(answer, "INVITE", invite.uri, username="door", password=password)
        assert found is not None
        invite.headers.set_single(found[0], found[1])
        return challenger.check(invite, "omni.test", "door", "secret")

    assert proven("guess") is False
    assert proven() is True
    assert challenger.check(invite, "omni.test", "door", "secret") is None, "the same once more"
    now[0] += 301
    assert proven() is None
    assert proven(challenge='Digest realm="omni.test", nonce="made.up.1", qop="auth"') is False
    assert "stale=true" in challenger.challenge("omni.test", stale=True)


def test_the_strongest_of_several_challenges_is_answered() -> None:
    answer = read(
        b"SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nCSeq: 1 INVITE\r\nCall-ID: x\r\n"
        b'WWW-Authenticate: Digest realm="a", nonce="1", algorithm=MD5\r\n'
        b'WWW-Authenticate: Digest realm="a", nonce="2", algorithm=SHA-256, qop="auth"\r\n'
        b'WWW-Authenticate: Digest realm="a", nonce="3", algorithm=SHA-512-256\r\n\r\n'
    )
    found = proof(answer, "INVITE", "sip:a", username="u", password="p")  # type: ignore[arg-type]
    assert found is not None
    assert 'nonce="2"' in found[1]


# where they are


class _Names(asyncio.DatagramProtocol):
    """A name server with two records."""

    def __init__(self, records: dict[str, list[str]]) -> None:
        self.records = records
        self.asked: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        name = str(query.question[0].name).rstrip(".")
        self.asked.append(name)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if name in self.records:
            answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "SRV", *self.records[name]))
        else:
            answer.set_rcode(3)
        self.transport.sendto(answer.to_wire(), addr)  # type: ignore[attr-defined]


@asynccontextmanager
async def names(records: dict[str, list[str]]) -> AsyncIterator[tuple[Resolver, _Names]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: _Names(records), local_addr=("127.0.0.1", 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    try:
        yield Resolver(dns=resolver, draw=lambda: 0.0), server
    finally:
        transport.close()


async def test_a_name_leads_to_its_servers_in_their_order() -> None:
    records = {"_sip._udp.trunk.test": ["20 1 5070 localhost.", "10 1 5080 localhost."]}
    async with names(records) as (resolver, server):
        found = await resolver.hops("trunk.test", None, "udp")
        assert [hop.port for hop in found] == [5080, 5070]
        assert {hop.host for hop in found} == {"127.0.0.1"}
        await resolver.hops("Trunk.test.", None, "udp")
        assert server.asked == ["_sip._udp.trunk.test"], "asked once"
        resolver.failed(found[0])
        assert [hop.port for hop in await resolver.hops("trunk.test", None, "udp")] == [5070, 5080]
        assert [hop.port for hop in await resolver.hops("localhost", 5099, "tcp")] == [5099]
        assert [hop.port for hop in await resolver.hops("localhost", None, "tls")] == [5061]
        with pytest.raises(NoAddressError):
            await resolver.hops("nobody.invalid", None, "udp")
        assert await resolver.hops("192.0.2.1", None, "tcp") == (Hop("tcp", "192.0.2.1", 5060, "192.0.2.1"),)


def test_the_heavier_is_the_likelier() -> None:
    records = [Srv(10, 0, 1, "a"), Srv(10, 90, 2, "b"), Srv(10, 10, 3, "c"), Srv(5, 1, 4, "first")]
    assert [each.port for each in ordered(records, lambda: 0.5)][:2] == [4, 2]
    assert [each.port for each in ordered(records, lambda: 0.0)] == [4, 1, 3, 2]


async def test_when_the_first_server_is_silent_the_second_is_called(open_sip: OpenSip) -> None:
    silent, port = free_port(), free_port()
    records = {"_sip._udp.trunk.test": [f"1 1 {silent} localhost.", f"2 1 {port} localhost."]}
    async with names(records) as (resolver, _), them(silent) as first, them(port) as second:
        sip = await open_sip(trunk(host="trunk.test"), resolver=resolver, scale=0.1)
        call = await sip.carrier.dial(order())
        await answered(second, port=port)
        assert not first.quiet()
        await until(lambda: call in sip.board.ears)
        second.answer = None
        sip.board.only.leg.hang_up()
        second.send(said(await asked(second, "BYE"), "SIP/2.0 200 OK"))
        await sip.at_rest()


# TLS


async def test_a_trunks_certificate_must_be_its_own(open_sip: OpenSip, certificate: Path) -> None:
    """Ours is not known to this machine: it is refused, unless the trunk is believed whatever it shows."""
    one = await open_sip(trunk(), transports=("tls",), cert=str(certificate))
    port = one.port("tls")
    other = await open_sip(
        trunk(host=f"127.0.0.1:{port}", transport="tls"), transports=("udp", "tls"), cert=str(certificate)
    )
    call = await other.carrier.dial(order(to=NUMBER))
    await until(lambda: other.board.statuses(call) == ["failed"])
    assert one.board.offers == []
    third = await open_sip(
        trunk(host=f"127.0.0.1:{port}", transport="tls", verify_tls=False, srtp="required"),
        transports=("udp", "tls"),
        cert=str(certificate),
    )
    call = await third.carrier.dial(order(to=NUMBER))
    await until(lambda: call in third.board.ears)
    assert len(one.board.offers) == 1
    third.board.only.leg.hang_up()
    await until(lambda: one.board.only.ends == ["hangup"])
    await third.at_rest()
    await one.at_rest()


# TCP


async def test_a_connection_that_drops_is_made_anew(open_sip: OpenSip) -> None:
    one = await open_sip()
    other = await open_sip(trunk(host=f"127.0.0.1:{one.port('tcp')}", transport="tcp"))
    call = await other.carrier.dial(order(to=NUMBER))
    await until(lambda: call in other.board.ears and all(each._ok is None for each in one.calls.values()))
    for each in (one, other):
        for connection in list(each.service._sockets.connections._open.values()):  # type: ignore[union-attr]
            connection.abort()
    await asyncio.sleep(0.05)
    other.board.only.leg.hang_up()
    await until(lambda: one.board.only.ends == ["hangup"])
    await other.at_rest()
    await one.at_rest()


# time


async def test_a_call_is_refreshed_at_half_of_its_time(open_sip: OpenSip) -> None:
    port = free_port()
    async with them(port) as one:
        sip = await open_sip(trunk(host=f"127.0.0.1:{port}", session_seconds=90), scale=0.01)
        call = await sip.carrier.dial(order())
        invite = await answered(one, port=port, more="Session-Expires: 90;refresher=uac\r\nAllow: INVITE, UPDATE\r\n")
        assert invite.header("Session-Expires") == "90"
        update = await asked(one, "UPDATE")
        one.send(said(update, "SIP/2.0 200 OK", more="Session-Expires: 90;refresher=uac\r\n"))
        update = await asked(one, "UPDATE")
        one.send(said(update, "SIP/2.0 481 Call Does Not Exist"))
        bye = await asked(one, "BYE")
        one.send(said(bye, "SIP/2.0 481 Call Does Not Exist"))
        await until(lambda: sip.board.ears[call].ends == ["lost"])
        await sip.at_rest()


async def test_who_knows_no_update_is_refreshed_by_a_new_invite(open_sip: OpenSip) -> None:
    port = free_port()
    async with them(port) as one:
        sip = await open_sip(trunk(host=f"127.0.0.1:{port}", session_seconds=90), scale=0.01)
        await sip.carrier.dial(order())
        await answered(one, port=port, more="Session-Expires: 90;refresher=uac\r\nAllow: INVITE, BYE\r\n")
        again = await asked(one, "INVITE")
        assert "m=audio" in again.body
        contact = f"Contact: <sip:them@127.0.0.1:{port}>\r\nSession-Expires: 90;refresher=uac\r\n"
        one.send(said(again, "SIP/2.0 200 OK", more=contact, body=one.sdp()))
        await asked(one, "ACK")
        sip.board.only.leg.hang_up()
        one.send(said(await asked(one, "BYE"), "SIP/2.0 200 OK"))
        await sip.at_rest()


async def test_a_call_that_they_do_not_refresh_ends(open_sip: OpenSip) -> None:
    port = free_port()
    async with them(port) as one:
        sip = await open_sip(trunk(host=f"127.0.0.1:{port}", session_seconds=90), scale=0.01)
        call = await sip.carrier.dial(order())
        await answered(one, port=port, more="Session-Expires: 90;refresher=uas\r\n")
        one.send(said(await asked(one, "BYE"), "SIP/2.0 200 OK"))
        assert sip.board.ears[call].ends == ["lost"]
        await sip.at_rest()


async def test_a_session_that_is_too_short_for_them_is_made_longer(open_sip: OpenSip) -> None:
    port = free_port()
    async with them(port) as one:
        sip = await open_sip(trunk(host=f"127.0.0.1:{port}", session_seconds=90))
        call = await sip.carrier.dial(order())
        first = await asked(one, "INVITE")
        one.send(said(first, "SIP/2.0 422 Session Interval Too Small", more="Min-SE: 300\r\n"))
        second = await answered(one, port=port)
        assert (second.header("Session-Expires"), second.header("Min-SE")) == ("300", "300")
        await until(lambda: call in sip.board.ears)
        await ended(sip, one)


async def ended(sip: Sip, one: Caller) -> None:
    sip.board.only.leg.hang_up()
    one.send(said(await asked(one, "BYE"), "SIP/2.0 200 OK"))
    await sip.at_rest()


# calls that go another way than most


async def test_a_second_phone_that_answers_is_told_that_it_is_over(open_sip: OpenSip) -> None:
    port = free_port()
    async with them(port) as one:
        sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
        await sip.carrier.dial(order())
        invite = await answered(one, port=port)
        contact = f"Contact: <sip:second@127.0.0.1:{port}>\r\n"
        one.send(said(invite, "SIP/2.0 200 OK", more=contact, body=one.sdp(), tag="second"))
        assert ";tag=second" in (await asked(one, "ACK")).header("To")
        bye = await asked(one, "BYE")
        assert ";tag=second" in bye.header("To")
        one.send(said(bye, "SIP/2.0 200 OK"))
        assert sip.board.only.ends == []
        await ended(sip, one)


async def test_a_repeated_answer_is_acknowledged_again(open_sip: OpenSip) -> None:
    port = free_port()
    async with them(port) as one:
        sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
        await sip.carrier.dial(order())
        invite = await asked(one, "INVITE")
        answer = said(invite, "SIP/2.0 200 OK", more=f"Contact: <sip:them@127.0.0.1:{port}>\r\n", body=one.sdp())
        for _ in range(3):
            one.send(answer)
            ack = await asked(one, "ACK")
            assert ack.line.startswith(f"ACK sip:them@127.0.0.1:{port}")
        await ended(sip, one)


async def test_what_has_not_arrived_yet_is_not_cancelled_before_it_has(open_sip: OpenSip) -> None:
    port = free_port()
    async with them(port) as one:
        sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
        call = await sip.carrier.dial(order())
        invite = await asked(one, "INVITE")
        await sip.carrier.hang_up(LINE, call)
        assert one.quiet()
        one.send(said(invite, "SIP/2.0 180 Ringing"))
        cancel = await asked(one, "CANCEL")
        assert cancel.header("Via") == invite.header("Via")
        one.send(said(cancel, "SIP/2.0 200 OK"))
        one.send(said(invite, "SIP/2.0 487 Request Terminated"))
        await asked(one, "ACK")
        await until(lambda: sip.board.statuses(call) == ["canceled"])
        await sip.at_rest()


async def test_nobody_answers_at_all(open_sip: OpenSip) -> None:
    port = free_port()
    async with them(port) as one:
        sip = await open_sip(trunk(host=f"127.0.0.1:{port}"), scale=0.02)
        call = await sip.carrier.dial(order())
        await until(lambda: sip.board.statuses(call) == ["no_answer"])
        assert one.socket.came.qsize() == 7, "at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 seconds"
        await sip.at_rest()


async def test_an_answer_without_sound_ends_the_call(open_sip: OpenSip) -> None:
    port = free_port()
    async with them(port) as one:
        sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
        call = await sip.carrier.dial(order())
        invite = await asked(one, "INVITE")
        contact = f"Contact: <sip:them@127.0.0.1:{port}>\r\n"
        one.send(said(invite, "SIP/2.0 200 OK", more=contact, body=one.sdp().replace("m=audio", "m=video")))
        await asked(one, "ACK")
        one.send(said(await asked(one, "BYE"), "SIP/2.0 200 OK"))
        await until(lambda: sip.board.statuses(call) == ["failed"])
        await sip.at_rest()


async def test_what_is_too_long_for_a_datagram_goes_by_tcp_where_they_have_it(open_sip: OpenSip) -> None:
    for transports in (("udp", "tcp"), ("udp",)):
        port = free_port()
        one = await open_sip(transports=transports, port=port)
        other = await open_sip(trunk(host=f"127.0.0.1:{port}"), agents=())
        call = await other.carrier.dial(order(to="sip:" + "x" * 128 + "@" + "y" * 250))
        await until(lambda other=other: bool(other.board.told), "it came to an end")  # type: ignore[misc]
        assert (other.board.statuses(call), other.board.told[0].code) == (["failed"], "404")
        assert len(one.service._sockets.connections) == ("tcp" in transports)  # type: ignore[union-attr]
        await other.at_rest()


# what a person writes


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"username": "a"}, "needs both username and password"),
        ({"register": True}, "is to register"),
        ({"allow": ["nonsense"]}, "not a network"),
        ({"numbers": ["12"]}, "12"),
        ({"inbound_username": "a"}, "inbound_password"),
        ({"advertised_ip": "here"}, "not an IP address"),
        ({"host": "a b"}, "host"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_a_trunk_that_cannot_be_is_refused_in_a_sentence(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        trunk(**changes)


def test_a_trunks_secrets_are_not_shown() -> None:
    one = trunk(username="a", password="s3cret", inbound_username="b", inbound_password="t0p")
    assert "s3cret" not in repr(one) + str(one) + one.model_dump_json()
    assert "t0p" not in repr(one) + str(one) + one.model_dump_json()


@pytest.mark.parametrize("text", ["nonsense", "udp://host.example:5060", "ftp://127.0.0.1:1", "127.0.0.1:99999"])
def test_an_address_to_listen_on_must_be_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an address|less than"):
        listens(text)


async def test_an_address_of_sip_is_called_by_its_name_too(open_sip: OpenSip) -> None:
    channel = SipChannel(uri="sip:desk@omni.test")
    port = free_port()
    async with them(port) as one:
        sip = await open_sip(trunk(host=f"127.0.0.1:{port}"))
        await sip.carrier.dial(order(channel=channel, from_=channel.uri, to="sip:bob@elsewhere.test"))
        invite = await answered(one, port=port)
        assert invite.line == "INVITE sip:bob@elsewhere.test SIP/2.0"
        assert "<sip:desk@omni.test>" in invite.header("From")
        await ended(sip, one)


def test_what_the_settings_say_of_trunks_fits_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OMNI_")]:
        monkeypatch.delenv(name)
    named = Agent(slug="desk", channels=(LINE,))
    for given, says in (
        ({"sip_trunks": (trunk(),)}, "set the address that SIP is spoken on"),
        ({"agents": (named,)}, "goes by the SIP trunk 'pbx', and SIP is not spoken"),
        ({"sip_bind": "127.0.0.1:0", "sip_trunks": (trunk(), trunk())}, "two SIP trunks are called 'pbx'"),
    ):
        with pytest.raises(ValidationError, match=says):
            Settings.model_validate(given)
    Settings(sip_bind="127.0.0.1:0", sip_trunks=(trunk(), trunk(org="rival")))
    Settings(sip_bind="127.0.0.1:0", agents=(named,))  # its trunk may be one that is stored


def test_a_channel_that_goes_by_no_trunk_there_is_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    desk = Agent(slug="desk", channels=(LINE, SipChannel(uri="sip:desk@omni.test")))
    warn_of_unknown([desk], [trunk()])
    assert caplog.messages == []
    warn_of_unknown([desk], [trunk(org="rival")])
    assert len(caplog.messages) == 1
    assert f"phone:{NUMBER} of the agent desk goes by the SIP trunk 'pbx', and there is none" in caplog.messages[0]
