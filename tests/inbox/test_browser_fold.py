"""What a thread shows for what is loaded of it, and what its outbox does: pure modules of the page, in a browser."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, sync_playwright

from omni.gateway.inbox.pages import PAGE, TYPES
from tests.inbox.windows import program

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(120)]

NOON = 1_763_640_000.0  # 2025-11-20 12:00 UTC


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """An empty page at which the inbox's modules can be imported; there is no server."""

    def serve(route: Route) -> None:
        file = PAGE / urlsplit(route.request.url).path.lstrip("/")
        if file.is_file():
            route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])
        else:
            route.fulfill(body="<!doctype html><title>t</title>", content_type="text/html")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=["--no-sandbox"])
        page = browser.new_context(timezone_id="Asia/Kolkata", locale="en-GB").new_page()
        page.route("**/*", serve)
        page.goto("http://inbox.test/")
        yield page
        browser.close()


ROWS = """async ([steps, complete]) => {
  const [{ Log }, { rowsOf }, { dayKey }] = await Promise.all(
    ["log", "fold", "times"].map((name) => import(`/js/thread/${name}.js`)));
  const log = new Log();
  const changes = steps.map(([act, what]) => log[act](what));
  const rows = rowsOf(log.items(), { deliveryOf: (id) => log.delivery(id), dayOf: dayKey, complete });
  return { rows, changes };
}"""


def rows(page: Page, *steps: tuple[str, Any], complete: bool = True) -> list[dict[str, Any]]:
    found = page.evaluate(ROWS, [steps, complete])
    return list(found["rows"])


def item(kind: str, seq: int, ts: float | None = None, call: str | None = "wa-1", **more: Any) -> dict[str, Any]:
    at = NOON + seq if ts is None else ts
    return {"cursor": f"c{seq}", "id": f"{call}:{seq}", "call": call, "seq": seq, "ts": at, "type": kind, **more}


def said(kind: str, seq: int, text: str, **more: Any) -> dict[str, Any]:
    id_ = f"msg_{seq}"
    body = {"id": id_, "message_id": id_, "text": text, "parts": [{"type": "text", "text": text}], "reply_to": None}
    return item(kind, seq, **{**body, **more})


def delivery(id_: str, state: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "state": state, "error": None, "provider_ids": [f"wamid.{id_}"], "unclear": 0, **more}


def conversation() -> list[dict[str, Any]]:
    return [
        item("call.started", 1, direction="inbound", transport="whatsapp"),
        said("user.message", 2, "hello", provider_id="u2"),
        item("turn.start", 3, turn=1),
        item("tool.call", 4, tool_id="t1", name="find", args={"a": 1}, turn=1),
        item("tool.result", 5, tool_id="t1", name="find", result="x", ms=5, error=False),
        said("bot.message", 6, "hi", turn=1, delivery=delivery("d6", "sent")),
        item("turn.end", 7, turn=1, outcome="answered", error=None, latency={"e2e": 1.5}),
        item("reaction", 8, target="wamid.d6", emoji="👍", by="user"),
        item("edit", 9, message_id="msg_2", target="u2", text="hello there", by="user"),
        said("user.message", 10, "[image]", parts=[{"type": "media", "kind": "image", "pending": True, "url": None}]),
        item("media", 11, message_id="msg_10", part=0, media={"type": "media", "pending": False, "url": "/x"}),
        said("user.message", 12, "oops", provider_id="u12"),
        item("revoke", 13, message_id="msg_12", target="u12", by="user"),
        item("handoff.active", 14, by="op_1"),
        said("human.message", 15, "me", by="op_1", delivery=delivery("d15", "queued"), key="k1"),
        item("delivery.failed", 16, delivery="d15", code="unknown", reason="no"),
        {**item("note", 0, NOON + 17, call=None, by="op_2", text="careful"), "id": "case:1", "seq": None},
        item("call.ended", 18, reason="resolved", duration=18),
    ]


def test_what_comes_later_is_on_the_message_it_belongs_to(page: Page) -> None:
    found = rows(page, ("add", conversation()))
    assert [row["kind"] for row in found] == [
        "day",
        "event",
        "bubble",
        "steps",
        *["bubble"] * 3,
        "event",
        *["bubble"] * 2,
        "event",
    ]
    hello, hi, image, oops, me, note = [row for row in found if row["kind"] == "bubble"]
    assert (hello["text"], hello["edited"], hello["parts"][0]["text"]) == ("hello there", True, "hello there")
    assert (hi["reactions"], hi["latency"]) == ({"user": "👍"}, {"e2e": 1.5})
    assert (image["parts"][0]["url"], image["parts"][0]["kind"]) == ("/x", "image")
    assert oops["revoked"]
    assert (me["delivery"]["state"], me["delivery"]["error"]) == ("failed", {"code": "unknown", "reason": "no"})
    assert (note["from"], note["by"], note["text"]) == ("note", "op_2", "careful")
    (steps,) = [row for row in found if row["kind"] == "steps"]
    assert [(tool["name"], tool["done"], tool["result"]) for tool in steps["tools"]] == [("find", True, "x")]


@pytest.mark.parametrize("seed", range(8))
def test_pages_in_any_order_and_twice_show_the_same(page: Page, seed: int) -> None:
    chance = random.Random(seed)
    wanted = rows(page, ("add", conversation()))
    pieces: list[list[dict[str, Any]]] = []
    rest = conversation()
    while rest:
        size = chance.randint(1, 5)
        pieces.append(rest[:size])
        rest = rest[size:]
    pieces += chance.sample(pieces, len(pieces) // 2)
    chance.shuffle(pieces)
    assert rows(page, *(("add", piece) for piece in pieces)) == wanted


def test_an_item_that_is_known_changes_nothing(page: Page) -> None:
    found = page.evaluate(ROWS, [[("add", conversation()), ("add", conversation())], True])
    assert found["changes"] == [True, False]


def test_a_delivery_told_live_is_not_undone_by_an_older_page(page: Page) -> None:
    message = said("human.message", 1, "me", by="op_1", delivery=delivery("d1", "queued"))
    for steps in (
        (("add", [message]), ("deliver", delivery("d1", "read"))),
        (("deliver", delivery("d1", "read")), ("add", [message])),
    ):
        *_, bubble = rows(page, *steps)
        assert bubble["delivery"]["state"] == "read"
    late = (("deliver", delivery("d1", "failed")), ("deliver", delivery("d1", "delivered")), ("add", [message]))
    assert rows(page, *late)[-1]["delivery"]["state"] == "delivered"


def test_what_was_sent_again_is_known_by_its_key(page: Page) -> None:
    failed = said("human.message", 1, "me", by="op_1", delivery=delivery("d1", "failed", retryable=True))
    again = said("human.message", 2, "me", by="op_1", delivery=delivery("d2", "sent"), key="d1")
    *_, first, _second = rows(page, ("add", [failed, again]))
    assert first["retried"]


def test_a_turn_without_tools_is_told_by_its_answer_and_neighbours_are_one_row(page: Page) -> None:
    quiet = [
        item("turn.start", 1, turn=1),
        said("bot.message", 2, "hi", turn=1, delivery=delivery("d2", "sent")),
        item("turn.end", 3, turn=1, outcome="answered", error=None, latency={}),
    ]
    assert [row["kind"] for row in rows(page, ("add", quiet))] == ["day", "bubble"]
    busy = [
        item("tool.call", 4, tool_id="t1", name="a", args=None, turn=2),
        item("turn.end", 5, turn=2, outcome="failed", error="the model did not answer", latency={}),
        item("turn.start", 6, turn=3),
        item("tool.call", 7, tool_id="t2", name="b", args=None, turn=3),
    ]
    *_, steps = rows(page, ("add", quiet + busy))
    assert [tool["name"] for tool in steps["tools"]] == ["a", "b"]
    assert [turn["error"] for turn in steps["turns"]] == ["the model did not answer"]


def told(kind: str, number: int, at: float, **more: Any) -> dict[str, Any]:
    return {**item(kind, 0, NOON + at, call=None, **more), "id": f"case:{number}", "seq": None, "cursor": f"n{number}"}


def test_a_takeover_and_a_resolution_are_told_in_one_line_each(page: Page) -> None:
    found = rows(
        page,
        ("add", [item("handoff.active", 1, by="op_1"), told("assigned", 1, 1.1, by="op_1", to="op_1")]),
        ("add", [item("call.ended", 2, reason="resolved", duration=60), told("resolved", 2, 2.1, by="op_1")]),
    )
    events = [row["item"] for row in found if row["kind"] == "event"]
    assert [(event["type"], event["by"]) for event in events] == [("handoff.active", "op_1"), ("call.ended", "op_1")]


def test_an_assignment_by_somebody_else_is_told_beside_the_takeover(page: Page) -> None:
    found = rows(page, ("add", [item("handoff.active", 1, by="op_1"), told("assigned", 1, 1.1, by="op_1", to="op_2")]))
    assert [row["item"]["type"] for row in found if row["kind"] == "event"] == ["handoff.active", "assigned"]


def test_days_are_those_of_the_readers_zone(page: Page) -> None:
    """Kolkata is 5:30 ahead: 18:29 and 18:31 UTC are two days there."""
    evening = NOON + 6.5 * 3600
    found = rows(
        page, ("add", [said("user.message", 1, "a", ts=evening - 60), said("user.message", 2, "b", ts=evening + 60)])
    )
    assert [row.get("day") for row in found if row["kind"] == "day"] == ["2025-11-20", "2025-11-21"]
    assert not found[-1]["joined"]


def test_a_clock_that_steps_back_does_not_reorder_a_call(page: Page) -> None:
    first = said("user.message", 1, "first", ts=NOON + 10)
    second = said("user.message", 2, "second", ts=NOON)
    found = rows(page, ("add", [second]), ("add", [first]))
    assert [row["text"] for row in found if row["kind"] == "bubble"] == ["first", "second"]
    assert found[-1]["joined"]


OUTBOX = """async ([script]) => {
  const { Outbox } = await import("/js/composer/outbox.js");
  const kept = new Map();
  const storage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, text) => kept.set(name, text) };
  let now = 1000;
  let timers = [];
  const posted = [];
  let answers = [];
  const later = (seconds, act) => {
    const one = { at: now + seconds, act };
    timers.push(one);
    return () => { timers = timers.filter((other) => other !== one); };
  };
  const post = async (letter) => {
    posted.push([letter.key, letter.body.text, now]);
    const answer = answers.shift();
    if (answer) throw answer;
  };
  const open = () => {
    const outbox = new Outbox({ storage, now: () => now, later, post });
    outbox.own("op_1");
    return outbox;
  };
  const settle = async () => { for (let n = 0; n < 20; n += 1) await Promise.resolve(); };
  const pass = async (seconds) => {
    const until = now + seconds;
    for (;;) {
      const next = timers.sort((a, b) => a.at - b.at)[0];
      if (!next || next.at > until) break;
      timers = timers.filter((one) => one !== next);
      now = Math.max(now, next.at);
      next.act();
      await settle();
    }
    now = until;
    await settle();
  };
  const fail = (...problems) => { answers = problems; };
  const forget = () => { timers = []; };
  const world = { open, pass, posted, fail, forget, settle };
  const run = new Function(...Object.keys(world), `return (async () => { ${script} })()`);
  return await run(...Object.values(world));
}"""


def outbox(page: Page, script: str) -> Any:
    return page.evaluate(OUTBOX, [script])


def test_a_letter_waits_until_it_cannot_be_undone(page: Page) -> None:
    found = outbox(
        page,
        """const box = open(); box.put("cv", [{text: "a"}]); await pass(4.9); const early = posted.length;
        await pass(0.2); return [early, posted.length, posted[0][1], box.of("cv")[0].state];""",
    )
    assert found == [0, 1, "a", "accepted"]


def test_an_undone_letter_never_goes_out(page: Page) -> None:
    found = outbox(
        page,
        """const box = open(); const group = box.put("cv", [{text: "a"}, {text: "b"}]); await pass(3);
        const back = box.undo(group).map((letter) => letter.body.text); await pass(100);
        return [back, posted.length, box.of("cv").length];""",
    )
    assert found == [["a", "b"], 0, 0]


def test_letters_go_out_in_order_and_one_that_got_no_answer_goes_again_under_its_key(page: Page) -> None:
    found = outbox(
        page,
        """const box = open(); fail({status: 0}, {status: 503, retryAfter: 7});
        box.put("cv", [{text: "a"}, {text: "b"}]);
        await pass(60); return posted;""",
    )
    assert [text for _, text, _ in found] == ["a", "a", "a", "b"]
    assert len({key for key, text, _ in found if text == "a"}) == 1
    assert [at for _, _, at in found] == [1005, 1006, 1013, 1013]


def test_a_reload_loses_no_letter_and_makes_none_of_it_twice(page: Page) -> None:
    found = outbox(
        page,
        """let box = open(); fail({status: 0}); box.put("cv", [{text: "a"}]); await pass(5.1); forget();
        box = open(); await pass(10); const key = box.of("cv")[0].key;
        box.settle("cv", [{key: "another"}, {key}]);
        return [posted.map(([one]) => one === key), box.of("cv").length];""",
    )
    assert found == [[True, True], 0]


def test_a_refusal_is_said_and_lets_the_next_letter_go(page: Page) -> None:
    found = outbox(
        page,
        """const box = open(); fail({status: 409, code: "taken", message: "no", handled_by: "op_2"});
        box.put("cv", [{text: "a"}]); box.put("cv", [{text: "b"}]); await pass(6);
        const [letter] = box.of("cv"); box.retry(letter.key, {steal: true}); await pass(1);
        return [letter.state, letter.error, posted.map(([, text]) => text), posted[0][0] === posted[2][0]];""",
    )
    assert found == ["failed", {"code": "taken", "message": "no", "handled_by": "op_2"}, ["a", "b", "a"], True]


def test_a_letter_is_kept_though_storage_is_full(page: Page) -> None:
    found = page.evaluate(
        """async () => {
        const { safeStorage } = await import("/js/composer/sending.js");
        const full = { getItem: () => "[1]", setItem: () => { throw new DOMException("full", "QuotaExceededError"); } };
        const closed = () => { throw new DOMException("no", "SecurityError"); };
        return [() => full, closed].map((open) => {
          const storage = safeStorage(open);
          const before = storage.getItem("letters");
          storage.setItem("letters", "[2]");
          return [before, storage.getItem("letters")];
        });
        }"""
    )
    assert found == [["[1]", "[2]"], [None, "[2]"]]


def test_a_page_that_closes_sends_what_waits(page: Page) -> None:
    found = outbox(
        page,
        """const box = open(); box.put("cv", [{text: "a"}, {text: "b"}]); box.flush(); await settle();
        return posted;""",
    )
    assert [text for _, text, _ in found] == ["a", "b"]


def test_blanks_of_templates_and_replies_are_filled(page: Page) -> None:
    found = page.evaluate(
        """async () => {
        const { filledReply, matching } = await import("/js/composer/canned.js");
        const { previewOf, missing } = await import("/js/composer/templates.js");
        const template = { header: "Order {{1}}", body: "Hi {{1}}, {{ name }}!", footer: "Bye",
          variables: [{ name: "header.1" }, { name: "1" }, { name: "name" }] };
        const known = { "contact.name": "Ada", "operator.name": "Bo" };
        const replies = [["bye", "hello"], ["hello", "x"], ["z", "z"]].map(([name, text]) => ({ name, text }));
        return [
          filledReply("Hi {{contact.name}}, {{ operator.name }} {{other}}", known),
          matching(replies, "hel").map((one) => one.name),
          previewOf(template, { "header.1": "7", 1: "Ada" }),
          missing(template, { "header.1": "7", 1: " " }).map((one) => one.name),
        ];
        }"""
    )
    assert found == ["Hi Ada, Bo {{other}}", ["hello", "bye"], "Order 7\nHi Ada, {{ name }}!\nBye", ["1", "name"]]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*bold* _slanted_ ~gone~ `code`", "<strong>bold</strong> <em>slanted</em> <s>gone</s> <code>code</code>"),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        ("*_both_*", "<strong><em>both</em></strong>"),
        ("<b>x</b> &amp;", "&lt;b&gt;x&lt;/b&gt; &amp;amp;"),
        ("javascript:alert(1) HTTPS://a.example/x.", "javascript:alert(1) {link}."),
        ("- one\n- two", "<ul><li>one</li><li>two</li></ul>"),
        ("> said", "<blockquote>said</blockquote>"),
        ("```<i>\n*x*```", '<pre dir="auto">&lt;i&gt;\n*x*</pre>'),
        ("*a\nb*", "*a\nb*"),
    ],
)
def test_markup_means_what_it_means_on_the_phone(page: Page, text: str, html: str) -> None:
    found = page.evaluate(
        """async (text) => { const { markup } = await import("/js/thread/words.js");
        const box = document.createElement("div"); box.append(...markup(text)); return box.innerHTML; }""",
        text,
    )
    link = '<a href="HTTPS://a.example/x" rel="noopener noreferrer nofollow" target="_blank">HTTPS://a.example/x</a>'
    assert found == html.replace("{link}", link)


def test_the_next_call_is_shown_though_its_worker_has_another_time(page: Page) -> None:
    found = page.evaluate(
        """async () => {
        const { app } = await import("/js/model.js");
        const row = (call, state, started_at, seq) => ({ id: "cv", call, state, started_at, seq, case: 0 });
        const ended = row("wa-1", "ended", 100, 9);
        const shown = [];
        const next = [row("wa-2", "open", 98, 1), ended, row("wa-2", "ended", 98, 5)];
        for (const one of [row("wa-1", "open", 100, 8), ended, ...next]) {
          app.take([one]);
          shown.push(`${app.rows.get("cv").call} ${app.rows.get("cv").state}`);
        }
        return shown;
        }"""
    )
    assert found == ["wa-1 open", "wa-1 ended", "wa-2 open", "wa-2 open", "wa-2 ended"]
