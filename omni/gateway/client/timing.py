"""How long this server waits for a program, and how much it takes from one at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds.

    `connect`: for the first frame. `suspect`: a socket that said nothing for so long is asked whether it lives, and
    has `probe` to answer. `retry`: when a program that was refused its agent may try again; after `refuse_for` it is
    refused for good. `dev_hold`: a claim on somebody's number waits so long for the news that only some callers are
    meant. `ack`: for a request of a call. `unknown_tool`: a result that says that nobody knows the tool waits so long
    for another. `chat_idle`: after so long without a word a chat begun with `llm.chat` is over. `voice_start`: a
    call waits so long for a voice worker to come up, which rings so much shorter then. `dial_start`: one that none has
    begun to place by then is not placed, and `dial` is how long the news of that may take. It may ring for 25 s;
    programs wait for 30 s. `recording`: for a program to take what was sent before.
    """

    connect: float = 10.0
    suspect: float = 45.0
    probe: float = 5.0
    retry: float = 5.0
    refuse_for: float = 60.0
    dev_hold: float = 1.0
    ack: float = 9.0
    unknown_tool: float = 2.0
    chat_idle: float = 1800.0
    voice_start: float = 10.0
    dial_start: float = 4.0
    dial: float = 18.0
    recording: float = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """`rate` is the frames a second a socket may send for long, `burst` how many at once (long ones count for several);
    one that sends more is read slower, and closed after `patience` seconds of it. `unsent` frames or `unsent_bytes` may
    wait for a program that reads slowly. `agents` is how many this process takes."""

    rate: float = 1_000
    burst: float = 5_000
    patience: float = 20.0
    unsent: int = 5_000
    unsent_bytes: int = 32 * 1024 * 1024
    waiting: int = 1_000
    """Commands of one socket that wait for the bus; more are not read."""
    agents: int = 10_000
    chats: int = 1_000
    """Chats of one socket begun with `llm.chat`."""
