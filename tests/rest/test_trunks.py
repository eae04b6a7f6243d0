"""SIP trunks over REST: made, listed, changed, given a new password, removed; and those of the settings, which are only
read."""

from __future__ import annotations

from typing import Any

import pytest

from omni.gateway.rest.trunks.shapes import SECRETS, TrunkShown
from omni.model.sip import SipListen, SipTrunk, TrunkFields, inbound_uri, listens
from tests.rest.house import KEY, House
from tests.server.conftest import OpenShop
from tests.server.shop import agent_of

PATH = "/v1/sip-trunks"
OFFICE = {
    "name": "office",
    "description": "The switchboard",
    "host": "pbx.example.com",
    "username": "line",
    "password": "s3cret-of-ours",
    "allow": ["192.0.2.0/24"],
    "inbound_username": "door",
    "numbers": ["+12025550142"],
}


def test_all_that_is_no_secret_is_shown() -> None:
    given = {field.alias or name for name, field in TrunkFields.model_fields.items()}
    shown = {field.alias or name for name, field in TrunkShown.model_fields.items()}
    assert given - shown == SECRETS


async def test_a_trunk_is_made_changed_and_removed(each_house: House) -> None:
    house = each_house
    made = await house.post(PATH, OFFICE)
    password = made.pop("inbound_password")
    assert len(password) == 48
    assert made["id"] == "office"
    assert (made["source"], made["host"], made["register"]) == ("api", "pbx.example.com", False)
    assert made["allow"] == ["192.0.2.0/24"]
    assert made["inbound_uri"] == "sip:127.0.0.1:0"
    assert await house.get(f"{PATH}/office") == made
    assert (await house.get(PATH))["data"] == [made]
    stored = await house.store.trunk("default", "office")
    assert stored.trunk.inbound_password.get_secret_value() == password
    assert stored.trunk.password.get_secret_value() == "s3cret-of-ours"

    changed = await house.ask("PATCH", f"{PATH}/office", {"max_calls": 7, "description": None, "register": True})
    assert changed.body == {**made, "max_calls": 7, "description": None, "register": True}
    stored = await house.store.trunk("default", "office")
    assert stored.trunk.password.get_secret_value() == "s3cret-of-ours", "what is left out stays"

    rotated = await house.post(f"{PATH}/office/rotate-password", status=200)
    assert rotated.pop("inbound_password") not in (password, None)
    assert rotated == changed.body
    gone = await house.ask("DELETE", f"{PATH}/office")
    assert gone.body == {"id": "office", "object": "sip_trunk", "deleted": True}
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate-password")):
        answer = await house.ask(method, f"{PATH}/office{path}", {} if method == "PATCH" else None)
        assert (answer.status, answer.error["code"]) == (404, "not_found"), method
    assert (await house.get(PATH))["data"] == []
    assert [one.action for one in await house.store.audit("default")] == [
        "trunk.delete", "trunk.rotate-password", "trunk.change", "trunk.create"
    ]  # fmt: skip


async def test_secrets_are_shown_once_and_never_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    given = {**OFFICE, "inbound_password": "t0p-secret-of-theirs"}
    made = await house.ask("POST", PATH, given, headers={"Idempotency-Key": "once"})
    assert made.body["inbound_password"] == "t0p-secret-of-theirs"
    assert "s3cret-of-ours" not in made.text
    texts = [
        (await house.ask("GET", PATH)).text,
        (await house.ask("GET", f"{PATH}/office")).text,
        (await house.ask("PATCH", f"{PATH}/office", {"password": "s3cret-of-ours", "max_calls": 3})).text,
        (await house.ask("PATCH", f"{PATH}/office", {"password": "s3cret-of-ours", "username": None})).text,
        (await house.ask("POST", PATH, {**given, "register": "s3cret-of-ours"})).text,
        caplog.text,
    ]
    for text in texts:
        assert "s3cret-of-ours" not in text
        assert "t0p-secret" not in text


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"name": "Office"}, 400, "name"),
        ({"nmae": "office"}, 400, "nmae"),
        ({"org": "rival"}, 400, "org"),
        ({"is_public": False}, 400, "is_public"),
        ({"host": "sip:pbx"}, 400, "host"),
        ({"host": "pbx.example.com:99999"}, 400, "not a port"),
        ({"numbers": ["12"]}, 400, "numbers"),
        ({"allow": ["everybody"]}, 400, "is not a network"),
        ({"allow": ["0.0.0.0/0"]}, 400, "wider than /16"),
        ({"allow": ["2000::/3"]}, 400, "wider than /32"),
        ({"transfers": "some"}, 400, "transfers"),
        ({"max_calls": 10_000}, 400, "max_calls"),
        ({"inbound_username": "a b"}, 400, "inbound_username"),
        ({"inbound_password": ""}, 400, "inbound_password"),
        ({"host": "169.254.169.254"}, 400, "is never asked"),
        ({"password": None}, 422, "needs both username and password"),
        ({"register": True, "username": None, "password": None}, 422, "give it username and password"),
        ({"host": None, "allow": [], "inbound_username": None}, 422, "give it host, allow or"),
        ({"inbound_username": None, "inbound_password": "x"}, 422, "needs both inbound_username"),
    ],
)
async def test_what_cannot_be_is_refused_in_a_sentence(
    house: House, changes: dict[str, Any], status: int, says: str
) -> None:
    answer = await house.ask("POST", PATH, {**OFFICE, **changes})
    assert (answer.status, says in answer.error["message"]) == (status, True), answer.text
    assert (await house.get(PATH))["data"] == []


async def test_a_change_that_contradicts_what_is_stored_changes_nothing(house: House) -> None:
    made = await house.post(PATH, {"name": "office", "allow": ["192.0.2.0/24"]})
    assert made.pop("inbound_password") is None
    for body, says in (
        ({"allow": []}, "nobody could call"),
        ({"register": True}, "give it username"),
        ({"inbound_username": "door"}, "needs both inbound_username"),
    ):
        answer = await house.ask("PATCH", f"{PATH}/office", body)
        assert (answer.status, says in answer.error["message"]) == (422, True), answer.text
    renamed = await house.ask("PATCH", f"{PATH}/office", {"name": "home"})
    assert (renamed.status, renamed.error["code"]) == (400, "unknown_field")
    nobody = await house.ask("POST", f"{PATH}/office/rotate-password")
    assert (nobody.status, nobody.error["code"]) == (409, "no_inbound_password")
    assert await house.get(f"{PATH}/office") == made


async def test_a_name_is_taken_once_in_an_organisation(house: House) -> None:
    await house.post(PATH, OFFICE)
    again = await house.ask("POST", PATH, OFFICE)
    assert (again.status, again.error["code"], again.error["param"]) == (409, "taken", "name")
    theirs = await house.post(PATH, {**OFFICE, "host": "10.0.0.9"}, org="rival")
    assert (await house.get(f"{PATH}/office", org="rival"))["host"] == theirs["host"]
    assert (await house.get(f"{PATH}/office"))["host"] == "pbx.example.com"


async def test_a_trunk_that_a_channel_names_is_not_taken_from_under_it(house: House) -> None:
    await house.post(PATH, OFFICE)
    line = {"kind": "sip", "uri": "sip:desk@pbx.example.com"}
    await house.post("/v1/agents/echo/channels", {**line, "trunk": "office"})
    answer = await house.ask("DELETE", f"{PATH}/office")
    assert (answer.status, answer.error["code"]) == (409, "in_use")
    assert "sip:desk@pbx.example.com of the agent echo" in answer.error["message"]
    await house.post("/v1/agents/echo/channels", line)
    assert (await house.ask("DELETE", f"{PATH}/office")).status == 200


async def test_lists_come_in_pages_by_name(house: House) -> None:
    for name in ("c", "a", "b", "e", "d"):
        await house.post(PATH, {**OFFICE, "name": name})
    pages = await house.pages(PATH, limit=2)
    assert [[one["id"] for one in page] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]


async def test_trunks_of_the_settings_are_listed_and_changed_there_only(
    embedded: dict[str, Any], open_shop: OpenShop
) -> None:
    declared = (
        SipTrunk.model_validate({"name": "carrier", "host": "10.0.0.2", "username": "u", "password": "s3cret"}),
        SipTrunk.model_validate({"name": "theirs", "host": "10.0.0.3", "org": "rival"}),
    )
    settings: dict[str, Any] = {"sip_bind": "0.0.0.0:0", "sip_trunks": declared, "allow_private_webhooks": False}
    house = House(await open_shop(embedded, agent_of(), api_key=KEY, **settings))
    await house.post(PATH, OFFICE)
    shown = (await house.get(PATH))["data"]
    assert [(one["id"], one["source"], one["created"] is None) for one in shown] == [
        ("carrier", "settings", True), ("office", "api", False)
    ]  # fmt: skip
    assert await house.get(f"{PATH}/carrier") == shown[0]
    for method, path in (("PATCH", ""), ("DELETE", ""), ("POST", "/rotate-password")):
        answer = await house.ask(method, f"{PATH}/carrier{path}", {"max_calls": 1} if method == "PATCH" else None)
        assert (answer.status, answer.error["code"]) == (409, "declared"), method
        assert "change it there" in answer.error["message"]
    taken = await house.ask("POST", PATH, {**OFFICE, "name": "carrier"})
    assert (taken.status, taken.error["code"]) == (409, "taken")
    assert "settings" in taken.error["message"]
    await house.post(PATH, {**OFFICE, "name": "theirs"})
    private = await house.ask("POST", PATH, {**OFFICE, "name": "near", "host": "10.0.0.2"})
    assert (private.status, private.error["code"], private.error["param"]) == (400, "address_refused", "host")
    assert "OMNI_ALLOW_PRIVATE_WEBHOOKS" in private.error["message"]


async def test_where_sip_is_not_spoken_none_is_made_and_the_sentence_says_why(
    embedded: dict[str, Any], open_shop: OpenShop
) -> None:
    house = House(await open_shop(embedded, agent_of(), api_key=KEY))
    answer = await house.ask("POST", PATH, OFFICE)
    assert (answer.status, answer.error["code"]) == (409, "sip_not_spoken")
    assert "OMNI_SIP_BIND" in answer.error["message"]
    assert (await house.get(PATH))["data"] == []


@pytest.mark.parametrize(
    ("bind", "advertised", "uri"),
    [
        ("203.0.113.7:5060", None, "sip:203.0.113.7"),
        ("203.0.113.7:5070", None, "sip:203.0.113.7:5070"),
        ("0.0.0.0:5060", None, "sip:omni.example.com"),
        ("0.0.0.0:5060", "198.51.100.4", "sip:198.51.100.4"),
        ("tls://0.0.0.0:5061", None, "sip:omni.example.com;transport=tls"),
        ("tls://10.0.0.1:5061, tcp://10.0.0.1:5060", "2001:db8::1", "sip:[2001:db8::1];transport=tcp"),
        ("", None, None),
    ],
)
def test_where_calls_come_in_is_told_as_a_switchboard_takes_it(
    bind: str, advertised: str | None, uri: str | None
) -> None:
    found: tuple[SipListen, ...] = listens(bind)
    assert inbound_uri(found, advertised, "omni.example.com") == uri
