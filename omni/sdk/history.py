"""What was said in earlier calls with a contact, kept by the program itself.

The server remembers contacts, too (its agents' `history`); this is for programs that want the words in their own
hands.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from omni.sdk.call import Call
from omni.sdk.errors import ConfigError, OmniError
from omni.sdk.transcript import Message, spoken

if TYPE_CHECKING:
    from pymongo import AsyncMongoClient

log = logging.getLogger("omni.sdk")

KEPT: Final = 40
"""Messages of earlier calls that a new call gets to see."""


class HistoryStore(Protocol):
    """Where conversations are kept. `key` names an agent's contact, for instance `desk/34600111222`."""

    async def load(self, key: str) -> list[Message]:
        """The messages that were saved last, oldest first; empty when there are none."""

    async def save(self, key: str, messages: Sequence[Message]) -> None: ...


class JsonHistory:
    """A folder with one JSON file for each contact."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    async def load(self, key: str) -> list[Message]:
        return await asyncio.to_thread(self._load, self._file(key))

    async def save(self, key: str, messages: Sequence[Message]) -> None:
        await asyncio.to_thread(self._save, self._file(key), list(messages))

    def _file(self, key: str) -> Path:
        readable = re.sub(r"[^A-Za-z0-9+-]+", "_", key)[:60]
        return self.folder / f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"

    @staticmethod
    def _load(file: Path) -> list[Message]:
        try:
            messages = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        return [one for one in messages if isinstance(one, dict)]

    @staticmethod
    def _save(file: Path, messages: list[Message]) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_suffix(".part")
        half.write_text(json.dumps(messages, ensure_ascii=False, indent=1), encoding="utf-8")
        half.replace(file)


class MongoHistory:
    """A MongoDB collection with one document for each contact: `{_id: key, messages: […]}`. Needs pymongo."""

    def __init__(self, url: str, *, database: str = "omni_bot", collection: str = "history") -> None:
        try:
            from pymongo import AsyncMongoClient
        except ImportError:
            raise ConfigError('MongoHistory needs pymongo: pip install "pymongo>=4.13"') from None
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(url)
        self._collection = self._client[database][collection]

    async def load(self, key: str) -> list[Message]:
        document = await self._collection.find_one({"_id": key})
        return [] if document is None else list(document.get("messages") or [])

    async def save(self, key: str, messages: Sequence[Message]) -> None:
        await self._collection.replace_one({"_id": key}, {"messages": list(messages)}, upsert=True)

    async def close(self) -> None:
        await self._client.close()


def contact_key(call: Call) -> str | None:
    """An agent's contact: the number they call or write from. Visitors of a chat have none, unless the token's metadata
    has a `contact`."""
    if contact := call.metadata.get("contact"):
        return f"{call.agent_id}/{contact}"
    number = call.to if call.direction == "outbound" else call.from_
    if call.transport in {"phone", "whatsapp", "sms"} and number:
        return f"{call.agent_id}/{number.lstrip('+')}"
    return None


def _answered(messages: Sequence[Message]) -> list[Message]:
    """What was said, without the user's words at its end: the server keeps those that wait for an answer by itself."""
    said = [one for one in messages if one.get("role") != "system"]
    while said and said[-1].get("role") == "user":
        said.pop()
    return said


class Memory:
    """Earlier conversations for a call that begins, and this one for the next."""

    def __init__(self, store: HistoryStore, key: Callable[[Call], str | None] = contact_key) -> None:
        self._store = store
        self._key = key
        self._recalled: dict[str, list[Message]] = {}

    async def recall(self, call: Call) -> None:
        """Puts what was said earlier before what is said now. A store that fails costs the memory, not the call."""
        try:
            key = self._key(call)
            earlier = [] if key is None else spoken(await self._store.load(key))[-KEPT:]
            if not earlier:
                return
            self._recalled[call.id] = earlier
            await call.set_history([*earlier, *_answered(await call.get_history())])
        except OmniError as error:
            log.warning("call %s: the earlier conversation could not be given to the server: %s", call.id, error)
        except Exception:
            log.exception("call %s: the earlier conversation could not be read", call.id)

    async def keep(self, call: Call) -> None:
        """Saves what was said, with what was recalled before it."""
        earlier = self._recalled.pop(call.id, [])
        said = call.transcript
        if not said:
            return
        if said[: len(earlier)] != earlier:  # the server's list at the end begins with what it was given
            said = [*earlier, *said]
        try:
            if (key := self._key(call)) is not None:
                await self._store.save(key, said[-KEPT:])
        except Exception:
            log.exception("call %s: the conversation could not be kept", call.id)
