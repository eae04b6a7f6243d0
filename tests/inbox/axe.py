"""axe-core in a window: what keeps people with a disability out of what is shown right now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import services
from playwright.async_api import Page
from servers import axe

GRAVE = ("serious", "critical")
UNFIT_FOR_ROWS = "label-content-name-mismatch"
"""A row of the list is said as a sentence that begins with the person's name, which is what one would say to choose it;
the rule wants every word that is drawn, in the order in which it is drawn, the time and the initials too."""
SHAPES = [(1440, 900), (390, 844)]
THEMES = ["light", "dark"]
NO_AXE = "axe-core is missing: run `make services`, which fetches it with npm"


def script() -> Path:
    """Without it the test is left out, or fails where nobody may leave it out."""
    found = axe.find()
    if found is None:
        if services.IN_CI:
            pytest.fail(NO_AXE, pytrace=False)
        pytest.skip(NO_AXE)
    return found


_RUN = """async (scope) => {
  const found = await axe.run(scope ? { include: [[scope]] } : document, { resultTypes: ['violations'] });
  return { violations: found.violations, rules: found.passes.length };
}"""


async def findings(page: Page, source: str) -> list[str]:
    """What is grave about the page as it is, one line an element. Raises when nothing was looked at."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(source)  # through the debugger: the page's policy lets nobody else do that
    found: dict[str, Any] = await page.evaluate(_RUN, None)
    assert found["rules"] > 5, "axe-core looked at nothing"
    return [
        f"{violation['impact']} {violation['id']}: {node['target']} {node['html'][:160]} ({summary(node)})"
        for violation in found["violations"]
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
        if not (violation["id"] == UNFIT_FOR_ROWS and node["html"].startswith('<a class="row-item'))
    ]


_SETTLED = """async () => {
  for (let frame = 0, changing = 1; frame < 2 || (changing && frame < 50); frame++) {
    await new Promise(requestAnimationFrame);
    const all = document.getAnimations().filter((one) => one instanceof CSSTransition);
    changing = all.length;  // what inherits a colour begins to change when that has
    for (const one of all) one.finish();
  }
}"""
"""Colours on their way from one theme to the other are neither's."""


def summary(node: dict[str, Any]) -> str:
    return " ".join(str(node.get("failureSummary", "")).split())[:240]


async def findings_everywhere(page: Page, source: str, what: str) -> list[str]:
    """The same in both themes, in a wide window and on a phone."""
    grave: list[str] = []
    for width, height in SHAPES:
        await page.set_viewport_size({"width": width, "height": height})
        for theme in THEMES:
            await page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
            await page.evaluate(_SETTLED)
            grave += [f"{what}, {theme}, {width} px: {line}" for line in await findings(page, source)]
    await page.set_viewport_size({"width": SHAPES[0][0], "height": SHAPES[0][1]})
    return grave
