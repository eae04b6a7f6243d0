"""One person writes, phones, writes while they phone, speaks with a colleague, and reads the summary: one conversation,
whatever it is held on. `pytest -s` prints the logs, as `omni calls show` does."""

from __future__ import annotations

from pathlib import Path

from omni.model.contact import IdentityKind
from omni.model.entry import BotSaid, HumanSaid, UserSaid, UserWrote
from omni.model.message import Message
from tests.brains.llm_server import LlmServer
from tests.story.town import ADA, Town, open_town


async def test_a_conversation_moves_from_whatsapp_to_the_phone_to_a_colleague_and_back(
    tmp_path: Path, llm: LlmServer
) -> None:
    async with open_town(tmp_path, llm) as town:
        mind = town.mind
        mind.knows("1042 shipped", "It leaves today.")
        mind.knows("another address", "I have sent you a message.", "send_message", text="Where should 1042 go?")
        mind.knows("Did you get it", "It goes to Main Street 7.")
        mind.knows("a person please", "", "hand_over_to_human", reason="wants a person")
        mind.knows(
            "a summary", "Done, bye.", "send_message", text="Summary: 1042 goes to Main Street 7, free of charge."
        )
        mind.knows("Thanks", "You are welcome.")

        town.writes("Is order 1042 shipped?")
        assert await town.reads(1) == "Bakery, hello."
        assert await town.reads(2) == "It leaves today."
        written = await town.newest("whatsapp")

        # She phones: the bot knows whom it speaks with, and what was said.
        town.phones()
        await town.hears("Bakery, hello.")
        phoned = await town.newest("phone")
        assert phoned.contact == written.contact
        town.speaks("Can it go to another address?")
        assert await town.reads(3) == "Where should 1042 go?"
        await town.hears("I have sent you a message.")
        assert (
            "Earlier conversation with this person:\n(on WhatsApp)\nYou: Bakery, hello.\n"
            "Customer: Is order 1042 shipped?\nYou: It leaves today." in mind.read("another address")
        )

        # Her answer arrives in the call, and is answered there alone.
        town.writes("Main Street 7")
        (aside,) = await town.logged(phoned.id, "user.wrote")
        assert aside == UserWrote(
            id=aside.id, text="Main Street 7", channel=written.channel, beside=written.id, at=aside.at
        )
        town.speaks("Did you get it?")
        await town.hears("It goes to Main Street 7.")
        assert "The user wrote to you on WhatsApp, while you speak: Main Street 7" in mind.read("Did you get it")

        # A colleague takes over, speaks, and hands back.
        town.speaks("I want a person please")
        await town.logged(phoned.id, "handoff.requested")
        await town.commands.pause(phoned, "ann")
        await town.logged(phoned.id, "handoff.active")
        await town.commands.send(phoned, "ann", Message.of("Ann here, it costs nothing."))
        await town.hears("Ann here, it costs nothing.")
        town.speaks("That is kind of you")
        await town.logged(phoned.id, "user.message", 4)
        await town.commands.resume(phoned, "ann", "free of charge")
        await town.logged(phoned.id, "handoff.released")

        # The summary goes to where she can read it again.
        town.speaks("Send me a summary")
        assert await town.reads(4) == "Summary: 1042 goes to Main Street 7, free of charge."
        await town.hears("Done, bye.")
        read = mind.read("a summary")
        assert "Ann here, it costs nothing." in read
        assert any("free of charge" in line for line in read)
        assert "That is kind of you" in read
        await town.hangs_up()

        # Afterwards she is answered in writing again, by a bot that knows what it sent her.
        town.writes("Thanks")
        assert await town.reads(5) == "You are welcome."
        read = mind.read("Thanks")
        assert "Main Street 7" in read
        assert "Summary: 1042 goes to Main Street 7, free of charge." in read

        await _the_logs_agree(town, written.id, phoned.id)
        print(await town.told())


async def _the_logs_agree(town: Town, written: str, phoned: str) -> None:
    """Both conversations, each with its own half, are one person's."""
    calls = await town.all()
    assert [call.id for call in calls] == [written, phoned]
    assert len({call.contact for call in calls}) == 1
    of_them = await town.engines.store.calls_of_contact("default", calls[0].contact)
    assert {call.id for call in of_them} == {written, phoned}
    contact = await town.engines.store.contact(calls[0].contact)
    assert contact is not None
    assert {one.value for one in contact.identities if one.kind is not IdentityKind.BSUID} == {ADA}
    in_writing = [entry.fact for entry in await town.log(written)]
    assert [fact.text for fact in in_writing if isinstance(fact, UserSaid)] == [
        "Is order 1042 shipped?", "Main Street 7", "Thanks",
    ]  # fmt: skip
    assert [fact.text for fact in in_writing if isinstance(fact, BotSaid)] == [
        "Bakery, hello.",
        "It leaves today.",
        "Where should 1042 go?",
        "Summary: 1042 goes to Main Street 7, free of charge.",
        "You are welcome.",
    ]
    spoken = [entry.fact for entry in await town.log(phoned)]
    assert [fact.by for fact in spoken if isinstance(fact, HumanSaid)] == ["ann"]
    assert [fact.text for fact in spoken if isinstance(fact, BotSaid) and fact.by is None] == [
        "Bakery, hello.", "I have sent you a message.", "It goes to Main Street 7.", "Done, bye.",
    ]  # fmt: skip
