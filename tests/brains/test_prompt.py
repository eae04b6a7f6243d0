"""Templates: what they fill in, what stays visible, and that none of them can do harm."""

from __future__ import annotations

import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.prompt import MAX_OUTPUT, render

VALUES = {
    "name": "Ann",
    "order": {"state": "sent", "items": ["tea", "jam"], "total": 12.5, "note": None},
    "big": "x" * 60_000,
    "hostile": "{{ name }} {% for x in big %}",
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("no braces", "no braces"),
        ("Hi {{ name }}!\n", "Hi Ann!\n"),
        ("{{name|upper}} {{ 'a' ~ name ~ 3 }} {{ 1 + 2 * 3 }}", "ANN aAnn3 7"),
        ("{{ order.state }} {{ order['total'] }} {{ order.note }}.", "sent 12.5 ."),
        ("{{ order }}", '{"state": "sent", "items": ["tea", "jam"], "total": 12.5, "note": null}'),
        ("{% for x in order['items'] %}{{ x }}{{ ', ' if not loop.last }}{% endfor %}", "tea, jam"),
        ("{{ order['items']|join(' + ') }}", "tea + jam"),
        ("{{ order.items|join(' + ') }}", "tea + jam"),
        ("{% for k, v in order|items %}{{ k }} {% endfor %}", "state items total note "),
        ("{% if name == 'Ann' and not nope %}yes{% else %}no{% endif %}", "yes"),
        ("{{ nope|default('you') }} {{ name|default('you') }}", "you Ann"),
        ("{{ hostile }}", VALUES["hostile"]),
        ("{% raw %}{{ name }}{% endraw %}", "{{ name }}"),
        ("Answer as JSON: {'a': 1}", "Answer as JSON: {'a': 1}"),
        ("{{ name|replace('n', 'nn')|truncate(3) }}", "Ann…"),
        ("{{ '7'|int + 1 }} {{ 'x'|int }} {{ 2.345|round(1) }}", "8 0 2.3"),
    ],
)
def test_values_are_filled_in(template: str, text: str) -> None:
    assert render(template, VALUES) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Hi {{ nope }}!", "Hi {{ nope }}!"),
        ("{{ nope.first.name }}", "{{ nope.first.name }}"),
        ("{{ order.nope }} {{ order.state.x|upper }}", "{{ order.nope }} {{ order.state.x|upper }}"),
        ("{{ order.nope|default('-') }}{{ order.nope is defined }}", "-False"),
        ("{{ nope|upper }} {{ nope|trim|title }}", "{{ nope|upper }} {{ nope|trim|title }}"),
        ("{{ order.keys }} {{ name.upper }}", "{{ order.keys }} {{ name.upper }}"),
        ("{{ nope[0] }} {{ nope + 1 }}", "{{ nope[0] }} {{ nope }}"),
        ("{% if nope > 3 %}a{% else %}b{% endif %}", "b"),
        ("{% for x in nope %}a{% endfor %}.", "."),
    ],
)
def test_a_missing_variable_is_visible(template: str, text: str) -> None:
    assert render(template, VALUES) == text


REFUSED = [
    "{{ {{ }}",
    "{% if %}",
    "{{ name.__class__.__mro__ }}{{ name() }}",
    "{{ name.upper() }}",
    "{{ ''.join(['a']) }}",
    "{{ range(10) }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ 'a'|center(1000000000) }}",
    "{{ lipsum(1000) }}",
    "{{ big ~ big }}",
    "{{ big + big }}",
    "{{ big }}{{ big }}",
    "{{ big|replace('x', big) }}",
    "{{ [big, big]|join }}",
    "{% for a in big %}{% for b in big %}{% endfor %}{% endfor %}",
    "{% for a in big %}{% for b in big %}{% for c in big %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in big recursive %}{{ loop(big) }}{% endfor %}",
    "{% for a in big %}{{ big|upper|lower|title|length }}{% endfor %}",
    "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "{% set x = [1] %}{{ x }}",
    "{% include 'x' %}",
    "{% import 'x' as y %}",
    "{% extends 'x' %}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{{ " + "9" * 5000 + " }}",
    "{{ 1 / 0 }}",
    "{{ name + 1 }}",
    "{{ x }}" + "y" * 70_000,
]


@pytest.mark.parametrize("template", REFUSED, ids=lambda t: t[:40])
def test_a_template_that_is_broken_or_runs_away_is_shown_as_written(template: str) -> None:
    before = time.thread_time()
    assert render(template, VALUES) == template
    assert time.thread_time() - before < 5  # a bound, not a speed: without it some of these never end


def test_a_broken_template_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="sessions.prompt"):
        for _ in range(3):
            render("{{ broken | }} once", {})
            render("{{ total / 0 }} once", {"total": 1})
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "raw" in caplog.text


@given(st.text(alphabet="{}%# |.()[]'\"+~*naxiforelsd_0", max_size=60))
def test_no_template_raises(template: str) -> None:
    assert len(render(template, VALUES)) <= MAX_OUTPUT


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text()))
def test_no_value_is_read_as_a_template(text: str, others: dict[str, str]) -> None:
    assert render("<{{ text }}>", {**others, "text": text}) == f"<{text}>"
