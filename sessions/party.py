"""The person a conversation is with: who they are by now, and where to reach them."""

from __future__ import annotations

from omni.model.contact import Contact, Identity


def reachable(identities: tuple[Identity, ...], contact: Contact) -> tuple[Identity, ...]:
    """Identities to send to: the newest input's own first (the channel just used them), then the contact's."""
    rest = tuple(identity for identity in reversed(contact.identities) if identity not in identities)
    return (*identities, *rest)
