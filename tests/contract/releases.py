"""Databases as earlier releases left them: what they did not know yet is taken away again."""

from __future__ import annotations

import sqlite3
from typing import Any

import pymongo


def forget_trunks(kind: str, place: str) -> None:
    """The release before SIP trunks were stored."""
    if kind == "sqlite":
        with sqlite3.connect(place) as db:
            db.execute("DROP TABLE sip_trunks")
            db.execute("UPDATE omni_schema SET version = 8 WHERE component = 'store'")
        db.close()
        return
    with pymongo.MongoClient[dict[str, Any]](place) as client:
        database = client.get_default_database()
        database["sip_trunks"].drop()
        database["schema"].update_one({"_id": "omni"}, {"$set": {"version": 8}})


def forget_counts(kind: str, place: str) -> None:
    """The release before conversations were counted in an index."""
    forget_trunks(kind, place)
    if kind == "sqlite":
        with sqlite3.connect(place) as db:
            for index in ("calls_counted", "calls_open_not_with_bot", "calls_ringing"):
                db.execute(f"DROP INDEX {index}")
            db.execute("UPDATE omni_schema SET version = 6 WHERE component = 'store'")
        db.close()
        return
    with pymongo.MongoClient[dict[str, Any]](place) as client:
        database = client.get_default_database()
        database["calls"].drop_index("org_counted")
        database["schema"].update_one({"_id": "omni"}, {"$set": {"version": 6}})


def forget_pages(kind: str, place: str) -> None:
    """The release before pages of calls and people."""
    forget_counts(kind, place)
    if kind == "sqlite":
        with sqlite3.connect(place) as db:
            for index in ("calls_in_vain", "contacts_of_org", "said_of_conversation"):
                db.execute(f"DROP INDEX IF EXISTS {index}")
            db.execute("UPDATE omni_schema SET version = 5 WHERE component = 'store'")
        db.close()
        return
    with pymongo.MongoClient[dict[str, Any]](place) as client:
        client.get_default_database()["schema"].update_one({"_id": "omni"}, {"$set": {"version": 5}})


def forget_webhooks(kind: str, place: str) -> None:
    """The release before webhooks: nobody is told of events."""
    forget_pages(kind, place)
    tables = ("webhooks", "webhook_deliveries", "untold")
    if kind == "sqlite":
        with sqlite3.connect(place) as db:
            for table in tables:
                db.execute(f"DROP TABLE {table}")
            db.execute("UPDATE omni_schema SET version = 4 WHERE component = 'store'")
        db.close()
        return
    with pymongo.MongoClient[dict[str, Any]](place) as client:
        database = client.get_default_database()
        for collection in tables[:2]:
            database[collection].drop()
        database["log"].drop_index("untold")
        database["schema"].update_one({"_id": "omni"}, {"$set": {"version": 4}})


def forget_the_inbox(kind: str, place: str) -> None:
    """The release before the inbox: no operators, no cases, nothing to list or to search."""
    forget_webhooks(kind, place)
    if kind == "sqlite":
        with sqlite3.connect(place) as db:
            for table in (
                "operators", "audit", "desk", "cases", "case_labels", "case_events", "said", "said_upto", "said_words",
                "contact_words",
            ):  # fmt: skip
                db.execute(f"DROP TABLE {table}")
            for index in ("calls_open_newest", "calls_ended_newest", "calls_waiting"):
                db.execute(f"DROP INDEX {index}")
            for column in ("transport", "last_at", "waiting_since"):
                db.execute(f"ALTER TABLE calls DROP COLUMN {column}")
            db.execute("UPDATE omni_schema SET version = 3 WHERE component = 'store'")
        db.close()
        return
    with pymongo.MongoClient[dict[str, Any]](place) as client:
        database = client.get_default_database()
        for collection in ("operators", "audit", "desk", "cases", "case_events", "said"):
            database[collection].drop()
        for index in ("org_newest_said", "org_waiting"):
            database["calls"].drop_index(index)
        database["log"].drop_index("unsaid")
        database["contacts"].drop_index("words")
        database["calls"].update_many({}, {"$unset": {"case": "", "followed": "", "newest_at": ""}})
        database["log"].update_many({}, {"$unset": {"unsaid": ""}})
        database["contacts"].update_many({}, {"$unset": {"words": ""}})
        database["schema"].update_one({"_id": "omni"}, {"$set": {"version": 3}})


def forget_agents_logs(kind: str, place: str) -> None:
    """The release before agents' logs."""
    forget_the_inbox(kind, place)
    if kind == "sqlite":
        with sqlite3.connect(place) as db:
            db.execute("DROP TABLE milestones")
            db.execute("UPDATE omni_schema SET version = 2 WHERE component = 'store'")
        db.close()
        return
    with pymongo.MongoClient[dict[str, Any]](place) as client:
        database = client.get_default_database()
        database["milestones"].drop()
        database["log"].update_many({}, {"$unset": {"milestone": ""}})
        database["schema"].update_one({"_id": "omni"}, {"$set": {"version": 2}})
