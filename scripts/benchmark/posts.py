"""Webhook POSTs as the platform makes them, signed, with message ids that were never used before.

Only what differs between two messages is put into a ready body: a load generator must not be busier than the server.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from itertools import count

PHONE_NUMBER_IDS = ("100200300", "100200301", "100200302", "100200303")
"""Several business numbers: one may be given at most 1,000 sends a second, and that is not what is measured."""

WABA_ID = "318450992714406"
APP_SECRET = "bench-app-secret"
VERIFY_TOKEN = "bench-verify-token"
ACCESS_TOKEN = "bench-access-token"
PATH = "/whatsapp/webhook"

_KEYED = hmac.new(APP_SECRET.encode(), digestmod=hashlib.sha256)
_NUMBERS = count(1)
_RUN = f"{time.time_ns():x}".encode()


def _body(kind: str, item: dict[str, object]) -> bytes:
    """A body with `%(name)b` where messages differ. JSON has its slashes escaped, as the platform writes it."""
    contact = {"profile": {"name": "Ana Petrović"}, "wa_id": "%(who)b", "user_id": "US.%(who)b7712255"}
    metadata = {"display_phone_number": "12025550142", "phone_number_id": "%(number)b"}
    value = {"messaging_product": "whatsapp", "metadata": metadata, "contacts": [contact], kind: [item]}
    entry = {"id": WABA_ID, "changes": [{"value": value, "field": "messages"}]}
    payload = {"object": "whatsapp_business_account", "entry": [entry]}
    return json.dumps(payload, separators=(",", ":")).replace("/", "\\/").encode("ascii")


_TEXT = _body(
    "messages",
    {
        "from": "%(who)b",
        "from_user_id": "US.%(who)b7712255",
        "id": "wamid.HBgL%(id)bAA==",
        "timestamp": "%(at)b",
        "type": "text",
        "text": {"body": "%(words)b"},
    },
)
_STATUS = _body(
    "statuses",
    {
        "id": "%(id)b",
        "status": "%(state)b",
        "timestamp": "%(at)b",
        "recipient_id": "%(who)b",
        "recipient_user_id": "US.%(who)b7712255",
        "biz_opaque_callback_data": "%(tracker)b",
        "pricing": {"billable": False, "pricing_model": "PMP", "type": "regular", "category": "service"},
    },
)
_HEAD = (
    f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: facebookexternalua\r\nAccept: */*\r\n"
    "Content-Type: application/json\r\nX-Hub-Signature-256: sha256=%b\r\nContent-Length: %d\r\n\r\n%b"
).encode("ascii")


def person(number: int) -> str:
    """The wa_id of the n-th pretend person."""
    return f"1202{5_000_000 + number:08d}"


def number_of(wa_id: str) -> str:
    """The business number that this person writes to."""
    return PHONE_NUMBER_IDS[int(wa_id[-2:]) % len(PHONE_NUMBER_IDS)]


def text(wa_id: str, words: str) -> bytes:
    """A request that brings one text message; `words` are plain ASCII without quotes."""
    return _signed(
        _TEXT
        % {
            b"who": wa_id.encode(),
            b"number": number_of(wa_id).encode(),
            b"id": b"%b%010d" % (_RUN, next(_NUMBERS)),
            b"at": b"%d" % time.time(),
            b"words": words.encode(),
        }
    )


def status(wa_id: str, provider_id: str, state: str, tracker: str) -> bytes:
    """A request that brings one status of a message that Graph accepted."""
    return _signed(
        _STATUS
        % {
            b"who": wa_id.encode(),
            b"number": number_of(wa_id).encode(),
            b"id": provider_id.encode(),
            b"at": b"%d" % time.time(),
            b"state": state.encode(),
            b"tracker": tracker.encode(),
        }
    )


def texts(people: Sequence[str], number: int) -> list[bytes]:
    """So many messages, dealt out to the people in turn."""
    return [text(people[n % len(people)], f"message {n}") for n in range(number)]


def _signed(body: bytes) -> bytes:
    keyed = _KEYED.copy()
    keyed.update(body)
    return _HEAD % (keyed.hexdigest().encode(), len(body), body)
