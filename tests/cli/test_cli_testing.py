"""`omni test` against a real server: rules, models, what is printed, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from omni.cli.address import Address
from tests.brains.llm_server import LlmServer, Reply, calls, says

GREETS = "agent: echo\ndescription: It greets\nturns:\n  - {say: hello, expect: 'You said: hello'}\n"
SERVES = "agent: echo\ndescription: Serves fish\nturns:\n  - {say: hi}\n  - {say: menu, expect: [Soup, Fish]}\n"
JUDGED = "agent: thinker\ndescription: Books\njudge:\n  provider: openai\nworkflow: |\n  Book a table.\n"


@pytest.fixture
def specs(omni: Any, address: Address, llm: LlmServer) -> Path:
    """An empty folder for specs, and variables with which `omni test` finds the server and the judge."""
    omni.variables |= {"OMNI_URL": address.url, "OMNI_API_KEY": address.key, "OMNI_LLM_BASE_URL": llm.base_url}
    folder: Path = omni.folder / "specs"
    folder.mkdir()
    return folder


async def test_a_folder_of_rules_needs_no_model(omni: Any, specs: Path, llm: LlmServer) -> None:
    (specs / "a.spec.yaml").write_text(GREETS)
    (specs / "b.spec.yml").write_text(SERVES)
    del omni.variables["OMNI_LLM_BASE_URL"]
    done = await omni("test", "specs")
    assert done.status == 1
    lines = done.out.splitlines()
    assert lines[0].startswith("✓ specs/a.spec.yaml  It greets  (1 turn, ")
    assert lines[1] == "    1 of 1 turns went as expected"
    assert lines[2].startswith("✗ specs/b.spec.yml  Serves fish  (2 turns, ")
    assert "    judge  menu" in lines
    assert "    agent  Soup ⏎ Bread" in lines
    assert lines[-2] == "    turn 2: the answer 'Soup ⏎ Bread' does not match 'Fish'"
    assert lines[-1] == "1 passed, 1 failed"
    assert not llm.requests


async def test_a_model_judges_what_another_model_answers(omni: Any, specs: Path, llm: LlmServer) -> None:
    (specs / "book.spec.yaml").write_text(JUDGED)
    llm.will(
        says("A table for two"),  # the judge
        calls(("book_table", '{"party_size": 2}')),  # the agent
        says("Booked for two."),
        calls(("test_passed", '{"summary": "booked for two"}')),  # the judge
    )
    done = await omni("test", "specs/book.spec.yaml", "--json")
    assert done.status == 0, done.out + done.err
    report = json.loads(done.out)
    assert report["results"][0].pop("durationMs") > 0
    call = {"name": "book_table", "arguments": '{"party_size": 2}'}
    assert report == {
        "passed": 1,
        "failed": 0,
        "results": [
            {
                "file": "specs/book.spec.yaml",
                "agent": "thinker",
                "description": "Books",
                "passed": True,
                "summary": "booked for two",
                "turns": [
                    {
                        "testerMessage": "A table for two",
                        "agentResponse": "Booked for two.",
                        "agentToolCalls": [call],
                    }
                ],
            }
        ],
    }
    asked = llm.requests[3]["messages"][-1]["content"]
    assert "Booked for two." in asked
    assert 'book_table({"party_size": 2})' in asked


async def test_a_verdict_of_failure_is_status_1(omni: Any, specs: Path, llm: LlmServer) -> None:
    (specs / "book.spec.yaml").write_text(JUDGED)
    llm.will(says("A table"), says("No."), calls(("test_failed", '{"reason": "it refused"}')))
    done = await omni("test", "specs", "--verbose")
    assert done.status == 1
    assert done.out.splitlines()[:2] == ["    judge  A table", "    agent  No."]
    assert done.out.splitlines()[-1] == "    it refused"


async def test_whatever_hinders_a_test_makes_it_fail_and_the_others_go_on(
    omni: Any, specs: Path, llm: LlmServer
) -> None:
    llm.will(says("Hello?"), Reply(then="hang"))
    rules = "turns: [{say: hi}]\n"
    (specs / "a.spec.yaml").write_text("agent: echo\nworkflw: x\n")
    (specs / "b.spec.yaml").write_text(f"agent: nobody\n{rules}")
    (specs / "c.spec.yaml").write_text("agent: thinker\ntimeout: 300\njudge: {provider: openai}\nworkflow: x\n")
    (specs / "d.spec.yaml").write_text("agent: echo\njudge: {provider: anthropic}\nworkflow: x\n")
    (specs / "e.spec.yaml").write_text(f"agent: echo\nmode: voice\n{rules}")
    (specs / "f.spec.yaml").write_text(GREETS)
    done = await omni("test", "specs", "--json")
    assert done.status == 1
    report = json.loads(done.out)
    assert (report["passed"], report["failed"]) == (1, 5)
    errors = [result.get("error", "") for result in report["results"]]
    assert "the field `workflow` is missing" in errors[0]
    assert "'nobody' is not online" in errors[1]
    assert "did not answer within 0.3 s" in errors[2]
    assert "ANTHROPIC_API_KEY is empty" in errors[3]
    assert "voice mode needs a voice channel" in errors[4]
    assert report["results"][2]["turns"][0]["testerMessage"] == "Hello?"


async def test_options_choose_the_judge_the_agent_and_the_specs(omni: Any, specs: Path, llm: LlmServer) -> None:
    (specs / "greets.spec.yaml").write_text(f"{GREETS}workflow: Say hello.\n")
    (specs / "serves.spec.yaml").write_text(SERVES)
    llm.will(calls(("test_passed", '{"summary": "fine"}')))
    judged = json.loads((await omni("test", "specs", "--grep", "IT GREETS", "--judge", "openai/m2", "--json")).out)
    assert [result["summary"] for result in judged["results"]] == ["fine"]
    assert llm.requests[0]["model"] == "m2"
    rules = await omni("test", "specs", "--grep", "greets.spec", "--judge", "rules", "--agent", "nobody", "--json")
    assert json.loads(rules.out)["results"][0]["agent"] == "nobody"
    listed = await omni("test", "specs", "--list")
    assert "specs/serves.spec.yaml  echo   Serves fish" in listed.out
    assert [one["agent"] for one in json.loads((await omni("test", "specs", "--list", "--json")).out)] == ["echo"] * 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nowhere",), "there is no nowhere"),
        ((".",), "there is no spec in ."),
        (("specs", "--grep", "zzz"), "none of the 1 specs"),
        (("specs", "--judge", "gpt-4"), "there is no provider 'gpt-4'"),
    ],
)
async def test_what_cannot_be_run_is_status_2(omni: Any, specs: Path, words: tuple[str, ...], sentence: str) -> None:
    (specs / "a.spec.yaml").write_text(GREETS)
    done = await omni("test", *words)
    assert done.status == 2
    assert sentence in done.err
    assert not done.out


async def test_a_server_that_is_away_is_a_failure_with_its_address(omni: Any, specs: Path, free_port: int) -> None:
    (specs / "a.spec.yaml").write_text(GREETS)
    done = await omni("test", "specs", "--server", f"http://127.0.0.1:{free_port}")
    assert done.status == 1
    assert f"no server answers at http://127.0.0.1:{free_port}" in done.out


async def test_a_misspelt_field_is_remarked_on_beside_the_report(omni: Any, specs: Path) -> None:
    (specs / "a.spec.yaml").write_text(GREETS + "timout: 5s\n")
    done = await omni("test", "specs", "--json")
    assert done.status == 0
    assert "did you mean `timeout`?" in done.err
    assert json.loads(done.out)["passed"] == 1
