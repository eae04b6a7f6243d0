"""The pretend users, and the 24-hour customer-service window of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from channels.whatsapp.simulator.ids import Json, business_scoped_id

WINDOW_SECONDS = 24 * 3600

FIRST_PEOPLE = (
    ("12025550171", "Ada Quill"),
    ("447700900123", "Bruno Tennant"),
    ("201005550117", "ليلى حدّاد"),
    ("33199005501", "Chloé Marchand"),
)


@dataclass(frozen=True, slots=True)
class Person:
    """A WhatsApp user as one business sees them. ``phone_hidden`` leaves the number out of webhooks."""

    wa_id: str
    name: str
    user_id: str
    username: str = ""
    phone_hidden: bool = False

    def contact(self, *, with_username: bool = True) -> Json:
        """An item of ``contacts[]`` in a webhook."""
        profile: Json = {"name": self.name}
        if self.username and with_username:
            profile["username"] = self.username
        if self.phone_hidden:
            return {"profile": profile, "user_id": self.user_id}
        return {"profile": profile, "wa_id": self.wa_id, "user_id": self.user_id}

    def as_json(self) -> Json:
        return {
            "wa_id": self.wa_id,
            "name": self.name,
            "user_id": self.user_id,
            "username": self.username,
            "phone_hidden": self.phone_hidden,
        }


class People:
    """Everybody this business ever heard of; strangers are made up when they are first addressed."""

    def __init__(self, waba_id: str) -> None:
        self._waba_id = waba_id
        self._by_wa_id: dict[str, Person] = {}
        self._by_user_id: dict[str, Person] = {}
        self._last_heard: dict[tuple[str, str], float] = {}
        for wa_id, name in FIRST_PEOPLE:
            self.meet(wa_id, name=name)

    def all(self) -> list[Person]:
        return list(self._by_wa_id.values())

    def find(self, wa_id: str) -> Person | None:
        return self._by_wa_id.get(wa_id)

    def find_user(self, user_id: str) -> Person | None:
        return self._by_user_id.get(user_id)

    def meet(self, wa_id: str, *, name: str | None = None) -> Person:
        """The person with this number, made up if unknown, renamed if a name is given."""
        person = self._by_wa_id.get(wa_id)
        if person is None:
            person = Person(wa_id, name or f"+{wa_id}", business_scoped_id(wa_id, self._waba_id))
        elif name is None or name == person.name:
            return person
        else:
            person = replace(person, name=name)
        self.put(person)
        return person

    def put(self, person: Person) -> None:
        old = self._by_wa_id.get(person.wa_id)
        if old is not None:
            self._by_user_id.pop(old.user_id, None)
        self._by_wa_id[person.wa_id] = person
        self._by_user_id[person.user_id] = person

    def heard(self, phone_number_id: str, wa_id: str, at: float) -> None:
        """A message of the user opens the window, or keeps it open for longer; a late one never shortens it."""
        key = (phone_number_id, wa_id)
        self._last_heard[key] = max(at, self._last_heard.get(key, 0.0))

    def close_window(self, phone_number_id: str, wa_id: str) -> None:
        self._last_heard.pop((phone_number_id, wa_id), None)

    def window_until(self, phone_number_id: str, wa_id: str) -> float:
        """Epoch seconds at which free-form messages stop; 0 when the user never wrote."""
        heard = self._last_heard.get((phone_number_id, wa_id))
        return 0.0 if heard is None else heard + WINDOW_SECONDS
