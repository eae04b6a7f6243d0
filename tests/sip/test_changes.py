"""Trunks come, change and go while SIP is spoken: who calls next meets the new ones, who is talking notices nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from channels.audio import CarrierError, Order, Transfer
from omni.model.agent import Agent
from omni.model.channel import PhoneChannel
from tests.ports import free_port
from tests.sip.board import until
from tests.sip.caller import Caller, calling, calls_with_password
from tests.sip.conftest import NUMBER, OpenSip, Sip, trunk
from tests.sip.test_trunks import asked, registered, registering, said, them

HERE, THERE = "127.0.0.1", "127.0.0.2"
LINE = PhoneChannel(number=NUMBER, trunk="pbx")
DOOR = {"inbound_username": "door", "inbound_password": "open-sesame"}
PLAIN = Agent(slug="shop", channels=(PhoneChannel(number=NUMBER),))
"""Its number names no trunk."""


def order(**changes: Any) -> Order:
    return Order(**{"channel": LINE, "from_": NUMBER, "to": "+4930123456", "token": "token", **changes})


async def options(caller: Caller) -> int:
    """What a question outside of any call is answered."""
    caller.cseq += 1
    caller.answer = None
    caller.send(caller.request("OPTIONS"))
    return (await caller.final()).status


async def is_silent(sip: Sip, stranger: Caller) -> bool:
    """Whether somebody is not answered at all: neither are they once whoever asked after them is."""
    stranger.answer = None
    stranger.cseq += 1
    stranger.send(stranger.request("INVITE", body=stranger.sdp()))
    stranger.cseq += 1
    stranger.send(stranger.request("OPTIONS"))
    sip.service.follow((*sip.service._trunks, trunk(name="witness", allow=[f"{THERE}/32"])))
    async with calling(sip.port(), ip=THERE) as witness:
        assert await options(witness) == 200
    sip.service.follow(sip.service._trunks[:-1])
    return stranger.quiet()


async def test_a_server_without_trunks_speaks_sip_and_answers_nobody_until_there_is_one(open_sip: OpenSip) -> None:
    sip = await open_sip(trunks=())
    async with calling(sip.port()) as caller:
        assert await is_silent(sip, caller)
        sip.service.follow([trunk()])
        caller.cseq += 1
        assert (await caller.call()).status == 200
        assert (await caller.bye()).status == 200
    await sip.at_rest()


async def test_a_call_outlives_its_trunk_and_whoever_calls_next_hears_nothing(open_sip: OpenSip) -> None:
    sip = await open_sip()
    async with calling(sip.port()) as caller, calling(sip.port()) as next_one:
        assert (await caller.call()).status == 200
        sip.service.follow([])
        assert await is_silent(sip, next_one)
        caller.cseq += 1
        caller.send(caller.request("OPTIONS"))
        assert (await caller.final()).status == 200, "in the call"
        assert sip.board.only.ends == []
        sip.board.only.leg.hang_up()
        bye = await asked(caller, "BYE")
        caller.send(said(bye, "SIP/2.0 200 OK"))
        await sip.at_rest()


async def test_the_calls_of_a_trunk_are_counted_across_its_changes(open_sip: OpenSip) -> None:
    sip = await open_sip(trunk(max_calls=1))
    async with calling(sip.port()) as caller, calling(sip.port()) as second:
        assert (await caller.call()).status == 200
        sip.service.follow([trunk(max_calls=1, srtp="off", description="changed")])
        assert (await second.call()).status == 486
        with pytest.raises(CarrierError, match="which is all it takes"):
            await sip.carrier.dial(order())
        sip.service.follow([trunk(max_calls=2)])
        second.cseq += 1
        assert (await second.call()).status == 200
        for one in (caller, second):
            assert (await one.bye()).status == 200
    await sip.at_rest()


async def test_how_often_somebody_may_call_is_counted_across_changes(open_sip: OpenSip) -> None:
    sip = await open_sip(trunk(options_per_minute=1))
    async with calling(sip.port()) as caller:
        assert await options(caller) == 200
        sip.service.follow([trunk(options_per_minute=1, max_calls=7)])
        assert await options(caller) == 503
        sip.service.follow([trunk(options_per_minute=2)])
        assert await options(caller) == 200


# passwords


async def test_a_new_password_takes_the_place_of_the_old_one(open_sip: OpenSip) -> None:
    sip = await open_sip(trunk(allow=[], **DOOR))
    async with calling(sip.port()) as caller:
        assert (await calls_with_password(caller, "door", "open-sesame")).status == 200
        assert (await caller.bye()).status == 200
        sip.service.follow([trunk(allow=[], **{**DOOR, "inbound_password": "another"})])
        caller.answer, caller.name = None, f"{caller.name}-again"
        assert (await calls_with_password(caller, "door", "open-sesame")).status == 401
        caller.cseq += 1
        assert (await calls_with_password(caller, "door", "another")).status == 200
        assert (await caller.bye()).status == 200
    await sip.at_rest()


async def test_each_of_many_is_known_by_its_own_password(open_sip: OpenSip) -> None:
    """Whoever is challenged is not known yet: the challenge is one trunk's, the proof may be another's."""
    others = [trunk(name=f"t{n}", org=f"o{n}", domain=f"o{n}.test", allow=[], **DOOR) for n in range(3)]
    mine = trunk(allow=[], host=None, domain=None, inbound_username="door", inbound_password="mine")
    sip = await open_sip(*others, mine)
    async with calling(sip.port()) as caller:
        assert (await calls_with_password(caller, "door", "mine")).status == 200
        assert sip.calls[sip.board.offers[0].call].trunk.key == ("default", "pbx")
        assert (await caller.bye()).status == 200
    await sip.at_rest()


async def test_strangers_are_not_told_who_has_trunks_here(open_sip: OpenSip) -> None:
    quiet = trunk(name="quiet", host="pbx.customer.example", domain=None, allow=[], **DOOR)
    sip = await open_sip(quiet, trunk(allow=[], **DOOR))
    async with calling(sip.port()) as caller:
        challenge = await caller.call()
        assert 'realm="omni"' in challenge.header("WWW-Authenticate")
        caller.cseq += 1
        caller.send(caller.request("INVITE").replace("@127.0.0.1 SIP/2.0", "@omni.test SIP/2.0", 1))
        assert 'realm="omni.test"' in (await caller.final()).header("WWW-Authenticate")


# whom a call is meant for


async def test_at_an_address_of_several_the_one_whose_number_is_called_is_meant(open_sip: OpenSip) -> None:
    """An address proves nothing of an organisation: many have their calls from the same carrier, and whoever says that
    somebody's number is theirs gets nothing."""
    greedy = trunk(name="greedy", org="rival", numbers=[NUMBER], domain=HERE)
    sip = await open_sip(greedy, trunk())
    async with calling(sip.port()) as caller:
        assert (await caller.call()).status == 200
        assert sip.board.offers[0].org == "default"
        assert (await caller.bye()).status == 200
    await sip.at_rest()


async def test_an_address_of_somebody_elses_keeps_nobody_from_proving_a_password(open_sip: OpenSip) -> None:
    sip = await open_sip(trunk(name="wide", org="rival"), trunk(allow=[], **DOOR))
    async with calling(sip.port()) as caller:
        assert (await calls_with_password(caller, "door", "open-sesame")).status == 200
        assert (await caller.bye()).status == 200
        caller.answer, caller.to, caller.cseq = None, "+12025550199", 10
        assert (await caller.call()).status == 404, "a password would lead nowhere"
    await sip.at_rest()


async def test_a_number_that_names_no_trunk_is_called_through_any_of_its_organisation(open_sip: OpenSip) -> None:
    sip = await open_sip(trunk(), agents=(PLAIN,))
    async with calling(sip.port()) as caller:
        assert (await caller.call()).status == 200
        assert (await caller.bye()).status == 200
        assert not sip.carrier.carries("default", PLAIN.channels[0]), "its own calls go elsewhere"
        sip.service.follow([trunk(), trunk(name="other", allow=[], numbers=[NUMBER])])
        caller.answer, caller.cseq = None, 10
        assert (await caller.call()).status == 404, "it is another trunk's"
        sip.service.follow([trunk(org="rival")])
        caller.cseq = 20
        assert (await caller.call()).status == 404
    await sip.at_rest()


# calls of ours


async def test_what_has_no_host_brings_calls_and_takes_none(open_sip: OpenSip) -> None:
    sip = await open_sip(trunk(host=None))
    with pytest.raises(CarrierError, match="only brings calls; give it a host"):
        await sip.carrier.dial(order())
    assert sip.calls == {}
    async with calling(sip.port()) as caller:
        assert (await caller.call()).status == 200
        call = sip.board.offers[0].call
        given = await _refer(sip, caller, call, "+12025550199")
        assert given.startswith(f"<sip:+12025550199@{HERE}"), "whoever brought the call is asked"
        assert (await caller.bye()).status == 200
    await sip.at_rest()


async def _refer(sip: Sip, caller: Caller, call: str, to: str) -> str:
    giving = asyncio.create_task(sip.carrier.transfer(LINE, call, Transfer(to, NUMBER)))
    refer = await asked(caller, "REFER")
    caller.send(said(refer, "SIP/2.0 603 Decline"))
    with pytest.raises(CarrierError, match="declined"):
        await giving
    return refer.header("Refer-To")


async def test_a_trunk_takes_the_transfers_that_it_is_set_to_take(open_sip: OpenSip) -> None:
    sip = await open_sip(trunk(transfers="sip"))
    async with calling(sip.port()) as caller:
        assert (await caller.call()).status == 200
        call = sip.board.offers[0].call
        with pytest.raises(CarrierError, match="the trunk pbx takes transfers to SIP addresses only"):
            await sip.carrier.transfer(LINE, call, Transfer("+12025550199", NUMBER))
        assert await _refer(sip, caller, call, "sip:desk@example.com") == "<sip:desk@example.com>"
        assert (await caller.bye()).status == 200
        sip.service.follow([trunk(transfers="none")])
        caller.answer, caller.cseq, caller.name = None, 1, f"{caller.name}-2"
        assert (await caller.call()).status == 200
        for to in ("+12025550199", "sip:desk@example.com"):
            with pytest.raises(CarrierError, match="the trunk pbx takes no transfers"):
                await sip.carrier.transfer(LINE, sip.board.offers[1].call, Transfer(to, NUMBER))
        assert (await caller.bye()).status == 200
    await sip.at_rest()


async def test_a_trunk_of_the_public_internet_is_not_called_in_a_private_network(open_sip: OpenSip) -> None:
    port = free_port()
    async with them(port) as one:
        sip = await open_sip(trunk(host=f"localhost:{port}", is_public=True))
        call = await sip.carrier.dial(order())
        await until(lambda: sip.board.statuses(call) == ["failed"])
        assert one.quiet()
        await sip.at_rest()


# signing in


async def test_we_sign_in_at_what_comes_and_out_at_what_goes(open_sip: OpenSip) -> None:
    port = free_port()
    async with them(port) as registrar:
        sip = await open_sip(trunks=())
        sip.service.follow([registering(port)])
        await registered(registrar)
        await until(lambda: [each.granted for each in sip.service.registrations] == [60.0])
        registrar.towards = (HERE, sip.port())
        assert await options(registrar) == 200, "its registrar's calls are taken"
        (before,) = sip.service.registrations
        sip.service.follow([registering(port, max_calls=3)])
        assert sip.service.registrations == [before], "that changes nothing of it"
        assert registrar.quiet()
        sip.service.follow([])
        out = await asked(registrar, "REGISTER")
        assert out.header("Expires") == "0"
        registrar.send(said(out, "SIP/2.0 200 OK"))
        await until(lambda: not sip.service.registrations)
        assert await is_silent(sip, registrar), "it is a stranger again"


async def test_a_changed_registration_goes_out_before_it_comes_in(open_sip: OpenSip) -> None:
    old, new = free_port(), free_port()
    async with them(old) as first, them(new) as second:
        sip = await open_sip(registering(old))
        await registered(first)
        await until(lambda: [each.granted for each in sip.service.registrations] == [60.0])
        sip.service.follow([registering(new)])
        out = await asked(first, "REGISTER")
        assert out.header("Expires") == "0"
        assert second.quiet()
        sip.service.follow(
            [registering(new).model_copy(update={"register_seconds": 90})]
        )  # once more, before the first is through
        first.send(said(out, "SIP/2.0 200 OK"))
        assert (await registered(second, expires=90)).header("Expires") == "90"
        await until(lambda: [each.granted for each in sip.service.registrations] == [90.0])
        ending = asyncio.create_task(sip.service.drain())
        out = await asked(second, "REGISTER")
        second.send(said(out, "SIP/2.0 200 OK"))
        await ending
