// What can be done with one message: react, quote, copy. One bar for the whole thread; it goes to the message that the
// pointer or the keyboard is at, so that hundreds of messages do not carry hundreds of buttons.

import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { t } from "../texts.js";

const QUICK = ["👍", "❤️", "😂", "😮", "😢", "🙏"];

export class ActionBar {
  #row = null;
  #acts;

  /** `acts`: react(row, emoji), quote(row), copy(row), allowed(row) → {react, quote}. */
  constructor(acts) {
    this.#acts = acts;
    this.element = h("div", { class: "actions", role: "toolbar", "aria-label": t("thread.actions") });
  }

  /** Stands at this bubble, or nowhere. */
  at(bubble) {
    if (!bubble || bubble.row.pending || bubble.row.from === "note") return this.leave();
    const isThere = this.#row?.key === bubble.row.key && this.element.isConnected;
    this.#row = bubble.row; // every change of a message is another row: what is being chosen for it stays open
    if (isThere) return undefined;
    this.#buttons();
    return bubble.body.append(this.element);
  }

  leave() {
    this.#row = null;
    this.element.remove();
  }

  #buttons() {
    const row = this.#row;
    const may = this.#acts.allowed(row);
    fill(this.element,
      may.react ? this.#button("smile", "thread.react", () => this.#choices()) : null,
      may.quote ? this.#button("reply", "thread.quote", () => this.#acts.quote(row)) : null,
      row.text ? this.#button("copy", "thread.copy", () => this.#acts.copy(row)) : null);
  }

  #choices() {
    const row = this.#row;
    const mine = row.reactions.human;
    const emoji = QUICK.map((sign) => h("button", {
      type: "button", class: "react", "aria-label": t("thread.react_with", { emoji: sign }), "aria-pressed": String(mine === sign),
      on: { click: () => this.#reacted(row, mine === sign ? null : sign) },
    }, sign));
    fill(this.element, emoji, this.#button("close", "thread.close", () => this.#buttons()));
    this.element.querySelector("button").focus();
  }

  #reacted(row, emoji) {
    this.#acts.react(row, emoji);
    this.#buttons();
  }

  #button(name, key, act) {
    return h("button", { type: "button", class: "icon-btn", "aria-label": t(key), title: t(key), on: { click: act } }, icon(name, { size: 16 }));
  }
}
