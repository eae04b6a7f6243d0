"""The delivery role: what goes out on the channels, what became of it, files on their way, and what developers are
told."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from channels.base import Adapter
from channels.chat.adapter import ChatAdapter
from channels.whatsapp.adapter import WhatsAppAdapter
from omni.app.process import Process
from omni.app.routes import Routes
from omni.app.sms import open_sms
from omni.live.teller import Teller
from omni.outgoing.http import OutgoingHttp
from sessions.past import business_of
from sessions.webhooks.courier import Courier

if TYPE_CHECKING:
    from workers.delivery import DeliveryWorker
    from workers.media import MediaWorker
    from workers.statuses import StatusWorker
    from workers.webhooks.worker import WebhookWorker


async def open_delivery(process: Process, stack: AsyncExitStack) -> tuple[DeliveryWorker, StatusWorker, MediaWorker]:
    """The channels' workers, to be started. What they use is open until the stack is closed."""
    from workers.delivery import DeliveryWorker
    from workers.media import MediaWorker
    from workers.statuses import StatusWorker
    from workers.transcribe import load_transcriber

    settings, opened = process.settings, process.engines
    whatsapp = WhatsAppAdapter(graph_url=settings.whatsapp_graph_url, blobs=opened.blobs)
    await whatsapp.open()
    stack.push_async_callback(whatsapp.close)
    sms = await open_sms(stack, settings, opened, process.public_url)
    adapters: dict[str, Adapter] = {"whatsapp": whatsapp, "sms": sms, "chat": ChatAdapter(opened.blobs)}
    channels = Routes(process.book)
    transcriber = load_transcriber(settings.stt_model)
    if transcriber is not None:
        stack.push_async_callback(transcriber.close)
    deliveries = DeliveryWorker(
        bus=opened.bus,
        store=opened.store,
        adapters=adapters,
        channels=channels,
        partition_count=settings.partitions,
        partitions=range(process.served),
        settle_wait=settings.settle_wait,
        probe_every=settings.probe_every,
    )
    statuses = StatusWorker(
        bus=opened.bus, store=opened.store, partition_count=settings.partitions, tell=Teller(opened.bus).tell
    )
    media = MediaWorker(
        bus=opened.bus,
        blobs=opened.blobs,
        adapters=adapters,
        channels=channels,
        partition_count=settings.partitions,
        transcriber=transcriber,
    )
    return deliveries, statuses, media


def open_webhooks(process: Process, stack: AsyncExitStack) -> WebhookWorker:
    """To be started. Connections of its own: what developers are told must not wait for those who answer turns."""
    from workers.webhooks.worker import WebhookWorker

    settings, opened, book = process.settings, process.engines, process.book
    http = OutgoingHttp(allow_private=settings.allow_private_webhooks)
    stack.push_async_callback(http.close)
    return WebhookWorker(
        bus=opened.bus,
        store=opened.store,
        courier=Courier(http),
        partitions=range(process.served),
        kept_seconds=settings.webhook_log_days * 86_400.0,
        business=lambda call: business_of(book.get(call.org, call.agent), call.channel),
        holder="alone" if settings.is_embedded else None,
    )
