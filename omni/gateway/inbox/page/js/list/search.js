/** Looking for people and words: results as one types, in two groups, reachable by the keys alone. */

import { api } from "../api.js";
import { announce, debounced, fill, h, mark, said, uid } from "../dom.js";
import { channelIcon, icon } from "../icons.js";
import { app, titleOf } from "../model.js";
import { shortTime, t } from "../texts.js";

const PAUSE_MS = 220;
const SHORTEST = 2;

export class Search {
  #id = uid("found");
  #input;
  #clear;
  #results;
  #abort = null;
  #found = [];
  #at = -1;
  #onToggle;
  #go;
  #look = debounced(PAUSE_MS, () => this.#ask());
  element;

  /** `go(conversation, message)` opens a result; `onToggle(isOn)` shows results instead of the list, or the list again. */
  constructor({ go, onToggle }) {
    this.#go = go;
    this.#onToggle = onToggle;
    this.#results = h("div", { class: "search-results scroll", id: this.#id, role: "listbox", "aria-label": t("search.label"), hidden: true });
    this.#input = h("input", {
      class: "input",
      type: "search",
      role: "combobox",
      "aria-label": t("search.label"),
      "aria-controls": this.#id,
      "aria-expanded": "false",
      "aria-autocomplete": "list",
      placeholder: t("search.placeholder"),
      autocomplete: "off",
      spellcheck: "false",
      enterkeyhint: "search",
      dir: "auto",
      on: { input: () => this.#typed(), keydown: (event) => this.#key(event) },
    });
    this.#clear = h("button", { class: "icon-btn search-clear", type: "button", "aria-label": t("search.clear"), hidden: true, on: { click: () => (this.clear(), this.focus()) } }, icon("close", { size: 15 }));
    this.element = h("div", { class: "search" }, icon("search", { size: 16 }), this.#input, this.#clear, h("kbd", { class: "kbd search-key", "aria-hidden": "true" }, "/"));
  }

  get results() {
    return this.#results;
  }

  get isOn() {
    return this.#input.value.trim() !== "";
  }

  focus() {
    this.#input.focus();
    this.#input.select();
  }

  clear() {
    this.#look.cancel();
    this.#abort?.abort();
    this.#input.value = "";
    this.#show([]);
    this.#typed();
  }

  #typed() {
    const isOn = this.isOn;
    this.#clear.hidden = !isOn;
    this.#results.hidden = !isOn;
    this.#input.setAttribute("aria-expanded", String(isOn));
    this.#onToggle(isOn);
    if (!isOn) {
      this.#look.cancel();
      this.#abort?.abort();
      return;
    }
    if (!this.#results.childElementCount) this.#say(t("search.busy"));
    this.#look();
  }

  async #ask() {
    const words = this.#input.value.trim();
    this.#abort?.abort();
    if ([...words].length < SHORTEST) {
      this.#say(t("search.short"));
      return;
    }
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const found = await api("GET", `/search?q=${encodeURIComponent(words)}`, undefined, { signal: abort.signal });
      if (abort.signal.aborted) return;
      this.#draw(found, words);
    } catch (error) {
      if (!abort.signal.aborted) this.#say(error.message);
    }
  }

  #say(text) {
    this.#show([]);
    fill(this.#results, h("p", { class: "search-said muted" }, text));
  }

  #draw({ contacts, messages }, words) {
    const parts = words.split(/\s+/u);
    const people = contacts.flatMap((contact) => {
      const rows = contact.conversations ?? [];
      return rows.length ? rows.map((row) => this.#person(contact, row, parts)) : [this.#person(contact, null, parts)];
    });
    const said = messages.map((message) => this.#message(message, parts));
    const all = [...people, ...said];
    if (!all.length) {
      this.#say(t("search.none", { q: words }));
      announce(t("search.none", { q: words }));
      return;
    }
    fill(this.#results, this.#group(t("search.people"), people), this.#group(t("search.messages"), said));
    this.#show(all);
    announce(t("search.found", { n: all.length }));
  }

  #group(title, items) {
    if (!items.length) return null;
    const id = uid("group");
    return h("div", { role: "group", "aria-labelledby": id }, h("div", { class: "search-group", role: "presentation", id }, title), items);
  }

  #item(run, ...children) {
    const item = h("div", { class: "search-item", role: "option", id: uid("hit"), "aria-selected": "false", "aria-disabled": run ? null : "true", on: { click: () => run?.() } }, children);
    item.run = run;
    return item;
  }

  #person(contact, row, parts) {
    const name = contact.name || contact.identities?.[0]?.value || "?";
    const title = said("span", { class: "one-line search-name" }, name);
    const under = said("span", { class: "one-line muted" }, row ? [t(`channel.${row.transport}`), row.contact?.address].filter(Boolean).join(" · ") : t("search.no.conversation"));
    mark(title, parts);
    return this.#item(
      row ? () => this.#go(row.id, null) : null,
      row ? channelIcon(row.transport) : icon("person"),
      h("span", { class: "search-text" }, title, under),
      row ? h("span", { class: "row-time" }, shortTime(row.last?.at ?? row.started_at)) : null,
    );
  }

  #message(message, parts) {
    const { row } = message;
    const words = said("span", { class: "search-snippet" }, message.snippet);
    mark(words, parts);
    return this.#item(
      () => this.#go(message.conversation, message),
      row ? channelIcon(row.transport) : icon(message.from === "note" ? "note" : "chat"),
      h("span", { class: "search-text" }, h("span", { class: "search-line" }, said("span", { class: "one-line search-name" }, row ? titleOf(row) : (app.rows.get(message.conversation)?.contact?.name ?? "")), h("span", { class: "row-time" }, shortTime(message.at))), words),
    );
  }

  #show(found) {
    this.#found = found;
    this.#choose(-1);
  }

  #choose(at) {
    this.#found[this.#at]?.setAttribute("aria-selected", "false");
    this.#at = at;
    const item = this.#found[at];
    item?.setAttribute("aria-selected", "true");
    item?.scrollIntoView({ block: "nearest" });
    if (item) this.#input.setAttribute("aria-activedescendant", item.id);
    else this.#input.removeAttribute("aria-activedescendant");
  }

  #key(event) {
    const number = this.#found.length;
    if (event.key === "ArrowDown" && number) this.#choose((this.#at + 1) % number);
    else if (event.key === "ArrowUp" && number) this.#choose((this.#at + number - 1 + (this.#at < 0 ? 1 : 0)) % number);
    else if (event.key === "Enter") {
      this.#look.now();
      (this.#found[this.#at] ?? this.#found[0])?.run?.();
    } else if (event.key === "Escape") {
      if (this.isOn) this.clear();
      else this.#input.blur();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

