"""What a person or a colleague did: wrote, reacted, edited, deleted.

Source: the platform's webhook reference, `messages` and `smb_message_echoes`.
"""

from __future__ import annotations

from channels.whatsapp.contents import READERS, message_of
from channels.whatsapp.directory import Line
from channels.whatsapp.reading import NOTHING, Json, OddItemError, identifier, mapping, string
from omni.model.contact import Sender
from omni.model.inbound import ColleagueMessage, UserEdit, UserMessage, UserReaction, UserRevoke

MAX_EMOJI = 64


def act(
    line: Line,
    item: Json,
    kind: str,
    person: Sender,
    key: str,
    item_id: str,
    sent_at: float,
    group: str | None,
    now: float,
    standby: bool,
) -> tuple[UserMessage | UserReaction | UserEdit | UserRevoke, str]:
    """The input that an item of `messages` is, and the word to count it under. Raises OddItemError."""
    if kind == "reaction":
        reaction = mapping(item.get("reaction"))
        target, emoji = _target(reaction, "message_id"), string(reaction.get("emoji"), MAX_EMOJI + 1)
        if emoji is not None and len(emoji) > MAX_EMOJI:
            raise OddItemError("a reaction that is no emoji")
        return UserReaction(
            key=key, agent=line.agent, channel=line.channel_id, at=now, org=line.org, sender=person,
            provider_id=item_id, sent_at=sent_at, group=group, target=target, emoji=emoji,
        ), kind  # fmt: skip
    if kind == "edit":
        target, inner, inner_kind = _edited(item)
        return UserEdit(
            key=key, agent=line.agent, channel=line.channel_id, at=now, org=line.org, sender=person,
            provider_id=item_id, sent_at=sent_at, group=group, target=target,
            message=message_of(inner, inner_kind, is_edit=True),
        ), kind  # fmt: skip
    if kind == "revoke":
        return UserRevoke(
            key=key, agent=line.agent, channel=line.channel_id, at=now, org=line.org, sender=person,
            provider_id=item_id, sent_at=sent_at, group=group, target=_revoked(item),
        ), kind  # fmt: skip
    is_ours_to_answer = not standby and (group is None or line.channel.answer_groups)
    return UserMessage(
        key=key, agent=line.agent, channel=line.channel_id, at=now, org=line.org, sender=person,
        provider_id=item_id, sent_at=sent_at, group=group, message=message_of(item, kind),
        mode="live" if is_ours_to_answer else "standby",
    ), "message"  # fmt: skip


def echo(
    line: Line,
    item: Json,
    kind: str,
    customer: Sender,
    key: str,
    item_id: str,
    sent_at: float,
    group: str | None,
    now: float,
    standby: bool,
) -> ColleagueMessage:
    """What a colleague wrote to `customer`, edited or deleted. Raises OddItemError."""
    made = ColleagueMessage(
        key=key, agent=line.agent, channel=line.channel_id, at=now, org=line.org,
        sender=customer, provider_id=item_id, sent_at=sent_at, group=group, pauses=not standby,
    )  # fmt: skip
    changes: dict[str, object]
    if kind == "edit":
        target, inner, inner_kind = _edited(item)
        changes = {"act": "edit", "target": target, "message": message_of(inner, inner_kind, is_edit=True)}
    elif kind == "revoke":
        changes = {"act": "revoke", "target": _revoked(item)}
    else:
        changes = {"message": message_of(item, kind)}
    return made.model_copy(update=changes)


def _revoked(item: Json) -> str:
    """The message that was deleted."""
    return _target(mapping(item.get("revoke")), "original_message_id")


def _target(body: Json, name: str) -> str:
    target = identifier(body.get(name)) if type(body.get(name)) is str else None
    if target is None:
        raise OddItemError("no target message")
    return target


def _edited(item: Json) -> tuple[str, Json, str]:
    """The target of an edit, its new content and that content's type."""
    edit = mapping(item.get("edit"))
    inner = edit.get("message") or NOTHING
    kind = mapping(inner).get("type")
    if type(kind) is not str or kind not in READERS:
        raise OddItemError("an edit without readable content")
    return _target(edit, "original_message_id"), mapping(inner), kind
