"""Messages as a browser shows them."""

from __future__ import annotations

from channels.chat.content import parts_of, plain
from omni.model.message import (
    Button,
    Buttons,
    LinkButton,
    Location,
    Media,
    MediaKind,
    Menu,
    Message,
    Row,
    Section,
    Template,
    Text,
)

MENU = Menu(
    body="Here is the card.",
    button="Open",
    header="Drinks",
    sections=(Section(rows=(Row(id="tea", title="Tea", description="2.50"), Row(id="milk", title="Milk"))),),
)
LINK = LinkButton(body="Our shop", label="Open", url="https://example.com")
PLACE = Location(latitude=48.8606, longitude=2.3376, name="Louvre", url="javascript:alert(1)")


def test_every_part_has_words_for_a_plain_client() -> None:
    assert plain(Message(parts=(MENU,))) == "Drinks\n\nHere is the card.\n\n- Tea: 2.50\n- Milk"
    assert plain(Message(parts=(LINK,))) == "Our shop\n\n- Open: https://example.com"
    assert plain(Message(parts=(PLACE,))) == "[location 48.860600, 2.337600: Louvre]"
    assert plain(Message(parts=(Text(text="a"), Text(text="b")))) == "a\n\nb"


def test_parts_for_our_own_page() -> None:
    buttons = Buttons(body="Pick", buttons=(Button(id="a", title="A"),), footer="or write")
    parts = parts_of(Message(parts=(Text(text="Hi"), buttons, MENU, LINK, Template(name="t", language="en"))), str)
    assert parts == [
        {"type": "text", "text": "Hi"},
        {"type": "choices", "text": "Pick\n\nor write", "choices": [{"id": "a", "title": "A"}]},
        {
            "type": "choices",
            "text": "Drinks\n\nHere is the card.",
            "choices": [{"id": "tea", "title": "Tea", "description": "2.50"}, {"id": "milk", "title": "Milk"}],
        },
        {"type": "link", "text": "Our shop", "label": "Open", "url": "https://example.com"},
        {"type": "text", "text": "[template t]"},
    ]


def test_a_file_has_an_address_or_a_reason_why_not() -> None:
    film = Media(kind=MediaKind.VIDEO, blob="b1", mime="video/mp4", filename="a.mp4", size=7)
    gone = Media(kind=MediaKind.IMAGE, problem="It is gone.")
    assert parts_of(Message(parts=(film, gone)), lambda media: media.blob and f"/{media.blob}") == [
        {"type": "media", "kind": "video", "url": "/b1", "mime": "video/mp4", "name": "a.mp4", "size": 7},
        {"type": "media", "kind": "image", "problem": "It is gone."},
    ]


def test_a_place_is_a_link_to_a_map_and_never_to_what_came_with_it() -> None:
    (part,) = parts_of(Message(parts=(PLACE,)), lambda _: None)
    assert isinstance(part, dict)
    assert part["label"] == "Louvre"
    assert str(part["url"]).startswith("https://www.openstreetmap.org/?mlat=48.860600&mlon=2.337600")
