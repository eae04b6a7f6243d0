// One conversation as it is loaded and as it grows: pages of history upwards, the live socket downwards.

import { live } from "../live.js";
import { app } from "../model.js";
import { Log } from "./log.js";

const PAGE = 60;
const KEPT = 240; // items, once the reader is at the bottom again
const TYPING_SECONDS = 12;
const MOST_PAGES = 60; // searched for a quoted message

/** What people wait to see; how the bot works and how far a message has come may be shown a moment later. */
const SAID = new Set(["user.message", "bot.message", "human.message", "note", "reaction", "edit", "revoke", "media", "bot.corrected", "bot.interrupted"]);

/**
 * Events: `change` (what was said, and pages of it), `aside` (deliveries and all else that happens), `fleeting` (typing, words being written, hearing), `presence`, `failed`,
 * `arrived` {detail: items} for live items only.
 */
export class Feed extends EventTarget {
  log = new Log();
  /** Cursor of the next older page; null when everything is loaded. */
  before = null;
  loaded = false;
  loading = false;
  error = null;
  /** The bot's messages being written: id → {text, turn}. */
  words = new Map();
  /** Who is writing: "user", "bot" or an operator's id → until when, epoch seconds. */
  typing = new Map();
  hearing = null;
  /** How many words of what the bot is saying the caller has heard: message → number. */
  heard = new Map();
  presence = [];
  #id;
  #watch = null;
  #stopped = false;
  #expiry = null;
  #older = null;

  constructor(id) {
    super();
    this.#id = id;
  }

  get complete() {
    return this.loaded && this.before === null;
  }

  path(rest) {
    return `/conversations/${encodeURIComponent(this.#id)}${rest}`;
  }

  /** Loads the newest page and follows from there. */
  async start() {
    this.error = null;
    this.loading = true;
    this.#tell("change");
    try {
      const page = await app.api("GET", this.path(`/items?limit=${PAGE}`));
      if (this.#stopped) return;
      this.log.add(page.items);
      this.before = page.before;
      this.loaded = true;
      this.#follow(page.after);
    } catch (error) {
      this.error = error;
      this.#tell("failed");
    } finally {
      this.loading = false;
    }
    if (!this.#stopped) this.#tell("change");
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#expiry);
    this.#watch?.close();
  }

  /** One older page; false when there is none. Asked for twice at once it is loaded once. */
  older() {
    this.#older ??= this.#loadOlder().finally(() => {
      this.#older = null;
    });
    return this.#older;
  }

  async #loadOlder() {
    if (this.before === null || !this.loaded) return false;
    const asked = this.before;
    const page = await app.api("GET", this.path(`/items?limit=${PAGE}&before=${encodeURIComponent(asked)}`));
    if (this.#stopped || this.before !== asked) return false;
    this.before = page.before;
    this.log.add(page.items);
    this.#tell("change");
    return page.items.length > 0;
  }

  /** Loads older pages until an item passes `test`; the item, or null. */
  async find(test) {
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const found = this.log.items().find(test);
      if (found) return found;
      if (this.complete || this.#stopped || !(await this.older())) return null;
    }
    return null;
  }

  /** At the bottom again, what was loaded far above is let go; it is loaded again when somebody looks. */
  trim() {
    if (this.log.size <= KEPT * 1.5 || this.#older) return;
    if (!this.log.trim(KEPT)) return;
    this.before = this.log.items()[0]?.cursor ?? this.before;
    this.#tell("change");
  }

  sayTyping(on) {
    this.#watch?.typing(on);
  }

  #follow(after) {
    this.#watch = live.open(this.#id, after, {
      stale: () => this.start(),
      items: (message) => this.#took(message.items),
      delivery: (message) => this.log.deliver(message.delivery) && this.#tell("aside"),
      typing: (message) => this.#heardTyping(message),
      words: (message) => this.#heardWords(message),
      hearing: (message) => {
        this.hearing = message.text || null;
        this.#tell("fleeting");
      },
      heard: ({ message_id: id, index }) => {
        this.heard.set(id, index + 1);
        this.#tell("aside");
      },
      presence: (message) => {
        this.presence = message.operators;
        this.#tell("presence");
      },
    });
  }

  #took(items) {
    const fresh = items.filter((item) => !this.log.has(item.id));
    if (!this.log.add(items)) return;
    for (const item of fresh) this.#ends(item);
    this.#tell(fresh.some((item) => SAID.has(item.type)) ? "change" : "aside");
    this.dispatchEvent(new CustomEvent("arrived", { detail: fresh }));
  }

  /** What an item puts an end to: words being written have become a message, a silence has been broken. */
  #ends(item) {
    if (item.type === "bot.message") {
      this.words.delete(item.message_id);
      this.typing.delete("bot");
    } else if (item.type === "bot.finished" || item.type === "bot.interrupted") {
      this.heard.delete(item.message_id);
    } else if (item.type === "user.message") {
      this.typing.delete("user");
      this.hearing = null;
    } else if (item.type === "human.message") {
      this.typing.delete(item.by);
    } else if (["turn.end", "handoff.active", "handoff.requested", "call.ended"].includes(item.type)) {
      this.words.clear();
      this.typing.delete("bot");
      if (item.type === "call.ended") this.hearing = null;
    }
  }

  #heardTyping({ who, by, on }) {
    const key = who === "human" ? by ?? "human" : who;
    if (on) this.typing.set(key, app.now() + TYPING_SECONDS);
    else this.typing.delete(key);
    this.#expire();
    this.#tell("fleeting");
  }

  #expire() {
    clearTimeout(this.#expiry);
    if (!this.typing.size) return;
    const next = Math.min(...this.typing.values()) - app.now();
    this.#expiry = setTimeout(() => {
      for (const [who, until] of this.typing) if (until <= app.now() + 0.05) this.typing.delete(who);
      this.#tell("fleeting");
      this.#expire();
    }, Math.max(50, next * 1000));
  }

  #heardWords(message) {
    const id = message.message_id;
    if (message.void) this.words.delete(id);
    else this.words.set(id, { turn: message.turn, text: continued(this.words.get(id)?.text ?? "", message) });
    this.#tell("fleeting");
  }

  #tell(name) {
    this.dispatchEvent(new Event(name));
  }
}

/** `start` is how much was written before these words; who came in the middle sees that something is missing. */
export function continued(known, { text = "", start = null }) {
  if (start === null || start === undefined || start === known.length) return known + text;
  if (start < known.length) return known.slice(0, start) + text;
  return known ? known + text : `…${text}`;
}
