"""Approved templates, and whether a send fits one. Source: WhatsApp Cloud API, template messages."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from channels.whatsapp.simulator.errors import GraphError
from channels.whatsapp.simulator.ids import Json

_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class Template(BaseModel):
    """An approved translation. ``body`` holds ``{{1}}`` or ``{{name}}`` where parameters go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9_]{1,512}$")
    language: str = "en_US"
    category: Literal["UTILITY", "MARKETING", "AUTHENTICATION"] = "UTILITY"
    status: Literal["APPROVED", "PENDING", "REJECTED", "PAUSED", "DISABLED"] = "APPROVED"
    body: str = Field(min_length=1, max_length=1024)
    buttons: tuple[str, ...] = Field(default=(), max_length=10)

    def placeholders(self) -> list[str]:
        """Names or positions of the parameters, each once, in order."""
        return list(dict.fromkeys(_PLACEHOLDER.findall(self.body)))

    def as_graph(self, identifier: str) -> Json:
        """An item of ``GET /{waba_id}/message_templates``."""
        components: list[Json] = [{"type": "BODY", "text": self.body}]
        if self.buttons:
            buttons = [{"type": "QUICK_REPLY", "text": text} for text in self.buttons]
            components.append({"type": "BUTTONS", "buttons": buttons})
        return {
            "name": self.name,
            "language": self.language,
            "status": self.status,
            "category": self.category,
            "components": components,
            "id": identifier,
        }


FIRST_TEMPLATES = (
    Template(name="hello_world", body="Welcome! This message shows that your number can send templates."),
    Template(
        name="conversation_follow_up",
        body="Hello {{1}}, we have news about your question. May we continue here?",
        buttons=("Yes, please", "No, thanks"),
    ),
    Template(name="appt_reminder_v2", language="en_GB", body="Dear {{1}}, see you at {{when}}.", buttons=("Confirm",)),
)


class Templates:
    """The account's templates by name and language."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, str], Template] = {(t.name, t.language): t for t in FIRST_TEMPLATES}

    def put(self, template: Template) -> None:
        self._all[(template.name, template.language)] = template

    def all(self) -> list[Template]:
        return list(self._all.values())

    def render(self, body: Json) -> tuple[Template, Json]:
        """The template of a checked body, and what a phone shows: ``{"body": str, "buttons": [{text, payload}]}``.

        Raises ``GraphError`` 132001 (no such translation), 132015/132016 (paused, disabled), 132000 (wrong number of
        parameters) or 132012 (a parameter that the platform refuses).
        """
        sent = body.get("template")
        assert isinstance(sent, dict)  # checked by outbound.check
        language = sent["language"]["code"]
        template = self._all.get((sent["name"], language))
        if template is None or template.status in ("PENDING", "REJECTED"):
            raise GraphError(132001, f"template name ({sent['name']}) does not exist in {language}")
        if template.status in ("PAUSED", "DISABLED"):
            raise GraphError(132015 if template.status == "PAUSED" else 132016)
        given: dict[str, str] = {}
        payloads: dict[str, str] = {}
        for component in sent.get("components") or []:
            parameters = [p for p in component.get("parameters") or [] if isinstance(p, dict)]
            kind = str(component.get("type", "")).lower()
            if kind == "body":
                for position, parameter in enumerate(parameters, 1):
                    given[str(parameter.get("parameter_name") or position)] = _shown(parameter)
            elif kind == "button" and parameters:
                payloads[str(component.get("index", "0"))] = str(parameters[0].get("payload", ""))
        wanted = template.placeholders()
        if len(given) != len(wanted):
            raise GraphError(
                132000,
                f"body: number of localizable_params ({len(given)}) does not match the expected number of params "
                f"({len(wanted)})",
            )
        values = [given.get(name, list(given.values())[i]) for i, name in enumerate(wanted)]
        filled = dict(zip(wanted, values, strict=True))
        text = _PLACEHOLDER.sub(lambda match: filled[match.group(1)], template.body)
        buttons = [{"text": t, "payload": payloads.get(str(i)) or t} for i, t in enumerate(template.buttons)]
        return template, {"body": text, "buttons": buttons}


def _shown(parameter: Json) -> str:
    kind = str(parameter.get("type", "text"))
    value = parameter.get(kind)
    text = value.get("fallback_value") if isinstance(value, dict) else value
    if not isinstance(text, str) or not text:
        raise GraphError(132012, f"body: parameter of type {kind} has no text")
    if re.search(r"[\n\t]| {5,}", text):
        raise GraphError(132012, "Param text cannot have new-line/tab characters or more than 4 consecutive spaces")
    return text
