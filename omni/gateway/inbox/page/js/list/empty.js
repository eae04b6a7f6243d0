/** What stands where rows would: not yet, none, or why not. */

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { t } from "../texts.js";
import { narrowed } from "./filter.js";
import { apply } from "./head.js";

const HINTS = { mine: "list.empty.mine.hint", waiting: "list.empty.waiting.hint", all: "list.empty.all.hint" };

export function nothing(filter) {
  if (narrowed(filter)) {
    const widen = () => apply({ ...filter, transports: [], agents: [], labels: [], assignee: null });
    return h("div", { class: "empty" }, icon("filter", { size: 28 }), h("h2", null, t("list.empty.filter")), h("button", { class: "btn", type: "button", on: { click: widen } }, t("list.clear")));
  }
  const hint = HINTS[filter.view];
  return h("div", { class: "empty" }, icon(filter.view === "waiting" ? "done" : "inbox", { size: 28 }), h("h2", null, t(`list.empty.${filter.view}`)), hint ? h("p", null, t(hint)) : null);
}

export const failed = (problem, again) =>
  h("div", { class: "empty" }, icon("warning", { size: 28 }), h("p", null, problem.message), h("button", { class: "btn", type: "button", on: { click: again } }, t("retry")));

export const skeletons = () =>
  h("div", { class: "list-skeletons", "aria-busy": "true" }, Array.from({ length: 8 }, () => h("div", { class: "row-skeleton" }, h("i", { class: "skeleton" }), h("i", { class: "skeleton" }), h("i", { class: "skeleton" }))));
