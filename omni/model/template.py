"""Message templates that a provider has approved: all that may be sent once a service window is closed."""

from __future__ import annotations

import re
from typing import Final

from omni.model.base import Value

PLACEHOLDER: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class Variable(Value):
    """A blank of a template. `name` is a number (`1`) or a word; of a header or a button it has that in front:
    `header.1`, `button.0.1`."""

    name: str
    example: str | None = None


class ApprovedTemplate(Value):
    """One translation of a template. Texts hold `{{1}}` or `{{name}}` where values go.

    `problem` is a sentence for a template that cannot be filled in here (its header is a picture, say).
    """

    name: str
    language: str
    category: str = ""
    header: str | None = None
    body: str = ""
    footer: str | None = None
    buttons: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    problem: str | None = None


def filled(text: str, values: dict[str, str], prefix: str = "") -> str:
    """`text` with its blanks filled; one without a value stays as it is."""
    return PLACEHOLDER.sub(lambda blank: values.get(prefix + blank.group(1), blank.group(0)), text)
