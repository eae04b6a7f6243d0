"""A webhook, from JSON to typed values: inputs for calls, statuses for deliveries, news of the account.

Every level is checked, and an item that cannot be read harms no other: it is counted, noted and left out, or becomes an
`Unsupported` message when its sender is known. Provider field names appear here and in the modules this one reads
items with (`people`, `acts`, `contents`, `notices`, `statuses`, `calling.news`), nowhere else.

Source: the platform's webhook reference; the union of all payload versions. The field decides what a value means, never
its looks: `history` and `standby` carry the same arrays as `messages`, with the opposite meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from pydantic import ValidationError

from channels.whatsapp import acts, notices
from channels.whatsapp.batch import AccountNews, Batch, PersonInput
from channels.whatsapp.calling import news
from channels.whatsapp.contents import READERS
from channels.whatsapp.directory import Line
from channels.whatsapp.errors import Complaint
from channels.whatsapp.people import People, is_ours, sender
from channels.whatsapp.reading import (
    Json,
    OddItemError,
    digest_of,
    identifier,
    instant,
    items,
    mapping,
    word,
)
from channels.whatsapp.statuses import status_of

OBJECT: Final = "whatsapp_business_account"
MESSAGING: Final = frozenset(
    {"messages", "standby", "smb_message_echoes", "calls", "user_preferences", "user_id_update"}
)
IMPORTED: Final = frozenset({"history", "smb_app_state_sync"})

Own = Callable[[str], Collection[str]]


def read(
    document: object,
    now: float,
    *,
    find: Callable[[str], Line | None],
    secret: int,
    own: Own = lambda org: (),
) -> Batch:
    """All that a webhook says, for the numbers that `find` knows and that the matching secret may speak for.

    `now` is the time of receipt in epoch seconds; `own` gives the canonical keys of an organisation's own numbers.
    """
    return _Reading(now, find, secret, own).read(document)


class _Reading:
    """One webhook being read."""

    def __init__(self, now: float, find: Callable[[str], Line | None], secret: int, own: Own) -> None:
        self._now = now
        self._find = find
        self._secret = secret
        self._own = own
        self._batch = Batch()
        self._times: list[float] = []
        self._seen: set[str] = set()

    def read(self, document: object) -> Batch:
        if type(document) is not dict or document.get("object") != OBJECT or type(document.get("entry")) is not list:
            self._batch.count("body", "ignored")
            return self._batch
        for entry in document["entry"]:
            if type(entry) is not dict:
                self._batch.count("entry", "malformed")
                continue
            account = entry.get("id")
            for change in items(entry.get("changes")):
                self._change(change, account if type(account) is str else None)
        self._sort()
        return self._batch

    def _sort(self) -> None:
        """A person's messages act in the order in which they were written, as far as this webhook tells."""
        times = self._times
        if len(times) > 1 and any(times[n] > times[n + 1] for n in range(len(times) - 1)):
            order = sorted(range(len(times)), key=times.__getitem__)
            self._batch.inputs = [self._batch.inputs[n] for n in order]

    def _change(self, change: object, account: str | None) -> None:
        value = mapping(change).get("value")
        field_name = mapping(change).get("field")
        if type(value) is not dict or type(field_name) is not str:
            self._batch.count("change", "malformed")
            return
        if field_name not in MESSAGING:
            self._other_field(field_name, value, account)
            return
        if value.get("messaging_product") != "whatsapp":
            self._batch.count("change", "other_product")
            return
        metadata = mapping(value.get("metadata"))
        number = identifier(metadata.get("phone_number_id"))
        line = self._find(number) if number is not None else None
        if line is None:
            self._batch.count("change", "unknown_number")
        elif self._secret not in line.secrets:
            self._batch.count("change", "foreign_secret")
            self._batch.note("foreign_secret", {"number": number})
        elif line.waba_id is not None and account != line.waba_id:
            self._batch.count("change", "foreign_account")
        else:
            self._value(line, field_name, value, metadata.get("display_phone_number"), account)

    def _value(self, line: Line, field_name: str, value: Json, display: object, account: str | None) -> None:
        people = People(value.get("contacts"))
        if field_name in ("messages", "standby"):
            standby = field_name == "standby"
            for item in items(value.get("messages")):
                self._item(self._message, "message", line, people, item, display, standby)
            for item in items(value.get("statuses")):
                if mapping(item).get("type") == "call":
                    step = partial(self._call, value.get("errors"))
                    self._item(step, "call", line, people, item, display, standby)
                else:
                    self._item(self._status, "status", line, people, item, display, standby)
        if field_name in ("smb_message_echoes", "standby"):
            for item in items(value.get("message_echoes")):
                self._item(self._echo, "echo", line, people, item, display, field_name == "standby")
        elif "message_echoes" in value:
            self._batch.count("echo", "misplaced", len(items(value["message_echoes"])))
        if field_name == "calls":
            step = partial(self._call, value.get("errors"))
            for item in (*items(value.get("calls")), *items(value.get("statuses"))):
                self._item(step, "call", line, people, item, display, False)
        elif field_name == "user_preferences":
            for item in items(value.get("user_preferences")):
                self._item(self._preference, "preference", line, people, item, display, False)
        elif field_name == "user_id_update":
            for item in items(value.get("user_id_update")):
                self._item(self._user_id_update, "identity", line, people, item, display, False)
        errors = value.get("errors")
        if errors and not value.get("messages") and not value.get("statuses") and not value.get("calls"):
            for error in items(errors)[:10]:
                if type(error) is dict:
                    complaint = Complaint.read(error)
                    self._batch.count("account", "error")
                    self._batch.news.append(AccountNews(account, field_name, str(complaint.code), complaint))

    def _item(
        self,
        reader: Callable[[Line, People, Json, object, bool], None],
        kind: str,
        line: Line,
        people: People,
        item: object,
        display: object,
        standby: bool,
    ) -> None:
        """Read one item; whatever is wrong with it stays with it."""
        if type(item) is not dict:
            self._batch.count(kind, "malformed")
            return
        try:
            reader(line, people, item, display, standby)
        except OddItemError as odd:
            self._batch.count(kind, "malformed")
            self._batch.note(f"{kind}: {odd}", item)
        except (ValidationError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            self._batch.count(kind, "malformed")
            self._batch.note(f"{kind}: {type(error).__name__}", item)

    def _add(self, kind: str, made: PersonInput | None, at: float) -> None:
        if made is None:
            self._batch.count(kind, "ignored")
        elif made.key in self._seen:
            self._batch.count(kind, "repeated")
        else:
            self._seen.add(made.key)
            self._batch.inputs.append(made)
            self._times.append(at)
            self._batch.count(kind, "taken")

    def _name(self, item: Json) -> tuple[str, float]:
        """An item's id, or the digest of what it says, and its time (ours when it has no credible one).

        Without an id and without a time the next equal item could not be told from this one sent twice.
        """
        sent_at = instant(item.get("timestamp"), self._now)
        if sent_at is None:
            self._batch.count("timestamp", "clamped")
        item_id = identifier(item.get("id"))
        if item_id is None and sent_at is not None:
            item_id = digest_of(item)
        if item_id is None:
            raise OddItemError("no id")
        return item_id, self._now if sent_at is None else sent_at

    def _message(self, line: Line, people: People, item: Json, display: object, standby: bool) -> None:
        type_ = item.get("type")
        kind = type_ if type(type_) is str and type_ in READERS else word(type_)
        item_id, sent_at = self._name(item)
        key = line.key_prefix + item_id
        if kind == "system":
            self._add("identity", notices.system(line, people, item, key, sent_at, self._now), sent_at)
            return
        group = identifier(item.get("group_id"))
        person = sender(
            line,
            people,
            wa=item.get("from"),
            user=item.get("from_user_id"),
            parent=item.get("from_parent_user_id"),
            group=group,
        )
        if person is None:
            raise OddItemError("no sender")
        if is_ours(item.get("from"), line, display, self._own(line.org)):
            self._batch.count("message", "own_number")
            return
        if kind == "interactive" and mapping(item.get("interactive")).get("type") == "call_permission_reply":
            self._add("notice", notices.call_permission(line, item, person, key, sent_at, self._now), sent_at)
            return
        if kind == "request_welcome":
            self._add("notice", notices.welcome(line, person, key, sent_at, self._now), sent_at)
            return
        made, counted = acts.act(line, item, kind, person, key, item_id, sent_at, group, self._now, standby)
        self._add(counted, made, sent_at)

    def _echo(self, line: Line, people: People, item: Json, display: object, standby: bool) -> None:
        item_id, sent_at = self._name(item)
        group = identifier(item.get("group_id"))
        customer = sender(
            line,
            people,
            wa=item.get("to"),
            user=item.get("to_user_id"),
            parent=item.get("to_parent_user_id"),
            group=group,
        )
        if customer is None:
            raise OddItemError("no recipient")
        kind = word(item.get("type"))
        if kind in ("reaction", "system"):
            self._batch.count("echo", "ignored")
            return
        made = acts.echo(
            line, item, kind, customer, line.key_prefix + item_id, item_id, sent_at, group, self._now, standby
        )
        self._add("echo", made, sent_at)

    def _status(self, line: Line, people: People, item: Json, display: object, standby: bool) -> None:
        made = status_of(line, item, self._now)
        key = f"{made.provider_id}|{made.word}|{made.recipient_key}"
        if key in self._seen:
            self._batch.count("status", "repeated")
            return
        self._seen.add(key)
        self._batch.statuses.append(made)
        self._batch.count("status", "taken" if made.state is not None else "unknown")

    def _call(self, errors: object, line: Line, people: People, item: Json, display: object, standby: bool) -> None:
        step = news.read(line, people, item, errors, display, self._now)
        made = step.notice(self._now)
        if line.channel.calls and made.key not in self._seen:
            self._batch.calls.append(step)
        self._add("call", made, made.sent_at)

    def _preference(self, line: Line, people: People, item: Json, display: object, standby: bool) -> None:
        made = notices.preference(line, people, item, self._now)
        self._add("preference", made, made.sent_at)

    def _user_id_update(self, line: Line, people: People, item: Json, display: object, standby: bool) -> None:
        self._add("identity", notices.user_id_update(line, item, self._now), self._now)

    def _other_field(self, field_name: str, value: Json, account: str | None) -> None:
        """Fields without a conversation: imported history is not taken over, account news are for the operator."""
        if field_name in IMPORTED:
            self._batch.count(field_name, "not_imported")
            return
        known = field_name in notices.ACCOUNT_FIELDS
        self._batch.count("account" if known else "field", "noted" if known else "unknown")
        if known:
            self._batch.news.append(AccountNews(account, field_name, notices.event_of(field_name, value)))
        else:
            self._batch.note("unknown field", {field_name[:40]: value})
