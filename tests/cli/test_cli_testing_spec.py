"""What a spec says: the small part of YAML that every runner reads, all of YAML, and sentences for what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from omni.cli.testing.spec import KNOWN, LARGEST, Spec, SpecError, discover, load, parse

SHARED = """\
agent: desk
description: Books a table and confirms
timeout: 45s
judge:
  provider: anthropic
  model: some-small-model
  maxTurns: 12
workflow: |
  Ask for a table for two tomorrow at eight. Give the name Ada when asked.
  Pass only if the agent calls book_table with party size 2 and reads the time back.
"""


def _parsed(text: str) -> Spec:
    spec, remarks = parse(text)
    assert not remarks
    return spec


def test_a_spec_of_another_runner_is_read_unchanged() -> None:
    spec = _parsed(SHARED)
    assert (spec.agent, spec.description, spec.timeout, spec.mode) == (
        "desk",
        "Books a table and confirms",
        45.0,
        "chat",
    )
    assert (spec.judge.provider, spec.judge.model, spec.judge.max_turns) == ("anthropic", "some-small-model", 12)
    assert spec.workflow is not None
    assert spec.workflow.splitlines() == [
        "Ask for a table for two tomorrow at eight. Give the name Ada when asked.",
        "Pass only if the agent calls book_table with party size 2 and reads the time back.",
    ]


def test_what_is_left_out_has_its_default() -> None:
    spec = _parsed("agent: desk\nworkflow: Say hello.\n")
    assert (spec.description, spec.timeout, spec.mode, spec.judge.provider, spec.judge.max_turns) == (
        "", 30.0, "chat", None, 20,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "description"),
    [
        ("description: Books: a table", "Books: a table"),
        ("description: [draft] room #5", "[draft] room #5"),
        ("description: no", "no"),
        ("description: 12:30", "12:30"),
        ("description: @home & *away* %", "@home & *away* %"),
        ('description: "quoted: it is"', "quoted: it is"),
        ("description: 'it''s'", "it's"),
        ('description: "C:\\dir"', "C:\\dir"),
        ('description: "unfinished', '"unfinished'),
        ("description:tight", "tight"),
        ("description:", ""),
        ("description: one\ndescription: two", "two"),
    ],
)
def test_in_the_small_part_a_value_is_text_whatever_it_looks_like(line: str, description: str) -> None:
    assert _parsed(f"agent: desk\n{line}\nworkflow: Say hello.\n").description == description


def test_remarks_are_dropped_everywhere_and_blank_lines_stay() -> None:
    spec = _parsed(
        "# a spec\nagent: desk   # the front one\ntimeout: 5s # quick\nworkflow: |\n"
        "  1. Say hello.\n  # not this\n\n    - softly\n  2. Pass, always #1.\n"
        "judge:\n  # whoever\n  maxTurns: 3 # few\n"
    )
    assert (spec.agent, spec.timeout, spec.judge.max_turns) == ("desk", 5.0, 3)
    assert spec.workflow == "1. Say hello.\n\n\n  - softly\n2. Pass, always #1."


def test_a_file_from_elsewhere_may_have_other_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "a.spec.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + SHARED.replace("\n", "\r\n").encode())
    assert load(file)[0] == _parsed(SHARED)


def test_everything_else_is_yaml() -> None:
    spec = _parsed(
        'agent: desk\njudge: {provider: openai, maxTurns: 2}\nworkflow: >-\n  Say\n  hello.\ndescription: "a\n  b"\n'
    )
    assert (spec.workflow, spec.description) == ("Say hello.", "a b")
    assert (spec.judge.provider, spec.judge.max_turns) == ("openai", 2)


_text = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=30)


@given(
    _text, st.lists(_text.map(str.rstrip).filter(lambda line: line and not line.lstrip().startswith("#")), min_size=1)
)
def test_what_yaml_says_of_the_small_part_is_what_is_read(description: str, workflow: list[str]) -> None:
    """Of texts that mean the same in both."""
    indented = "".join(f"  {line.lstrip()}\n" for line in workflow)
    written = yaml.safe_dump(description, width=1000, allow_unicode=True).splitlines()[0]
    text = f"agent: desk\ndescription: {written}\nworkflow: |\n{indented}"
    expected = yaml.load(text, Loader=yaml.BaseLoader)
    spec = _parsed(text)
    assert spec.workflow == expected["workflow"].strip()
    assert spec.description == expected["description"]


def test_turns_need_no_workflow() -> None:
    spec = _parsed(
        "agent: desk\nturns:\n"
        "  - say: A table for 2\n    expect: (?i)what name\n    expect_not: [sorry, unavailable]\n"
        "  - {say: Ada, expect_tool: {name: book_table, arguments: {party_size: 2}}, expect_no_tool: cancel}\n"
        "  - {say: Bye, expect_tool: [a, {name: b}]}\n"
    )
    assert spec.workflow is None
    first, second, third = spec.turns
    assert [one.pattern for one in first.expect] == ["(?i)what name"]
    assert [one.pattern for one in first.expect_not] == ["sorry", "unavailable"]
    assert second.expect_tool[0].arguments["party_size"].pattern == "2"
    assert second.expect_no_tool == ("cancel",)
    assert [tool.name for tool in third.expect_tool] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "`agent` is missing"),
        ("workflow: x", "`agent` is missing"),
        ("agent: x", "`workflow` is missing"),
        ("agent: x\nworkflow: |\n\n", "`workflow` is missing"),
        ("agent: x\nworkflow: y\ntimeout: soon", "seconds as in 45s"),
        ("agent: x\nworkflow: y\ntimeout: 0", "greater than 0"),
        ("agent: x\nworkflow: y\ntimeout: nans", "`timeout`"),
        ("agent: x\nworkflow: y\nmode: video", "'chat' or 'voice'"),
        ("agent: x\nworkflow: y\njudge:\n  provider: nobody", "`judge provider`"),
        ("agent: x\nworkflow: y\njudge:\n  maxTurns: 0", "`judge maxTurns`"),
        ("agent: x\nturns: hello", "`turns`"),
        ("agent: x\nturns: [{expect: a}]", "`turn 1 say` is missing"),
        ("agent: x\nturns: [{say: a}, {say: b, expct: c}]", "`turn 2 expct`"),
        ("agent: x\nturns: [{say: a, expect: '('}]", "no regular expression"),
        ("agent: x\nturns: [{say: a, expect: {b: c}}]", "write a regular expression"),
        ("agent: x\n  b: c\n d: [", "not YAML"),
        ("- agent", "holds no `agent:`"),
        ("agent: &a [*a]\nturns: [{say: a}]", "recursive"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_a_wrong_spec_is_a_sentence_that_names_the_field(text: str, sentence: str) -> None:
    with pytest.raises(SpecError) as wrong:
        parse(text)
    assert sentence in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_a_field_that_nobody_reads_is_remarked_on() -> None:
    _, remarks = parse("agent: x\nworkflow: y\ntimout: 5s\ntags: a\nvoice: elevenlabs/sarah\ndetectTurnEnd: false\n")
    assert remarks == [
        "`timout` is no field of a spec and is not read; did you mean `timeout`?",
        "`tags` is no field of a spec and is not read",
    ]
    assert "workflow" in KNOWN


def test_a_folder_is_read_in_order_and_not_below(tmp_path: Path) -> None:
    (tmp_path / "deep.spec.yaml").mkdir()
    for name in ("b.spec.yaml", "a.spec.yml", "c.yaml", "d.spec.json", "deep.spec.yaml/e.spec.yaml"):
        (tmp_path / name).write_text("")
    assert [file.name for file in discover(tmp_path)] == ["a.spec.yml", "b.spec.yaml"]
    assert discover(tmp_path / "c.yaml") == [tmp_path / "c.yaml"]


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "a.spec.yaml"
    file.write_bytes(b"agent: \xff")
    with pytest.raises(SpecError, match="cannot be read"):
        load(file)
    file.write_bytes(b"#" * (LARGEST + 1))
    with pytest.raises(SpecError, match="larger than"):
        load(file)
