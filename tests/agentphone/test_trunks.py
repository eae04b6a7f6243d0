"""SIP trunks as AgentPhone's clients make and change them. That they take calls is held in `tests/sip`."""

from __future__ import annotations

from typing import Any

import pytest
from agentphone import AgentPhoneError, NotFoundError, SipTrunk, SipTrunkCredential

from tests.agentphone.house import Desk
from tests.agentphone.rows import row

PBX = "sip:pbx.example.com:5061;transport=tls"


def secret_of(trunk: SipTrunk) -> SipTrunkCredential:
    assert trunk.credentials is not None
    [found] = trunk.credentials
    return found


@row(70)
def test_a_trunk_is_made_listed_changed_and_deleted(desk: Desk) -> None:
    trunks = desk.c.sip_trunks
    assert trunks.list() == []
    made = trunks.create()
    first = secret_of(made)
    assert (first.username, len(first.password or "")) == (made.id, 48)
    assert made.termination_sip_uri == f"sip:127.0.0.1:{desk.house.sip_port}"
    assert (made.transport, made.encrypted, made.media_encryption) == ("udp", False, "optional")
    assert (made.transfers, made.transfer_caller_id, made.origination_uris) == ("all", "transferee", [])
    for found in (trunks.get(made.id), *trunks.list()):
        known = secret_of(found)
        assert (known.password, known.password_last4) == (None, (first.password or "")[-4:])
        assert (found.id, found.name, found.created_at) == (made.id, made.id, made.created_at)

    changed = trunks.update(made.id, name="The office", transfers="sip", transfer_caller_id="transferee")
    assert (changed.id, changed.name, changed.transfers) == (made.id, "The office", "sip")
    assert secret_of(changed).password is None
    turned = trunks.update(made.id)
    second = secret_of(turned)
    assert second.username == first.username
    assert second.password not in (None, first.password)
    assert (turned.name, turned.transfers) == ("The office", "sip")
    assert trunks.delete(made.id)["success"] is True
    assert trunks.list() == []
    for gone in (lambda: trunks.get(made.id), lambda: trunks.update(made.id), lambda: trunks.delete(made.id)):
        with pytest.raises(NotFoundError):
            gone()


@row(70)
def test_where_our_calls_go_is_set_and_taken_away(desk: Desk) -> None:
    trunks = desk.c.sip_trunks
    made = trunks.create()
    for origination in ({"sip_uri": PBX, "priority": 10, "weight": 5}, {"uris": [{"sip_uri": PBX, "name": "pbx"}]}):
        changed = trunks.update(made.id, origination=origination)
        assert [each.sip_uri for each in changed.origination_uris] == [PBX]
        assert (changed.transport, changed.encrypted) == ("tls", False), "what comes to us is not encrypted"
        assert secret_of(changed).password is None, "a change is no rotation"
        own = desk.raw("GET", f"/v1/sip-trunks/{made.id}").json()
        assert own["originationUris"][0]["sip_uri"] == PBX
    assert trunks.update(made.id, origination={"uris": []}).origination_uris == []
    trunks.delete(made.id)


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"transfer_caller_id": "transferor"}, 400, "only transferee"),
        ({"transfers": "some"}, 422, "all"),
        ({"origination": {"sip_uri": "sip:4711@pbx.example.com"}}, 422, "leave out what is before the @"),
        ({"origination": {"sip_uri": "https://pbx.example.com"}}, 422, "not the address of a switchboard"),
        ({"origination": {"uris": [{"sip_uri": PBX}, {"sip_uri": PBX}]}}, 422, "there can be one address"),
        ({"origination": {"sip_uri": PBX, "enabled": False}}, 422, "not permitted"),
        ({"origination": {"sip_uri": "sip:169.254.169.254"}}, 400, "is never asked"),
        ({"origination": {"sip_uri": "sip:pbx.example.com:99999"}}, 400, "not a port"),
        ({"nmae": "x"}, 422, "nothing in it can be changed"),
        ({"name": None}, 422, "nothing in it can be changed"),
    ],
)
def test_what_it_cannot_do_is_refused_in_a_sentence(desk: Desk, change: Any, status: int, says: str) -> None:
    made = desk.c.sip_trunks.create()
    before = desk.raw("GET", f"/v1/sip-trunks/{made.id}").json()
    answer = desk.raw("PATCH", f"/v1/sip-trunks/{made.id}", json=change)
    assert (answer.status_code, says in answer.json()["message"]) == (status, True), answer.text
    assert desk.raw("GET", f"/v1/sip-trunks/{made.id}").json() == before
    desk.c.sip_trunks.delete(made.id)


def test_lists_are_paged_and_a_trunk_is_one_organisations(desk: Desk) -> None:
    made = [desk.c.sip_trunks.create().id for _ in range(3)]
    first = desk.raw("GET", "/v1/sip-trunks?limit=2").json()
    assert ([each["id"] for each in first["data"]], first["hasMore"], first["total"]) == (made[:2], True, 3)
    rest = desk.raw("GET", "/v1/sip-trunks?limit=2&offset=2").json()
    assert ([each["id"] for each in rest["data"]], rest["hasMore"]) == (made[2:], False)
    child = desk.c.sub_accounts.create("One")
    inside = {"X-Sub-Account-Id": child["id"]}
    assert desk.raw("GET", "/v1/sip-trunks", headers=inside).json()["data"] == []
    assert desk.raw("GET", f"/v1/sip-trunks/{made[0]}", headers=inside).status_code == 404
    own = desk.raw("POST", "/v1/sip-trunks", json={"name": "theirs"}, headers=inside).json()
    assert own["name"] == "theirs"
    assert len(desk.c.sip_trunks.list()) == 3
    desk.c.sub_accounts.delete(child["id"])
    for id_ in made:
        desk.c.sip_trunks.delete(id_)


def test_a_trunk_that_a_channel_names_is_kept(desk: Desk) -> None:
    made = desk.c.sip_trunks.create()
    agent = desk.c.agents.create(name="Desk")
    path = f"{desk.house.url}/v1/agents/{agent.id}/channels"
    line = {"kind": "sip", "uri": f"sip:{desk.org}@example.com", "trunk": made.id}
    assert desk.http.post(path, json=line, timeout=20).status_code == 201
    with pytest.raises(AgentPhoneError, match="goes by this trunk") as caught:
        desk.c.sip_trunks.delete(made.id)
    assert caught.value.status == 409
    desk.c.agents.delete(agent.id)
    desk.c.sip_trunks.delete(made.id)
