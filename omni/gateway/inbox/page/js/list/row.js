/** One line of the list: built once, then only changed where it says something new. */

import { h } from "../dom.js";
import { channelIcon, icon } from "../icons.js";
import { app, isOnLine, isSpoken, titleOf } from "../model.js";
import { countdown, fullTime, hasText, shortTime, span, spanInWords, t } from "../texts.js";
import { needsPerson, touchedAt } from "./filter.js";

export const ROW_HEIGHT = 78;

/** "Nadia Ferrer" → "NF" */
export function initials(name) {
  const words = String(name ?? "").trim().split(/\s+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0]).join("").toLocaleUpperCase() || "?";
}

export class RowView {
  #mark = h("span", { class: "row-mark" });
  #name = h("span", { class: "row-name said one-line", dir: "auto" });
  #time = h("span", { class: "row-time" });
  #words = h("span", { class: "row-words said one-line", dir: "auto" });
  #unread = h("span", { class: "row-unread" });
  #waiting = h("span", { class: "badge warn row-waiting" });
  #line = h("span", { class: "badge ok row-line", hidden: true });
  #who = h("span", { class: "row-who" });
  #labels = h("span", { class: "row-labels" });
  #extra = h("span", { class: "row-extra" });
  #drawn = new Map();
  row = null;
  element = h(
    "a",
    { class: "row-item", role: "option", tabindex: "-1", draggable: "false" },
    this.#mark,
    h("span", { class: "row-top" }, this.#name, this.#time),
    h("span", { class: "row-middle" }, this.#words, this.#unread),
    h("span", { class: "row-bottom" }, this.#line, this.#waiting, this.#who, this.#labels, this.#extra),
  );

  /** Shows a row. `place` is {index, count, open, active, href}. */
  show(row, place) {
    const { element } = this;
    const isNew = row !== this.row;
    this.row = row;
    this.#once("top", place.index, (index) => element.style.setProperty("transform", `translateY(${index * ROW_HEIGHT}px)`));
    this.#once("posinset", place.index + 1, (value) => element.setAttribute("aria-posinset", value));
    this.#once("setsize", place.count, (value) => element.setAttribute("aria-setsize", value));
    this.#once("selected", place.open, (value) => element.setAttribute("aria-selected", value));
    this.#once("tab", place.active ? "0" : "-1", (value) => element.setAttribute("tabindex", value));
    this.#once("href", place.href, (value) => element.setAttribute("href", value));
    if (isNew) this.draw();
  }

  /** What depends on names of people and labels too. */
  draw() {
    const { row, element } = this;
    element.dataset.id = row.id;
    this.#once("mark", row.transport, (transport) => this.#mark.replaceChildren(channelIcon(transport, { size: 18 })));
    this.#once("name", titleOf(row), (name) => {
      this.#name.textContent = name;
    });
    this.#once("words", wordsOf(row), (words) => {
      this.#words.textContent = words;
    });
    this.#words.classList.toggle("none", !row.last?.text);
    const has = row.handled_by ?? row.assignee;
    const isOthers = has ? !app.isMe(has) : row.handler === "bot";
    element.classList.toggle("unread", row.unread > 0 && !isOthers);
    element.classList.toggle("calm", isOthers);
    this.#once("unread", row.unread, (unread) => {
      this.#unread.textContent = unread > 99 ? "99+" : unread > 1 ? String(unread) : "";
      this.#unread.hidden = unread === 0;
    });
    this.#once("who", `${row.state} ${row.handler} ${row.handled_by} ${row.assignee} ${app.nameOf(row.handled_by)} ${app.nameOf(row.assignee)} ${app.agents.size} ${app.agents.get(row.agent)?.name}`, () => this.#drawWho());
    this.#once("labels", row.labels.map((name) => `${name}\n${app.labels.get(name)?.colour}`).join("\n\n"), () => this.#drawLabels());
    this.#once("extra", `${row.failed} ${row.snoozed_until} ${row.contact?.paused} ${row.state}`, () => this.#drawExtra());
    this.tick(app.now());
  }

  /** What changes by itself as time goes. */
  tick(now) {
    const { row } = this;
    const waits = isWaiting(row) && row.waiting_since !== null ? now - row.waiting_since : null;
    const isNobodys = row.handler !== "human";
    this.#once("waiting", waits === null ? `${needsPerson(row)}` : `${isNobodys} ${span(waits)}`, () => {
      this.#waiting.hidden = waits === null && !needsPerson(row);
      this.#waiting.replaceChildren(icon(isNobodys ? "hand" : "clock", { size: 13 }), waits === null ? t("row.waiting") : span(waits));
    });
    this.#waiting.classList.toggle("calm", !isNobodys);
    this.#once("line", lineOf(row, now), (line) => {
      this.#line.hidden = line === null;
      this.#line.className = `badge ${row.ringing ? "warn" : "ok"} row-line`;
      this.#line.replaceChildren(...(line === null ? [] : [icon("phone", { size: 12 }), h("span", {}, line)]));
    });
    this.#once("time", shortTime(touchedAt(row), now), (text) => {
      this.#time.textContent = text;
      this.#time.title = fullTime(touchedAt(row));
    });
    this.#once("label", spoken(row, waits), (text) => this.element.setAttribute("aria-label", text));
  }

  #drawWho() {
    const { row } = this;
    const has = row.handled_by ?? row.assignee;
    const nodes = [];
    const agent = app.agents.size > 1 ? (app.agents.get(row.agent)?.name ?? row.agent) : t("bot");
    if (row.state === "ended" && !has) nodes.push(icon("done", { size: 15 }), h("span", { class: "row-who-name one-line said", dir: "auto" }, agent));
    else if (row.handler === "bot") nodes.push(icon("bot", { size: 16 }), has ? null : h("span", { class: "row-who-name one-line said", dir: "auto" }, agent));
    if (has) {
      const name = app.nameOf(has);
      nodes.push(h("span", { class: app.isMe(has) ? "avatar me" : "avatar" }, initials(name)), h("span", { class: "row-who-name one-line said", dir: "auto" }, app.isMe(has) ? t("you") : name));
    }
    this.#who.replaceChildren(...nodes.filter(Boolean));
    this.#who.classList.toggle("human", Boolean(has));
  }

  #drawLabels() {
    this.#labels.replaceChildren(
      ...this.row.labels.slice(0, 3).map((name) => h("span", { class: "tag", data: { colour: app.labels.get(name)?.colour ?? "grey" } }, h("i", { class: "colour-dot" }), h("span", { class: "said one-line", dir: "auto" }, name))),
      ...(this.row.labels.length > 3 ? [h("span", { class: "muted" }, `+${this.row.labels.length - 3}`)] : []),
    );
  }

  #drawExtra() {
    const { row } = this;
    this.#extra.replaceChildren(
      ...(row.state === "snoozed" && row.snoozed_until ? [h("span", { class: "badge" }, icon("snooze", { size: 12 }), shortTime(row.snoozed_until))] : []),
      ...(row.contact?.paused ? [icon("pause", { size: 14 })] : []),
      ...(row.failed ? [h("span", { class: "row-failed" }, icon("warning", { size: 15 }))] : []),
    );
  }

  #once(name, value, draw) {
    if (this.#drawn.get(name) === value) return;
    this.#drawn.set(name, value);
    draw(value);
  }

  /** Everything is drawn anew next time: the language has changed. */
  forget() {
    this.#drawn.clear();
  }
}

/** Whether a person is waited for now. */
const isWaiting = (row) => needsPerson(row) || (row.state === "open" && row.handler === "human" && row.waiting_since !== null);

const LONGEST = 160;

/** The last words on one line. Long ones are cut: a row shows a few dozen letters of them. */
function wordsOf(row) {
  const text = row.last?.text;
  if (!text && isSpoken(row) && row.state === "ended") return unanswered(row);
  if (!text) return t(isSpoken(row) ? "row.nothing.said" : "row.no.words");
  const line = text.slice(0, LONGEST).replace(/\s+/gu, " ");
  return row.last.from === "human" ? t("row.from.human") + line : row.last.from === "bot" ? t("row.from.bot") + line : line;
}

function spoken(row, waits) {
  const has = row.handled_by ?? row.assignee;
  const parts = [
    titleOf(row),
    t(`channel.${row.transport}`),
    row.unread ? t("row.unread", { n: row.unread }) : null,
    waits !== null ? t("row.waiting.for", { time: spanInWords(waits) }) : null,
    isOnLine(row) ? t(row.ringing ? "call.ringing" : "call.on_phone") : null,
    row.state === "ended" ? t("row.ended") : row.handler === "bot" ? t("row.has.bot") : null,
    has ? (app.isMe(has) ? t("row.has.me") : row.handled_by ? t("row.has.human", { name: app.nameOf(has) }) : t("row.assigned", { name: app.nameOf(has) })) : null,
    row.state === "snoozed" && row.snoozed_until ? t("row.snoozed", { time: fullTime(row.snoozed_until) }) : null,
    row.failed ? t("row.failed", { n: row.failed }) : null,
    row.contact?.paused ? t("row.paused") : null,
    row.labels.length ? row.labels.join(", ") : null,
    wordsOf(row),
  ];
  return parts.filter(Boolean).join(", ");
}

/** A call in which nobody said anything: why. */
function unanswered(row) {
  if (row.direction === "inbound" && ["no_answer", "canceled", "busy", "rejected"].includes(row.reason)) return t("call.missed");
  return hasText(`ended.${row.reason}`) ? t(`ended.${row.reason}`) : t("ended.other", { reason: row.reason });
}

/** "02:13" of a call that goes on; null for what is none. */
function lineOf(row, now) {
  if (!isOnLine(row)) return null;
  return row.ringing ? t(row.direction === "outbound" ? "call.calling" : "call.ringing") : countdown(now - row.started_at);
}
