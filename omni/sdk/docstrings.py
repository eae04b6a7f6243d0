"""What a docstring says about a function and its parameters."""

from __future__ import annotations

import re
from typing import Final

_ARGS: Final = re.compile(r"^(args|arguments|parameters):$", re.IGNORECASE)
_SECTION: Final = re.compile(r"^(returns?|raises|yields?|examples?|notes?):\s*$", re.IGNORECASE)
_GOOGLE: Final = re.compile(r"^(?P<name>\w+)\s*(\([^)]*\))?:\s*(?P<text>.*)$")
_SPHINX: Final = re.compile(r"^:param\s+(?:[^:]*\s)?(?P<name>\w+):\s*(?P<text>.*)$")


def parts_of(docstring: str) -> tuple[str, dict[str, str]]:
    """The description, and the text of each parameter (under `Args:`, or as `:param name:`).

    `docstring` is as `inspect.getdoc` gives it. What is said about results and errors is in neither.
    """
    about: list[str] = []
    documented: dict[str, str] = {}
    place = "about"
    name = ""
    indent = 0
    for line in docstring.splitlines():
        text = line.strip()
        depth = len(line) - len(line.lstrip())
        if found := _SPHINX.match(text):
            place, name, indent = "parameter", found["name"], depth
            documented[name] = found["text"]
        elif depth == 0 and _ARGS.match(text):
            place, name, indent = "args", "", -1
        elif (depth == 0 and _SECTION.match(text)) or text.startswith((":return", ":raise", ":rtype")):
            place = "elsewhere"
        elif place == "args" and text:
            indent = depth if indent < 0 else indent
            if depth <= indent and (found := _GOOGLE.match(text)):
                name = found["name"]
                documented[name] = found["text"]
            elif name:
                documented[name] = f"{documented[name]} {text}".strip()
        elif place == "parameter" and text and depth > indent:
            documented[name] = f"{documented[name]} {text}".strip()
        elif place == "about":
            about.append(text)
    return "\n".join(about).strip(), documented
