"""A person is forgotten: in one transaction everything that is theirs goes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from omni.model.contact import Contact
from omni.model.delivery import Delivery
from omni.store.sqlite.contacts import DELETE, DISOWN_ALL, ONE, name_person
from omni.store.sqlite.deliveries import OF_CALL, pieces_of
from omni.store.sqlite.documents import text
from omni.store.sqlite.search import forget_call, forget_conversation
from omni.store.sqlite.tables import Tables
from omni.store.sqlite.webhooks import ERASE, UNMARK_ALL

CALLS: Final = "SELECT number, id, org, agent, conversation FROM calls WHERE contact = ?"
KEYS: Final = "SELECT key FROM input_keys WHERE call = ?"
UNKEY: Final = "DELETE FROM input_keys WHERE key = ?"
UNPIECE: Final = "DELETE FROM delivery_pieces WHERE channel = ? AND provider_id = ?"
UNDELIVER: Final = "DELETE FROM deliveries WHERE call = ?"
UNLOG: Final = "DELETE FROM entries WHERE call = ?"
UNKEEP: Final = "DELETE FROM snapshots WHERE call = ?"
# A call's number may come again, and an agent's log never gives a number twice: the places stay, and lead nowhere.
BLANK: Final = "UPDATE milestones SET call = -1 WHERE org = ? AND agent = ? AND call = ?"
UNCALL: Final = "DELETE FROM calls WHERE number = ?"
FORGET_CASE: Final = (
    "DELETE FROM case_labels WHERE conversation = ?",
    "DELETE FROM case_events WHERE conversation = ?",
    "DELETE FROM cases WHERE conversation = ?",
)
GROUP: Final = "group:"

Row = tuple[int, str, str, str, str]


class ErasingTables(Tables):
    async def erase_contact(self, org: str, contact_id: str) -> int:
        id_ = text(contact_id)
        # Keys are found by themselves alone, since every append writes some: a rare look at all of them, and not in the
        # thread that writes.
        keys = await self._read(
            lambda db: [row for call in _calls(db, org, id_) for row in db.execute(KEYS, (call[1],))]
        )

        def job(db: sqlite3.Connection) -> int:
            calls = _calls(db, org, id_)
            db.executemany(UNKEY, keys)
            for call in calls:
                _erase_call(db, call)
            for conversation in {call[4] for call in calls}:
                if not conversation.split("/", 3)[-1].startswith(GROUP):
                    _erase_case(db, org, conversation)
            row = db.execute(ONE, (id_,)).fetchone()
            if row is not None and Contact.model_validate_json(row[0]).org == org:
                db.execute(DISOWN_ALL, (id_,))
                name_person(db, row, None)
                db.execute(DELETE, (id_,))
            return len(calls)

        return await self._write(job, long=True)


def _calls(db: sqlite3.Connection, org: str, contact: str) -> list[Row]:
    return [row for row in db.execute(CALLS, (contact,)).fetchall() if row[2] == org]


def _erase_call(db: sqlite3.Connection, call: Row) -> None:
    number, id_, org, agent, _ = call
    forget_call(db, org, number)
    db.execute(UNMARK_ALL, (id_,))
    db.execute(ERASE, (id_,))
    deliveries: Sequence[Delivery] = [Delivery.model_validate_json(doc) for (doc,) in db.execute(OF_CALL, (id_,))]
    db.executemany(UNPIECE, [piece for delivery in deliveries for piece in pieces_of(delivery)])
    db.execute(UNDELIVER, (id_,))
    db.execute(UNLOG, (number,))
    db.execute(UNKEEP, (number,))
    db.execute(BLANK, (org, agent, number))
    db.execute(UNCALL, (number,))


def _erase_case(db: sqlite3.Connection, org: str, conversation: str) -> None:
    forget_conversation(db, org, conversation)
    for sql in FORGET_CASE:
        db.execute(sql, (conversation,))
