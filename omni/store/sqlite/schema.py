"""The store's tables. Every column beside a document is there because an index or a condition needs it.

Entries are clustered by their call's number, not its random id: calls that talk now are the newest, so what is
written together lies together, however many old ones there are. The number also tells a conversation's newest call,
and orders calls of one `started_at`; every index ends with it.
"""

from __future__ import annotations

from typing import Final

MIGRATIONS: Final = (
    (
        "CREATE TABLE agents (org TEXT NOT NULL, slug TEXT NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (org, slug))",
        "CREATE TABLE channels (id TEXT PRIMARY KEY, org TEXT NOT NULL, agent TEXT NOT NULL) WITHOUT ROWID",
        "CREATE INDEX channels_of_agent ON channels (org, agent)",
        """CREATE TABLE contacts (
            number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, org TEXT NOT NULL, version INTEGER NOT NULL,
            doc TEXT NOT NULL)""",
        """CREATE TABLE contact_identities (
            org TEXT NOT NULL, key TEXT NOT NULL, contact TEXT NOT NULL, PRIMARY KEY (org, key)) WITHOUT ROWID""",
        "CREATE INDEX contact_identities_of_contact ON contact_identities (contact)",
        """CREATE TABLE calls (
            number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, org TEXT NOT NULL, agent TEXT NOT NULL,
            contact TEXT NOT NULL, conversation TEXT NOT NULL, handler TEXT NOT NULL, is_open INTEGER NOT NULL,
            started_at REAL NOT NULL, wake_at REAL, last_seq INTEGER NOT NULL, doc TEXT NOT NULL)""",
        "CREATE UNIQUE INDEX calls_open ON calls (conversation) WHERE is_open = 1",
        "CREATE INDEX calls_of_conversation ON calls (conversation)",
        "CREATE INDEX calls_of_org ON calls (org, started_at)",
        "CREATE INDEX calls_of_agent ON calls (org, agent, started_at)",
        "CREATE INDEX calls_of_contact ON calls (contact, started_at)",
        "CREATE INDEX calls_open_of_org ON calls (org, started_at) WHERE is_open = 1",
        "CREATE INDEX calls_not_with_bot ON calls (org, handler, started_at) WHERE handler <> 'bot'",
        "CREATE INDEX calls_due ON calls (wake_at) WHERE is_open = 1 AND wake_at IS NOT NULL",
        """CREATE TABLE entries (
            call INTEGER NOT NULL, seq INTEGER NOT NULL, ts REAL NOT NULL, type TEXT NOT NULL, agent TEXT,
            ephemeral INTEGER NOT NULL, fact TEXT NOT NULL, PRIMARY KEY (call, seq)) WITHOUT ROWID""",
        "CREATE TABLE snapshots (call INTEGER PRIMARY KEY, seq INTEGER NOT NULL, state TEXT NOT NULL)",
        """CREATE TABLE input_keys (
            key TEXT PRIMARY KEY, call TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE deliveries (
            number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, org TEXT NOT NULL, agent TEXT NOT NULL,
            call TEXT NOT NULL, contact TEXT NOT NULL, seq INTEGER NOT NULL, origin TEXT NOT NULL,
            state TEXT NOT NULL, doc TEXT NOT NULL)""",
        "CREATE INDEX deliveries_of_call ON deliveries (call, seq)",
        "CREATE INDEX deliveries_unsent ON deliveries (call) WHERE state IN ('queued', 'sending')",
        """CREATE TABLE delivery_pieces (
            channel TEXT NOT NULL, provider_id TEXT NOT NULL, delivery INTEGER NOT NULL,
            PRIMARY KEY (channel, provider_id)) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE leases (
            name TEXT PRIMARY KEY, holder TEXT NOT NULL, until REAL NOT NULL, data TEXT NOT NULL) WITHOUT ROWID""",
        "CREATE INDEX leases_until ON leases (until)",
        """CREATE TABLE api_keys (
            id TEXT PRIMARY KEY, org TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, created_at REAL NOT NULL,
            doc TEXT NOT NULL) WITHOUT ROWID""",
        "CREATE INDEX api_keys_of_org ON api_keys (org, created_at)",
    ),
    (
        """CREATE TABLE milestones (
            org TEXT NOT NULL, agent TEXT NOT NULL, number INTEGER NOT NULL, call INTEGER NOT NULL,
            seq INTEGER NOT NULL, PRIMARY KEY (org, agent, number)) WITHOUT ROWID""",
        """INSERT INTO milestones (org, agent, number, call, seq)
            SELECT c.org, c.agent, row_number() OVER (PARTITION BY c.org, c.agent ORDER BY e.ts, e.call, e.seq),
                e.call, e.seq
            FROM entries e JOIN calls c ON c.number = e.call
            WHERE e.type IN ('call.ringing', 'call.started', 'call.ended')""",
    ),
)
