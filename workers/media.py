"""The media worker: files that people sent go from the provider into the blobs, and speech gets its words."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from channels.base import Action, Adapter, RefusedError
from omni.blobs.base import Blob, BlobError, Blobs, BlobTooLargeError
from omni.bus.base import RETRY_DELAYS, Bus, Consumer, Outgoing, Received
from omni.model.delivery import FetchMedia
from omni.model.inbound import MediaReady, pack
from omni.model.message import Media, MediaKind
from omni.model.queues import MEDIA as MEDIA_QUEUE
from omni.model.queues import inbound_for
from omni.telemetry.metrics import MEDIA
from workers.clock import Clock, SystemClock
from workers.lanes import Lanes
from workers.line import Channels
from workers.transcribe import Transcriber, TranscriberError

log = logging.getLogger(__name__)

TRIES: Final = 4
"""After so many tries the call is told that there will be no file; the bus would bury the fifth."""


class _NotYetError(Exception):
    """Worth another try; the text is the sentence that takes the file's place if there is none."""

    def __init__(self, problem: str, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.retry_after = retry_after


class _NeverError(Exception):
    """No try will help; the text is the sentence that takes the file's place."""


class MediaWorker:
    """At most `at_once` files are under way, each for at most `fetch_timeout` seconds.

    Speech gets its words if they come within `words_timeout` seconds of the file, else it goes on without.
    """

    def __init__(
        self,
        *,
        bus: Bus,
        blobs: Blobs,
        adapters: Mapping[str, Adapter],
        channels: Channels,
        partition_count: int,
        transcriber: Transcriber | None = None,
        clock: Clock | None = None,
        at_once: int = 8,
        fetch_timeout: float = 120.0,
        words_timeout: float = 60.0,
    ) -> None:
        self._bus = bus
        self._blobs = blobs
        self._adapters = adapters
        self._channels = channels
        self._partitions = partition_count
        self._transcriber = transcriber
        self._clock = clock or SystemClock()
        self._at_once = at_once
        self._fetch_timeout = fetch_timeout
        self._words_timeout = words_timeout
        self._consumer: Consumer | None = None
        self._lanes: Lanes[Received] = Lanes(
            self._work,
            drop=lambda received: received.release(),
            spoilt=lambda received, error: received.nack(f"{type(error).__name__}: {error}"),
        )

    async def start(self) -> None:
        # A lane for each message: what is in hand is what is under way.
        self._consumer = await self._bus.consume(
            MEDIA_QUEUE, lambda received: self._lanes.put(received.id, received), prefetch=self._at_once
        )

    async def stop(self, grace: float = 4.0) -> None:
        """Take nothing more; files that are not here after `grace` seconds are fetched by somebody else."""
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None
        await self._lanes.stop(grace)

    async def _work(self, received: Received) -> None:
        try:
            job = FetchMedia.model_validate_json(received.body)
        except ValidationError as error:
            received.bury(f"not a media job: {error.error_count()} errors, the first: {error.errors()[0]['msg']}")
            return
        names = {"call": job.call, "agent": job.agent}
        try:
            media = await self._fetch(job, is_redelivered=received.is_redelivered)
            outcome = "stored"
        except _NeverError as never:
            media, outcome = job.media.model_copy(update={"problem": str(never)}), "refused"
            log.info("no file: %s", never, extra=names)
        except _NotYetError as later:
            if received.attempt < TRIES:
                delay = max(RETRY_DELAYS[received.attempt - 1], later.retry_after or 0.0)
                log.info("no file yet, trying again in %.0f s: %s", delay, later, extra=names)
                received.nack(later.problem, delay)
                return
            media, outcome = job.media.model_copy(update={"problem": later.problem}), "given_up"
            log.warning("no file after %d tries: %s", TRIES, later, extra=names)
        MEDIA.labels(job.media.kind, outcome).inc()
        ready = MediaReady(
            key=f"media:{job.call}:{job.message_id}:{job.part}",
            agent=job.agent,
            channel=job.channel,
            at=self._clock.now(),
            org=job.org,
            call=job.call,
            home=job.home,
            message_id=job.message_id,
            part=job.part,
            media=media,
        )
        queue = inbound_for(job.home, self._partitions).name
        await self._bus.publish((Outgoing(queue=queue, body=pack((ready,)), id=ready.key),))
        received.ack()

    async def _fetch(self, job: FetchMedia, *, is_redelivered: bool) -> Media:
        key = blob_key(job)
        blob = await self._blobs.get(key) if is_redelivered else None
        if blob is None:
            blob = await self._download(job, key)
        media = job.media.model_copy(
            update={"blob": blob.key, "size": blob.size, "sha256": blob.sha256, "mime": blob.mime or job.media.mime}
        )
        if media.kind is MediaKind.AUDIO and self._transcriber is not None and media.transcript is None:
            words = await self._words(self._transcriber, blob, job)
            media = media.model_copy(update={"transcript": words})
        return media

    async def _download(self, job: FetchMedia, key: str) -> Blob:
        route = await self._channels.route(job.org, job.channel, job.agent)
        adapter = None if route is None else self._adapters.get(route.channel.kind)
        if route is None or adapter is None:
            raise _NeverError(f"The channel {job.channel} is not configured any more, so its files cannot be fetched.")
        try:
            async with asyncio.timeout(self._fetch_timeout):
                for _ in range(2):  # a digest that does not fit is worth one more look
                    async with adapter.fetch(route.channel, job.media) as download:
                        blob = await self._blobs.put(
                            key, download.content(), mime=download.mime or job.media.mime, max_bytes=download.max_bytes
                        )
                        expected = download.expected_sha256 or job.media.sha256
                    if expected is None or expected == blob.sha256:
                        return blob
                    await self._blobs.delete(key)
        except TimeoutError:
            raise _NotYetError(f"The file did not arrive within {self._fetch_timeout:.0f} seconds.") from None
        except BlobTooLargeError:
            raise _NeverError("The file is larger than this channel allows, and was not kept.") from None
        except BlobError as error:
            log.warning("a file cannot be stored: %s", error, extra={"call": job.call})
            raise _NotYetError("The file could not be stored.") from error
        except RefusedError as refused:
            if refused.action in (Action.GIVE_UP, Action.WINDOW_CLOSED):
                raise _NeverError(refused.reason) from refused
            raise _NotYetError(refused.reason, refused.retry_after) from refused
        raise _NeverError("The file arrived damaged twice (its digest is not the one the channel named).")

    async def _words(self, transcriber: Transcriber, blob: Blob, job: FetchMedia) -> str | None:
        try:
            async with asyncio.timeout(self._words_timeout):
                audio = b"".join([chunk async for chunk in self._blobs.read(blob.key)])
                return await transcriber.transcribe(audio, job.language) or None
        except TimeoutError:
            log.warning("no words within %g s", self._words_timeout, extra={"call": job.call, "agent": job.agent})
        except (TranscriberError, BlobError) as error:
            log.warning("no words: %s", error, extra={"call": job.call, "agent": job.agent})
        return None


def blob_key(job: FetchMedia) -> str:
    """The same for the same part, so fetching it again replaces it; nothing about the person can be read from it."""
    name = f"{job.org}/{job.call}/{job.message_id}/{job.part}"
    return f"media-{hashlib.blake2b(name.encode(), digest_size=20).hexdigest()}"
