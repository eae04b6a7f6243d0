"""Administrative news: identities that change, permissions, preferences, the account.

None of it is a chat message, and none of it is ever read out of the human sentence that comes with it.

Notices carry these names and values:

* `welcome`: the chat was opened for the first time; no value.
* `security_key`: `hash`, `acknowledged`. The sender carries the new hash.
* `call_permission`: `response` (`accept` or `reject`), `is_permanent`, `expires_at` (epoch seconds), `source`.
* `preference`: `category`, `value` (`stop`, `resume` or `signup`), `detail`, `signup_id`. The newest `sent_at` wins.
* `call.<event>`: see `channels.whatsapp.calling.news`.
"""

from __future__ import annotations

import hashlib
from typing import Final

from pydantic import JsonValue

from channels.whatsapp.directory import Line
from channels.whatsapp.people import People, identities_of, phone_of, sender, user_of
from channels.whatsapp.reading import (
    Json,
    OddItemError,
    identifier,
    instant,
    label,
    mapping,
    string,
    whole,
    word,
)
from omni.model.contact import Sender
from omni.model.inbound import IdentityChanged, PersonNotice

_PERMISSION_LASTS = 8 * 86_400.0
"""A temporary call permission lasts 7 days; one more for clocks that differ."""

ACCOUNT_FIELDS: Final = frozenset(
    {
        "account_update",
        "account_review_update",
        "account_alerts",
        "business_capability_update",
        "phone_number_quality_update",
        "phone_number_name_update",
        "business_username_update",
        "security",
        "message_template_status_update",
        "message_template_quality_update",
        "message_template_components_update",
        "template_category_update",
        "messaging_handovers",
        "automatic_events",
        "partner_solutions",
        "payment_configuration_update",
        "flows",
        "group_lifecycle_update",
        "group_participants_update",
        "group_settings_update",
        "group_status_update",
    }
)
SEVERE: Final = frozenset(
    {
        "account_deleted",
        "account_violation",
        "account_restriction",
        "account_offboarded",
        "disabled_update",
        "rejected",
        "paused",
        "disabled",
        "flagged",
        "pin_changed",
        "pin_reset_request",
        "critical",
        "red",
    }
)
"""Events of an account that an operator should look at soon."""


def event_of(field: str, value: Json) -> str:
    """The one word that says what happened to the account."""
    alert = mapping(value.get("alert_info"))
    quality = value.get("new_quality_score") if field == "message_template_quality_update" else None
    for said in (value.get("event"), value.get("decision"), alert.get("alert_severity"), quality, value.get("status")):
        if type(said) is str:
            return word(said)
    return "changed"


def system(
    line: Line, people: People, item: Json, key: str, sent_at: float, now: float
) -> IdentityChanged | PersonNotice | None:
    """A system message: a number, a user id or a security key changed. None for a change that changes nothing."""
    news = mapping(item.get("system"))
    what = news.get("type")
    old_wa = phone_of(item.get("from")) or phone_of(news.get("customer"))
    if what == "customer_identity_changed":
        identity = mapping(item.get("identity"))
        person = sender(
            line,
            people,
            wa=old_wa,
            user=item.get("from_user_id"),
            parent=item.get("from_parent_user_id"),
            identity_hash=identity.get("hash"),
        )
        if person is None:
            raise OddItemError("no sender")
        value: dict[str, JsonValue] = {
            "hash": string(identity.get("hash"), 256),
            "acknowledged": identity.get("acknowledged") is True,
        }
        return notice(line, person, key, "security_key", value, sent_at, now)
    if what not in ("user_changed_number", "customer_changed_number", "user_changed_user_id"):
        raise OddItemError("a system message of an unknown kind")
    new_wa = phone_of(news.get("wa_id")) or phone_of(news.get("new_wa_id"))
    new_user, old_user = user_of(news.get("user_id")), user_of(news.get("previous_user_id"))
    if what == "user_changed_user_id":
        new_wa = new_wa if new_wa != old_wa else None
    return _changed(
        line,
        key,
        now,
        old=(old_wa, old_user or user_of(item.get("from_user_id")), user_of(news.get("previous_parent_user_id"))),
        new=(new_wa, new_user, user_of(news.get("parent_user_id"))),
        why=what,
    )


def user_id_update(line: Line, item: Json, now: float) -> IdentityChanged | None:
    """The withdrawn field of early 2026 for a new business-scoped user id."""
    ids = mapping(item.get("user_id"))
    old, new, wa = user_of(ids.get("previous")), user_of(ids.get("current")), phone_of(item.get("wa_id"))
    key = f"{line.key_prefix}{_fingerprint('user_id_update', old, new, item.get('timestamp'))}"
    return _changed(line, key, now, old=(wa, old, None), new=(None, new, None), why="user_changed_user_id")


def _changed(
    line: Line,
    key: str,
    now: float,
    *,
    old: tuple[str | None, str | None, str | None],
    new: tuple[str | None, str | None, str | None],
    why: str,
) -> IdentityChanged | None:
    before, after = identities_of(*old), identities_of(*new)
    if not before or not after:
        raise OddItemError("a change of identity without both identities")
    became = tuple(identity for identity in after if identity not in before)
    if not became:
        return None
    person = sender(line, People(None), wa=old[0], user=old[1], parent=old[2])
    if person is None:
        raise OddItemError("a change of identity without the old identity")
    return IdentityChanged(
        key=key, agent=line.agent, channel=line.channel_id, at=now, org=line.org, sender=person, became=became, why=why
    )


def welcome(line: Line, person: Sender, key: str, sent_at: float, now: float) -> PersonNotice:
    return notice(line, person, key, "welcome", {}, sent_at, now)


def call_permission(line: Line, item: Json, person: Sender, key: str, sent_at: float, now: float) -> PersonNotice:
    """The person allows or refuses that we call them. An absurd expiry is clamped to what the platform grants."""
    reply = mapping(mapping(item.get("interactive")).get("call_permission_reply"))
    response = reply.get("response")
    if response not in ("accept", "reject"):
        raise OddItemError("a call permission without an answer")
    expires = whole(reply.get("expiration_timestamp"))
    source = word(reply.get("response_source")) if "response_source" in reply else "user_action"
    value: dict[str, JsonValue] = {
        "response": response,
        "is_permanent": reply.get("is_permanent") is True,
        "expires_at": min(float(expires), now + _PERMISSION_LASTS) if expires and 0 < expires < 2**63 else None,
        "source": source,
    }
    return notice(line, person, key, "call_permission", value, sent_at, now, opens_window=source == "user_action")


def preference(line: Line, people: People, item: Json, now: float) -> PersonNotice:
    """The person stopped, resumed or signed up for marketing. Nobody is opted in or out by a doubtful item."""
    person = sender(line, people, wa=item.get("wa_id"), user=item.get("user_id"), parent=item.get("parent_user_id"))
    category, value, sent_at = item.get("category"), item.get("value"), instant(item.get("timestamp"), now)
    if person is None or type(category) is not str or value not in ("stop", "resume", "signup") or sent_at is None:
        raise OddItemError("a preference that does not say who, what or when")
    stated: dict[str, JsonValue] = {
        "category": word(category),
        "value": value,
        "detail": label(item.get("detail")),
        "signup_id": identifier(item.get("signup_id")),
    }
    who = person.identities[0].key
    key = f"{line.key_prefix}{_fingerprint('preference', who, category, item.get('timestamp'), value)}"
    return notice(line, person, key, "preference", stated, sent_at, now)


def notice(
    line: Line,
    person: Sender,
    key: str,
    name: str,
    value: dict[str, JsonValue],
    sent_at: float,
    now: float,
    *,
    opens_window: bool = False,
) -> PersonNotice:
    return PersonNotice(
        key=key,
        agent=line.agent,
        channel=line.channel_id,
        at=now,
        org=line.org,
        sender=person,
        name=name,
        value={name: one for name, one in value.items() if one is not None},
        sent_at=sent_at,
        opens_window=opens_window,
    )


def _fingerprint(*parts: object) -> str:
    text = "\x1f".join(part if type(part) is str else str(whole(part)) for part in parts)
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
