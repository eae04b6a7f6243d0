// What the team keeps about the conversation: who looks after it, its labels, when to look again.

import { h, said } from "../dom.js";
import { icon } from "../icons.js";
import { app } from "../model.js";
import { t } from "../texts.js";
import * as acts from "../thread/acts.js";
import { assignMenu, labelMenu } from "../thread/menus.js";
import { dayAndTime } from "../thread/times.js";

export function caseSection(row) {
  const may = app.can("agent");
  return h("section", { class: "panel-section", "aria-label": t("panel.case") },
    h("h3", {}, t("panel.case")),
    h("div", { class: "panel-line" }, h("span", { class: "panel-name" }, t("panel.assignee")), assignee(row, may)),
    h("div", { class: "panel-line" }, h("span", { class: "panel-name" }, t("panel.agent")), said("span", {}, app.agents.get(row.agent)?.name ?? row.agent)),
    row.snoozed_until ? h("div", { class: "panel-line" }, h("span", { class: "panel-name" }, t("panel.snoozed")), h("span", {}, dayAndTime(row.snoozed_until))) : null,
    row.handoff_reason ? h("div", { class: "panel-line" }, h("span", { class: "panel-name" }, t("panel.handoff")), said("span", {}, row.handoff_reason)) : null,
    h("div", { class: "panel-line is-labels" }, h("span", { class: "panel-name" }, t("panel.labels")), labels(row, may)));
}

function assignee(row, may) {
  const name = row.assignee ? (app.isMe(row.assignee) ? t("assign.me", { name: app.nameOf(row.assignee) }) : app.nameOf(row.assignee)) : t("nobody");
  if (!may) return said("span", {}, name);
  return h("button", { type: "button", class: "btn ghost small", "aria-haspopup": "menu", on: { click: ({ currentTarget }) => assignMenu(currentTarget, app.rows.get(row.id) ?? row) } }, said("span", {}, name), icon("down", { size: 14 }));
}

function labels(row, may) {
  return h("div", { class: "panel-labels" },
    row.labels.map((name) => h("span", { class: "chip" }, h("span", { class: `dot label-${app.labels.get(name)?.colour ?? "grey"}` }), said("span", {}, name),
      may ? h("button", { type: "button", "aria-label": t("panel.remove_label", { name }), on: { click: () => acts.label(row.id, { remove: [name] }) } }, icon("close", { size: 12 })) : null)),
    may ? h("button", { type: "button", class: "btn ghost small", "aria-haspopup": "menu", on: { click: ({ currentTarget }) => labelMenu(currentTarget, app.rows.get(row.id) ?? row) } }, icon("plus", { size: 14 }), t("panel.add_label")) : null);
}
