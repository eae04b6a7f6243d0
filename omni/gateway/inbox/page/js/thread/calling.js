// A call with sound: how its line stands, and what an operator does to it.

import { confirm, openDialog } from "../dialog.js";
import { h } from "../dom.js";
import { t } from "../texts.js";
import * as acts from "./acts.js";

/** {held, muted, since} of a call by its items: since when both sides hear each other, null while it rings. Pure. */
export function lineOf(items, call) {
  const line = { held: false, muted: false, since: null };
  for (const item of items) {
    if (item.call !== call) continue;
    if (item.type === "call.started") line.since = item.ts;
    else if (item.type === "call.held" || item.type === "call.unheld") line.held = item.type === "call.held";
    else if (item.type === "call.muted" || item.type === "call.unmuted") line.muted = item.type === "call.muted";
  }
  return line;
}

/** Menu items for a call that goes on. */
export const callItems = (row, line) => [
  { text: t(line.held ? "call.unhold" : "call.hold"), icon: line.held ? "play" : "pause", run: () => acts.hold(row.id, !line.held) },
  { text: t(line.muted ? "call.unmute" : "call.mute"), icon: line.muted ? "volume" : "mute", run: () => acts.mute(row.id, !line.muted) },
  { text: t("call.forward"), icon: "forward", run: () => forwardDialog(row) },
  { text: t("call.keys"), icon: "keyboard", run: () => keysDialog(row) },
];

export async function hangUp(row) {
  if (await confirm({ title: t("call.hang_up"), text: t("call.hang_up_text"), yes: t("call.hang_up"), danger: true })) await acts.hangUp(row.id);
}

function forwardDialog(row) {
  const to = h("input", { class: "input", type: "tel", inputmode: "tel", autocomplete: "off", placeholder: "+12025550199", required: true, pattern: "\\+[1-9][0-9]{6,14}", "aria-label": t("call.forward_to"), on: { keydown: (event) => event.key === "Enter" && go() } });
  const message = h("textarea", { class: "input", rows: 2, maxlength: 1000, dir: "auto", placeholder: t("call.forward_message"), "aria-label": t("call.forward_message") });
  const go = async () => {
    to.value = to.value.replace(/[\s().-]/g, "");
    if (to.reportValidity() && (await acts.forward(row.id, to.value, message.value.trim()))) dialog.close();
  };
  const dialog = ask(t("call.forward"), [h("p", { class: "muted" }, t("call.forward_hint")), to, message], t("call.forward_go"), go);
}

function keysDialog(row) {
  const digits = h("input", { class: "input", type: "text", inputmode: "tel", autocomplete: "off", maxlength: 64, required: true, pattern: "[0-9*#w,]+", "aria-label": t("call.keys_which"), on: { keydown: (event) => event.key === "Enter" && go() } });
  const go = async () => {
    digits.value = digits.value.replace(/\s/g, "");
    if (digits.reportValidity() && (await acts.keys(row.id, digits.value))) dialog.close();
  };
  const dialog = ask(t("call.keys"), [h("p", { class: "muted" }, t("call.keys_hint")), digits], t("call.keys_go"), go);
}

function ask(title, body, yes, go) {
  const dialog = openDialog({
    title, body,
    foot: [h("button", { type: "button", class: "btn", on: { click: () => dialog.close() } }, t("cancel")), h("button", { type: "button", class: "btn primary", on: { click: go } }, yes)],
  });
  return dialog;
}
