// The figures of a period, each with an honest sentence about how it is counted.

import { h } from "../dom.js";
import { t } from "../texts.js";
import { count, duration, share } from "./figures.js";

let number = 0;

/** A figure. Its label is a button: pointing at it, or reaching it by Tab, says how the figure is counted. */
function tile(key, value, beside = "", tone = "") {
  const id = `figure-${++number}`;
  const term = h("button", { type: "button", class: "term", "aria-describedby": id }, t(`overview.${key}`));
  const meaning = h("span", { id, role: "tooltip", class: "meaning" }, t(`overview.${key}.means`));
  const shell = h("div", { class: "figure", "data-figure": key }, h("dt", {}, term, meaning), h("dd", { class: tone }, value), beside ? h("dd", { class: "beside" }, beside) : null);
  shell.addEventListener("pointerenter", () => delete shell.dataset.quiet);
  term.addEventListener("focus", () => delete shell.dataset.quiet);
  term.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || "muted" in shell.dataset) return;
    event.stopPropagation();
    shell.dataset.quiet = "";
  });
  return shell;
}

const spread = (times) => (times?.n ? t("overview.spread", { p90: duration(times.p90), n: count(times.n) }) : "");

/** The server's counts (`GET /counts`) as a moment's figures, those of `choice`'s channel and agent. */
export function momentOf(counts, { transport, agent }) {
  const now = { open: 0, waiting: 0, with_bot: 0, with_people: 0, snoozed: 0 };
  const names = { nobody: "waiting", bot: "with_bot", human: "with_people" };
  for (const one of counts) {
    if ((transport && one.transport !== transport) || (agent && one.agent !== agent)) continue;
    if (one.snoozed) {
      now.snoozed += one.number;
      continue;
    }
    now.open += one.number;
    now[names[one.handler]] += one.number;
  }
  return now;
}

/** How things stand this moment, whatever the period. */
export function nowTiles(now) {
  const keys = ["open", "waiting", "with_bot", "with_people", "snoozed"];
  return h("dl", { class: "tiles now" }, ...keys.map((key) => tile(`now.${key}`, count(now[key]), "", key === "waiting" && now[key] > 0 ? "warn" : "")));
}

export function totalTiles(totals) {
  const { messages } = totals;
  return h("dl", { class: "tiles" },
    tile("conversations", count(totals.conversations), t("overview.messages", { user: count(messages.user), bot: count(messages.bot), human: count(messages.human) })),
    tile("containment", share(totals.containment), totals.containment === null ? "" : t("overview.contained", { n: totals.contained })),
    tile("handoffs", count(totals.handoffs)),
    tile("resolved", count(totals.resolved)),
    tile("first_response", duration(totals.first_response.median), spread(totals.first_response)),
    tile("first_human_response", duration(totals.first_human_response.median), spread(totals.first_human_response)),
    tile("resolution", duration(totals.resolution.median), spread(totals.resolution)),
    tile("failed_deliveries", count(totals.failed_deliveries), "", totals.failed_deliveries > 0 ? "danger" : ""),
  );
}
