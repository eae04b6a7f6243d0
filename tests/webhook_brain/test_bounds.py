"""What a developer's server cannot do with an answer: hold up other conversations, or flood a person."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from sessions.brains.base import Say
from sessions.brains.webhook.acts import MOST_BESIDE
from sessions.brains.webhook.joining import Joining
from tests.webhook_brain.receiver import NDJSON, Receiver, answers

MEBIBYTE = 1024 * 1024
LONGEST = 0.12
"""Seconds of work in one go."""


class Pulse:
    """The longest that this thread worked between two turns of something else."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def __aenter__(self) -> Pulse:
        self._task = asyncio.create_task(self._beat())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0)
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _beat(self) -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest, last = max(self.longest, now - last), now


def filled(unit: bytes, size: int = MEBIBYTE) -> bytes:
    return unit * (size // len(unit))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(filled(b"{}\n"), "application/json", id="hundreds of thousands of objects in a whole answer"),
        pytest.param(filled(b"1\n"), NDJSON, id="hundreds of thousands of lines without an object"),
        pytest.param(
            json.dumps({"text": "<tool_call></tool_call>" * 45_000}).encode(), NDJSON, id="one text full of tags"
        ),
    ],
)
async def test_no_answer_holds_up_other_conversations(
    receiver: Receiver, answer: Any, turn_of: Any, body: bytes, content_type: str
) -> None:
    receiver.will(answers(body, content_type))
    async with Pulse() as pulse:
        assert await answer(turn_of()) == []
    assert pulse.longest < LONGEST


async def test_a_stream_of_more_lines_than_anybody_reads_ends_the_answer_with_what_was_said(
    receiver: Receiver, answer: Any, turn_of: Any, kept: Any
) -> None:
    first = json.dumps({"text": "Hello.", "interim": True}).encode() + b"\n"
    receiver.will(answers(first + b"\n" * 200_000 + b'{"text":"never"}\n', NDJSON))
    assert await answer(turn_of()) == [Say("Hello.")]
    assert kept.last.error == "sent more than 100,000 lines"


async def test_a_person_is_not_flooded_with_messages_beside_an_answer(
    receiver: Receiver, answer: Any, turn_of: Any, kept: Any
) -> None:
    lines = [{"send_message": {"body": f"m{n}"}, "interim": True} for n in range(500)]
    receiver.will(answers("\n".join(map(json.dumps, lines)).encode(), NDJSON))
    said = [chunk.text for chunk in await answer(turn_of()) if isinstance(chunk, Say)]
    assert said == [f"m{n}" for n in range(MOST_BESIDE)]
    assert kept.last.notes == ("490 of `send_message` were left out: 10 go beside an answer",)


def test_tags_are_left_out_wherever_a_text_is_cut() -> None:
    text = "a<tool_call>x</tool_call>b<function_calls n='1'>y</function_calls>c<tool_call>z"
    for cut in range(len(text)):
        joining = Joining()
        assert joining.add(text[:cut]) + joining.add(text[cut:]) + joining.end() == "abc"
