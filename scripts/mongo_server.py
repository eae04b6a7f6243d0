"""A server on a local port that speaks MongoDB's wire protocol: what the tests use where there is no `mongod`.

    .venv-mongo/bin/python scripts/mongo_server.py --port 27117 --file .services/mongodb.sqlite

Needs Python >= 3.13 and `mongoeco[wire]`, in an environment of their own (`make services` makes it).
Only mongoeco's SQLite engine will do: its in-memory engine acknowledges writes that it loses when several clients race.

What mongoeco answers is left alone; `IndexedEngine` only makes it look up what it would read a whole collection for.
Stock, one insert reads every document of its collection: 54 inserts/s at 1,000 documents, and falling.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bson import ObjectId
from mongoeco.engines import SQLiteEngine
from mongoeco.engines.sqlite import document_in_virtual_index
from mongoeco.wire import AsyncMongoEcoProxyServer

Document = dict[str, Any]

_PLAIN_FIELD = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_SCALAR_TYPES = {"number": ("integer", "real"), "string": ("text",), "bool": ("true", "false")}
_JSON_TYPES = ("null", "true", "false", "integer", "real", "text", "array", "object")
# Rows of the table, then rows that share one, two, three ... leading columns of an index: never measured, but true
# enough for SQLite to prefer an index that names a value over one that only names a collection.
_VALUE_STATISTICS = "1000000 100000 20000"
_OUTBOX_ENTRIES = 16  # change streams, which omni does not use, would want more; each write counts these rows


class IndexedEngine(SQLiteEngine):
    """mongoeco's SQLite engine with SQLite indexes on the values and the JSON types of every indexed field."""

    def __init__(self, file: Path) -> None:
        self._typed: set[str] = set()  # fields whose JSON type is indexed
        self._checking = threading.local()  # a thread that checks a unique index must not narrow another one's query
        super().__init__(str(file), change_outbox_max_entries=_OUTBOX_ENTRIES)

    async def connect(self) -> None:
        await super().connect()
        with self._lock:
            self._connection.execute("ANALYZE")
            self._index(self._connection, ["_id"])
            made = self._connection.execute("SELECT substr(name, 9) FROM sqlite_schema WHERE name GLOB 'by_type_*'")
            self._typed.update(row[0] for row in made)

    def dispatch_committed_changes(self, consumer_id: str, consumer: Any) -> None:
        """Change streams, which omni does not use: their lease waits on the event loop for a lock that only the loop
        can give back, and under load the server stood still for good."""

    def _mark_index_metadata_changed(self, database: str, collection: str) -> None:
        super()._mark_index_metadata_changed(database, collection)
        for index in self._load_indexes(database, collection):
            if all(_PLAIN_FIELD.fullmatch(field) for field in index["fields"]):
                self._index(self._require_connection(), index["fields"])

    def _index(self, connection: sqlite3.Connection, fields: Sequence[str]) -> None:
        had_begun = connection.in_transaction
        values = [f"json_extract(document, '$.{field}')" for field in fields]
        name = "by_value_" + "_".join(fields)
        made = [self._create_index(connection, name, values, " 3" * len(values), f"WHERE {values[0]} IS NOT NULL")]
        for field in fields:
            made.append(
                self._create_index(connection, f"by_type_{field}", [f"json_type(document, '$.{field}')"], " 20")
            )
            self._typed.add(field)
        if any(made):
            connection.execute("ANALYZE sqlite_schema")  # makes SQLite read its statistics again
        if not had_begun:
            connection.commit()

    @staticmethod
    def _create_index(
        connection: sqlite3.Connection, name: str, expressions: list[str], statistics: str, where: str = ""
    ) -> bool:
        if connection.execute("SELECT 1 FROM sqlite_stat1 WHERE idx = ?", (name,)).fetchone():
            return False
        columns = ", ".join(["db_name", "coll_name", *expressions])
        connection.execute(f'CREATE INDEX IF NOT EXISTS "{name}" ON documents ({columns}) {where}')
        connection.execute(
            "INSERT INTO sqlite_stat1 VALUES ('documents', ?, ?)", (name, _VALUE_STATISTICS + statistics)
        )
        return True

    # Unique indexes: stock compares a new document with every other; here with those that share its values.

    def _validate_document_against_unique_indexes(
        self, database: str, collection: str, document: Document, **options: Any
    ) -> None:
        self._checking.suspects = self._documents_like(database, collection, document)
        try:
            super()._validate_document_against_unique_indexes(database, collection, document, **options)
        finally:
            self._checking.suspects = None

    def _load_documents(self, database: str, collection: str) -> Iterator[tuple[str, Document]]:
        suspects: list[str] | None = getattr(self._checking, "suspects", None)
        if suspects is None:
            yield from super()._load_documents(database, collection)
            return
        for start in range(0, len(suspects), 500):
            yield from self._load_documents_by_storage_keys(database, collection, suspects[start : start + 500]).items()

    def _documents_like(self, database: str, collection: str, document: Document) -> list[str] | None:
        """Storage keys of all documents that a unique index could object to; None when only reading all can tell."""
        keys = [["_id"]] if not isinstance(document.get("_id"), ObjectId) else []  # stock looks an ObjectId up itself
        keys += [
            index["fields"]
            for index in self._load_indexes(database, collection)
            if index["unique"] and document_in_virtual_index(document, index)
        ]
        found: dict[str, None] = {}
        for fields in keys:
            lead = next((field for field in fields if _is_exact_text(document.get(field))), None)
            if lead is None or not self._typed.issuperset(fields):
                return None
            same = f"json_extract(document, '$.{lead}') = ?"
            values: list[object] = [database, collection, document[lead]]
            for field in fields:
                if _is_exact_integer(document.get(field)):  # objects stand for numbers of other widths
                    path = f"'$.{field}'"
                    same += f" AND (json_extract(document, {path}) = ?"
                    same += f" OR json_type(document, {path}) IN ('array', 'object'))"
                    values.append(document[field])
            rows = self._require_connection().execute(
                f"SELECT storage_key FROM documents WHERE db_name = ? AND coll_name = ? AND {same} UNION ALL "
                f"SELECT storage_key FROM documents WHERE db_name = ? AND coll_name = ? "
                f"AND json_type(document, '$.{lead}') = 'array'",
                (*values, database, collection),
            )
            found.update((row[0], None) for row in rows)
        return list(found)

    # Planning a query: stock reads the collection to learn which types a field has; here the index on types knows.

    def _has_type(self, database: str, collection: str, field: str, *types: str) -> bool:
        connection = self._require_connection()
        return any(
            connection.execute(
                "SELECT 1 FROM documents WHERE db_name = ? AND coll_name = ? "
                f"AND json_type(document, '$.{field}') = '{name}' LIMIT 1",
                (database, collection),
            ).fetchone()
            for name in types
        )

    def _field_contains_tagged_value_type_in_collection(
        self, database: str, collection: str, field: str, value_type: str
    ) -> bool:
        if field in self._typed and not self._has_type(database, collection, field, "object"):
            return False
        return super()._field_contains_tagged_value_type_in_collection(database, collection, field, value_type)

    def _field_has_comparison_type_mismatch_in_collection(
        self, database: str, collection: str, field: str, expected_type: str
    ) -> bool:
        if field in self._typed and expected_type in _SCALAR_TYPES:
            others = set(_JSON_TYPES).difference(_SCALAR_TYPES[expected_type])
            return self._has_type(database, collection, field, *others)
        return super()._field_has_comparison_type_mismatch_in_collection(database, collection, field, expected_type)

    def _sort_requires_python(self, database: str, collection: str, plan: Any, sort: Any) -> bool:
        if (
            sort
            and all(field in self._typed for field, _ in sort)
            and not self._plan_has_array_traversing_paths(database, collection, plan)
            and not any(
                self._field_traverses_array_in_collection(database, collection, field)
                or self._has_type(database, collection, field, "array", "object")
                for field, _ in sort
            )
        ):
            return False
        return super()._sort_requires_python(database, collection, plan, sort)

    def _field_has_uniform_scalar_sort_type_in_collection(
        self, database: str, collection: str, field: str
    ) -> str | None:
        if field not in self._typed:
            return super()._field_has_uniform_scalar_sort_type_in_collection(database, collection, field)
        absent = self._require_connection().execute(
            "SELECT 1 FROM documents WHERE db_name = ? AND coll_name = ? "
            f"AND json_type(document, '$.{field}') IS NULL LIMIT 1",
            (database, collection),
        )
        if absent.fetchone() or self._has_type(database, collection, field, "null", "array", "object"):
            return None
        present = [kind for kind, types in _SCALAR_TYPES.items() if self._has_type(database, collection, field, *types)]
        return present[0] if len(present) == 1 else None


def _is_exact_text(value: object) -> bool:
    return type(value) is str and "\0" not in value  # SQLite's JSON ends a text at NUL


def _is_exact_integer(value: object) -> bool:
    return type(value) is int and abs(value) < 2**53


async def serve(port: int, file: Path) -> None:
    """Serves until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncMongoEcoProxyServer(engine=IndexedEngine(file), host="127.0.0.1", port=port) as server:
        print(server.address.uri, flush=True)
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serves MongoDB's wire protocol from a SQLite file, for tests.")
    parser.add_argument("--port", type=int, default=27117)
    parser.add_argument("--file", type=Path, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.file))


if __name__ == "__main__":
    main()
