"""The same by SMS, on the number that people phone; and STOP, which is for SMS alone."""

from __future__ import annotations

from pathlib import Path

from omni.model.contact import known_by
from omni.model.entry import ToolAnswered
from tests.brains.llm_server import LlmServer
from tests.server.shop import until
from tests.sms.desk import LINE
from tests.story.town import ADA, BAKERY, PHONE, Town, open_town

ADAS = f"+{ADA}"


def texts(town: Town, body: str) -> None:
    town.exchange.texts(ADAS, body)


async def test_a_bot_texts_during_the_call_and_reads_the_answer_there(tmp_path: Path, llm: LlmServer) -> None:
    async with open_town(tmp_path, llm, greeting=None, channels=[{**LINE, "number": BAKERY}, PHONE]) as town:
        town.mind.knows("address", "Look.", "send_message", text="Where to?")
        town.mind.knows("Got it", "Main Street 7.")
        town.phones()
        call = await town.newest("phone")
        town.speaks("A new address")
        (sent,) = await town.exchange.wait_sent(1, to=ADAS, timeout=30)
        assert sent.body == "Where to?"
        await town.hears("Look.")
        texts(town, "Main Street 7")
        (aside,) = await town.logged(call.id, "user.wrote")
        assert (aside.text, aside.channel) == ("Main Street 7", f"sms:{BAKERY}")
        town.speaks("Got it?")
        await town.hears("Main Street 7.")
        assert "The user wrote to you by SMS, while you speak: Main Street 7" in town.mind.read("Got it")
        await town.hangs_up()
        assert len(town.exchange.sent(ADAS)) == 1


async def test_who_wrote_stop_may_phone_and_gets_no_text(tmp_path: Path, llm: LlmServer) -> None:
    async with open_town(tmp_path, llm, greeting=None, channels=[{**LINE, "number": BAKERY}, PHONE]) as town:
        town.mind.knows("Text me", "I may not.", "send_message", text="Hello")
        texts(town, "STOP")

        async def has_stopped() -> bool:
            return any(
                one.has_stopped("sms") for one in await town.engines.store.find_contacts("default", known_by(ADA))
            )

        await until(has_stopped)
        town.phones()
        call = await town.newest("phone")
        town.speaks("Text me")
        await town.hears("I may not.")
        (answered,) = await town.logged(call.id, "tool.result")
        assert isinstance(answered, ToolAnswered)
        assert "no messages" in str(answered.result)
        await town.hangs_up()
        assert town.exchange.sent(ADAS) == []
