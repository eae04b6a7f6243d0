// Where an operator writes: a reply to the person, or a note for colleagues.

import { fill, h, said } from "../dom.js";
import { icon } from "../icons.js";
import { app } from "../model.js";
import { problem } from "../notices.js";
import { prefs } from "../prefs.js";
import { t } from "../texts.js";
import * as acts from "../thread/acts.js";
import { CannedList, filledReply, replies, valuesFor } from "./canned.js";
import { draftOf, keepDraft } from "./drafts.js";
import { openEmoji } from "./emoji.js";
import { cannedMenu } from "./menu.js";
import { bodiesOf, stateOf } from "./letters.js";
import { outbox } from "./sending.js";
import { pickTemplate } from "./templates.js";
import { Uploads } from "./uploads.js";

const TYPING_EVERY = 4000; // ms between two signals that somebody is writing
const TYPING_ENDS = 5000;
const LONGEST_NOTE = 10_000;

export class Composer {
  #id;
  #row = null;
  #detail = null;
  #draft;
  #typing;
  #sent;
  #typed = 0;
  #quiet = null;
  #clock = null;
  #stopPrefs;
  #shown = null;

  /** `typing(on)` tells colleagues and the person; `sent()` after something was put into the outbox. */
  constructor({ id, typing, sent }) {
    this.#id = id;
    this.#typing = typing;
    this.#sent = sent;
    this.#draft = draftOf(id);
    this.uploads = new Uploads(id, () => this.#refresh());
    this.#build();
    this.#clock = setInterval(() => this.#refresh(), 1000);
    this.#stopPrefs = prefs.onChange((name) => name === "enterSends" && this.#refresh());
  }

  leave() {
    clearInterval(this.#clock);
    clearTimeout(this.#quiet);
    this.#stopPrefs();
    this.#stopTyping();
    this.uploads.clear();
  }

  #build() {
    const tab = (mode, key) => h("button", { type: "button", role: "tab", data: { mode }, on: { click: () => this.write(mode) } }, t(key));
    this.tabs = h("div", { class: "segments", role: "tablist", "aria-label": t("composer.mode"), on: { keydown: (event) => this.#walkTabs(event) } }, tab("reply", "composer.reply"), tab("note", "composer.note"));
    this.hint = h("span", { class: "composer-hint muted" });
    this.quoted = h("div", { class: "composer-quote", hidden: true });
    this.box = h("textarea", { class: "composer-box", rows: 1, dir: "auto", autocomplete: "off", spellcheck: "true", "aria-describedby": "composer-hint", on: {
      input: () => this.#changed(), keydown: (event) => this.#key(event), paste: (event) => this.#paste(event), blur: () => this.#stopTyping(),
    } });
    this.hint.id = "composer-hint";
    this.canned = new CannedList(this.box, (reply) => this.#putReply(reply));
    this.files = h("input", { type: "file", multiple: true, hidden: true, tabIndex: -1, "aria-hidden": "true", on: { change: () => this.#chosen() } });
    const tool = (act, key, name, run) => h("button", { type: "button", class: "icon-btn", data: { act }, "aria-label": t(key), title: t(key), on: { click: run } }, icon(name));
    this.attach = tool("attach", "composer.attach", "attach", () => this.files.click());
    this.emoji = tool("emoji", "composer.emoji", "smile", () => openEmoji(this.emoji, (sign) => this.#insert(sign)));
    this.cannedButton = tool("canned", "composer.canned", "canned", () => this.#openCanned());
    this.template = tool("template", "composer.template", "template", () => this.#pickTemplate());
    this.go = h("button", { type: "button", class: "btn primary composer-send", data: { act: "send" }, on: { click: () => this.#send() } }, icon("send", { size: 16 }), h("span", {}));
    this.why = h("div", { class: "composer-closed", role: "status" });
    this.field = h("div", { class: "composer-field" }, this.quoted, this.uploads.element, this.box,
      h("div", { class: "composer-tools" }, this.attach, this.emoji, this.cannedButton, this.template, h("span", { class: "grow" }), this.go));
    this.element = h("section", { class: "composer", "aria-label": t("composer.label"), on: {
      dragover: (event) => this.#dragged(event, true), dragleave: (event) => this.#dragged(event, false), drop: (event) => this.#dropped(event),
    } }, h("div", { class: "composer-top" }, this.tabs, this.hint), this.canned.element, this.why, this.field, this.files);
    this.box.value = this.#draft[this.#draft.mode];
    this.#refresh();
  }

  show(row, detail) {
    this.#row = row;
    this.#detail = detail ?? this.#detail;
    this.uploads.limits = this.#detail?.limits ?? null;
    this.#refresh();
  }

  /** The box for a reply or a note, ready to type. */
  write(mode) {
    if (mode !== this.#draft.mode) {
      this.#keep();
      this.#draft.mode = mode;
      this.box.value = this.#draft[mode];
      this.canned.close();
      this.#keep();
    }
    this.#refresh();
    (this.field.hidden ? this.tabs.querySelector(`[data-mode="${mode}"]`) : this.box).focus();
  }

  quote(row, who, text) {
    this.#draft.quote = { id: row.provider, who, text: text.slice(0, 200) };
    this.#keep();
    this.write("reply");
  }

  /** Takes a group of letters back into the box; a failed one too, when `failed`. */
  takeBack(group, failed = false) {
    const letters = failed ? outbox.of(this.#id).filter((letter) => letter.group === group && letter.state === "failed") : outbox.undo(group);
    for (const letter of failed ? letters : []) outbox.drop(letter.key);
    this.#restore(letters);
  }

  #restore(letters) {
    if (!letters.length) return;
    const text = letters.filter((letter) => !letter.body.template).map((letter) => letter.body.text ?? "").filter(Boolean).join("\n");
    this.write("reply");
    this.box.value = [text, this.box.value].filter(Boolean).join("\n");
    this.uploads.putBack(letters.map((letter) => letter.shown?.file).filter(Boolean));
    const quote = letters.find((letter) => letter.shown?.quote)?.shown.quote;
    if (quote) this.#draft.quote = quote;
    this.#changed();
    this.box.focus();
  }

  sendAgain(key) {
    const letter = outbox.of(this.#id).find((one) => one.key === key);
    if (letter) outbox.retry(key, letter.error?.code === "taken" ? { steal: true } : {});
  }

  #state() {
    return stateOf({ row: this.#row, detail: this.#detail, mode: this.#draft.mode, now: app.now(), mayAct: app.can("agent"), me: app.me?.id });
  }

  #refresh() {
    const state = this.#state();
    const { mode } = this.#draft;
    const length = this.box.value.trim().length;
    const isNote = mode === "note";
    const empty = !length && !(this.uploads.count && !isNote);
    const tooLong = length > (isNote ? LONGEST_NOTE : this.#detail?.limits?.text ?? Infinity);
    const mark = JSON.stringify([state, mode, empty, tooLong && length, this.uploads.busy, this.uploads.hasProblem, this.#draft.quote, prefs.get("enterSends"), this.#detail?.can_template, this.#detail?.limits, this.#row?.handler, this.#row?.handled_by]);
    if (mark === this.#shown) return;
    this.#shown = mark;
    this.element.dataset.mode = mode;
    this.tabs.hidden = state.closed === "viewer";
    for (const tab of this.tabs.children) {
      tab.setAttribute("aria-selected", String(tab.dataset.mode === mode));
      tab.tabIndex = tab.dataset.mode === mode ? 0 : -1;
    }
    this.field.hidden = state.closed !== null;
    this.#showClosed(state);
    this.box.placeholder = t(isNote ? "composer.note_placeholder" : "composer.placeholder");
    this.box.setAttribute("aria-label", this.box.placeholder);
    this.attach.hidden = isNote || !Object.keys(this.#detail?.limits?.files ?? { any: 1 }).length;
    this.template.hidden = isNote || !this.#detail?.can_template;
    this.cannedButton.hidden = isNote;
    this.uploads.element.classList.toggle("is-set-aside", isNote);
    this.go.disabled = empty || tooLong || (!isNote && (this.uploads.busy || this.uploads.hasProblem));
    this.go.lastChild.textContent = t(isNote ? "composer.add_note" : "composer.send");
    this.#showQuote(isNote);
    this.hint.textContent = this.#hint(state, tooLong, length);
    this.hint.classList.toggle("problem", tooLong);
  }

  #hint(state, tooLong, length) {
    if (state.closed) return "";
    if (tooLong) return t("composer.too_long", { n: length, most: this.#draft.mode === "note" ? LONGEST_NOTE : this.#detail.limits.text });
    if (this.#draft.mode === "note") return t("composer.note_hint");
    if (state.takes) return t(`composer.takes_${state.takes}`, { name: app.nameOf(this.#row.handled_by) ?? "" });
    return t(prefs.get("enterSends") ? "composer.enter_sends" : "composer.ctrl_enter_sends");
  }

  #showClosed({ closed }) {
    this.why.hidden = closed === null;
    if (closed === null) return fill(this.why);
    const sentence = closed === "window" && !this.#detail?.can_template ? "window_no_template" : closed;
    return fill(this.why, icon(closed === "window" ? "clock" : "info", { size: 16 }), h("span", { class: "grow" }, t(`composer.closed_${sentence}`)),
      closed === "window" && this.#detail?.can_template ? h("button", { type: "button", class: "btn primary", data: { act: "template" }, on: { click: () => this.#pickTemplate() } }, icon("template", { size: 16 }), t("composer.template")) : null);
  }

  #showQuote(isNote) {
    const quote = isNote ? null : this.#draft.quote;
    this.quoted.hidden = !quote;
    fill(this.quoted, quote ? [icon("reply", { size: 16 }), h("div", { class: "grow" }, said("b", {}, quote.who), said("p", { class: "one-line" }, quote.text)),
      h("button", { type: "button", class: "icon-btn", "aria-label": t("composer.unquote"), on: { click: () => ((this.#draft.quote = null), this.#keep(), this.#refresh(), this.box.focus()) } }, icon("close", { size: 16 }))] : null);
  }

  #changed() {
    this.#keep();
    this.#refresh();
    if (this.#draft.mode === "note") return;
    this.canned.look();
    this.#signal();
  }

  #keep() {
    this.#draft[this.#draft.mode] = this.box.value;
    keepDraft(this.#id, this.#draft);
  }

  #signal() {
    if (!this.box.value.trim()) return this.#stopTyping();
    const now = Date.now();
    if (now - this.#typed > TYPING_EVERY) {
      this.#typed = now;
      this.#typing(true);
    }
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#stopTyping(), TYPING_ENDS);
    return undefined;
  }

  #stopTyping() {
    clearTimeout(this.#quiet);
    if (this.#typed) this.#typing(false);
    this.#typed = 0;
  }

  #key(event) {
    if (this.canned.key(event) || event.isComposing) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      this.box.blur();
    }
    if (event.key !== "Enter" || event.shiftKey || event.altKey) return;
    const withControl = event.ctrlKey || event.metaKey;
    if (!withControl && !prefs.get("enterSends")) return;
    event.preventDefault();
    event.stopPropagation();
    this.#send();
  }

  #walkTabs(event) {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    const mode = this.#draft.mode === "reply" ? "note" : "reply";
    this.write(mode);
    this.tabs.querySelector(`[data-mode="${mode}"]`).focus();
  }

  async #send() {
    if (this.go.disabled || this.field.hidden) return;
    if (this.#draft.mode === "note") await this.#sendNote();
    else {
      const letters = bodiesOf({ text: this.box.value.trim(), files: this.uploads.ready, quote: this.#draft.quote, limits: this.#detail?.limits });
      this.#empty();
      await this.#dispatch(letters);
    }
  }

  #empty() {
    this.box.value = "";
    this.#draft.quote = null;
    this.uploads.clear();
    this.#stopTyping();
    this.#keep();
    this.#refresh();
    this.box.focus();
  }

  /** Into the outbox, where it can be undone; the bot is silenced now, not when the message goes out. */
  async #dispatch({ bodies, shown }, steal = false) {
    const { takes } = this.#state();
    const group = outbox.put(this.#id, bodies.map((body) => (steal ? { ...body, steal } : body)), { shown });
    this.#sent();
    if (!takes || steal) return;
    try {
      await app.api("POST", `/conversations/${encodeURIComponent(this.#id)}/take`, {}, { timeout: 8000 });
    } catch (error) {
      if (error.code !== "taken") return; // the message itself takes the conversation over
      const letters = outbox.undo(group);
      if (await acts.askToSteal(acts.holderOf(error))) await this.#stealWith({ bodies, shown });
      else this.#restore(letters);
    }
  }

  async #stealWith(letters) {
    await acts.take(this.#id, { steal: true });
    await this.#dispatch(letters, true);
  }

  async #sendNote() {
    const text = this.box.value.trim();
    this.go.disabled = true;
    try {
      await acts.note(this.#id, text);
      if (this.box.value.trim() === text) this.box.value = "";
      this.#sent();
    } catch (error) {
      problem(error);
    }
    this.#shown = null;
    this.#keep();
    this.#refresh();
  }

  #pickTemplate() {
    pickTemplate(this.#row, (template, preview) => this.#dispatch({ bodies: [{ template }], shown: [{ text: preview }] }));
  }

  #putReply(reply) {
    const text = filledReply(reply.text, valuesFor(this.#row));
    if (/^\/[^\n]{0,40}$/.test(this.box.value)) this.box.value = text;
    else this.#insert(text);
    this.#changed();
    this.box.focus();
  }

  async #openCanned() {
    const list = await replies().catch(problem);
    if (list) cannedMenu(this.cannedButton, list, (reply) => this.#putReply(reply));
  }

  #insert(text) {
    this.box.focus();
    const { selectionStart: start, selectionEnd: end, value } = this.box;
    this.box.value = value.slice(0, start) + text + value.slice(end);
    this.box.setSelectionRange(start + text.length, start + text.length);
    this.#changed();
  }

  #chosen() {
    this.uploads.add(this.files.files);
    this.files.value = "";
    this.box.focus();
  }

  #takesFiles() {
    return this.#draft.mode === "reply" && !this.field.hidden && !this.attach.hidden;
  }

  #paste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || !this.#takesFiles()) return;
    event.preventDefault();
    this.uploads.add(files);
  }

  #dragged(event, over) {
    if (!event.dataTransfer?.types.includes("Files") || !this.#takesFiles()) return;
    event.preventDefault();
    this.element.classList.toggle("is-over", over);
  }

  #dropped(event) {
    this.#dragged(event, false);
    if (!event.dataTransfer?.files.length || !this.#takesFiles()) return;
    event.preventDefault();
    this.uploads.add(event.dataTransfer.files);
  }
}
