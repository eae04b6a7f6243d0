"""What the bot is saying on a call: messages that are not over yet, and replies still being written."""

from __future__ import annotations

from omni.sdk import commands, events
from omni.sdk.plain import words
from omni.sdk.reply import Outcome, Port, ReplyStream, Utterance


class Speech:
    """Outcomes are taken from events as they arrive, so that who awaits one is not behind the call's handlers."""

    def __init__(self, call_id: str, port: Port) -> None:
        self._call_id = call_id
        self._port = port
        self._utterances: dict[str, Utterance] = {}
        self._streams: set[ReplyStream] = set()
        self._answered: tuple[str, int] = ("", 0)
        self._complete = ""
        """The newest of the user's messages that a reply was completed to."""
        self._over = False

    def say(self, text: str, in_reply_to: str, *, add_to_history: bool | None = None) -> Utterance:
        """A whole message. A reply that cannot leave now is lost: its turn is offered again."""
        words(text, "a message")
        utterance = Utterance(commands.new_id("msg"))
        if self._takes(utterance, in_reply_to):
            self._port.post(
                commands.bot_reply(self._call_id, utterance.id, text, in_reply_to, add_to_history=add_to_history)
            )
            self._complete = in_reply_to or self._complete
        return utterance

    def stream(self, in_reply_to: str) -> ReplyStream:
        """A message to be written token by token."""
        stream = ReplyStream(self._call_id, self._port, in_reply_to, self._closes)
        if self._takes(stream, in_reply_to, waits=False):
            self._streams.add(stream)
            self._port.post(commands.stream_start(self._call_id, stream.id, in_reply_to))
        return stream

    def no_answer(self, message_id: str) -> None:
        """The user's message is heard, and nobody answers it: a stream without a word says so."""
        if not self._over and self._port.is_open:
            nothing = commands.new_id("msg")
            self._port.post(commands.stream_start(self._call_id, nothing, message_id))
            self._port.post(commands.stream_end(self._call_id, nothing))

    def failed(self, message_id: str, error: Exception) -> None:
        """Who was to answer the user's message broke, and nobody else will: what was being written is taken back, and
        the server is told. A reply that is complete stays the answer."""
        for stream in tuple(self._streams):
            if stream.in_reply_to == message_id:
                stream.cancel()
        if self._complete != message_id and not self._over and self._port.is_open:
            nothing = commands.new_id("msg")
            self._port.post(commands.stream_start(self._call_id, nothing, message_id))
            self._port.post(commands.stream_end(self._call_id, nothing, type(error).__name__))

    def _closes(self, stream: ReplyStream) -> None:
        self._streams.discard(stream)
        if not stream.aborted and stream.in_reply_to:
            self._complete = stream.in_reply_to

    def _takes(self, utterance: Utterance, in_reply_to: str, *, waits: bool = True) -> bool:
        """Whether a message goes out at all; else its outcome is settled. `waits`: the next connection will do, too."""
        if self._over:
            utterance._end("ended", tell=False)
        elif not self._port.is_open and (in_reply_to or not waits):
            utterance._end("lost", tell=False)
        else:
            self._utterances[utterance.id] = utterance
            if in_reply_to:
                self._answered = (in_reply_to, self._port.connection)
            return True
        return False

    def has_answered(self, message_id: str) -> bool:
        """Whether a reply to a user's message has left on this connection."""
        return self._answered == (message_id, self._port.connection)

    def hears(self, event: events.Event) -> None:
        """What an event means for what is being said."""
        match event:
            case events.TurnContinued(event="turn.continued"):
                for stream in tuple(self._streams):
                    self._ends(stream.id, "aborted", tell=True)
            case events.BotFinished():
                self._ends(event.message_id, "finished")
            case events.BotInterrupted():
                self._ends(event.message_id, "interrupted", tell=True)
            case events.MessageAborted():
                self._ends(event.message_id, "aborted", tell=True)
            case events.ReplyRejected():
                self._ends(event.message_id, "rejected", tell=True)
            case events.CallEnded():
                self.over()
            case _:
                pass

    def over(self) -> None:
        """The call has ended: nothing more is said on it."""
        self._over = True
        self._all("ended")

    def lost(self) -> None:
        """The connection broke: nobody will tell what becomes of what was being said."""
        self._all("lost")

    def _all(self, outcome: Outcome) -> None:
        for message_id in tuple(self._utterances):
            self._ends(message_id, outcome)

    def _ends(self, message_id: str, outcome: Outcome, *, tell: bool = False) -> None:
        if (utterance := self._utterances.pop(message_id, None)) is not None:
            utterance._end(outcome, tell=tell)
