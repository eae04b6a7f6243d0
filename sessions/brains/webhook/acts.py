"""What a reply asks for beside its words, done once they are all said: keys, messages beside, then somebody else or the
end."""

from __future__ import annotations

from collections.abc import Iterator

from omni.model.agent import Agent
from omni.model.call import SOUND
from sessions.brains.base import Break, Chunk, Finish, HandOver, Press, Say, Setting, Transfer, Write
from sessions.brains.webhook.reply import Beside, Reply

HANDED_OVER = "the webhook asked for a transfer"
HANDED_OFF = "the webhook asked for a person"
HUNG_UP = "agent_hangup"
TRANSFER_NUMBER = "transfer_number"
"""Key of an agent's `audio`: where its callers are transferred to."""
WRITTEN = frozenset({"whatsapp", "chat", "sms"})
"""Transports on which the answer itself is a message, and a call is handed to a colleague, not to a number."""
MOST_KEYS = 64
MOST_BESIDE = 10
"""Messages beside one answer."""


class Acts:
    """Collects them from the replies of a turn. `notes` say what cannot be done here."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._digits: list[str] = []
        self._beside: list[Beside] = []
        self._left_out = 0
        self._transfers = False
        self._hangs_up = False
        self._hands_off = False

    def take(self, reply: Reply) -> None:
        if reply.digits is not None:
            self._digits.append(reply.digits)
        if reply.beside is not None:
            self._left_out += len(self._beside) == MOST_BESIDE
            self._beside = [*self._beside, reply.beside][:MOST_BESIDE]
        self._transfers |= reply.transfers
        self._hangs_up |= reply.hangs_up
        self._hands_off |= reply.hands_off

    def chunks(self, setting: Setting, agent: Agent, *, has_spoken: bool) -> Iterator[Chunk]:
        """In the order in which they are done. A transfer and a hang-up together are a transfer."""
        is_spoken = setting.transport in SOUND
        if self._digits and is_spoken:
            yield Press(_keys("".join(self._digits)))
        elif self._digits:
            self.notes.append(f"`digits` were not sent: there are no keys to press on {setting.transport}")
        if self._left_out:
            self.notes.append(f"{self._left_out:,} of `send_message` were left out: {MOST_BESIDE} go beside an answer")
        for beside in self._beside:
            if not _is_the_person(beside, setting):
                self.notes.append("`send_message` was not sent: it can only go to the person of the conversation")
                continue
            if is_spoken:
                yield Write(beside.body)
                continue
            if has_spoken:
                yield Break()
            yield Say(beside.body)
            has_spoken = True
        if self._hands_off:
            yield HandOver(HANDED_OFF)
        elif self._transfers and is_spoken:
            yield from self._transfer(agent)
        elif self._transfers:
            yield HandOver(HANDED_OVER)
        elif self._hangs_up:
            yield Finish(HUNG_UP)

    def _transfer(self, agent: Agent) -> Iterator[Chunk]:
        """The caller goes to the agent's own number; without one they stay."""
        number = agent.audio.get(TRANSFER_NUMBER)
        if isinstance(number, str) and number:
            yield Transfer(number)
        else:
            self.notes.append("nobody was called: the agent has no number to transfer to; set one")


def _keys(digits: str) -> str:
    """As telephones have them: letters are large, and a pause is `w`."""
    return "".join("w" if key in "wW" else key.upper() for key in digits)[:MOST_KEYS]


def _is_the_person(beside: Beside, setting: Setting) -> bool:
    return beside.to is None or _bare(beside.to) == _bare(setting.person)


def _bare(address: str) -> str:
    """A number without the ways to write it."""
    return "".join(letter for letter in address if letter.isalnum()).lower()
