// Canned replies: `/` and the first letters of a name, or the button. Blanks are filled before the reply is put in.

import { fill, h, said, plain, uid } from "../dom.js";
import { app } from "../model.js";
import { t } from "../texts.js";

const BLANK = /\{\{\s*([\w.]+)\s*\}\}/g;
const MOST = 8;

let kept = null;

/** All replies; asked for once a minute at most. */
export async function replies() {
  if (!kept || Date.now() - kept.at > 60_000) kept = { at: Date.now(), list: app.api("GET", "/canned").then((answer) => answer.canned) };
  try {
    return await kept.list;
  } catch (error) {
    kept = null;
    throw error;
  }
}

/** `text` with `{{contact.name}}`, `{{operator.name}}`, `{{agent.name}}` filled; a blank nobody knows stays to be seen. */
export function filledReply(text, values) {
  return text.replace(BLANK, (whole, name) => values[name] || whole);
}

export const valuesFor = (row) => ({
  "contact.name": row?.contact?.name ?? "", "operator.name": app.me?.name ?? "", "agent.name": app.agents.get(row?.agent)?.name ?? "",
});

/** The best matches: names that begin with the words first, then names and texts that have them. */
export function matching(list, query) {
  const wanted = plain(query.trim());
  const rank = (reply) => (plain(reply.name).startsWith(wanted) ? 0 : plain(reply.name).includes(wanted) ? 1 : plain(reply.text).includes(wanted) ? 2 : 3);
  return list.map((reply) => ({ reply, rank: rank(reply) })).filter((one) => one.rank < 3)
    .sort((a, b) => a.rank - b.rank || a.reply.name.localeCompare(b.reply.name)).slice(0, MOST).map((one) => one.reply);
}

/** The list above the box while somebody types `/…` in it. The box keeps the focus; arrows choose. */
export class CannedList {
  #box;
  #pick;
  #found = [];
  #at = 0;
  #asked = 0;

  constructor(box, pick) {
    this.#box = box;
    this.#pick = pick;
    this.element = h("div", { class: "canned", role: "listbox", id: uid("canned"), "aria-label": t("composer.canned"), hidden: true });
    box.setAttribute("aria-controls", this.element.id);
    box.setAttribute("aria-autocomplete", "list");
  }

  get open() {
    return !this.element.hidden;
  }

  /** After every change of the box: the words after a `/` that begins the text. */
  async look() {
    const typed = /^\/([^\n]{0,40})$/.exec(this.#box.value);
    const asked = (this.#asked += 1);
    if (!typed) return this.close();
    let list;
    try {
      list = await replies();
    } catch {
      return this.close();
    }
    if (asked !== this.#asked) return undefined;
    this.#found = matching(list, typed[1]);
    this.#at = 0;
    this.#draw(list.length);
    return undefined;
  }

  close() {
    this.element.hidden = true;
    this.#box.removeAttribute("aria-activedescendant");
  }

  /** Whether the key was for the list. */
  key(event) {
    if (!this.open) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.#found.length) {
      this.#at = (this.#at + step + this.#found.length) % this.#found.length;
      this.#draw();
    } else if ((event.key === "Enter" || event.key === "Tab") && this.#found.length) this.#choose(this.#found[this.#at]);
    else if (event.key === "Escape") this.close();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  #choose(reply) {
    this.close();
    this.#pick(reply);
  }

  #draw(all = 1) {
    this.element.hidden = false;
    fill(this.element, this.#found.length ? this.#found.map((reply, place) => h("div", {
      role: "option", id: `${this.element.id}-${place}`, class: "canned-option", "aria-selected": String(place === this.#at),
      on: { mousedown: (event) => event.preventDefault(), click: () => this.#choose(reply) },
    }, said("b", {}, `/${reply.name}`), said("span", { class: "one-line" }, reply.text))) : h("p", { class: "muted" }, t(all ? "composer.canned_none" : "composer.canned_empty")));
    if (this.#found.length) this.#box.setAttribute("aria-activedescendant", `${this.element.id}-${this.#at}`);
  }
}
