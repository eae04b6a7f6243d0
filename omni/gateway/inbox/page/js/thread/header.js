// The head of a conversation: who it is, who has it, how long free text may still be sent, and what can be done.

import { openMenu } from "../dialog.js";
import { fill, h, said } from "../dom.js";
import { channelIcon, icon } from "../icons.js";
import { app, isOnLine, isSilent, isSpoken, titleOf } from "../model.js";
import { t } from "../texts.js";
import * as acts from "./acts.js";
import { callItems, hangUp } from "./calling.js";
import { assignMenu, handBackDialog, labelMenu, snoozeMenu, whisperDialog } from "./menus.js";
import { follow, seatItem } from "./seat.js";
import { countdown, timeLeft } from "./times.js";

const SHORT = 2 * 3600; // seconds: less than this left is said in colour

export class Header {
  #row = null;
  #line = { held: false, muted: false, since: null };
  #presence = [];
  #timer = null;
  #mark = null;
  #write;

  /** `write()` puts the cursor where a reply is written. */
  constructor(write) {
    this.#write = write;
    this.window = h("span", { class: "window", role: "timer" });
    this.line = h("span", { class: "line", hidden: true });
    this.people = h("div", { class: "presence" });
    this.notice = h("div", { class: "collision", role: "status", hidden: true });
    this.buttons = h("div", { class: "buttons", role: "toolbar", "aria-label": t("thread.actions") });
    this.who = h("div", { class: "head-who" });
    this.bar = h("div", { class: "head" }, this.who, this.buttons);
    this.element = h("header", {}, this.bar, this.notice);
    this.#timer = setInterval(() => this.#tick(), 1000);
  }

  leave() {
    clearInterval(this.#timer);
  }

  /** `line` is how the line of a call with sound stands. */
  show(row, line = this.#line) {
    this.#row = row;
    this.#line = line;
    follow(row);
    const mark = JSON.stringify([line.held, line.muted, row.ringing, row.contact, row.handler, row.handled_by, row.state, row.assignee, row.labels, row.snoozed_until, row.transport, row.agent, app.agents.get(row.agent), app.operators.size, app.me?.role]);
    if (mark !== this.#mark) {
      this.#mark = mark;
      this.#keepFocus(() => {
        this.#draw();
        this.#collision();
      });
    } else this.#collision();
    this.#tick();
  }

  present(operators) {
    this.#presence = operators.filter((one) => !app.isMe(one.operator));
    fill(this.people, this.#presence.map((one) => here(one)));
    this.#collision();
  }

  /** Whether `press(act)` would do something. */
  can(act) {
    const button = this.element.querySelector(`button[data-act="${act}"]`);
    return act === "take" ? this.#isToTake() : Boolean(button && !button.disabled);
  }

  #isToTake() {
    const row = this.#row;
    return Boolean(row) && row.state !== "ended" && app.can("agent") && !(row.handler === "human" && app.isMe(row.handled_by));
  }

  /** The key of a button does what the button does: `take`, `release`, `end`, `reopen`, `snooze`, `assign`, `label`. */
  press(act) {
    if (!this.can(act)) return false;
    if (act === "take") acts.take(this.#row.id);
    else this.element.querySelector(`button[data-act="${act}"]`).click();
    return true;
  }

  /** Whoever stood at a button stands there still; whoever took the conversation over by it wants to write. */
  #keepFocus(draw) {
    const at = this.element.contains(document.activeElement) ? document.activeElement.dataset.act : null;
    draw();
    if (!at || this.element.contains(document.activeElement)) return;
    if (["take", "steal"].includes(at) && app.isMe(this.#row.handled_by)) return void this.#write();
    const buttons = [...this.buttons.children].filter((one) => one.checkVisibility());
    (buttons.find((one) => one.dataset.act === at) ?? buttons[0])?.focus();
  }

  #draw() {
    const row = this.#row;
    fill(this.who,
      h("button", { type: "button", class: "icon-btn head-back", "aria-label": t("thread.back"), on: { click: () => app.go("/") } }, icon("back")),
      h("span", { class: `channel is-${row.transport}`, title: t(`channel.${row.transport}`) }, channelIcon(row.transport, { label: t(`channel.${row.transport}`), size: 20 })),
      h("div", { class: "head-names" },
        h("h1", {}, h("button", { type: "button", class: "head-name said one-line", dir: "auto", "aria-label": `${titleOf(row)}. ${t("thread.details")}`, on: { click: () => app.togglePanel() } }, titleOf(row))),
        h("div", { class: "head-line" }, this.line, this.#holder(), this.window, this.people)));
    fill(this.buttons, app.can("agent") ? this.#acting() : null,
      h("button", { type: "button", class: "icon-btn", "aria-label": t("thread.details"), title: t("thread.details"), data: { act: "details" }, on: { click: () => app.togglePanel() } }, icon("panel")));
  }

  #holder() {
    const row = this.#row;
    const bot = app.agents.get(row.agent)?.name ?? row.agent;
    if (row.state === "ended") return h("span", { class: "holder" }, t(isSpoken(row) ? "thread.call_over" : "thread.has_ended"));
    if (row.handler === "bot" && isSilent(row)) return holder("nobody", "pause", t("panel.paused"));
    if (row.handler === "bot") return holder("bot", "bot", t("thread.bot_has_it", { bot }), bot);
    if (row.handler === "nobody") return holder("nobody", "hand", t("thread.nobody_has_it"));
    if (app.isMe(row.handled_by)) return holder("human", "person", t("thread.you_have_it"));
    const name = app.nameOf(row.handled_by) ?? t("event.somebody");
    return holder("human", "person", t("thread.they_have_it", { name }), name);
  }

  #acting() {
    const row = this.#row;
    const isMine = row.handler === "human" && app.isMe(row.handled_by);
    const isOpen = row.state !== "ended";
    const isLive = isOnLine(row);
    return [
      isOpen && !row.ringing && !isMine && row.handler !== "human" ? this.#button("take", "thread.take", "T", "hand", () => acts.take(row.id), "primary") : null,
      isOpen && row.handler !== "bot" ? this.#button("release", "thread.hand_back", "H", "bot", () => handBackDialog(row)) : null,
      isLive ? this.#button("hang_up", "call.hang_up", "", "phone", () => hangUp(row), "danger") : null,
      isOpen && !isLive ? this.#button("end", "thread.resolve", "E", "done", () => acts.resolve(row.id)) : null,
      isOpen || isSpoken(row) ? null : this.#button("reopen", "thread.reopen", "", "undo", () => acts.reopen(row.id), "primary"),
      this.#icon("snooze", "thread.snooze", "S", "snooze", (button) => snoozeMenu(button, row)),
      this.#icon("assign", "thread.assign", "A", "person", (button) => assignMenu(button, row)),
      this.#icon("label", "thread.label", "L", "tag", (button) => labelMenu(button, row)),
      this.#icon("more", "more", "", "more", (button) => this.#more(button)),
    ];
  }

  /** In a narrow head a button may be out of sight: its menu opens at the one that holds them all. */
  #shown(button) {
    return button.checkVisibility() ? button : this.buttons.querySelector('[data-act="more"]');
  }

  #more(anchor) {
    const row = this.#row;
    const isOpen = row.state !== "ended";
    openMenu(anchor, [
      ...(isOnLine(row) && !row.ringing ? [seatItem(row), ...callItems(row, this.#line), "line"] : []),
      isOpen && row.handler !== "bot" ? { text: t("thread.hand_back"), icon: "bot", hint: "H", run: () => handBackDialog(row) } : null,
      isOpen ? { text: t("thread.resolve"), icon: "done", hint: "E", run: () => acts.resolve(row.id) } : null,
      row.state !== "ended" && row.handler === "bot" ? { text: t("whisper.title"), icon: "whisper", run: () => whisperDialog(row) } : null,
      row.contact?.paused
        ? { text: t("thread.resume_contact"), icon: "play", run: () => acts.pauseContact(row.id, false) }
        : { text: t("thread.pause_contact"), icon: "pause", run: () => acts.pauseContact(row.id, true) },
      "line",
      { text: t("thread.snooze"), icon: "snooze", hint: "S", run: () => snoozeMenu(anchor, row) },
      { text: t("thread.assign"), icon: "person", hint: "A", run: () => assignMenu(anchor, row) },
      { text: t("thread.label"), icon: "tag", hint: "L", run: () => labelMenu(anchor, row) },
      { text: t("thread.details"), icon: "panel", hint: "I", run: () => app.togglePanel() },
    ], { label: t("more"), align: "end" });
  }

  #button(act, key, letter, name, run, extra = "") {
    return h("button", { type: "button", class: `btn small ${extra}`, data: { act }, title: title(key, letter), "aria-keyshortcuts": letter || null, on: { click: run } }, icon(name, { size: 16 }), h("span", {}, t(key)));
  }

  #icon(act, key, letter, name, run) {
    return h("button", { type: "button", class: "icon-btn", data: { act }, "aria-label": t(key), title: title(key, letter), "aria-haspopup": "menu", "aria-expanded": "false", "aria-keyshortcuts": letter || null, on: { click: ({ currentTarget }) => run(this.#shown(currentTarget)) } }, icon(name));
  }

  /** Somebody else has it: say so, and offer to take it from them. */
  #collision() {
    const row = this.#row;
    const other = row && row.state !== "ended" && row.handler === "human" && row.handled_by && !app.isMe(row.handled_by) ? row.handled_by : null;
    if (!other) {
      if (this.notice.hidden && !this.notice.firstChild) return undefined;
      this.notice.hidden = true;
      return void fill(this.notice);
    }
    this.notice.hidden = false;
    const name = app.nameOf(other);
    const state = this.#presence.find((one) => one.operator === other);
    const mark = `${name}:${state?.typing}:${app.can("agent")}`;
    if (this.notice.dataset.mark === mark && this.notice.firstChild) return undefined;
    this.notice.dataset.mark = mark;
    fill(this.notice, icon("person", { size: 16 }), said("span", { class: "grow" }, t(state?.typing ? "thread.taken_writing" : "thread.taken", { name })),
      app.can("agent") ? h("button", { type: "button", class: "btn small", data: { act: "steal" }, on: { click: () => acts.take(row.id, { steal: true }) } }, t("thread.steal")) : null);
    return undefined;
  }

  /** Ringing, or for how long they have been talking. */
  #tickLine() {
    const row = this.#row;
    this.line.hidden = !row || !isOnLine(row);
    if (this.line.hidden) return;
    const { held, muted, since } = this.#line;
    const rings = row.ringing || since === null;
    const state = t(!rings ? "call.on_phone" : row.direction === "outbound" ? "call.calling" : "call.ringing");
    const time = rings ? null : countdown(app.now() - since);
    const asides = [held ? t("call.is_held") : null, muted ? t("call.is_muted") : null].filter(Boolean);
    const words = [state, time, ...asides].filter(Boolean).join(" · ");
    if (this.line.dataset.said === words) return;
    Object.assign(this.line.dataset, { said: words, state: rings ? "ringing" : "live" });
    this.line.title = words;
    fill(this.line, icon("phone", { size: 14 }), h("span", { class: "long" }, words), h("span", { class: "short" }, [time ?? state, ...asides].join(" · ")));
  }

  #tick() {
    this.#tickLine();
    const closes = this.#row?.window_closes_at;
    if (closes === null || closes === undefined) {
      this.window.hidden = true;
      return;
    }
    const left = closes - app.now();
    this.window.hidden = false;
    const state = left <= 0 ? "closed" : left < SHORT ? "short" : "open";
    if (this.window.dataset.state !== state) this.window.dataset.state = state;
    const said = left <= 0 ? t("thread.window_closed") : t("thread.window", { left: timeLeft(left) });
    if (this.window.dataset.said === said) return;
    this.window.dataset.said = said;
    this.window.title = t("thread.window_title");
    fill(this.window, left <= 0 ? said : [h("span", { class: "long" }, said), h("span", { class: "short" }, timeLeft(left))]);
  }
}

/** Who has the conversation; `short` has to do in a narrow head. */
const holder = (kind, name, words, short = null) =>
  h("span", { class: `holder is-${kind}`, title: words }, icon(name, { size: 14 }), said("span", { class: short ? "long" : "" }, words), short ? said("span", { class: "short" }, short) : null);

/** A colleague who has the conversation open; in a narrow head their initials have to do. */
function here({ operator, typing }) {
  const name = app.nameOf(operator) ?? "";
  const text = t(typing ? "presence.writing" : "presence.looking", { name });
  return h("span", { class: "here", data: { typing: String(typing) }, title: text },
    h("span", { class: "avatar", "aria-hidden": "true" }, name.split(/\s+/).map((word) => [...word][0] ?? "").slice(0, 2).join("").toUpperCase()), said("span", { class: "here-text" }, text));
}

const title = (key, letter) => (letter ? `${t(key)} (${letter})` : t(key));
