"""A developer's server on a real socket, and the brain that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from omni.model.agent import Agent
from omni.model.contact import Contact, Identity, IdentityKind
from omni.model.message import Message
from omni.model.webhook_brain import WebhookSettings
from omni.outgoing.http import OutgoingHttp
from sessions.brains.base import Chunk, Setting, Spoken, ToolOutcome, Turn
from sessions.brains.webhook.brain import WebhookBrain
from sessions.brains.webhook.record import TurnRecord
from tests.chat.conftest import open_chat  # noqa: F401 - fixture
from tests.server.conftest import (  # noqa: F401 - fixtures
    clean_environment,
    embedded,
    engine,
    llm,
    open_shop,
    services,
)
from tests.webhook_brain.receiver import Receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def http() -> AsyncIterator[OutgoingHttp]:
    made = OutgoingHttp(allow_private=True)
    yield made
    await made.close()


class Kept:
    """The records of turns."""

    def __init__(self) -> None:
        self.records: list[TurnRecord] = []

    def note(self, record: TurnRecord) -> None:
        self.records.append(record)

    @property
    def last(self) -> TurnRecord:
        return self.records[-1]


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def brain(http: OutgoingHttp, kept: Kept) -> WebhookBrain:
    return WebhookBrain(http, turns=kept)


async def _no_tool(id_: str, name: str, arguments: Any) -> ToolOutcome:
    raise AssertionError("a webhook calls no tools")


@pytest.fixture
def turn_of(receiver: Receiver) -> Callable[..., Turn]:
    """A turn of a conversation on WhatsApp."""

    def make(
        *texts: str,
        past: tuple[Spoken, ...] = (),
        agent: Agent | None = None,
        transport: str = "whatsapp",
        metadata: dict[str, Any] | None = None,
        **webhook: Any,
    ) -> Turn:
        async def newest(limit: int) -> tuple[Spoken, ...]:
            return past[-limit:] if limit else ()

        own = WebhookSettings(**{"url": receiver.url, **webhook})
        words = texts or ("hello",)
        number = Identity(kind=IdentityKind.WA_ID, value="12025550171")
        return Turn(
            call="wa-1",
            agent=agent or Agent(slug="shop", brain="webhook", webhook=own),
            number=1,
            prompt="",
            text="\n".join(words),
            messages=tuple(map(Message.of, words)),
            history=(),
            use_tool=_no_tool,
            setting=Setting(
                org="default",
                transport=transport,
                channel=f"{transport}:100200300",
                conversation=f"default/shop/{transport}:100200300/ct_1",
                person="12025550171",
                business="12025550199",
                contact=Contact(id="ct_1", home="x", name="Ada", identities=(number,)),
                metadata=metadata or {},
                asked=tuple(f"msg_{n}" for n in range(1, len(words) + 1)),
                asked_at=1_700_000_000.25,
            ),
            past=newest,
        )

    return make


@pytest.fixture
def answer(brain: WebhookBrain) -> Callable[[Turn], Any]:
    """All chunks of an answer."""

    async def collect(turn: Turn) -> list[Chunk]:
        return [chunk async for chunk in brain.answer(turn)]

    return collect
