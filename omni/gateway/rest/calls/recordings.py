"""The recording of a call, as a file of its own."""

from __future__ import annotations

from aiohttp import web

from omni.blobs.base import Blobs
from omni.gateway.inbox.media import send_file
from omni.model.call import Call
from omni.model.message import Media, MediaKind


async def send_recording(request: web.Request, blobs: Blobs, call: Call) -> web.StreamResponse:
    """`Range` is understood. Raises InboxError: 404 for one that is gone, 416, 503."""
    media = Media(kind=MediaKind.AUDIO, mime="audio/wav", blob=call.recording, filename=f"recording-{call.id}.wav")
    return await send_file(request, blobs, media)
