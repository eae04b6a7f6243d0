"""What conversations reach outside themselves, as a process has it: brains, tools, and whoever listens."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

from omni.app.links import media_link, open_links
from omni.app.process import Process
from omni.live.presence import Program
from omni.live.teller import Teller
from omni.model.ids import new_call_id, new_id
from omni.outgoing.http import OutgoingHttp
from sessions.brains.choose import Brains
from sessions.brains.endpoint import LlmDefaults
from sessions.brains.webhook.brain import WebhookBrain
from sessions.prompt import render
from sessions.tools import ToolRunner
from sessions.webhooks.turns import TurnList
from sessions.world import World


async def open_world(process: Process, stack: AsyncExitStack) -> World:
    """Open until the stack is closed. Raises StoreError."""
    settings, opened, endpoints = process.settings, process.engines, process.endpoints
    http = OutgoingHttp(allow_private=settings.allow_private_webhooks)
    stack.push_async_callback(http.close)
    links = await open_links(settings, opened, process.public_url)
    turns = TurnList(opened.store, endpoints)
    turns.start()
    stack.push_async_callback(turns.stop)
    brains = Brains(
        LlmDefaults(base_url=settings.llm_base_url, api_key=settings.openai_api_key, model=settings.llm_model),
        WebhookBrain(http, endpoints.endpoints, turns=turns, link=media_link(links)),
    )
    stack.push_async_callback(brains.close)
    tools = ToolRunner(http, endpoints.endpoints)
    teller = Teller(opened.bus)
    return World(
        store=opened.store,
        bus=opened.bus,
        agents=process.book,
        brains=brains.brain_for,
        run_tool=tools.run,
        partitions=settings.partitions,
        clock=time.time,
        new_id=new_id,
        new_call_id=new_call_id,
        render=render,
        tell=teller.tell,
        answer=teller.answer,
        program_since=lambda org, slug: _since(process.presence.program(org, slug)),
        is_heard=endpoints.hears,
    )


def _since(program: Program | None) -> float | None:
    return None if program is None else program.since
