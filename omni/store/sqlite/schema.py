"""The store's tables. Every column beside a document is there because an index or a condition needs it.

Entries are clustered by their call's number, not its random id: calls that talk now are the newest, so what is
written together lies together, however many old ones there are. The number also tells a conversation's newest call,
and orders calls of one `started_at`; every index ends with it.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from omni.model.contact import Contact
from omni.sqlite import Job
from omni.store.sqlite.conditions import IN_VAIN, RINGS
from omni.store.words import words_of_contact


def _name_everybody(db: sqlite3.Connection) -> None:
    """Contacts that there are can be found by their words."""
    for (doc,) in db.execute("SELECT doc FROM contacts"):
        contact = Contact.model_validate_json(doc)
        rows = [(contact.org, word, contact.id) for word in words_of_contact(contact)]
        db.executemany("INSERT OR IGNORE INTO contact_words (org, word, contact) VALUES (?, ?, ?)", rows)


MIGRATIONS: Final[tuple[tuple[str | Job[None], ...], ...]] = (
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
    (
        """CREATE TABLE operators (
            id TEXT PRIMARY KEY, org TEXT NOT NULL, email TEXT NOT NULL UNIQUE, subject TEXT UNIQUE,
            version INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID""",
        "CREATE INDEX operators_of_org ON operators (org)",
        """CREATE TABLE audit (
            number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, org TEXT NOT NULL, actor TEXT NOT NULL,
            at REAL NOT NULL, doc TEXT NOT NULL)""",
        "CREATE INDEX audit_of_org ON audit (org, at)",
        "CREATE INDEX audit_of_actor ON audit (org, actor, at)",
        """CREATE TABLE desk (
            id TEXT PRIMARY KEY, org TEXT NOT NULL, kind TEXT NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL,
            version INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID""",
        "CREATE UNIQUE INDEX desk_names ON desk (org, kind, owner, name)",
        """CREATE TABLE cases (
            conversation TEXT PRIMARY KEY, org TEXT NOT NULL, assignee TEXT, snoozed_until REAL, snoozed_at REAL,
            version INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID""",
        "CREATE INDEX cases_assigned ON cases (org, assignee) WHERE assignee IS NOT NULL",
        "CREATE INDEX cases_snoozed ON cases (org, snoozed_until) WHERE snoozed_until IS NOT NULL",
        """CREATE TABLE case_labels (
            conversation TEXT NOT NULL, org TEXT NOT NULL, label TEXT NOT NULL,
            PRIMARY KEY (conversation, label)) WITHOUT ROWID""",
        "CREATE INDEX case_labels_of_org ON case_labels (org, label)",
        """CREATE TABLE case_events (
            conversation TEXT NOT NULL, number INTEGER NOT NULL, doc TEXT NOT NULL,
            PRIMARY KEY (conversation, number)) WITHOUT ROWID""",
        "ALTER TABLE calls ADD COLUMN transport TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE calls ADD COLUMN last_at REAL NOT NULL DEFAULT 0",
        "ALTER TABLE calls ADD COLUMN waiting_since REAL",
        """UPDATE calls SET transport = json_extract(doc, '$.transport'),
            last_at = ifnull(nullif(json_extract(doc, '$.last_at'), 0), started_at),
            waiting_since = json_extract(doc, '$.waiting_since')""",
        "CREATE INDEX calls_open_newest ON calls (org, last_at) WHERE is_open = 1",
        "CREATE INDEX calls_ended_newest ON calls (org, last_at) WHERE is_open = 0",
        "CREATE INDEX calls_waiting ON calls (org, waiting_since) WHERE is_open = 1 AND waiting_since IS NOT NULL",
        "CREATE TABLE said (number INTEGER PRIMARY KEY, call INTEGER, conversation TEXT, seq INTEGER NOT NULL)",
        "CREATE INDEX said_of_call ON said (call) WHERE call IS NOT NULL",
        "CREATE TABLE said_upto (id INTEGER PRIMARY KEY, upto INTEGER NOT NULL)",
        "INSERT INTO said_upto (id, upto) VALUES (1, 0)",
        # Our words are separated by spaces and by nothing else: the tokenizer leaves every one of them whole.
        """CREATE VIRTUAL TABLE said_words USING fts5(words, content='', columnsize=0, detail=none,
            tokenize="unicode61 remove_diacritics 0 categories 'L* M* N* P* S* C*'")""",
        """INSERT INTO said (call, seq) SELECT call, seq FROM entries WHERE type IN ('user.message', 'user.edited',
            'user.revoked', 'media.ready', 'bot.speaking', 'supervisor.said', 'supervisor.changed')
            ORDER BY ts, call, seq""",
        """CREATE TABLE contact_words (
            org TEXT NOT NULL, word TEXT NOT NULL, contact TEXT NOT NULL,
            PRIMARY KEY (org, word, contact)) WITHOUT ROWID""",
        _name_everybody,
    ),
    (
        """CREATE TABLE webhooks (
            id TEXT PRIMARY KEY, org TEXT NOT NULL, scope TEXT UNIQUE, created_at REAL NOT NULL,
            version INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID""",
        "CREATE INDEX webhooks_of_org ON webhooks (org, created_at)",
        """CREATE TABLE untold (
            call INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, at REAL NOT NULL,
            PRIMARY KEY (call, first)) WITHOUT ROWID""",
        "CREATE INDEX untold_oldest ON untold (at)",
        """CREATE TABLE webhook_deliveries (
            number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, org TEXT NOT NULL, endpoint TEXT NOT NULL, agent TEXT,
            dialect TEXT NOT NULL, call TEXT NOT NULL, lane TEXT NOT NULL, seq INTEGER NOT NULL, event TEXT NOT NULL,
            state TEXT NOT NULL, next_at REAL, created_at REAL NOT NULL, since REAL NOT NULL, finished_at REAL,
            version INTEGER NOT NULL, doc TEXT NOT NULL)""",
        "CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint, next_at) WHERE next_at IS NOT NULL",
        "CREATE INDEX webhook_deliveries_lane ON webhook_deliveries (endpoint, lane, seq) WHERE state = 'pending'",
        "CREATE INDEX webhook_deliveries_since ON webhook_deliveries (endpoint, since) WHERE state = 'pending'",
        "CREATE INDEX webhook_deliveries_of_org ON webhook_deliveries (org, created_at, seq)",
        "CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (endpoint, created_at, seq)",
        "CREATE INDEX webhook_deliveries_of_call ON webhook_deliveries (call)",
        """CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at)
            WHERE finished_at IS NOT NULL""",
    ),
    (
        f"CREATE INDEX calls_in_vain ON calls (org, started_at) WHERE {IN_VAIN}",
        "CREATE INDEX contacts_of_org ON contacts (org, id)",
        "CREATE INDEX said_of_conversation ON said (conversation) WHERE conversation IS NOT NULL",
    ),
    (
        "CREATE INDEX calls_counted ON calls (org, handler, transport, agent, conversation) WHERE is_open = 1",
        "CREATE INDEX calls_open_not_with_bot ON calls (org, last_at) WHERE is_open = 1 AND handler <> 'bot'",
    ),
    (f"CREATE INDEX calls_ringing ON calls (org, started_at) WHERE is_open = 1 AND {RINGS}",),
    (
        """CREATE TABLE sip_trunks (
            org TEXT NOT NULL, name TEXT NOT NULL, created_at REAL NOT NULL, version INTEGER NOT NULL,
            doc TEXT NOT NULL, PRIMARY KEY (org, name)) WITHOUT ROWID""",
    ),
)
