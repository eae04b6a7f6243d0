"""Many calls through one voice worker: it takes what it has room for, and in the end nothing is left of them."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from omni.bus.base import Outgoing
from omni.live.told import Answered
from omni.model.contact import Identity, IdentityKind, Sender
from omni.model.entry import BotFinished, CallEnded, TurnStarted
from omni.model.inbound import AnyInput, Ask, CallOffered, ProgramReply, pack
from omni.model.message import Message
from omni.model.queues import VOICE, voice_home, voice_of
from sessions.actor import Conversation
from sessions.speaking import Speaking
from tests.voice.call.clock import played
from tests.voice.call.promises import broken
from tests.voice.call.stage import CALLER, CHANNEL, Stage, open_stage, saying
from tests.voice.call.telephone import Telephone
from workers.voice.bot import Bot
from workers.voice.call import VoiceCall
from workers.voice.mouth import TurnMouth
from workers.voice.tts.say import Utterance
from workers.voice.worker import VoiceWorker

OURS = (VoiceCall, Conversation, Bot, TurnMouth, Utterance, Speaking)


class House:
    """A worker, and whoever brings it calls."""

    def __init__(self, stage: Stage, max_calls: int) -> None:
        self.stage = stage
        self.worker = VoiceWorker(stage.services, name="w1", media_url=lambda: "wss://here", max_calls=max_calls)

    async def offer(self, call: str, until: float = 60.0) -> Answered:
        """What the worker answers to a call that comes in."""
        stage, ask = self.stage, self.stage.new_id("ask")
        identity = Identity(kind=IdentityKind.PHONE, value=f"49{abs(hash(call)) % 10**9}")
        offered = CallOffered(
            key=stage.new_id("in"),
            agent="desk",
            channel=CHANNEL.id,
            at=stage.loop.wall(),
            call=call,
            sender=Sender(identities=(identity,), routing=f"phone:{call}"),
            from_=CALLER,
            to=CHANNEL.number,
            ask=Ask(desk="d", id=ask),
            until=stage.loop.wall() + until,
        )
        await stage.bus.publish([Outgoing(queue=VOICE.name, id=offered.key, body=pack([offered]))])
        for _ in range(2_000):
            found = next((each for each in stage.answered if each.id == ask), None)
            if found is not None:
                stage.answered.remove(found)
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"nobody answered for {call}")

    async def tell(self, kind: type[AnyInput], call: str, **more: object) -> None:
        command = kind(
            key=self.stage.new_id("in"),
            agent="desk",
            channel=CHANNEL.id,
            at=self.stage.loop.wall(),
            call=call,
            home=voice_home("w1"),
            **more,
        )
        await self.stage.bus.publish([Outgoing(queue=voice_of("w1").name, id=command.key, body=pack([command]))])

    def connect(self, answered: Answered, call: str) -> Telephone | None:
        phone = Telephone(self.stage.lexicon)
        ear = self.worker.connect(str(answered.data["token"]), call, phone)
        if ear is None:
            return None
        phone.listen(ear)
        return phone

    async def gone(self, call: str) -> None:
        async with asyncio.timeout(60):
            while self.worker.find(call) is not None:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def a_house(folder: Path, *, max_calls: int = 50, seed: int = 0, **agent: object) -> AsyncIterator[House]:
    async with open_stage(folder, agent=dict(agent), seed=seed) as stage:
        house = House(stage, max_calls)
        await house.worker.start()
        try:
            yield house
        finally:
            await house.worker.stop(grace=0.1)


@played
async def test_a_call_is_taken_and_its_sound_is_let_in_once(tmp_path: Path) -> None:
    async with a_house(tmp_path, greeting="hello there") as house:
        answered = await house.offer("CA1")
        again = await house.offer("CA1")
        assert again.data == answered.data, "a carrier that asks again hears the same"
        assert house.worker.connect("wrong", "CA1", Telephone(house.stage.lexicon)) is None
        assert house.worker.connect(str(answered.data["token"]), "CA2", Telephone(house.stage.lexicon)) is None
        phone = house.connect(answered, "CA1")
        assert phone is not None
        assert house.connect(answered, "CA1") is None
        await asyncio.sleep(2)
        assert phone.text == "hello there"
        phone.leave()
        await house.gone("CA1")
        assert broken(list(await house.stage.store.entries("CA1"))) == []


@played
async def test_the_next_call_is_refused_before_it_harms_those_in_hand(tmp_path: Path) -> None:
    async with a_house(tmp_path, max_calls=2) as house:
        answers = await asyncio.gather(*(house.offer(f"CA{at}") for at in range(3)))
        refused = [each.data.get("refused") for each in answers]
        assert sorted(refused, key=str) == [None, None, "busy"]


@played
async def test_a_call_whose_sound_never_comes_is_let_go(tmp_path: Path) -> None:
    async with a_house(tmp_path, max_calls=1) as house:
        await house.offer("CA1")
        await asyncio.sleep(90)
        assert house.worker.calls == 0
        assert "token" in (await house.offer("CA2")).data


@played
async def test_a_reply_that_waits_for_a_turn_is_handed_back_when_the_caller_leaves(tmp_path: Path) -> None:
    audio = {"turn_detection": {"silence_ms": 2000, "max_silence_ms": 2000}}
    async with a_house(tmp_path, brain="client", audio=audio) as house:
        house.stage.program_since = 1.0
        phone = house.connect(await house.offer("CA1"), "CA1")
        assert phone is not None
        phone.say("book a table")
        await asyncio.sleep(1.2)
        call = house.worker.find("CA1")
        assert call is not None
        eager = call.talking.talk.speech
        assert eager is not None
        assert eager.is_eager
        await house.tell(
            ProgramReply, "CA1", message_id="m1", in_reply_to=eager.message, message=Message.of("for how many")
        )
        await asyncio.sleep(0.1)
        phone.leave()
        await house.gone("CA1")
        depth = await house.stage.bus.depth(voice_of("w1").name)
        assert (depth.ready, depth.taken) == (0, 0)


@played
async def test_a_worker_that_stops_ends_its_calls_with_a_reason(tmp_path: Path) -> None:
    async with a_house(tmp_path, greeting="hello there") as house:
        phone = house.connect(await house.offer("CA1"), "CA1")
        await asyncio.sleep(0.3)
        await house.worker.stop(grace=0.5)
        assert phone is not None
        assert phone.hung_up is not None
        entries = list(await house.stage.store.entries("CA1"))
        assert broken(entries) == []
        assert [entry.fact.reason for entry in entries if isinstance(entry.fact, CallEnded)] == ["error"]


def census() -> Counter[str]:
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, OURS))


def resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


@pytest.mark.slow
def test_five_hundred_calls_leave_nothing(tmp_path: Path) -> None:
    @played
    async def soak() -> None:
        async with a_house(tmp_path, max_calls=200, greeting="hello there", seed=7) as house:
            stage, rng = house.stage, house.stage.rng
            stage.mind.how = saying(0.2, "one moment please")
            reasons: Counter[str] = Counter()

            async def one(number: int) -> None:
                call = f"CA{number}"
                answered = await house.offer(call)
                if rng.random() < 0.05:
                    return  # its sound never comes
                phone = house.connect(answered, call)
                assert phone is not None
                phone.silence(rng.choice((0, 400, 900)))
                phone.say("book a table")
                if rng.random() < 0.1:
                    stage.recogniser.faults.append("bug")
                if rng.random() < 0.1:
                    stage.speaker.faults.append("cut")
                await asyncio.sleep(rng.uniform(0, 3.5))
                phone.leave(rng.choice(("hangup", "lost")))
                await house.gone(call)
                await phone.closed()
                entries = list(await stage.store.entries(call))
                assert broken(entries) == []
                reasons.update(entry.fact.reason for entry in entries if isinstance(entry.fact, CallEnded))
                reasons.update(
                    entry.fact.type for entry in entries if isinstance(entry.fact, TurnStarted | BotFinished)
                )

            async def batch(first: int, last: int) -> None:
                await asyncio.gather(*(one(number) for number in range(first, last)))

            async def rest() -> tuple[set[str], Counter[str], int]:
                await asyncio.sleep(100)  # tokens that nobody used run out
                for forgotten in (stage.told, stage.mind.turns, stage.recogniser.made, stage.speaker.said):
                    forgotten.clear()
                stage.lexicon._words.clear()
                assert house.worker.calls == 0
                names = {task.get_name() for task in asyncio.all_tasks()}
                return names, census(), resident_kb()

            for first in range(0, 60, 30):
                await batch(first, first + 30)
            before = await rest()
            for first in range(60, 560, 40):
                await batch(first, min(first + 40, 560))
            after = await rest()
            print(f"500 calls: {before[2]} kB before, {after[2]} kB after (resident); {reasons}")
            assert after[0] == before[0], "the same tasks run"
            assert after[1] == before[1]
            assert after[1] == Counter(), "nothing of a call is left"
            assert set(reasons) >= {"hangup", "disconnected", "turn.start", "bot.finished"}

    logging.disable(logging.CRITICAL)  # what pytest captures keeps the frames of what was raised
    soak()
