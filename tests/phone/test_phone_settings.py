"""What a phone channel's settings say when they are wrong; and that nothing is loaded before it is needed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from omni.model.channel import REVEAL, PhoneChannel
from tests.phone.line import NUMBER, TOKEN, channel_of


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"account_sid": "AC123"}, "write AC and 32 hex digits"),
        ({"auth_token": ""}, "copy the account's auth token"),
        ({"auth_token": None}, "needs both account_sid and auth_token"),
        ({"account_sid": None}, "needs both account_sid and auth_token"),
    ],
)
def test_a_wrong_value_is_a_sentence_with_the_mend(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence) as caught:
        channel_of(**wrong)
    assert TOKEN not in str(caught.value)


def test_a_program_names_a_number_without_an_account() -> None:
    assert PhoneChannel(number=NUMBER).id == f"phone:{NUMBER}"


def test_secrets_are_written_only_into_the_stores_own_file() -> None:
    channel = channel_of(previous_auth_token="older-token", signing_key="a-key")
    assert not any(secret in channel.model_dump_json() + repr(channel) for secret in (TOKEN, "older-token", "a-key"))
    assert PhoneChannel.model_validate_json(channel.model_dump_json(context=REVEAL)) == channel


@pytest.mark.parametrize("module", ["channels.phone.webhook", "channels.twilio.simulator", "channels.phone.carrier"])
def test_what_a_gateway_imports_loads_neither_twilio_nor_numpy(module: str) -> None:
    look = f"import sys, {module}; print([n for n in ('twilio', 'numpy', 'av') if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"
