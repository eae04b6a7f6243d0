"""Approved templates: listed from the Graph stand-in page by page, filled in, and sent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from channels.base import RefusedError
from channels.whatsapp.adapter import WhatsAppAdapter
from channels.whatsapp.simulator import Simulator, SimulatorSettings, running
from channels.whatsapp.simulator.templates import Template as Approval
from channels.whatsapp.templates import PAGE, approved, message_of
from omni.model.channel import WhatsAppChannel
from omni.model.template import ApprovedTemplate
from tests.whatsapp.test_whatsapp_sending import NoBlobs


@pytest.fixture
async def graph() -> AsyncIterator[tuple[Simulator, str]]:
    async with running(SimulatorSettings(port=0)) as (simulator, url):
        yield simulator, url


@pytest.fixture
async def adapter(graph: tuple[Simulator, str]) -> AsyncIterator[WhatsAppAdapter]:
    made = WhatsAppAdapter(NoBlobs(), graph_url=graph[1])
    await made.open()
    yield made
    await made.close()


def channel_of(simulator: Simulator, **changes: object) -> WhatsAppChannel:
    settings = simulator.settings
    return WhatsAppChannel.model_validate(
        {
            "phone_number_id": settings.phone_number_id,
            "access_token": settings.access_token,
            "app_secret": settings.app_secret,
            "verify_token": settings.verify_token,
            "waba_id": settings.waba_id,
            **changes,
        }
    )


async def test_every_approved_template_is_listed_whatever_the_number_of_pages(
    graph: tuple[Simulator, str], adapter: WhatsAppAdapter
) -> None:
    simulator, _ = graph
    for number in range(2 * PAGE):
        simulator.templates.put(Approval(name=f"note_{number:03}", body="Hello {{1}}"))
    simulator.templates.put(Approval(name="refused", body="Hello", status="REJECTED"))
    listed = await adapter.templates(channel_of(simulator))
    names = [one.name for one in listed]
    assert len(names) == len(set(names)) == 2 * PAGE + 3
    assert "refused" not in names
    follow_up = next(one for one in listed if one.name == "conversation_follow_up")
    assert (follow_up.language, [v.name for v in follow_up.variables]) == ("en_US", ["1"])
    assert follow_up.buttons == ("Yes, please", "No, thanks")


async def test_a_channel_without_its_account_is_told_what_to_set(
    graph: tuple[Simulator, str], adapter: WhatsAppAdapter
) -> None:
    with pytest.raises(RefusedError, match="set its waba_id"):
        await adapter.templates(channel_of(graph[0], waba_id=None))


NAMED = {
    "name": "order_ready",
    "language": "es",
    "status": "APPROVED",
    "category": "UTILITY",
    "components": [
        {"type": "HEADER", "format": "TEXT", "text": "Pedido {{1}}", "example": {"header_text": ["A-17"]}},
        {
            "type": "BODY",
            "text": "Hola {{nombre}}, tu pedido de {{tienda}} espera.",
            "example": {"body_text_named_params": [{"param_name": "nombre", "example": "Ada"}]},
        },
        {"type": "FOOTER", "text": "Responde STOP para salir"},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Ver", "url": "https://a.example/{{1}}"}]},
    ],
}


def test_blanks_are_found_in_header_body_and_buttons_and_filled_where_they_belong() -> None:
    template = approved(NAMED)
    assert template is not None
    assert [v.name for v in template.variables] == ["header.1", "nombre", "tienda", "button.0.1"]
    assert [v.example for v in template.variables] == ["A-17", "Ada", None, None]
    values = {"header.1": "B-2", "nombre": " Eva ", "tienda": "Sol", "button.0.1": "b2"}
    message = message_of(template, values)
    assert message.preview == "Pedido B-2\nHola Eva, tu pedido de Sol espera.\nResponde STOP para salir"
    assert message.components == (
        {"type": "header", "parameters": [{"type": "text", "text": "B-2"}]},
        {
            "type": "body",
            "parameters": [
                {"type": "text", "text": "Eva", "parameter_name": "nombre"},
                {"type": "text", "text": "Sol", "parameter_name": "tienda"},
            ],
        },
        {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "b2"}]},
    )


@pytest.mark.parametrize("value", ["", "  ", "two\nlines", "a\tb", "too     wide"])
def test_a_value_that_whatsapp_would_refuse_is_refused_with_a_sentence(value: str) -> None:
    template = approved(NAMED)
    assert template is not None
    with pytest.raises(ValueError, match="tienda"):
        message_of(template, {"header.1": "1", "nombre": "Eva", "tienda": value, "button.0.1": "x"})


def test_a_template_with_a_picture_is_listed_and_says_why_it_cannot_be_sent() -> None:
    row = {**NAMED, "components": [{"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Hi"}]}
    template = approved(row)
    assert template is not None
    assert template.problem is not None
    with pytest.raises(ValueError, match="image"):
        message_of(template, {})


@pytest.mark.parametrize("row", [{}, {"name": 7}, {"name": "a", "language": "en", "status": "PENDING"}, {"name": "x"}])
def test_what_is_not_an_approved_template_is_passed_over(row: dict[str, object]) -> None:
    assert approved(row) is None


def test_odd_content_harms_nobody() -> None:
    row = {"name": "a", "language": "en", "status": "APPROVED", "components": [None, {"type": "BODY", "text": 5}, 3]}
    found = approved(row)
    assert isinstance(found, ApprovedTemplate)
    assert found.body == ""
