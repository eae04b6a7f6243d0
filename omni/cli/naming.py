"""What people call things on the command line: calls, persons, agents."""

from __future__ import annotations

from dataclasses import dataclass

from omni.cli.opening import Failure
from omni.model.agent import Agent
from omni.model.base import DEFAULT_ORG
from omni.model.call import Call
from omni.model.contact import Contact, known_by
from omni.store.base import CallFilter, Store

LAST = "last"
"""The newest call, for whoever tries things out."""


@dataclass(frozen=True, slots=True)
class Person:
    """A contact, and an agent that has spoken with them."""

    contact: Contact
    agent: str


async def find_call(store: Store, name: str) -> Call:
    """By id, or `last`. Raises Failure."""
    if name == LAST:
        newest = await store.calls(CallFilter(org=DEFAULT_ORG), limit=20)
        if not newest:
            raise Failure("there are no calls yet; write to the bot first")
        return max(newest, key=lambda call: call.last_at or call.started_at)
    call = await store.call(name)
    if call is None:
        raise Failure(f"there is no call {name!r}; `omni calls list` names them")
    return call


async def find(store: Store, name: str) -> Call | Agent | Person:
    """A call by id (or `last`), an agent by slug, or a person by contact id or number. Raises Failure."""
    if name == LAST:
        return await find_call(store, name)
    call = await store.call(name)
    if call is not None:
        return call
    agent = await store.agent(DEFAULT_ORG, name)
    if agent is not None:
        return agent
    contact = await store.contact(name)
    digits = name.removeprefix("+").replace(" ", "")
    if contact is None and digits.isascii() and digits.isdigit():
        found = await store.find_contacts(DEFAULT_ORG, known_by(digits))
        contact = found[0] if found else None
    if contact is None:
        raise Failure(
            f"{name!r} is no call, agent or person that is known here; `omni calls list` and `omni agents` name them"
        )
    calls = await store.calls(CallFilter(org=DEFAULT_ORG, contact=contact.id), limit=1)
    if not calls:
        raise Failure(f"nobody has spoken with {name} yet, so there is nothing to pause")
    return Person(contact, calls[0].agent)
