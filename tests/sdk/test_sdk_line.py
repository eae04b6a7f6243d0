"""What becomes of frames that a broken connection did not take."""

from __future__ import annotations

from omni.sdk import commands
from omni.sdk.line import ROOM, Line, Outbox
from omni.sdk.mailbox import Tasks
from omni.sdk.registration import QUEUE, Registration
from omni.sdk.timing import Timing


def connected(registration: Registration, line: Line) -> Outbox:
    outbox = Outbox()
    line.opened(outbox)
    registration.opened()
    registration.created()
    return outbox


async def sent(outbox: Outbox) -> list[str]:
    """The names of what waits to be written, taken out."""
    names = []
    while outbox.frames:
        names.append((await outbox.first())["event"])
        outbox.drop()
    return names


async def test_what_did_not_leave_goes_on_the_next_connection_unless_it_is_stale() -> None:
    line = Line(Timing(), Tasks())
    registration = Registration("desk", line, lambda: None)
    assert await sent(connected(registration, line)) == ["agent.create"]
    for frame in (
        commands.bot_reply("chat-1", "m1", "Hello", "u1", add_to_history=None),
        commands.bot_reply("chat-1", "m2", "News!", "", add_to_history=None),
        commands.stream_chunk("chat-1", "m3", "Hel"),
        commands.llm_ready("chat-1", "desk", 1),
        commands.tool_result("chat-1", "tc_1", []),
    ):
        registration.post(frame)
    registration.lost()
    line.lost()
    registration.post(commands.bot_clear("chat-1"))
    assert await sent(connected(registration, line)) == ["agent.create", "bot.reply", "llm.tool_result", "bot.clear"]


async def test_frames_of_the_connection_itself_are_not_sent_again() -> None:
    line = Line(Timing(), Tasks())
    registration = Registration("desk", line, lambda: None)
    connected(registration, line).push(commands.PING)
    registration.lost()
    line.lost()
    assert await sent(connected(registration, line)) == ["agent.create"]


async def test_what_waits_is_bounded() -> None:
    line = Line(Timing(), Tasks())
    registration = Registration("desk", line, lambda: None)
    for number in range(QUEUE + 3):
        registration.post({"event": f"n{number}"})
    names = await sent(connected(registration, line))
    assert (len(names), names[1]) == (1 + QUEUE, "n3")


async def test_who_awaits_a_command_waits_while_there_is_too_much_to_write() -> None:
    outbox = Outbox()
    for _ in range(ROOM):
        outbox.push(commands.PING)
    assert not outbox._room.is_set()
    await outbox.first()
    outbox.drop()
    await outbox.room()
    outbox.push(commands.PING)
    outbox.close()
    await outbox.room()
