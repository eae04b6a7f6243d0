"""Every recorded and every hostile body does what its row in expectations.json says, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from channels.whatsapp.signature import sign
from omni.model.contact import IdentityKind
from omni.model.delivery import StatusUpdate
from omni.model.inbound import AnyInput, FromPerson, IdentityChanged, PersonNotice, UserMessage
from omni.model.message import Message, Text

HERE = Path(__file__).parent
ROWS: list[dict[str, Any]] = json.loads((HERE / "expectations.json").read_text())
BodyOf = Callable[[str], bytes]


def kinds(inputs: list[AnyInput]) -> Counter[str]:
    return Counter(one.name if isinstance(one, PersonNotice) else one.type for one in inputs)


def words(statuses: list[StatusUpdate]) -> Counter[str]:
    return Counter(one.word + (f":{one.error.code}" if one.error else "") for one in statuses)


def look(first: AnyInput) -> dict[str, Any]:
    """The columns of the table that describe the first input."""
    assert isinstance(first, FromPerson | IdentityChanged | PersonNotice)
    seen: dict[str, Any] = {"from": [i.key for i in first.sender.identities if i.kind is not IdentityKind.PHONE]}
    if first.sender.name:
        seen["name"] = first.sender.name[:40]
    message = getattr(first, "message", None)
    if isinstance(message, Message):
        seen["part"] = message.parts[0].type
        if isinstance(message.parts[0], Text):
            seen["text"] = message.parts[0].text[:60]
        if message.reply_to:
            seen["reply_to"] = message.reply_to[-12:]
        if message.forwarded != "no":
            seen["forwarded"] = message.forwarded
        if message.referral:
            seen["referral"] = sorted(message.referral)
    if isinstance(first, FromPerson) and first.group:
        seen["group"] = True
    if isinstance(first, UserMessage) and first.mode != "live":
        seen["mode"] = first.mode
    if isinstance(first, IdentityChanged):
        seen["became"] = [i.key for i in first.became if i.kind is not IdentityKind.PHONE]
    if isinstance(first, PersonNotice) and first.opens_window:
        seen["opens_window"] = True
    return seen


def test_every_fixture_has_a_row_and_its_signature() -> None:
    files = {str(path.relative_to(HERE / "fixtures").with_suffix("")) for path in (HERE / "fixtures").rglob("*.json")}
    assert files == {row["file"] for row in ROWS}
    assert len(files) == 317
    for line in (HERE / "fixtures" / "signatures.txt").read_text().splitlines():
        signature, name = line.split("  ")
        assert sign("omni-fixture-app-secret-4d1f", (HERE / "fixtures" / name).read_bytes()) == signature


CHUNK = 32


@pytest.mark.parametrize("start", range(0, len(ROWS), CHUNK))
async def test_fixtures_from(start: int, gate: Any, fixture_body: BodyOf, log_lines: Callable[[], list[str]]) -> None:
    """One server for some rows at a time: a server for each would take longer than all they do."""
    for row in ROWS[start : start + CHUNK]:
        gate.now += 61  # the lines that are logged once a minute may come again
        await check(row, gate, fixture_body(row["file"]), log_lines)


async def check(row: dict[str, Any], gate: Any, body: bytes, log_lines: Callable[[], list[str]]) -> None:
    name, status = row["file"], row.get("status", 200)
    logged = len(log_lines())
    assert await gate.post(body, signature=None) == 401, name
    assert await gate.post(body, signature="sha256=" + "0" * 64) == 403, name
    assert await gate.stored() == ([], []), name

    assert await gate.post(body) == status, name
    inputs, statuses = await gate.stored()
    assert dict(kinds(inputs)) == row.get("inputs", {}), name
    assert dict(words(statuses)) == row.get("statuses", {}), name
    if inputs:
        counted = ("file", "why", "status", "inputs", "statuses", "news")
        first = min(inputs, key=lambda one: row.get("from", []) != look(one)["from"])
        assert look(first) == {column: row[column] for column in row if column not in counted}, name

    # The same again brings the same keys, by which the log knows that it acted before.
    assert await gate.post(body) == status, name
    again, _ = await gate.stored()
    assert [one.key for one in again] == [one.key for one in inputs], name

    lines = log_lines()[logged:]
    assert len([line for line in lines if line.startswith("whatsapp account")]) == 2 * len(row.get("news", ())), name
    for line in lines:
        assert "\n" not in line, name
        assert len(line) < 1000, name
        assert "omni-fixture-app-secret" not in line, name


async def test_the_next_good_message_still_acts_after_all_the_hostile_ones(gate: Any, fixture_body: BodyOf) -> None:
    for row in ROWS:
        if row["file"].startswith("hostile/"):
            await gate.post(fixture_body(row["file"]))
    await gate.stored()
    assert await gate.post(fixture_body("text")) == 200
    inputs, _ = await gate.stored()
    assert [one.message.text for one in inputs] == ["Hi! Are you open on Saturday?"]


@pytest.mark.parametrize(
    ("sequence", "keys"),
    [
        (("duplicate_first", "duplicate_retry", "duplicate_rebatched"), 2),
        (("text", "edit_text"), 2),
        (("text_reply", "revoke"), 2),
        (("image_caption_url", "edit_image_caption"), 2),
        (("echo_text", "echo_edit", "echo_revoke"), 3),
        (("call_connect_user_initiated", "call_terminate_completed"), 2),
        (
            (
                "call_status_ringing",
                "call_connect_business_initiated",
                "call_status_accepted_lowercase",
                "call_terminate_failed",
            ),
            4,
        ),
    ],
)
async def test_a_sequence_names_each_event_once_in_either_order(
    sequence: tuple[str, ...], keys: int, gate: Any, fixture_body: BodyOf
) -> None:
    for order in (sequence, sequence[::-1]):
        for name in order:
            assert await gate.post(fixture_body(name)) == 200
        inputs, _ = await gate.stored()
        assert len({one.key for one in inputs}) == keys
        assert len({one.sender.routing for one in inputs}) == 1
