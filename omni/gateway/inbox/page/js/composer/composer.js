// Where an operator writes: a reply to the person, or a note for colleagues.

import { h } from "../dom.js";
import { app, isSpoken } from "../model.js";
import { problem } from "../notices.js";
import { prefs } from "../prefs.js";
import { t } from "../texts.js";
import * as acts from "../thread/acts.js";
import { CannedList, filledReply, replies, valuesFor } from "./canned.js";
import { draftOf, keepDraft } from "./drafts.js";
import { openEmoji } from "./emoji.js";
import { Face } from "./face.js";
import { bodiesOf, stateOf } from "./letters.js";
import { cannedMenu } from "./menu.js";
import { outbox } from "./sending.js";
import { pickTemplate } from "./templates.js";
import { Uploads } from "./uploads.js";

const TYPING_EVERY = 4000; // ms between two signals that somebody is writing
const TYPING_ENDS = 5000;
const SLASHED = /^\/[^\n]{0,40}$/;

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
  #face;

  /** `typing(on)` tells colleagues and the person; `sent()` after something was put into the outbox. */
  constructor({ id, typing, sent }) {
    this.#id = id;
    this.#typing = typing;
    this.#sent = sent;
    this.#draft = draftOf(id);
    this.uploads = new Uploads(id, () => this.#face && this.#refresh());
    const face = new Face({
      write: (mode) => this.write(mode), changed: () => this.#changed(), key: (event) => this.#key(event), paste: (event) => this.#paste(event),
      blur: () => this.#stopTyping(), chosen: () => this.#chosen(), emoji: () => openEmoji(face.emoji, (sign) => this.#insert(sign)),
      canned: () => this.#openCanned(), template: () => this.#pickTemplate(), send: () => this.#send(), unquote: () => this.#unquote(),
    }, this.uploads.element);
    this.#face = face;
    this.box = face.box;
    this.canned = new CannedList(this.box, (reply) => this.#putReply(reply));
    this.element = h("section", { class: "composer", "aria-label": t("composer.label"), on: {
      dragover: (event) => this.#dragged(event, true), dragleave: (event) => this.#dragged(event, false), drop: (event) => this.#dropped(event),
    } }, h("div", { class: "composer-top" }, face.tabs, face.hint), this.canned.element, face.why, face.field, face.files);
    this.box.value = this.#draft[this.#draft.mode];
    this.#refresh();
    this.#clock = setInterval(() => this.#refresh(), 1000); // a window closes by itself
    this.#stopPrefs = prefs.onChange((name) => name === "enterSends" && this.#refresh());
  }

  leave() {
    clearInterval(this.#clock);
    this.#stopPrefs();
    this.#stopTyping();
    this.uploads.clear();
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
    (this.#face.field.hidden ? this.#face.tabs.querySelector(`[data-mode="${mode}"]`) : this.box).focus();
  }

  quote(row, who, text) {
    this.#draft.quote = { id: row.provider, who, text: text.slice(0, 200) };
    this.#keep();
    this.write("reply");
  }

  #unquote() {
    this.#draft.quote = null;
    this.#keep();
    this.#refresh();
    this.box.focus();
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
    const { uploads } = this;
    this.element.dataset.mode = this.#draft.mode;
    this.#face.show({
      ...this.#state(), spoken: isSpoken(this.#row), mode: this.#draft.mode, holder: app.nameOf(this.#row?.handled_by) ?? "", length: this.box.value.trim().length,
      limits: this.#detail?.limits ?? null, canTemplate: this.#detail?.can_template ?? false, quote: this.#draft.quote,
      files: { count: uploads.count, busy: uploads.busy, hasProblem: uploads.hasProblem },
    });
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
    if (!event.ctrlKey && !event.metaKey && !prefs.get("enterSends")) return;
    event.preventDefault();
    event.stopPropagation();
    this.#send();
  }

  async #send() {
    if (this.#face.go.disabled || this.#face.field.hidden) return;
    if (this.#draft.mode === "note") {
      await this.#sendNote();
      return;
    }
    const letters = bodiesOf({ text: this.box.value.trim(), files: this.uploads.ready, quote: this.#draft.quote, limits: this.#detail?.limits });
    this.box.value = "";
    this.#draft.quote = null;
    this.uploads.clear();
    this.#stopTyping();
    this.#keep();
    this.#refresh();
    this.box.focus();
    await this.#dispatch(letters);
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
      const letters = outbox.undo(group); // those that went out already are refused by themselves, or arrive
      if (!letters.length) return;
      if (await acts.askToSteal(acts.holderOf(error))) {
        await acts.take(this.#id, { steal: true });
        await this.#dispatch({ bodies: letters.map((letter) => letter.body), shown: letters.map((letter) => letter.shown) }, true);
      } else this.#restore(letters);
    }
  }

  async #sendNote() {
    const text = this.box.value.trim();
    try {
      this.#face.go.disabled = true;
      await acts.note(this.#id, text);
      if (this.box.value.trim() === text) this.box.value = "";
      this.#sent();
    } catch (error) {
      this.#face.go.disabled = false;
      problem(error);
    }
    this.#keep();
    this.#refresh();
  }

  #pickTemplate() {
    pickTemplate(this.#row, (template, preview) => this.#dispatch({ bodies: [{ template }], shown: [{ text: preview }] }));
  }

  #putReply(reply) {
    const text = filledReply(reply.text, valuesFor(this.#row));
    if (SLASHED.test(this.box.value)) this.box.value = text;
    else this.#insert(text);
    this.#changed();
    this.box.focus();
  }

  async #openCanned() {
    const list = await replies().catch(problem);
    if (list) cannedMenu(this.#face.canned, list, (reply) => this.#putReply(reply));
  }

  #insert(text) {
    this.box.focus();
    const { selectionStart: start, selectionEnd: end, value } = this.box;
    this.box.value = value.slice(0, start) + text + value.slice(end);
    this.box.setSelectionRange(start + text.length, start + text.length);
    this.#changed();
  }

  #chosen() {
    this.uploads.add(this.#face.files.files);
    this.#face.files.value = "";
    this.box.focus();
  }

  #takesFiles() {
    return this.#draft.mode === "reply" && !this.#face.field.hidden && !this.#face.attach.hidden;
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
