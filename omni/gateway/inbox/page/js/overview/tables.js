// The same figures side by side: one row a channel, or an agent.

import { h } from "../dom.js";
import { t } from "../texts.js";
import { count, duration, share } from "./figures.js";

const COLUMNS = [
  ["conversations", (row) => count(row.conversations)],
  ["containment", (row) => share(row.containment)],
  ["handoffs", (row) => count(row.handoffs)],
  ["resolved", (row) => count(row.resolved)],
  ["first_response", (row) => duration(row.first_response.median)],
  ["first_human_response", (row) => duration(row.first_human_response.median)],
  ["resolution", (row) => duration(row.resolution.median)],
  ["failed_deliveries", (row) => count(row.failed_deliveries)],
];

/** `rows` have the totals of each; `nameOf(row)` is what the row is called. */
export function figuresTable(title, head, rows, nameOf) {
  const id = `table-${head}`;
  const most = Math.max(1, ...rows.map((row) => row.conversations));
  const sorted = [...rows].sort((a, b) => b.conversations - a.conversations);
  return h("section", { class: "card" },
    h("h3", { id }, title),
    h("div", { class: "scrolls", tabindex: "0", role: "region", "aria-labelledby": id },
      h("table", { class: "figures", "aria-labelledby": id },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t(`overview.${head}`)), ...COLUMNS.map(([key]) => h("th", { scope: "col", class: "number" }, t(`overview.short.${key}`))))),
        h("tbody", {}, ...sorted.map((row) => h("tr", {}, h("th", { scope: "row", dir: "auto" }, nameOf(row)), ...COLUMNS.map((column, i) => cell(column, row, i === 0 ? row.conversations / most : null))))))));
}

function cell([, write], row, part) {
  const node = h("td", { class: part === null ? "number" : "number part" }, write(row));
  if (part !== null) node.style.setProperty("--part", part);
  return node;
}
