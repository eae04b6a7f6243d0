"""Files come into the blobs whole or not at all, and the call always hears what became of them."""

from __future__ import annotations

import asyncio

import pytest

from channels.base import Action, RefusedError
from omni.blobs.folder import FolderBlobs
from omni.bus.base import Outgoing
from omni.model.delivery import FetchMedia
from omni.model.message import Media, MediaKind
from omni.model.queues import MEDIA
from workers.media import MediaWorker
from workers.transcribe import TranscriberError


class Words:
    """A transcriber that says what it is told to."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.heard = []

    async def transcribe(self, audio, language):
        self.heard.append((audio, language))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, asyncio.Event):
            await answer.wait()
        return answer

    async def close(self): ...


@pytest.fixture
async def blobs(tmp_path):
    blobs = FolderBlobs(tmp_path / "blobs")
    await blobs.open()
    yield blobs
    await blobs.close()


@pytest.fixture
async def media(stage, blobs):
    async def start(**more):
        worker = MediaWorker(
            **{
                "bus": stage.bus,
                "blobs": blobs,
                "adapters": {"whatsapp": stage.cloud},
                "channels": stage.channels,
                "partition_count": 2,
                "clock": stage.clock,
            }
            | more
        )
        stage.workers.append(worker)
        await stage.listen()
        await worker.start()
        return worker

    return start


async def ask(stage, kind=MediaKind.IMAGE, message_id="msg-1", **more):
    job = FetchMedia(
        call="wa-1",
        home="home-wa-1",
        agent="echo",
        channel="whatsapp:100",
        message_id=message_id,
        part=0,
        media=Media(kind=kind, provider_id="m-1", voice=kind is MediaKind.AUDIO, **more),
        language="en",
    )
    await stage.bus.publish([Outgoing(queue=MEDIA.name, body=job.model_dump_json().encode(), id=message_id)])


async def answered(stage, count=1):
    await stage.until(lambda: len(stage.inputs) == count)
    return stage.inputs[-1]


def refusal(action):
    return RefusedError("The file is gone.", action=action, code="gone")


async def test_a_file_is_stored_and_the_call_is_told(stage, media, blobs):
    file = stage.Download(b"picture" * 1000, mime="image/jpeg")
    stage.cloud.downloads.append(file)
    await media()
    await ask(stage, sha256=file.digest)
    told = await answered(stage)
    assert told.key == "media:wa-1:msg-1:0"
    assert (told.media.size, told.media.sha256, told.media.mime) == (7000, file.digest, "image/jpeg")
    assert told.media.problem is None
    assert b"".join([chunk async for chunk in blobs.read(told.media.blob)]) == file.body


async def test_a_damaged_file_is_fetched_once_more(stage, media):
    good = stage.Download(b"good")
    stage.cloud.downloads.extend([stage.Download(b"bad"), good])
    await media()
    await ask(stage, sha256=good.digest)
    assert (await answered(stage)).media.sha256 == good.digest


async def test_a_file_that_stays_damaged_is_not_kept(stage, media, blobs, tmp_path):
    stage.cloud.downloads.extend([stage.Download(b"bad"), stage.Download(b"bad")])
    await media()
    await ask(stage, sha256="0" * 64)
    told = await answered(stage)
    assert "damaged" in told.media.problem
    assert told.media.blob is None
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file() and path.read_bytes() == b"bad"]


async def test_a_file_over_the_cap_is_not_kept(stage, media):
    stage.cloud.downloads.append(stage.Download(b"x" * 5000, max_bytes=4000))
    await media()
    await ask(stage)
    told = await answered(stage)
    assert "larger" in told.media.problem


async def test_a_file_that_can_never_be_had_is_a_problem_at_once(stage, media):
    stage.cloud.downloads.append(refusal(Action.GIVE_UP))
    await media()
    await ask(stage)
    assert (await answered(stage)).media.problem == "The file is gone."


async def test_a_transient_failure_is_tried_again(stage, media):
    stage.cloud.downloads.extend([refusal(Action.RETRY), stage.Download(b"at last")])
    await media()
    await ask(stage)
    assert (await answered(stage)).media.size == 7


async def test_speech_gets_its_words(stage, media):
    stage.cloud.downloads.append(stage.Download(b"speech"))
    words = Words("hello there")
    await media(transcriber=words)
    await ask(stage, MediaKind.AUDIO)
    assert (await answered(stage)).media.transcript == "hello there"
    assert words.heard == [(b"speech", "en")]


async def test_pictures_are_not_listened_to(stage, media):
    stage.cloud.downloads.append(stage.Download(b"picture"))
    words = Words()
    await media(transcriber=words)
    await ask(stage)
    assert (await answered(stage)).media.transcript is None


@pytest.mark.parametrize("answer", [TranscriberError("no model"), "", asyncio.Event()])
async def test_speech_without_words_still_arrives(stage, media, answer):
    stage.cloud.downloads.append(stage.Download(b"speech"))
    await media(transcriber=Words(answer), words_timeout=0.05)
    await ask(stage, MediaKind.AUDIO)
    told = await answered(stage)
    assert told.media.transcript is None
    assert told.media.blob is not None


async def test_a_channel_that_is_gone_is_a_problem(stage, media):
    stage.channels.channels.clear()
    await media()
    await ask(stage)
    assert "not configured" in (await answered(stage)).media.problem


async def test_an_odd_body_is_a_dead_letter(stage, media):
    await media()
    await stage.bus.publish([Outgoing(queue=MEDIA.name, body=b"{}", id="odd")])

    async def dead():
        return await stage.bus.dead_letters(MEDIA.name)

    [letter] = await stage.until(dead)
    assert letter.id == "odd"


async def test_stop_hands_back_what_is_under_way(stage, media):
    class Endless(stage.Download):
        async def content(self):
            yield b"x"
            await asyncio.Event().wait()

    stage.cloud.downloads.extend([Endless(b""), stage.Download(b"second worker")])
    worker = await media()
    await ask(stage)
    await stage.until(lambda: stage.cloud.fetched)
    await worker.stop(0)
    stage.consumers.pop()  # `media` listens again
    await media()
    assert (await answered(stage)).media.size == 13
