"""Agents with their channels."""

from __future__ import annotations

import sqlite3
from typing import Final

from omni.model.agent import Agent
from omni.model.channel import REVEAL, has_account
from omni.store.sqlite.tables import Tables

SAVE: Final = "INSERT INTO agents (org, slug, doc) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET doc = excluded.doc"
ONE: Final = "SELECT doc FROM agents WHERE org = ? AND slug = ?"
ALL: Final = "SELECT doc FROM agents ORDER BY org, slug"
ALL_OF_ORG: Final = "SELECT doc FROM agents WHERE org = ? ORDER BY slug"
REMOVE: Final = "DELETE FROM agents WHERE org = ? AND slug = ?"
OWNER: Final = "SELECT org, agent FROM channels WHERE id = ?"
OWN: Final = "INSERT OR REPLACE INTO channels (id, org, agent) VALUES (?, ?, ?)"
DISOWN: Final = "DELETE FROM channels WHERE org = ? AND agent = ?"


class AgentTables(Tables):
    async def save_agent(self, agent: Agent) -> None:
        document = _document(agent)
        accounts = [channel.id for channel in agent.channels if has_account(channel.id)]

        def job(db: sqlite3.Connection) -> None:
            db.execute(DISOWN, (agent.org, agent.slug))
            for account in accounts:
                owner = db.execute(OWNER, (account,)).fetchone()
                if owner is not None:
                    _take_away(db, owner[0], owner[1], account)
                db.execute(OWN, (account, agent.org, agent.slug))
            db.execute(SAVE, (agent.org, agent.slug, document))

        await self._write(job)

    async def agent(self, org: str, slug: str) -> Agent | None:
        row = self._look(lambda db: db.execute(ONE, (org, slug)).fetchone())
        return None if row is None else Agent.model_validate_json(row[0])

    async def agents(self, org: str | None = None) -> list[Agent]:
        def job(db: sqlite3.Connection) -> list[Agent]:
            rows = db.execute(ALL) if org is None else db.execute(ALL_OF_ORG, (org,))
            return [Agent.model_validate_json(document) for (document,) in rows]

        return await self._read(job)

    async def remove_agent(self, org: str, slug: str) -> bool:
        def job(db: sqlite3.Connection) -> bool:
            db.execute(DISOWN, (org, slug))
            return db.execute(REMOVE, (org, slug)).rowcount > 0

        return await self._write(job)


def _take_away(db: sqlite3.Connection, org: str, slug: str, channel_id: str) -> None:
    row = db.execute(ONE, (org, slug)).fetchone()
    if row is not None:
        agent = Agent.model_validate_json(row[0])
        kept = tuple(channel for channel in agent.channels if channel.id != channel_id)
        db.execute(SAVE, (org, slug, _document(agent.model_copy(update={"channels": kept}))))


def _document(agent: Agent) -> str:
    """With its secrets: the file is this user's alone (mode 0600). None is kept, where it is not the default."""
    return agent.model_dump_json(context=REVEAL)
