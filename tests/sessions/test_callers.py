"""One person on every channel: who phones is known by what they wrote before, and the other way round."""

from __future__ import annotations

import itertools

import pytest

from channels.sms.people import identities_of as of_sms
from channels.whatsapp.people import identities_of as of_whatsapp
from omni.model.callers import on_the_line
from omni.model.contact import Contact, IdentityKind, Sender
from sessions.contacts import match


def resolved(*senders: Sender) -> list[Contact]:
    """The people in the store after these have come, one after the other."""
    numbers = itertools.count(1)
    known: list[Contact] = []
    for sender in senders:
        found = [one for one in known if set(one.identities) & set(sender.identities)]
        made = match(found, sender, "default", lambda prefix: f"{prefix}_{next(numbers)}")
        known = [one for one in known if one.id != made.contact.id and one not in made.gone]
        known.append(made.contact.model_copy(update={"version": 1}))
    return known


def writer(wa: str, user: str | None = None) -> Sender:
    return Sender(identities=of_whatsapp(wa, user, None), routing=f"whatsapp:1:{wa}", name="Ada")


def texter(number: str) -> Sender:
    return Sender(identities=of_sms(number), routing=f"sms:1:{number}")


@pytest.mark.parametrize(
    ("wa", "dialled"),
    [
        ("12025550171", "+12025550171"),
        ("4917012345678", "+4917012345678"),
        ("541155551234", "+5491155551234"),  # Argentina: mobiles are dialled with a 9
        ("5491155551234", "+5491155551234"),
        ("551187654321", "+5511987654321"),  # Brazil: the ninth digit
        ("5511987654321", "+5511987654321"),
        ("5215512345678", "+525512345678"),  # Mexico: the 1 that WhatsApp keeps
    ],
)
def test_who_writes_and_who_phones_are_one_person_in_both_orders(wa: str, dialled: str) -> None:
    caller = on_the_line(dialled, "CA1")
    for senders in itertools.permutations((writer(wa), caller, texter(dialled))):
        people = resolved(*senders)
        assert len(people) == 1, [one.identities for one in people]
        assert people[0].home == senders[0].routing, "they stay where they were met first"


def test_a_user_id_that_came_with_a_number_is_known_when_the_number_phones() -> None:
    (person,) = resolved(writer("12025550171", "US.1"), on_the_line("+12025550171", "CA1"))
    assert person.first(IdentityKind.BSUID) is not None
    assert (
        len(resolved(Sender(identities=of_whatsapp(None, "US.1", None), routing="w"), on_the_line("+12025550171", "c")))
        == 2
    )


def test_a_number_that_only_phoned_joins_the_user_id_it_writes_with() -> None:
    (person,) = resolved(on_the_line("+12025550171", "CA1"), writer("12025550171", "US.1"))
    assert {one.kind for one in person.identities} == {IdentityKind.PHONE, IdentityKind.WA_ID, IdentityKind.BSUID}


@pytest.mark.parametrize("address", ["sip:+12025550171@trunk.example.com", "sips:+12025550171;phone-context=x@host"])
def test_a_sip_address_with_a_full_number_is_that_numbers(address: str) -> None:
    assert on_the_line(address, "c") == on_the_line("+12025550171", "c")


@pytest.mark.parametrize("address", ["sip:ada@host", "sip:2025550171@host", "sip:+0123@host", "sip:x+12025550171@host"])
def test_another_sip_address_is_itself(address: str) -> None:
    (identity,) = on_the_line(address, "c").identities
    assert (identity.kind, identity.value) == (IdentityKind.SIP, address)


@pytest.mark.parametrize(
    "hidden", ["anonymous", "", "+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253", "Restricted"]
)
def test_who_hides_their_number_is_nobody_we_know(hidden: str) -> None:
    assert len(resolved(on_the_line(hidden, "CA1"), on_the_line(hidden, "CA2"))) == 2
