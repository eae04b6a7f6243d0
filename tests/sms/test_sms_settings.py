"""What a channel's settings say when they are wrong, and what a server needs before it serves one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from channels.twilio import package
from omni.app.server import Server
from omni.model.channel import REVEAL, SmsChannel
from omni.settings import Settings, SettingsError, load
from tests.sms.desk import LINE, NUMBER, SERVICE, TOKEN, agent_of, line_of


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"number": "2025550142"}, "write it with + and the country code"),
        ({"number": None}, "an sms channel has no sender; give it number"),
        ({"account_sid": "AC123"}, "write AC and 32 hex digits"),
        ({"messaging_service_sid": "AC" + "7" * 32}, "write MG and 32 hex digits"),
        ({"auth_token": ""}, "copy the account's auth token"),
    ],
)
def test_a_wrong_value_is_a_sentence_with_the_mend(wrong: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=sentence.replace("+", r"\+")):
        SmsChannel.model_validate({**LINE, **wrong})
    file = tmp_path / "omni.yaml"
    file.write_text(yaml.safe_dump({"agents": [{"slug": "x", "brain": "script", "channels": [{**LINE, **wrong}]}]}))
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert sentence in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_channel_is_named_by_its_number_or_its_service() -> None:
    assert line_of(number="+1 (202) 555-0142").id == f"sms:{NUMBER}"
    assert line_of(number=None, messaging_service_sid=SERVICE).id == f"sms:{SERVICE}"


def test_secrets_are_written_only_into_the_stores_own_file() -> None:
    line = line_of(previous_auth_token="older-token", signing_key="a-key")
    assert not any(secret in line.model_dump_json() + repr(line) for secret in (TOKEN, "older-token", "a-key"))
    again = SmsChannel.model_validate_json(line.model_dump_json(context=REVEAL))
    assert again == line


def test_one_number_has_one_agent() -> None:
    with pytest.raises(ValidationError, match="give it to one"):
        Settings(agents=(agent_of("one"), agent_of("two")))


def test_a_server_without_the_package_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "is_installed", lambda: False)
    with pytest.raises(SettingsError, match="omni-server\\[twilio\\]"):
        Server(Settings(agents=(agent_of(),), public_url="https://x.example"))
    Server(Settings())  # who does not text needs no such package


def test_a_server_that_twilio_cannot_reach_says_so() -> None:
    with pytest.raises(SettingsError, match="OMNI_PUBLIC_URL is missing"):
        Server(Settings(agents=(agent_of(),)))
    Server(Settings(agents=(agent_of(),), public_url="https://x.example"))
