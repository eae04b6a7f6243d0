"""One call between a pretend user and the business."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from channels.whatsapp.simulator.ids import Json
from channels.whatsapp.simulator.people import Person

if TYPE_CHECKING:
    from channels.whatsapp.simulator.calls.phone import Phone

Direction = Literal["USER_INITIATED", "BUSINESS_INITIATED"]
State = Literal["ringing", "pre_accepted", "accepted", "over"]


@dataclass
class SimulatedCall:
    """``answer`` is the business's description of its sound, ``early`` the frames that it sent before the call was
    accepted, and ``why`` how it ended."""

    id: str
    person: Person
    phone_number_id: str
    direction: Direction
    phone: Phone
    state: State = "ringing"
    offer: str = ""
    answer: str = ""
    early: int = 0
    began_at: float | None = None
    tracker: str = ""
    why: str = ""
    actions: list[str] = field(default_factory=list)
    """What the business did over Graph, in order."""

    @property
    def is_over(self) -> bool:
        return self.state == "over"

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "wa_id": self.person.wa_id,
            "phone_number_id": self.phone_number_id,
            "direction": self.direction,
            "state": self.state,
            "why": self.why,
            "actions": list(self.actions),
            "seconds_heard": round(len(self.phone.sound) / 96_000, 2),
            "early": self.early,
        }
