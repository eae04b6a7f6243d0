"""Calls to us, as sipp makes them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from channels.audio import Admitted, Refused
from omni.model.inbound import CallOffered
from tests.sip.board import until
from tests.sip.conftest import NUMBER, OpenSip, trunk


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_is_offered_answered_and_over_once(open_sip: OpenSip, sipp: Any, transport: str) -> None:
    sip = await open_sip()
    ran = await sipp("inbound", sip.port(transport), "-t", "u1" if transport == "udp" else "t1")
    assert ran, ran.out
    await sip.at_rest()
    offered = sip.board.offers[0]
    assert (offered.from_, offered.to, offered.channel) == ("+4930123456", NUMBER, f"phone:{NUMBER}")
    assert offered.call.startswith("sip-")
    assert sip.board.only.ends == ["hangup"]
    assert len(sip.board.offers) == 1


@pytest.mark.parametrize("code", [486, 603])
async def test_a_call_that_nobody_takes_is_refused(open_sip: OpenSip, sipp: Any, code: int) -> None:
    sip = await open_sip()

    async def refuse(offered: CallOffered) -> Admitted | Refused:
        return Refused("busy" if code == 486 else "rejected")

    sip.board.decide = refuse
    ran = await sipp(f"inbound_{code}", sip.port())
    assert ran, ran.out
    await sip.at_rest()
    assert sip.board.ears == {}


async def test_whoever_is_called_that_nobody_is_gets_404_and_nobody_is_asked(open_sip: OpenSip, sipp: Any) -> None:
    sip = await open_sip()
    ran = await sipp("inbound_404", sip.port())
    assert ran, ran.out
    assert sip.board.offers == []


async def test_sound_that_nobody_understands_is_refused_before_anybody_is_asked(open_sip: OpenSip, sipp: Any) -> None:
    sip = await open_sip()
    ran = await sipp("inbound_488", sip.port())
    assert ran, ran.out
    assert sip.board.offers == []
    await sip.at_rest()


async def test_a_trunk_that_has_all_its_calls_is_busy(open_sip: OpenSip, sipp: Any) -> None:
    sip = await open_sip(trunk(max_calls=0))
    ran = await sipp("inbound_486", sip.port())
    assert ran, ran.out
    assert sip.board.offers == []


async def test_a_call_whose_sound_is_not_wanted_is_refused(open_sip: OpenSip, sipp: Any) -> None:
    sip = await open_sip()
    sip.board.hears = False
    ran = await sipp("inbound_503", sip.port())
    assert ran, ran.out
    await sip.at_rest()


async def test_a_caller_who_hangs_up_while_it_rings_is_gone(open_sip: OpenSip, sipp: Any) -> None:
    sip = await open_sip()
    decided = asyncio.Event()

    async def think(offered: CallOffered) -> Admitted | Refused:
        await decided.wait()
        return Admitted("token")

    sip.board.decide = think
    ran = await sipp("inbound_cancel", sip.port())
    decided.set()
    assert ran, ran.out
    await until(lambda: sip.board.statuses() == ["canceled"])
    await sip.at_rest()
    assert sip.board.ears == {}


async def test_a_call_without_an_offer_gets_ours(open_sip: OpenSip, sipp: Any) -> None:
    sip = await open_sip()
    ran = await sipp("inbound_late_offer", sip.port())
    assert ran, ran.out
    await sip.at_rest()
    assert sip.board.only.ends == ["hangup"]


async def test_hold_is_mirrored_and_taken_back(open_sip: OpenSip, sipp: Any) -> None:
    sip = await open_sip()
    ran = await sipp("inbound_hold", sip.port())
    assert ran, ran.out
    await sip.at_rest()
    assert sip.board.only.ends == ["hangup"]
    assert sip.board.told == []


async def test_whatever_is_asked_in_a_call_is_answered_by_the_book(open_sip: OpenSip, sipp: Any) -> None:
    sip = await open_sip()
    ran = await sipp("inbound_asks", sip.port())
    assert ran, ran.out
    await sip.at_rest()
    assert sip.board.only.digits == "5"


async def test_a_call_that_we_end_passes_the_proxies_it_came_by(open_sip: OpenSip, sipp: Any) -> None:
    sip = await open_sip()
    running = asyncio.create_task(sipp("inbound_routed", sip.port()))
    await until(lambda: bool(sip.board.ears))
    await until(lambda: all(call._ok is None for call in sip.calls.values()), "it was acknowledged")
    sip.board.only.leg.hang_up()
    ran = await running
    assert ran, ran.out
    await sip.at_rest()
    assert sip.board.only.ends == []


async def test_whoever_proves_the_password_may_call_from_anywhere(open_sip: OpenSip, sipp: Any) -> None:
    sip = await open_sip(trunk(allow=[], inbound_username="door", inbound_password="open-sesame"))
    ran = await sipp("inbound_challenge", sip.port())
    assert ran, ran.out
    wrong = await sipp("inbound_challenge_wrong", sip.port())
    assert wrong, wrong.out
    assert len(sip.board.offers) == 1


async def test_a_trunk_that_asks_whether_we_are_there_is_told(open_sip: OpenSip, sipp: Any) -> None:
    sip = await open_sip()
    ran = await sipp("options", sip.port())
    assert ran, ran.out


@pytest.mark.slow
async def test_sixty_calls_over_a_bad_line_all_come_and_go_once(open_sip: OpenSip, sipp: Any) -> None:
    sip = await open_sip(trunk(max_calls=100, invites_per_minute=10_000))
    ran = await sipp("inbound", sip.port(), "-m", "60", "-r", "6", "-lost", "25", "-max_retrans", "20", seconds=100)
    await until(lambda: not sip.calls, seconds=60)
    assert ran, ran.out
    assert len(sip.board.offers) == 60
    assert [ear.ends for ear in sip.board.ears.values()] == [["hangup"]] * 60
