"""The store on MongoDB 5.0 or newer: one append is one insert of one document (docs/decisions/003)."""

from omni.store.mongodb.store import MongoStore

__all__ = ["MongoStore"]
