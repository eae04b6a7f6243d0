"""What a reply asks for beside its words, done once they are all said: messages beside, then a person or the end."""

from __future__ import annotations

from collections.abc import Iterator

from sessions.brains.base import Break, Chunk, Finish, HandOver, Say, Setting
from sessions.brains.webhook.reply import Beside, Reply

HANDED_OVER = "the webhook asked for a transfer"
HUNG_UP = "agent_hangup"
WRITTEN = frozenset({"whatsapp", "chat", "sms"})
"""Transports on which the answer itself is a message, and a call is handed to a colleague, not to a number."""
MOST_BESIDE = 10
"""Messages beside one answer."""


class Acts:
    """Collects them from the replies of a turn. `notes` say what cannot be done here."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._has_digits = False
        self._beside: list[Beside] = []
        self._left_out = 0
        self._transfers = False
        self._hangs_up = False

    def take(self, reply: Reply) -> None:
        self._has_digits |= reply.digits is not None
        if reply.beside is not None:
            self._left_out += len(self._beside) == MOST_BESIDE
            self._beside = [*self._beside, reply.beside][:MOST_BESIDE]
        self._transfers |= reply.transfers
        self._hangs_up |= reply.hangs_up

    def chunks(self, setting: Setting, *, has_spoken: bool) -> Iterator[Chunk]:
        """In the order in which they are done. A transfer and a hang-up together are a transfer."""
        if self._has_digits:
            self.notes.append(f"`digits` were not sent: there are no keys to press on {setting.transport}")
        if self._left_out:
            self.notes.append(f"{self._left_out:,} of `send_message` were left out: {MOST_BESIDE} go beside an answer")
        for beside in self._beside:
            if setting.transport not in WRITTEN or not _is_the_person(beside, setting):
                self.notes.append("`send_message` was not sent: here it can only go to the person of the conversation")
                continue
            if has_spoken:
                yield Break()
            yield Say(beside.body)
            has_spoken = True
        if self._transfers:
            yield HandOver(HANDED_OVER)
        elif self._hangs_up:
            yield Finish(HUNG_UP)


def _is_the_person(beside: Beside, setting: Setting) -> bool:
    return beside.to is None or _bare(beside.to) == _bare(setting.person)


def _bare(address: str) -> str:
    """A number without the ways to write it."""
    return "".join(letter for letter in address if letter.isalnum()).lower()
