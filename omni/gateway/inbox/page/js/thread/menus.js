// The header's menus and dialogs: snooze until when, assign to whom, which labels, what to tell the bot.

import { openDialog, openMenu } from "../dialog.js";
import { h, said } from "../dom.js";
import { app } from "../model.js";
import { clock, t } from "../texts.js";
import * as acts from "./acts.js";
import { dayAndTime, fromLocalInput, localInput, snoozeTimes } from "./times.js";

export function snoozeMenu(anchor, row) {
  const times = snoozeTimes(app.now());
  const item = (key, until) => ({ text: t(key), hint: key === "snooze.later" ? clock(until) : dayAndTime(until), run: () => acts.snooze(row.id, until, dayAndTime(until)) });
  openMenu(anchor, [
    row.snoozed_until ? { text: t("snooze.wake"), icon: "sun", run: () => acts.snooze(row.id, null) } : null,
    row.snoozed_until ? "line" : null,
    item("snooze.later", times.later),
    item("snooze.tomorrow", times.tomorrow),
    item("snooze.week", times.week),
    { text: t("snooze.custom"), run: () => snoozeDialog(row, times.tomorrow) },
  ], { label: t("thread.snooze"), align: "end" });
}

function snoozeDialog(row, proposed) {
  const when = h("input", { type: "datetime-local", class: "input", value: localInput(proposed), min: localInput(app.now()), required: true, "aria-label": t("snooze.until") });
  const wrong = h("p", { class: "problem", role: "alert", hidden: true }, t("snooze.past"));
  const go = () => {
    const until = fromLocalInput(when.value);
    wrong.hidden = until > app.now();
    if (!wrong.hidden) return;
    dialog.close();
    acts.snooze(row.id, until, dayAndTime(until));
  };
  const dialog = openDialog({
    title: t("snooze.until"), body: [when, wrong],
    foot: [cancel(() => dialog), h("button", { type: "button", class: "btn primary", on: { click: go } }, t("thread.snooze"))],
  });
}

export function assignMenu(anchor, row) {
  const people = [...app.operators.values()].filter((one) => !one.disabled && one.role !== "viewer").sort((a, b) => a.name.localeCompare(b.name));
  const item = (one) => ({ node: said("span", {}, app.isMe(one.id) ? t("assign.me", { name: one.name }) : one.name), checked: row.assignee === one.id, run: () => acts.assign(row.id, row.assignee === one.id ? null : one.id) });
  const mine = people.filter((one) => app.isMe(one.id)).map(item);
  openMenu(anchor, [
    ...mine, mine.length ? "line" : null, ...people.filter((one) => !app.isMe(one.id)).map(item),
    row.assignee ? "line" : null, row.assignee ? { text: t("assign.nobody"), icon: "close", run: () => acts.assign(row.id, null) } : null,
  ], { label: t("thread.assign"), align: "end" });
}

export function labelMenu(anchor, row) {
  const now = () => new Set(app.rows.get(row.id)?.labels ?? row.labels);
  const chosen = now();
  const names = [...new Set([...app.labels.keys(), ...chosen])].sort((a, b) => a.localeCompare(b));
  const items = () => names.length
    ? names.map((name) => ({
      node: [h("span", { class: `dot label-${app.labels.get(name)?.colour ?? "grey"}` }), " ", said("span", {}, name)], checked: chosen.has(name), keepOpen: true,
      run: () => {
        const had = chosen.has(name);
        if (had) chosen.delete(name);
        else chosen.add(name);
        acts.label(row.id, had ? { remove: [name] } : { add: [name] });
      },
    }))
    : [app.can("admin") ? { text: t("label.make"), icon: "plus", run: () => app.go("/settings/labels") } : { text: t("label.none"), disabled: true }];
  openMenu(anchor, items, { label: t("thread.label"), align: "end" });
}

/** Back to the bot, with a few words that it should know. */
export function handBackDialog(row) {
  const note = h("textarea", { class: "input", rows: 3, maxlength: 2000, id: "handback-note", dir: "auto", placeholder: t("handback.placeholder") });
  const go = async () => {
    if (await acts.release(row.id, note.value.trim() || null)) dialog.close();
  };
  note.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) go();
  });
  const dialog = openDialog({
    title: t("handback.title"),
    body: h("div", { class: "field" }, h("label", { for: "handback-note" }, t("handback.note")), note, h("p", { class: "hint" }, t("handback.hint"))),
    foot: [cancel(() => dialog), h("button", { type: "button", class: "btn primary", data: { act: "hand-back" }, on: { click: go } }, t("thread.hand_back"))],
  });
}

/** Something for the bot's eyes only, while it goes on talking. */
export function whisperDialog(row) {
  const text = h("textarea", { class: "input", rows: 3, maxlength: 2000, dir: "auto", "aria-label": t("whisper.text") });
  const go = async () => {
    if (text.value.trim() && (await acts.whisper(row.id, text.value.trim()))) dialog.close();
  };
  const dialog = openDialog({
    title: t("whisper.title"), body: [h("p", { class: "muted" }, t("whisper.hint")), text],
    foot: [cancel(() => dialog), h("button", { type: "button", class: "btn primary", on: { click: go } }, t("whisper.go"))],
  });
}

const cancel = (dialog) => h("button", { type: "button", class: "btn", on: { click: () => dialog().close() } }, t("cancel"));
