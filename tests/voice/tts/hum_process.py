"""A process like `workers.voice.tts.piper_process` whose voice hums, and fails when a text asks for it.

`python hum_process.py THREADS`. Texts: `die`, `hang`, `raise`, `garbage`; `made?` has the number of sentences that were
made so far as its only word; of another text each word is a sentence.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from tests.voice.tts.tone import SECONDS_A_CHARACTER, hum
from workers.voice.tts.base import WordTime
from workers.voice.tts.piper_process import Sentence, serve

made = 0


def say(request: dict[str, Any]) -> Iterator[Sentence]:
    global made
    text = request["text"]
    if text == "die":
        os._exit(1)
    if text == "hang":
        threading.Event().wait()
    if text == "raise":
        raise ValueError("a text that Piper does not like")
    if text == "garbage":
        os.write(1, b"{not json\n")
        threading.Event().wait()
    if text == "made?":
        yield b"", [WordTime(str(made), 0.0, 0.0)]
        return
    for word in text.split():
        made += 1
        seconds = len(word) * SECONDS_A_CHARACTER / request["speed"]
        yield hum(seconds, request["rate"]), [WordTime(f"{word}:{request['voice']}", 0.0, seconds)]


if __name__ == "__main__":
    if sys.argv[1] == "broken":
        sys.exit(3)
    serve(say, int(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
