"""Looking for words: an index of what was said, and of people's names.

An append only notes which entries say something (`said`, in the order of the appends); their words are written to the
index many at a time, since a full-text index pays for every transaction that touches it, more than an append costs.
This is done in the commit's thread once enough is waiting, and before every search: a search misses nothing.

The index has no content of its own (`fts5` with `content=''`): what is found is read from the log. Every word stands
behind its organisation's mark, so that one organisation's search never walks through what is another's.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from omni.model.case import CaseEvent, Note
from omni.model.contact import Contact
from omni.sqlite import SqliteFileError
from omni.store.inbox import Hit
from omni.store.said import SEARCHED, VOIDING, Said, said
from omni.store.sqlite.documents import text as storable
from omni.store.sqlite.tables import Tables
from omni.store.words import found_in, snippet, wanted, words

INDEX_EVERY: Final = 200
"""So many entries wait at most before somebody indexes them, and so many are indexed at a time."""

QUEUE: Final = "INSERT INTO said (call, seq) VALUES (?, ?)"
QUEUE_NOTE: Final = "INSERT INTO said (conversation, seq) VALUES (?, ?)"
NEWEST: Final = "SELECT max(number) FROM said"
UPTO: Final = "SELECT upto FROM said_upto WHERE id = 1"
REACHED: Final = "UPDATE said_upto SET upto = ? WHERE id = 1"
WAITING: Final = """SELECT s.number, s.call, s.seq, ifnull(c.org, k.org), ifnull(e.type, 'note'), CASE
    WHEN e.type = 'media.ready' THEN json_extract(e.fact, '$.media.transcript')
    WHEN s.call IS NOT NULL THEN json_extract(e.fact, '$.text')
    ELSE (SELECT json_extract(doc, '$.fact.text') FROM case_events n
        WHERE n.conversation = s.conversation AND n.number = s.seq) END
    FROM said s LEFT JOIN entries e ON e.call = s.call AND e.seq = s.seq LEFT JOIN calls c ON c.number = s.call
    LEFT JOIN cases k ON k.conversation = s.conversation WHERE s.number > ? ORDER BY s.number LIMIT ?"""
FACT: Final = "SELECT type, fact FROM entries WHERE call = ? AND seq = ?"
ORG_OF_CASE: Final = "SELECT org FROM cases WHERE conversation = ?"
NOTE: Final = "SELECT doc FROM case_events WHERE conversation = ? AND number = ?"
BEFORE: Final = """SELECT s.number, e.type, e.fact FROM calls mine
    JOIN calls c ON c.conversation = mine.conversation JOIN said s ON s.call = c.number AND s.number < ?
    JOIN entries e ON e.call = s.call AND e.seq = s.seq WHERE mine.number = ?"""
OF_CALL: Final = """SELECT s.number, CASE WHEN e.type = 'media.ready' THEN json_extract(e.fact, '$.media.transcript')
    ELSE json_extract(e.fact, '$.text') END
    FROM said s JOIN entries e ON e.call = s.call AND e.seq = s.seq WHERE s.call = ?"""
NOTES: Final = """SELECT s.number, json_extract(n.doc, '$.fact.text') FROM said s
    JOIN case_events n ON n.conversation = s.conversation AND n.number = s.seq WHERE s.conversation = ?"""
FORGET: Final = "DELETE FROM said WHERE number = ?"
INDEX: Final = "INSERT INTO said_words (rowid, words) VALUES (?, ?)"
UNINDEX: Final = "INSERT INTO said_words (said_words, rowid, words) VALUES ('delete', ?, ?)"
FIND: Final = """SELECT s.seq, c.id, c.conversation, c.org, e.ts, e.type, e.fact, s.conversation
    FROM said_words CROSS JOIN said s ON s.number = said_words.rowid LEFT JOIN calls c ON c.number = s.call
    LEFT JOIN entries e ON e.call = s.call AND e.seq = s.seq WHERE said_words MATCH ? ORDER BY said_words.rowid DESC"""
PEOPLE: Final = "SELECT contact FROM contact_words WHERE org = ? AND word >= ? AND word < ?"
CONTACT: Final = "SELECT doc FROM contacts WHERE id = ?"
_PAST_ANY: Final = "\U0010ffff"


def queue(db: sqlite3.Connection, call: int, seqs: Iterable[int]) -> int:
    """Note entries that say something, in the transaction that appends them; returns the last one's number."""
    last = 0
    for seq in seqs:
        last = db.execute(QUEUE, (call, seq)).lastrowid or 0
    return last


def queue_note(db: sqlite3.Connection, conversation: str, number: int) -> int:
    return db.execute(QUEUE_NOTE, (conversation, number)).lastrowid or 0


class SearchTables(Tables):
    _indexed = 0
    _is_indexing = False
    _is_closing = False

    async def search_messages(self, org: str, text: str, *, limit: int = 50) -> list[Hit]:
        looked_for = wanted(text)
        if not looked_for:
            return []
        while self._look(_is_waiting):
            await self._write(index_some, long=True)
        match = " AND ".join(f'"{mark_of(storable(org))}{word}"*' for word in looked_for)

        def job(db: sqlite3.Connection) -> list[Hit]:
            hits: list[Hit] = []
            for row in db.execute(FIND, (match,)):
                hit = _hit(db, row, storable(org), looked_for)
                if hit is not None:
                    hits.append(hit)
                if len(hits) >= limit:
                    break
            return hits

        return await self._read(job)

    async def search_contacts(self, org: str, text: str, *, limit: int = 20) -> list[Contact]:
        looked_for = wanted(text)
        if not looked_for:
            return []
        sql = " INTERSECT ".join([PEOPLE] * len(looked_for))
        values = [value for word in looked_for for value in (storable(org), word, word + _PAST_ANY)]

        def job(db: sqlite3.Connection) -> list[Contact]:
            found = [id_ for (id_,) in db.execute(f"{sql} LIMIT ?", (*values, limit))]
            docs = (db.execute(CONTACT, (id_,)).fetchone() for id_ in found)
            return [Contact.model_validate_json(doc[0]) for doc in docs if doc is not None]

        return sorted(await self._read(job), key=lambda contact: ((contact.name or "").casefold(), contact.id))

    def _index_soon(self, newest: int = 0) -> None:
        """Have what waits indexed when it is much. `newest` is the number of what was said last."""
        if newest - self._indexed >= INDEX_EVERY and not self._is_indexing and not self._is_closing:
            with suppress(SqliteFileError):  # closed meanwhile: what waits is indexed after the next start
                self._file.write_soon(index_some, self._has_indexed, long=True)
                self._is_indexing = True

    def _has_indexed(self, reached: tuple[int, int] | None, error: Exception | None) -> None:
        self._is_indexing = False
        if reached is not None:  # what failed is tried again with the next append, or by whoever searches
            self._indexed, newest = reached
            self._index_soon(newest)


@lru_cache(1_024)
def mark_of(org: str) -> str:
    return blake2b(org.encode(), digest_size=3).hexdigest()


def index_some(db: sqlite3.Connection) -> tuple[int, int]:
    """Index the oldest of what waits; returns how far that is, and the newest number."""
    upto = db.execute(UPTO).fetchone()[0]
    for number, call, seq, org, type_, text in db.execute(WAITING, (upto, INDEX_EVERY)).fetchall():
        upto = number
        if type_ in VOIDING:
            _take_back(db, org, call, number, said_in(*db.execute(FACT, (call, seq)).fetchone()))
        if text:
            db.execute(INDEX, (number, _indexed_text(org, text)))
    db.execute(REACHED, (upto,))
    return upto, newest_said(db)


def newest_said(db: sqlite3.Connection) -> int:
    return db.execute(NEWEST).fetchone()[0] or 0


def said_in(type_: str, fact: str) -> Said:
    return said(type_, json.loads(fact))


def _is_waiting(db: sqlite3.Connection) -> bool:
    return bool(newest_said(db) > db.execute(UPTO).fetchone()[0])


def _take_back(db: sqlite3.Connection, org: str, call: int, number: int, voided: Said) -> None:
    for earlier, type_, fact in db.execute(BEFORE, (number, call)).fetchall():
        what = said_in(type_, fact)
        if what.names & voided.names:
            if what.text:
                db.execute(UNINDEX, (earlier, _indexed_text(org, what.text)))
            db.execute(FORGET, (earlier,))


def forget_call(db: sqlite3.Connection, org: str, call: int) -> None:
    """Take all that was said in a call (by its number) out of the index, before its entries go."""
    _forget(db, org, db.execute(OF_CALL, (call,)).fetchall())


def forget_conversation(db: sqlite3.Connection, org: str, conversation: str) -> None:
    """The same for the notes of a conversation."""
    _forget(db, org, db.execute(NOTES, (conversation,)).fetchall())


def _forget(db: sqlite3.Connection, org: str, rows: Iterable[tuple[int, str | None]]) -> None:
    upto = db.execute(UPTO).fetchone()[0]
    for number, text in rows:
        if text and number <= upto:
            db.execute(UNINDEX, (number, _indexed_text(org, text)))
        db.execute(FORGET, (number,))


def _indexed_text(org: str, text: str) -> str:
    behind = f" {mark_of(org)}"
    return behind + behind.join(words(text))


def _event(db: sqlite3.Connection, conversation: str, number: int) -> CaseEvent:
    return CaseEvent.model_validate_json(db.execute(NOTE, (conversation, number)).fetchone()[0])


def _hit(db: sqlite3.Connection, row: tuple[Any, ...], org: str, looked_for: Sequence[str]) -> Hit | None:
    """None for what has the words of another organisation whose mark is the same."""
    seq, call, conversation, whose, at, type_, fact, noted = row
    if noted is not None:
        event = _event(db, noted, seq)
        text = event.fact.text if isinstance(event.fact, Note) else ""
        if db.execute(ORG_OF_CASE, (noted,)).fetchone()[0] != org or not found_in(text, looked_for):
            return None
        return Hit("", noted, seq, event.at, "note", snippet(text, looked_for))
    if whose != org or type_ not in SEARCHED:
        return None
    what = said_in(type_, fact)
    if not found_in(what.text, looked_for):
        return None
    return Hit(call, conversation, seq, at, what.speaker, snippet(what.text, looked_for))
