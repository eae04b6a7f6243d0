"""A shop for lamps that does not exist, the people who work there, and those who write to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

Step = tuple[
    Literal["user", "tess", "take", "note", "label", "location", "photo", "react", "done", "mine", "back"], str
]

PEOPLE: Final = (("Nadia Ferrer", "agent"), ("Tom Lindqvist", "agent"), ("Grace Okafor", "admin"))
LABELS: Final = (("refund", "red"), ("delivery", "blue"), ("vip", "purple"), ("showroom", "green"))

SCRIPT: Final[list[dict[str, Any]]] = [
    {"when": "(?i)person|human|manager", "say": "Of course. A colleague will be with you in a moment.",
     "handoff": True},
    {"when": "(?i)twice|refund|broken|cracked", "handoff": True,
     "say": "I am sorry about that. Let me bring in a colleague who can put it right."},
    {"when": "(?i)where|track|arrive",
     "say": "Order 4417 left our workshop this morning and arrives tomorrow between 9:00 and 12:00."},
    {"when": "(?i)open|hours|sunday",
     "say": "The showroom at Calle de la Luna 12 is open Monday to Saturday, 10:00 to 20:00."},
    {"when": "(?i)dimm", "say": "Yes: *Alba* and *Brisa* can be dimmed with any wall dimmer up to 150 W."},
    {"when": "(?i)green|colour", "say": "The Brisa comes in white, sand and a deep bottle green."},
    {"when": "(?i)offer", "say": "It is, until Sunday: the Alba is 129 € instead of 149 €."},
    {"when": "(?i)see the", "say": "Gladly! It stands in the showroom. Shall I book you half an hour with an adviser?"},
    {"when": "(?i)thank|gracias|merci|perfect", "say": "You are welcome! Enjoy the light."},
    {"when": "(?s).*",
     "say": "Tell me the name of the lamp or your order number, and I will look it up."},
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Story:
    """One conversation; `ago` are the minutes since its last words."""

    name: str
    number: str
    ago: float
    steps: tuple[Step, ...]


HERO: Final = "Lucía Moreno"

STORIES: Final = (
    Story("Mei Tanaka", "81902345671", 188, (("user", "Can the Alba be dimmed?"), ("user", "Perfect, thank you"))),
    Story("Jonas Weber", "4915112345678", 141, (("user", "Are you open on Sunday?"),)),
    Story("Chloé Martin", "33612345678", 96, (
        ("user", "Bonjour! Where is my order 4417?"), ("label", "delivery"), ("user", "Merci beaucoup !"))),
    Story("Kofi Mensah", "233201234567", 74, (
        ("user", "Do you ship to Accra?"), ("take", ""),
        ("tess", "We do! Seven working days, and nothing to pay at the door."),
        ("label", "vip"), ("user", "Great, then I will take two Brisas"))),
    Story("Farah Haddad", "971501234567", 52, (("user", "I would like to see the Alba before I buy it"),)),
    Story("Dmitri Volkov", "35799123456", 39, (
        ("user", "The shade came cracked"), ("take", ""), ("tess", "I am so sorry, Dmitri. A new one is on its way."),
        ("label", "refund"), ("user", "That was quick, thank you!"))),
    Story("Ana Petrović", "381641234567", 26, (("user", "Does the Brisa come in green?"),)),
    Story("Elif Yılmaz", "905321234567", 17, (
        ("user", "I was charged twice for order 4390"), ("label", "refund"))),
    Story("Goran Novak", "385911234567", 11, (("user", "May I talk to a person about a big order?"),)),
    Story(HERO, "34600112233", 2, (
        ("user", "Hi! Where is my order? I need it on Saturday"),
        ("user", "It is for my sister's wedding, and I have to be sure. Can I talk to a person?"),
        ("take", ""), ("label", "delivery"), ("label", "vip"),
        ("tess", "Hello Lucía, Nadia here. I have your order in front of me: the *Alba* with the brass foot."),
        ("photo", "Like this one?"),
        ("tess", "Exactly that one. It left the workshop this morning, so Friday at the latest."),
        ("react", "❤️"),
        ("note", "Wedding on Saturday 28th. If the courier is late, Tom can drive it over."),
        ("location", "Finca El Olivar"),
        ("user", "Could it go straight to the finca?"),
        ("tess", "It can. I have changed the address, and the courier calls you an hour before."))),
    Story("Noor Al-Sayed", "962791234567", 0.6, (("user", "Is the Alba still on offer?"),)),
)  # fmt: skip

LAMP: Final = """<body style="margin:0"><svg xmlns="http://www.w3.org/2000/svg" width="480" height="300"
viewBox="0 0 480 300"><rect width="480" height="300" fill="#d9a066"/><circle cx="240" cy="110" r="150" fill="#e8b878"/>
<circle cx="240" cy="110" r="105" fill="#f3cf94"/><rect y="244" width="480" height="56" fill="#4a3527"/><path
d="M190 60h100l32 88H158z" fill="#fff6e2"/><rect x="234" y="148" width="12" height="92" fill="#8a6a3a"/><ellipse
cx="240" cy="243" rx="58" ry="10" fill="#8a6a3a"/></svg></body>"""
"""What Lucía photographed; drawn by the browser."""
