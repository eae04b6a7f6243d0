"""Several gateways, one agent: what a program is told does not depend on where it is connected."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.client.cluster import Cluster, cluster
from tests.client.program import Program
from tests.client.stage import reply
from tests.server.shop import ADA, PATIENCE, until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.mongodb, pytest.mark.usefixtures("clean_environment")]


async def texts(group: Cluster, number: int, who: str = ADA) -> list[str]:
    sent = await group.simulator.wait_sent(number, to=who, timeout=PATIENCE)
    return [one.body["text"]["body"] for one in sent if one.type == "text"]


async def answer(program: Program, text: str, words: str, message_id: str) -> None:
    """Wait for a cue, and answer it."""
    cue = await program.expect("turn.end", text=text)
    await program.send(reply(cue, words, message_id))
    await program.expect("bot.finished", message_id=message_id)


async def test_a_program_at_one_gateway_answers_webhooks_at_the_other(tmp_path: Path, services: dict[str, Any]) -> None:
    async with cluster(tmp_path, services) as group:
        program = await group.program("a")
        await program.create("desk")
        for number in range(5):
            group.simulator.user_says(f"question {number}")
            await answer(program, f"question {number}", f"answer {number}", f"m{number}")
        assert await texts(group, 5) == [f"answer {number}" for number in range(5)]
        await program.expect("whatsapp.status", status="read")


async def test_a_name_is_fought_for_across_gateways(tmp_path: Path, services: dict[str, Any]) -> None:
    async with cluster(tmp_path, services) as group:
        first = await group.program("a")
        await first.create("desk")
        second = await group.program("b")
        await second.send({"event": "agent.create", "agent_id": "desk"})
        refused = await second.expect("error", code="AGENT_CONFLICT")
        assert refused["holder_alive"] is True
        first.answers_pings = False
        await second.create("desk")
        assert await first.is_closed() == (4001, "Displaced: stale")
        group.simulator.user_says("hello")
        await answer(second, "hello", "hi", "m1")
        assert await texts(group, 1) == ["hi"]


async def test_a_gateway_that_dies_in_the_middle_of_a_turn_costs_no_answer_and_doubles_none(
    tmp_path: Path, services: dict[str, Any]
) -> None:
    async with cluster(tmp_path, services, a="process") as group:
        program = await group.program("a")
        await program.create("desk")
        group.simulator.user_says("hello")
        cue = await program.expect("turn.end", text="hello")
        stream = {"event": "bot.reply.stream", "call_id": cue["call_id"], "message_id": "half"}
        await program.send({**stream, "action": "start", "in_reply_to": cue["message_id"]})
        await program.send({**stream, "action": "chunk", "token": "I was say"})
        await program.settled()
        await group.kill()
        await program.is_closed()
        again = await group.program("b")
        await again.create("desk")
        assert again.all("error") == []
        second = await again.expect("turn.end", text="hello")
        assert (second["message_id"], second["call_id"]) == (cue["message_id"], cue["call_id"])
        await again.send(reply(second, "I was saying: hi", "whole"))
        await again.expect("bot.finished", message_id="whole")
        group.simulator.user_says("thanks")
        await answer(again, "thanks", "welcome", "m2")
        assert await texts(group, 2) == ["I was saying: hi", "welcome"]


async def test_a_gateway_that_is_stopped_hands_its_programs_on(tmp_path: Path, services: dict[str, Any]) -> None:
    async with cluster(tmp_path, services) as group:
        program = await group.program("a")
        await program.create("desk")
        group.simulator.user_says("hello")
        cue = await program.expect("turn.end", text="hello")
        await group.stop("a")
        assert await program.is_closed() == (1012, "the server restarts")
        again = await group.program("b")
        await again.create("desk")
        assert again.all("error") == []
        second = await again.expect("turn.end", text="hello")
        assert second["message_id"] == cue["message_id"]
        await again.send(reply(second, "hi"))
        assert await texts(group, 1) == ["hi"]


async def test_a_program_that_moves_around_under_load_answers_everything_once(
    tmp_path: Path, services: dict[str, Any]
) -> None:
    """Its connections break at any moment, and what was asked and not answered is asked again."""
    people = [f"1202555{number:04}" for number in range(8)]
    async with cluster(tmp_path, services) as group:
        answered: dict[str, int] = {}

        async def serve(program: Program) -> None:
            while True:
                cue = await program.expect("turn.end", PATIENCE)
                number = answered[cue["message_id"]] = answered.get(cue["message_id"], 0) + 1
                await program.send(reply(cue, f"re: {cue['text']}", f"{cue['message_id']}.{number}"))

        for turn in range(4):
            program = await group.program("ab"[turn % 2])
            await program.create("desk")
            serving = asyncio.create_task(serve(program))
            for who in people:
                group.simulator.user_says(f"{turn} of {who}", wa_id=who)
            await group.simulator.wait_sent(
                1, to=people[turn], after=len(group.simulator.sent(to=people[turn])), timeout=PATIENCE
            )
            serving.cancel()
            await asyncio.wait([serving])
            await (program.drop() if turn < 3 else program.close())
        last = await group.program("b")
        await last.create("desk")
        serving = asyncio.create_task(serve(last))
        wanted = {who: {f"{turn} of {who}" for turn in range(4)} for who in people}

        def heard(who: str) -> list[str]:
            said = [sent.body["text"]["body"] for sent in group.simulator.sent(to=who)]
            return [line for text in said for line in text.removeprefix("re: ").splitlines()]

        await until(lambda: all(set(heard(who)) >= wanted[who] for who in people))
        serving.cancel()
        await asyncio.wait([serving])
        for who in people:
            assert sorted(heard(who)) == sorted(wanted[who])
