"""Whatever a signed body holds, reading it raises nothing but BadBodyError, and takes no time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.whatsapp import payloads
from channels.whatsapp.batch import Batch
from channels.whatsapp.body import BadBodyError, load, load_odd
from channels.whatsapp.calling.news import Step
from channels.whatsapp.directory import Directory
from omni.model.channel import WhatsAppChannel
from omni.model.delivery import pack_statuses, unpack_statuses
from omni.model.inbound import pack, unpack

NUMBER = "204917735580163"
NOW = 1794830000.0
OURS = Directory(
    [
        (
            "default",
            "echo",
            WhatsAppChannel.model_validate(
                {"phone_number_id": NUMBER, "calls": True, "access_token": "t", "app_secret": "s", "verify_token": "v"}
            ),
        )
    ]
)
FIXTURES = Path(__file__).parent / "fixtures"
BODIES = [path.read_bytes() for path in sorted(FIXTURES.glob("*.json"))]
DOCUMENTS = [json.loads(body) for body in BODIES]
NAMES = sorted({key for document in DOCUMENTS for key in json.dumps(document).split('"') if key.isidentifier()})

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "wamid.x", "12025550171", "1794823200", "\ud800", "\x00", NUMBER, *NAMES[:60]])
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)


def understand(document: Any) -> Batch:
    """Read, and write what was read as the bus would carry it."""
    batch = payloads.read(document, NOW, find=OURS.find, secret=0, own=OURS.own_keys)
    assert unpack(pack(tuple(batch.inputs))) == tuple(batch.inputs)
    assert unpack_statuses(pack_statuses(tuple(batch.statuses))) == tuple(batch.statuses)
    for news in batch.calls:
        assert (news.call[:4], news.step in get_args(Step), bool(news.address)) == ("wac-", True, True)
    for note in batch.notes:
        assert len(note.about) + len(note.text) < 500
    return batch


def loaded(body: bytes) -> Any:
    try:
        return load(body)
    except BadBodyError:
        try:
            return load_odd(body)
        except BadBodyError:
            return None


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(deadline=None)
def test_bytes_are_json_or_a_bad_body(body: bytes) -> None:
    understand(loaded(body))


@given(anything)
@settings(deadline=None)
def test_any_json_is_read(document: Any) -> None:
    understand(document)


@given(
    st.sampled_from(["messages", "standby", "smb_message_echoes", "calls", "user_preferences", "user_id_update"]),
    anything,
)
@settings(max_examples=200, deadline=None)
def test_any_item_of_any_field_is_read(field: str, item: Any) -> None:
    lists = (
        "messages",
        "statuses",
        "message_echoes",
        "calls",
        "user_preferences",
        "user_id_update",
        "contacts",
        "errors",
    )
    value: dict[str, Any] = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER}}
    value |= {name: [item, {"id": "wamid.x", "from": "12025550171", "type": "text", "text": item}] for name in lists}
    understand(envelope(field, value))


@given(
    anything,
    st.sampled_from(["text", "image", "location", "contacts", "interactive", "order", "button", "reaction", "edit"]),
)
@settings(max_examples=200, deadline=None)
def test_any_body_of_a_known_sender_is_heard_once(body: Any, kind: str) -> None:
    item = {"from": "12025550171", "id": "wamid.x", "timestamp": "1794823200", "type": kind, kind: body}
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER}, "messages": [item]}
    batch = understand(envelope("messages", value))
    if kind not in ("reaction", "edit", "interactive"):
        assert [one.type for one in batch.inputs] == ["message"]


@given(st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mutated_fixtures_are_read(data: st.DataObject) -> None:
    document = json.loads(data.draw(st.sampled_from(BODIES)))
    for _ in range(data.draw(st.integers(min_value=1, max_value=4))):
        mutate(document, data)
    understand(document)


def mutate(document: Any, data: st.DataObject) -> None:
    """Replace, remove or repeat one value somewhere inside."""
    place = document
    for _ in range(12):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if isinstance(inner, dict | list) and inner and data.draw(st.integers(min_value=0, max_value=5)):
            place = inner
            continue
        match data.draw(st.integers(min_value=0, max_value=2)):
            case 0:
                place[key] = data.draw(anything)
            case 1:
                del place[key]
            case _ if isinstance(place, list):
                place.append(inner)
            case _:
                place[data.draw(st.sampled_from(NAMES))] = inner
        return


@given(st.sampled_from(BODIES), st.data())
@settings(max_examples=200, deadline=None)
def test_bodies_with_broken_bytes_are_read_or_bad(body: bytes, data: st.DataObject) -> None:
    broken = bytearray(body)
    for _ in range(data.draw(st.integers(min_value=1, max_value=3))):
        place = data.draw(st.integers(min_value=0, max_value=len(broken) - 1))
        broken[place] = data.draw(st.integers(min_value=0, max_value=255))
    understand(loaded(bytes(broken)))


def envelope(field: str, value: Any) -> Any:
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": field, "value": value}]}],
    }
