"""The account's approved templates: listed from Graph, and filled in for sending.

Source: WhatsApp Cloud API, message templates (`GET /{waba_id}/message_templates`, components and their parameters).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from pydantic import JsonValue

from channels.base import Action, RefusedError
from channels.whatsapp.graph import Graph, request_path
from channels.whatsapp.reading import Json, items, label, mapping, string
from omni.model.channel import WhatsAppChannel
from omni.model.message import Template
from omni.model.template import PLACEHOLDER, ApprovedTemplate, Variable, filled

FIELDS: Final = "name,language,status,category,components,parameter_format"
PAGE: Final = 100
MOST_PAGES: Final = 60
"""6,000 templates: what an account may have at most."""
FRESH_SECONDS: Final = 60.0


class Templates:
    """The approved templates of each account, remembered for a minute."""

    def __init__(self, graph: Graph, ticks: Callable[[], float] = time.monotonic) -> None:
        self._graph = graph
        self._ticks = ticks
        self._known: dict[str, tuple[float, list[ApprovedTemplate]]] = {}

    async def of(self, channel: WhatsAppChannel) -> list[ApprovedTemplate]:
        """By name and language. Raises RefusedError, with the mend when the channel does not name its account."""
        if channel.waba_id is None:
            raise RefusedError(
                f"templates cannot be listed: the channel {channel.id} does not say which account it belongs to; "
                "set its waba_id",
                action=Action.GIVE_UP,
                code="no_account",
            )
        read_at, known = self._known.get(channel.waba_id, (0.0, None))
        if known is None or self._ticks() - read_at >= FRESH_SECONDS:
            known = await self._read(channel, channel.waba_id)
            self._known[channel.waba_id] = (self._ticks(), known)
        return known

    async def _read(self, channel: WhatsAppChannel, account: str) -> list[ApprovedTemplate]:
        found: dict[tuple[str, str], ApprovedTemplate] = {}
        params = {"fields": FIELDS, "limit": str(PAGE)}
        for _ in range(MOST_PAGES):
            answer = await self._graph.call(channel, "GET", request_path(account, "message_templates"), params=params)
            rows = items(answer.get("data"))
            for row in rows:
                template = approved(mapping(row))
                if template is not None:
                    found[template.name, template.language] = template
            after = string(mapping(mapping(answer.get("paging")).get("cursors")).get("after"), 1000)
            if after is None or after == params.get("after") or len(rows) < PAGE:
                break
            params = {**params, "after": after}
        return [found[place] for place in sorted(found)]


def approved(row: Json) -> ApprovedTemplate | None:
    """A row of Graph's list; None for one that may not be sent, or that is not readable."""
    name, language = label(row.get("name"), 512), label(row.get("language"), 20)
    if name is None or language is None or row.get("status") != "APPROVED":
        return None
    told: dict[str, Any] = {"name": name, "language": language, "category": (label(row.get("category"), 40) or "")}
    variables: list[Variable] = []
    buttons: list[str] = []
    for part in items(row.get("components")):
        component = mapping(part)
        text = string(component.get("text"), 1024) or ""
        match component.get("type"):
            case "HEADER" if component.get("format", "TEXT") == "TEXT":
                told["header"] = text
                variables += _blanks(text, "header.", _examples(component, "header_text"))
            case "HEADER":
                kind = label(component.get("format"), 20) or "file"
                told["problem"] = f"its header is a {kind.lower()}, which cannot be filled in here yet"
            case "BODY":
                told["body"] = text
                variables += _blanks(text, "", _examples(component, "body_text"))
            case "FOOTER":
                told["footer"] = text
            case "BUTTONS":
                for place, each in enumerate(items(component.get("buttons"))):
                    button = mapping(each)
                    buttons.append(label(button.get("text"), 40) or "")
                    url = string(button.get("url"), 2000) or ""
                    variables += _blanks(url, f"button.{place}.", items(button.get("example")))
            case other:
                told["problem"] = f"it has a part {label(other, 40)!r} that cannot be filled in here"
    return ApprovedTemplate(**told, buttons=tuple(buttons), variables=tuple(variables))


def _blanks(text: str, prefix: str, examples: list[Any]) -> list[Variable]:
    names = dict.fromkeys(PLACEHOLDER.findall(text))
    named = {mapping(one).get("param_name"): mapping(one).get("example") for one in examples}
    return [
        Variable(
            name=prefix + name,
            example=label(named.get(name), 200) or (label(examples[place], 200) if place < len(examples) else None),
        )
        for place, name in enumerate(names)
    ]


def _examples(component: Json, name: str) -> list[Any]:
    """Examples of a component: a list, a list of lists for the body, or objects where parameters have names."""
    example = mapping(component.get("example"))
    given = items(example.get(f"{name}_named_params")) or items(example.get(name))
    return given[0] if given and isinstance(given[0], list) else given


def message_of(template: ApprovedTemplate, values: dict[str, str]) -> Template:
    """The template with its blanks filled, ready to be sent. Raises ValueError with a sentence when one is missing or
    holds what WhatsApp does not take."""
    if template.problem is not None:
        raise ValueError(f"the template {template.name} cannot be sent from here: {template.problem}")
    values = {name: value.strip() for name, value in values.items()}
    for variable in template.variables:
        value = values.get(variable.name, "")
        if not value:
            raise ValueError(f"the template {template.name} needs a value for {variable.name}")
        if any(sign in value for sign in "\n\r\t") or "     " in value:
            raise ValueError(f"the value for {variable.name} may not hold line ends, tabs or five spaces in a row")
    components: list[dict[str, JsonValue]] = []
    header = [one.name for one in template.variables if one.name.startswith("header.")]
    body = [one.name for one in template.variables if "." not in one.name]
    for kind, names in (("header", header), ("body", body)):
        if names:
            components.append({"type": kind, "parameters": [_parameter(name, values[name]) for name in names]})
    components += [
        {
            "type": "button",
            "sub_type": "url",
            "index": one.name.split(".")[1],
            "parameters": [{"type": "text", "text": values[one.name]}],
        }
        for one in template.variables
        if one.name.startswith("button.")
    ]
    head = filled(template.header, values, "header.") if template.header else None
    shown = [head, filled(template.body, values), template.footer]
    return Template(
        name=template.name,
        language=template.language,
        components=tuple(components),
        preview="\n".join(line for line in shown if line),
    )


def _parameter(name: str, value: str) -> dict[str, JsonValue]:
    """A blank that has a word for a name says so with its value; numbered ones go by their order."""
    own = name.rpartition(".")[2]
    parameter: dict[str, JsonValue] = {"type": "text", "text": value}
    return parameter if own.isdigit() else {**parameter, "parameter_name": own}
