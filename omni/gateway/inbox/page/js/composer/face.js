// What the composer looks like: its tabs, box, tools and sentences, for whatever state it is in.

import { fill, h, said } from "../dom.js";
import { icon } from "../icons.js";
import { prefs } from "../prefs.js";
import { t } from "../texts.js";

export const LONGEST_NOTE = 10_000;

export class Face {
  #acts;
  #shown = null;

  /**
   * `acts`: write(mode), changed(), key(event), paste(event), blur(), chosen(), emoji(), canned(), template(), send(),
   * unquote(). `uploads` is the list of attached files.
   */
  constructor(acts, uploads) {
    this.#acts = acts;
    const tab = (mode, key) => h("button", { type: "button", role: "tab", data: { mode }, on: { click: () => acts.write(mode) } }, t(key));
    this.tabs = h("div", { class: "segments", role: "tablist", "aria-label": t("composer.mode"), on: { keydown: (event) => this.#walk(event) } },
      tab("reply", "composer.reply"), tab("note", "composer.note"));
    this.hint = h("span", { class: "composer-hint muted", id: "composer-hint" });
    this.quoted = h("div", { class: "composer-quote", hidden: true });
    this.box = h("textarea", { class: "composer-box", rows: 1, dir: "auto", autocomplete: "off", spellcheck: "true", "aria-describedby": "composer-hint", on: {
      input: acts.changed, keydown: acts.key, paste: acts.paste, blur: acts.blur,
    } });
    this.files = h("input", { type: "file", multiple: true, hidden: true, tabIndex: -1, "aria-hidden": "true", on: { change: acts.chosen } });
    const tool = (act, key, name, run) => h("button", { type: "button", class: "icon-btn", data: { act }, "aria-label": t(key), title: t(key), on: { click: run } }, icon(name));
    this.attach = tool("attach", "composer.attach", "attach", () => this.files.click());
    this.emoji = tool("emoji", "composer.emoji", "smile", acts.emoji);
    this.canned = tool("canned", "composer.canned", "canned", acts.canned);
    this.template = tool("template", "composer.template", "template", acts.template);
    this.go = h("button", { type: "button", class: "btn primary composer-send", data: { act: "send" }, on: { click: acts.send } }, icon("send", { size: 16 }), h("span", {}));
    this.why = h("div", { class: "composer-closed", role: "status" });
    this.uploads = uploads;
    this.field = h("div", { class: "composer-field" }, this.quoted, uploads, this.box,
      h("div", { class: "composer-tools" }, this.attach, this.emoji, this.canned, this.template, h("span", { class: "grow" }), this.go));
  }

  /**
   * `now`: {mode, closed, takes, spoken, holder (a name), length, limits, canTemplate, quote, files: {count, busy, hasProblem}}.
   */
  show(now) {
    const mark = JSON.stringify([now, prefs.get("enterSends")]);
    if (mark === this.#shown) return;
    this.#shown = mark;
    const { mode, closed, files, limits } = now;
    const isNote = mode === "note";
    const most = isNote ? LONGEST_NOTE : limits?.text ?? Infinity;
    const isTooLong = now.length > most;
    this.tabs.hidden = closed === "viewer";
    for (const tab of this.tabs.children) {
      tab.setAttribute("aria-selected", String(tab.dataset.mode === mode));
      tab.tabIndex = tab.dataset.mode === mode ? 0 : -1;
    }
    this.field.hidden = closed !== null;
    this.#closed(closed, now.canTemplate);
    this.box.placeholder = t(isNote ? "composer.note_placeholder" : now.spoken ? "composer.spoken_placeholder" : "composer.placeholder");
    this.box.setAttribute("aria-label", this.box.placeholder);
    this.attach.hidden = isNote || !Object.keys(limits?.files ?? { any: 1 }).length;
    this.template.hidden = isNote || !now.canTemplate;
    this.canned.hidden = isNote;
    this.uploads.classList.toggle("is-set-aside", isNote);
    const isEmpty = !now.length && (isNote || !files.count);
    this.go.disabled = isEmpty || isTooLong || (!isNote && (files.busy || files.hasProblem));
    const verb = t(isNote ? "composer.add_note" : now.spoken ? "composer.say" : "composer.send");
    this.go.lastChild.textContent = verb;
    this.go.setAttribute("aria-label", verb); // a narrow window shows the arrow alone
    this.#quote(isNote ? null : now.quote);
    this.hint.textContent = closed ? "" : isTooLong ? t("composer.too_long", { n: now.length, most }) : this.#hint(now, isNote);
    this.hint.classList.toggle("problem", isTooLong);
  }

  #hint({ takes, holder }, isNote) {
    if (isNote) return t("composer.note_hint");
    if (takes) return t(`composer.takes_${takes}`, { name: holder });
    return t(prefs.get("enterSends") ? "composer.enter_sends" : "composer.ctrl_enter_sends");
  }

  #closed(closed, canTemplate) {
    this.why.hidden = closed === null;
    if (closed === null) return fill(this.why);
    const isWindow = closed === "window";
    return fill(this.why, icon(isWindow ? "clock" : "info", { size: 16 }),
      h("span", { class: "grow" }, t(isWindow && !canTemplate ? "composer.closed_window_no_template" : `composer.closed_${closed}`)),
      isWindow && canTemplate ? h("button", { type: "button", class: "btn primary", data: { act: "template" }, on: { click: this.#acts.template } }, icon("template", { size: 16 }), t("composer.template")) : null);
  }

  #quote(quote) {
    this.quoted.hidden = !quote;
    fill(this.quoted, quote ? [icon("reply", { size: 16 }), h("div", { class: "grow" }, said("b", {}, quote.who), said("p", { class: "one-line" }, quote.text)),
      h("button", { type: "button", class: "icon-btn", "aria-label": t("composer.unquote"), on: { click: this.#acts.unquote } }, icon("close", { size: 16 }))] : null);
  }

  #walk(event) {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    const next = [...this.tabs.children].find((tab) => tab.getAttribute("aria-selected") !== "true");
    next.click();
    next.focus();
  }
}
