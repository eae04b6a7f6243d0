"""Who may sign in, what they did, and what a team keeps."""

from __future__ import annotations

from typing import Any

import pytest

from omni.model.desk import CannedReply, Label, SavedView
from omni.model.operator import AuditRecord, Operator
from omni.store.base import Store, VersionConflictError


def operator(id_: str, email: str | None = None, **more: Any) -> Operator:
    return Operator(id=id_, email=email or f"{id_}@example.com", **{"name": id_.title(), "created_at": 1.0, **more})


def record(id_: str, at: float, **more: Any) -> AuditRecord:
    return AuditRecord(
        **{
            "id": id_,
            "org": "default",
            "at": at,
            "actor": "op_ada",
            "name": "Ada",
            "action": "conversation.take",
            **more,
        }
    )


async def test_an_operator_is_found_by_id_address_and_subject(store: Store) -> None:
    ada = await store.save_operator(operator("op_ada", subject="google|1", role="admin", password_hash="$argon2id$x"))
    bob = await store.save_operator(operator("op_bob", name="the boss", disabled_at=5.0))
    await store.save_operator(operator("op_eve", org="rival"))
    assert ada.version == 1
    assert await store.operator("op_ada") == ada
    assert await store.operator_by_email("op_ada@example.com") == ada
    assert await store.operator_by_subject("google|1") == ada
    assert await store.operators("default") == [ada, bob]
    for nobody in (
        await store.operator("op_x"),
        await store.operator_by_email("OP_ADA@example.com"),
        await store.operator_by_subject("google|2"),
    ):
        assert nobody is None


async def test_an_address_or_a_subject_belongs_to_one_operator_whoever_asks(
    two_stores: tuple[Store, Store], make: Any
) -> None:
    one, other = two_stores
    for field in ({"email": "same@example.com"}, {"subject": "same"}):
        claims = [store.save_operator(operator(f"op_{n}_{next(iter(field))}", **field))
                  for n, store in enumerate((one, other, one, other))]  # fmt: skip
        assert sorted(await make.outcomes(claims)) == ["VersionConflictError"] * 3 + ["ok"]
    bob = await one.save_operator(operator("op_bob"))
    with pytest.raises(VersionConflictError):
        await one.save_operator(bob.model_copy(update={"email": "same@example.com"}))
    assert await one.operator("op_bob") == bob
    await one.save_operator(operator("op_carl"))  # nobody's subject is nobody's


async def test_who_saves_an_operator_that_changed_is_refused(two_stores: tuple[Store, Store], make: Any) -> None:
    ada = await two_stores[0].save_operator(operator("op_ada"))
    changes = [store.save_operator(ada.model_copy(update={"name": f"Ada {n}"})) for n, store in enumerate(two_stores)]
    assert sorted(await make.outcomes(changes)) == ["VersionConflictError", "ok"]
    with pytest.raises(VersionConflictError):
        await two_stores[0].save_operator(operator("op_ada", "new@example.com"))
    stored = await two_stores[0].operator("op_ada")
    assert stored is not None
    assert (stored.version, stored.email) == (2, ada.email)


async def test_what_was_done_is_read_newest_first_a_page_at_a_time(store: Store) -> None:
    records = [record(f"au_{n}", at=float(n // 2), details={"n": n, "who": "ñ"}) for n in range(6)]
    for each in records:
        await store.write_audit(each)
    await store.write_audit(record("au_key", 9.0, actor="key:1"))
    await store.write_audit(record("au_rival", 9.0, org="rival"))
    assert [each.id for each in await store.audit("default", limit=1)] == ["au_key"]
    first = await store.audit("default", actor="op_ada", limit=4)
    rest = await store.audit("default", actor="op_ada", before=first[-1].id)
    assert [*first, *rest] == records[::-1]
    assert [each.id for each in await store.audit("default", before="au_key")] == [each.id for each in records[::-1]]
    assert await store.audit("default", before="au_rival") == []
    assert await store.audit("default", before="au_none") == []


async def test_a_teams_things_are_kept_by_kind_and_name(store: Store) -> None:
    hello = await store.save_item(CannedReply(id="cr_1", name="hello", text="Hola {{contact.name}}", language="es"))
    again = await store.save_item(CannedReply(id="cr_2", name="Again", text="x", owner="op_ada"))
    view = await store.save_item(SavedView(id="sv_1", name="hello", filter={"state": "open", "labels": ["vip"]}))
    await store.save_item(Label(id="lb_1", org="rival", name="vip", colour="red"))
    assert await store.items("default", "canned") == [again, hello]
    assert await store.items("default", "view") == [view]
    assert await store.items("default", "label") == []
    renamed = await store.save_item(hello.model_copy(update={"name": "bye"}))
    assert await store.items("default", "canned") == [again, renamed]
    assert renamed.version == 2
    assert not await store.remove_item("default", "lb_1")
    assert await store.remove_item("default", "cr_1")
    assert not await store.remove_item("default", "cr_1")
    await store.save_item(CannedReply(id="cr_3", name="bye", text="x"))  # the name is free again
    with pytest.raises(VersionConflictError):
        await store.save_item(renamed)


async def test_a_name_is_unique_among_one_kind_and_owner(two_stores: tuple[Store, Store], make: Any) -> None:
    claims = [store.save_item(Label(id=f"lb_{n}", name="vip")) for n, store in enumerate((*two_stores, *two_stores))]
    assert sorted(await make.outcomes(claims)) == ["VersionConflictError"] * 3 + ["ok"]
    store = two_stores[0]
    await store.save_item(Label(id="lb_own", name="vip", owner="op_ada"))
    await store.save_item(Label(id="lb_org", name="vip", org="rival"))
    other = await store.save_item(Label(id="lb_other", name="spam"))
    with pytest.raises(VersionConflictError):
        await store.save_item(other.model_copy(update={"name": "vip"}))
    with pytest.raises(VersionConflictError):
        await store.save_item(other.model_copy(update={"version": 0}))
    stale = [store.save_item(other.model_copy(update={"colour": "red"})) for store in two_stores]
    assert sorted(await make.outcomes(stale)) == ["VersionConflictError", "ok"]
