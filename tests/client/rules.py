"""What every stream of events to a program obeys, whatever happened (wire protocol §2.3, §6.1, §11.7)."""

from __future__ import annotations

from collections.abc import Iterable

from tests.client.program import Frame

STARTS = {"whatsapp.session_started", "llm.chat.started", "call.started"}
ENDS = {"whatsapp.session_ended", "llm.chat.ended", "call.ended"}
BEFORE = {"call.ringing", "call.dialing", "call.rejected"}
"""What comes of a call with sound that nobody has answered."""
ANYTIME = ("whatsapp.", "session.", "history.", "llm.tool_call", "error")
"""What may also come of calls that the program was not told of."""


def check_stream(heard: Iterable[Frame]) -> None:
    """Raises AssertionError for a stream that breaks a rule."""
    calls: dict[str, list[Frame]] = {}
    for frame in heard:
        event = frame.get("event")
        assert isinstance(event, str), frame
        if "call_id" in frame:
            calls.setdefault(frame["call_id"], []).append(frame)
    for frames in calls.values():
        _check_call(frames)


def _check_call(frames: list[Frame]) -> None:
    kinds = [frame["event"] for frame in frames]
    assert sum(kind in STARTS for kind in kinds) <= 1, kinds
    assert sum(kind in ENDS for kind in kinds) <= 1, kinds
    has_begun = has_ended = False
    messages: set[str] = set()
    begun: list[str] = []
    settled: list[str] = []
    finished: list[str] = []
    for frame in frames:
        event = frame["event"]
        has_begun |= event in STARTS
        was_dialled = event == "call.ended" and frame["direction"] == "outbound"
        assert event not in BEFORE or not has_begun, f"{event} after the start of {frame['call_id']}"
        is_free = event.startswith(ANYTIME) or event in BEFORE or was_dialled
        assert has_begun or is_free, f"{event} before the start of {frame['call_id']}"
        assert not has_ended or event.startswith(("history.", "error")), f"{event} after the end of {frame['call_id']}"
        has_ended |= event in ENDS or event == "call.rejected"
        assert frame.get("agent_id") or event.startswith(("history.", "error")), frame
        match event:
            case "user.message":
                assert frame["message_id"] not in messages, frame
                messages.add(frame["message_id"])
            case "bot.speaking":
                begun.append(frame["message_id"])
            case "message.confirmed" | "message.aborted":
                settled.append(frame["message_id"])
            case "bot.word":
                is_inside = frame["message_id"] in begun and frame["message_id"] not in finished
                assert is_inside, f"a word outside its message {frame['message_id']}"
            case "bot.finished" | "bot.interrupted":
                finished.append(frame["message_id"])
            case "turn.end" if "user.message" in kinds:
                assert frame["message_id"] in messages, f"turn.end before its message {frame['message_id']}"
    assert len(settled) == len(set(settled)), settled
    assert len(finished) == len(set(finished)), finished
    assert set(begun) <= set(settled), (begun, settled)
    assert set(begun) <= set(finished), (begun, finished)
