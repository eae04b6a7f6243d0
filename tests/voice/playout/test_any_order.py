"""Whatever happens in whatever order, what is told of the bot's sound is true."""

from __future__ import annotations

import gc
import random
import tracemalloc
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.voice.playout.far_phone import Line, sound, spread
from workers.voice.playout.facts import Began, Cut, Finished, WordHeard

NAMES = ("a", "b", "c", "d")
ACTS = ("begin", "add", "end", "broken", "hold", "resume", "drop", "cancel", "music", "quiet", "tones", "stale mark")


class Story:
    """Random acts against a playout, and what must hold of them. A name is used again once its message has ended."""

    def __init__(self, delay: float, echoes: bool) -> None:
        self.line = Line(delay, echoes=echoes)
        self.said: dict[str, int] = dict.fromkeys(NAMES, 0)
        self.words: dict[str, list[str]] = {}
        self.begun = 0
        self.count = 0

    def act(self, what: str, name: str, ms: int) -> None:
        line, playout = self.line, self.line.playout
        current = f"{name}{self.said[name]}"
        match what:
            case "begin":
                if self._is_open(current):
                    return
                self.said[name] += 1
                current = f"{name}{self.said[name]}"
                self.words[current] = []
                self.begun += 1
                playout.begin(current)
            case "add" if self._is_open(current) and current not in self._ended():
                new = f"w{self.count} v{self.count}"
                self.count += 1
                start = len(self.words[current]) * 0.2
                words = [type(word)(word.text, word.start + start, word.end + start) for word in spread(new)]
                self.words[current] += new.split()
                playout.add(current, sound(400, current), words, text=f"{new} ")
            case "end":
                playout.end(current)
            case "broken":
                playout.end(current, is_whole=False)
            case "hold":
                playout.hold()
            case "resume":
                playout.resume()
            case "drop":
                playout.drop()
                self._nothing_is_heard_now()
            case "cancel":
                playout.cancel(current)
            case "music":
                playout.background(sound(90, "music"))
            case "quiet":
                playout.background(None)
            case "tones":
                playout.tones(sound(60, "tones"), "t")
            case "stale mark":
                for mark in line.phone.marks[:-1]:
                    playout.played(mark)
        line.go(ms)

    def _is_open(self, message: str) -> bool:
        return message in self.words and not any(end.message == message for end in self.line.ends())

    def _ended(self) -> set[str]:
        return {spoken.id for spoken in self.line.playout._messages if spoken.has_ended}

    def _nothing_is_heard_now(self) -> None:
        self.line.playout.background(None)
        while self.line.playout._out._tones:
            self.line.go(20)
        self.line.go(400)
        given = len(self.line.phone.given)
        self.line.go(200)
        assert len(self.line.phone.given) == given

    def finish(self) -> None:
        self.line.playout.resume()
        for name in NAMES:
            self.line.playout.end(f"{name}{self.said[name]}")
        self.line.go(60_000)

    def check(self) -> None:
        ends = [end.message for end in self.line.ends()]
        assert sorted(ends) == sorted(self.words), "every message has exactly one end"
        for message, words in self.words.items():
            mine = [fact for fact in self.line.facts if fact_of(fact) == message]
            assert isinstance(mine[-1], Finished | Cut), "nothing is told after it"
            heard = [fact for fact in mine if isinstance(fact, WordHeard)]
            assert [word.index for word in heard] == list(range(len(heard)))
            assert [word.text for word in heard] == words[: len(heard)]
            end = mine[-1]
            if isinstance(end, Finished):
                assert end.text.split() == words[: len(end.text.split())]
                assert len(heard) == len(words)
                assert (end.duration_ms > 0) == any(isinstance(fact, Began) for fact in mine)
            else:
                assert end.words_spoken == len(heard)
                assert end.heard_text.split() == words[: len(heard)]
                assert end.text.split() == words
            if heard:
                assert isinstance(mine[0], Began)
        begun = [fact.message for fact in self.line.facts if isinstance(fact, Began)]
        assert len(begun) == len(set(begun))
        self._no_message_begins_inside_another()
        times = [at for at, _ in self.line.taps]
        assert all(later >= earlier - 1000 for earlier, later in pairwise(times))

    def _no_message_begins_inside_another(self) -> None:
        playing = None
        for fact in self.line.facts:
            if isinstance(fact, Began):
                assert playing is None
                playing = fact.message
            elif isinstance(fact, Finished | Cut) and fact.message == playing:
                playing = None
            elif isinstance(fact, WordHeard):
                assert fact.message == playing


def fact_of(fact: object) -> str | None:
    return getattr(fact, "message", None)


@settings(max_examples=120, deadline=None)
@given(
    acts=st.lists(
        st.tuples(st.sampled_from(ACTS), st.sampled_from(NAMES), st.sampled_from([0, 20, 60, 200, 700])), max_size=40
    ),
    delay=st.sampled_from([0, 30, 150]),
    echoes=st.booleans(),
)
def test_any_acts_in_any_order(acts, delay, echoes):
    story = Story(delay, echoes)
    for what, name, ms in acts:
        story.act(what, name, ms)
    story.finish()
    story.check()


@settings(max_examples=60, deadline=None)
@given(pauses=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 30)), max_size=6))
def test_pauses_repeat_no_more_than_the_word_that_was_broken_off_and_lose_nothing(pauses):
    line = Line()
    words = " ".join(f"w{at}" for at in range(20))
    line.say("m", words)
    for talk, pause in pauses:
        line.go(talk * 20)
        line.playout.hold()
        line.go(pause * 20)
        line.playout.resume()
    line.go(30_000)
    whole = sound(4000, "m")
    place = {whole[at : at + 320]: at for at in range(0, len(whole), 320)}
    ear = [place[bytes(line.phone.ear[at : at + 320])] for at in range(0, len(line.phone.ear), 320)]
    assert set(ear) == set(place.values()), "all of it was heard"
    for earlier, later in pairwise(ear):
        assert later == earlier + 320 or earlier + 320 - 200 * 16 <= later <= earlier, (earlier, later)
    assert sum(later != earlier + 320 for earlier, later in pairwise(ear)) <= len(pauses)
    assert line.heard_words("m") == words.split()


def test_ten_thousand_operations_leave_nothing_behind():
    dice = random.Random(7)
    line = Line()
    kept: list[int] = []
    tracemalloc.start()
    try:
        for count in range(10_000):
            message = f"m{count}"
            line.playout.begin(message, "two words")
            line.playout.add(message, PCM, WORDS)
            if dice.random() < 0.9:
                line.playout.end(message)
            match dice.randrange(6):
                case 0:
                    line.playout.hold()
                case 1:
                    line.playout.resume()
                case 2:
                    line.playout.cancel(message)
                case 3:
                    line.playout.drop()
                case 4:
                    line.playout.tones(PCM, "1")
            line.go(60)
            line.facts.clear()
            line.taps.clear()
            line.phone.ear.clear()
            line.phone.given.clear()
            line.phone.marks.clear()
            line.phone.gaps.clear()
            if count in (4_999, 9_999):
                line.playout.drop()
                line.go(5_000)
                line.taps.clear()
                gc.collect()
                kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert kept[1] - kept[0] < 100_000
    assert line.playout.playing is None


PCM = sound(100)
WORDS = spread("two words", 50)
