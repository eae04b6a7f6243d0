"""Operators, and the record of what they did, one document each."""

from __future__ import annotations

from pymongo.errors import DuplicateKeyError

from omni.model.operator import AuditRecord, Operator
from omni.mongodb import Document, lookup_text
from omni.store.base import VersionConflictError
from omni.store.mongodb.collections import AUDIT, OPERATORS, Collections, write


class Operators(Collections):
    async def save_operator(self, operator: Operator) -> Operator:
        saved = operator.model_copy(update={"version": operator.version + 1})
        document = saved.model_dump(mode="json")
        document["_id"] = operator_id = document.pop("id")
        which = {"_id": operator_id, "version": operator.version}
        try:
            with self._told():
                if operator.version == 0:
                    await write(self._in(OPERATORS).insert_one, document)
                    return saved
                result = await write(lambda doc: self._in(OPERATORS).replace_one(which, doc), document)
        except DuplicateKeyError as error:
            raise VersionConflictError(
                f"there is an operator with the id {operator_id}, its e-mail address or its subject already: "
                "read that one"
            ) from error
        if result.matched_count == 0:
            raise VersionConflictError(
                f"the operator {operator_id} is not at version {operator.version} any more: read it again"
            )
        return saved

    async def operator(self, operator_id: str) -> Operator | None:
        return await self._operator("_id", operator_id)

    async def operator_by_email(self, email: str) -> Operator | None:
        return await self._operator("email", email)

    async def operator_by_subject(self, subject: str) -> Operator | None:
        return await self._operator("subject", subject)

    async def operators(self, org: str) -> list[Operator]:
        with self._told():
            found = [_operator(document) async for document in self._in(OPERATORS).find({"org": lookup_text(org)})]
        return sorted(found, key=lambda operator: (operator.name.casefold(), operator.id))

    async def _operator(self, field: str, value: str) -> Operator | None:
        with self._told():
            document = await self._in(OPERATORS).find_one({field: lookup_text(value)})
        return _operator(document) if document else None

    async def write_audit(self, record: AuditRecord) -> None:
        document = record.model_dump(mode="json")
        document["_id"] = document.pop("id")
        with self._told():
            await write(self._in(AUDIT).insert_one, document)

    async def audit(
        self, org: str, *, before: str | None = None, limit: int = 100, actor: str | None = None
    ) -> list[AuditRecord]:
        query: Document = {"org": lookup_text(org)}
        if actor is not None:
            query["actor"] = lookup_text(actor)
        with self._told():
            if before is not None:
                last = await self._in(AUDIT).find_one({"_id": lookup_text(before), "org": query["org"]}, {"at": 1})
                if last is None:
                    return []
                query["$or"] = [{"at": {"$lt": last["at"]}}, {"at": last["at"], "_id": {"$lt": last["_id"]}}]
            found = self._in(AUDIT).find(query).sort([("at", -1), ("_id", -1)]).limit(limit)
            return [AuditRecord.model_validate({**document, "id": document["_id"]}) async for document in found]


def _operator(document: Document) -> Operator:
    return Operator.model_validate({**document, "id": document["_id"]})
