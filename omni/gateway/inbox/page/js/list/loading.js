/**
 * Getting rows from the server: the chosen view first, then in the background all that is open, so that every view of it
 * and every number is there at once. Ended conversations are loaded as they are scrolled to.
 */

import { api } from "../api.js";
import { app } from "../model.js";
import { live } from "../live.js";
import { belongs, narrowed, needsPerson, parseFilter, serverQuery, viewCounts } from "./filter.js";

const FIRST_PAGE = 100;
const PAGE = 500;
/** More open conversations than this are not held in the page; views then ask the server each for itself. */
const MOST_OPEN = 20_000;
const RETRY_MS = 5_000;
const COUNT_AGAIN_MS = 3_000;
const FIRST_HELLO_MS = 800;

const ALL_OPEN = parseFilter(new URLSearchParams());

class Loading extends EventTarget {
  /** Every open conversation is in `app.rows`. */
  allOpen = false;
  problem = null;
  busy = false;
  #next = null;
  #filter = null;
  #abort = new AbortController();
  #countTimer = null;
  #round = 0;

  constructor() {
    super();
    app.on("rows", () => this.#countLater());
    live.onStale = () => this.refresh();
  }

  /** Whether a list that is shown may still get longer by itself. */
  get hasMore() {
    return this.#next !== null;
  }

  /** Loads what the filter shows; a load that was under way for another filter ends. */
  async show(filter) {
    this.#filter = filter;
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#next = null;
    this.problem = null;
    const { signal } = this.#abort;
    const isOpen = filter.view !== "ended" && filter.view !== "snoozed";
    this.#busyNow(!(isOpen && this.allOpen));
    try {
      await helloOr(FIRST_HELLO_MS);
      this.#count();
      if (!(isOpen && this.allOpen)) {
        const isWhole = await this.#load(filter, signal, filter.view === "ended");
        if (filter.view === "all" && narrowed(filter) === 0) this.#allOpenNow(isWhole);
      }
      this.#busyNow(false);
      if (!this.allOpen) this.#allOpenNow(await this.#load(ALL_OPEN, signal, false));
    } catch (error) {
      if (signal.aborted) return;
      this.problem = error;
      this.#busyNow(false);
      setTimeout(() => signal.aborted || this.show(filter), RETRY_MS);
    }
  }

  /** The next page of a list that is not loaded to its end. */
  async more() {
    if (this.#next === null || this.busy) return;
    const { signal } = this.#abort;
    this.#busyNow(true);
    try {
      this.#next = (await this.#page(this.#filter, PAGE, this.#next, signal)).next;
    } catch (error) {
      if (!signal.aborted) this.problem = error;
    } finally {
      if (!signal.aborted) this.#busyNow(false);
    }
  }

  /** Something was missed: what is known is asked for again, and what the server no longer has is dropped. */
  refresh() {
    this.allOpen = false;
    if (this.#filter) this.show(this.#filter);
  }

  #allOpenNow(isWhole) {
    this.allOpen = isWhole;
    this.#count();
    this.dispatchEvent(new Event("change"));
  }

  /** All pages, or only the first. Answers whether all of them are there. */
  async #load(filter, signal, onlyFirst) {
    const round = ++this.#round;
    // Whether a row is "mine" is asked a little differently here and there; what is open or snoozed is not.
    const isWhole = (filter.view === "all" || filter.view === "snoozed") && narrowed(filter) === 0;
    const known = new Map(isWhole ? [...app.rows].filter(([, row]) => belongs(row, filter, app.me.id)) : []);
    let next = null;
    let number = 0;
    do {
      const page = await this.#page(filter, next === null ? FIRST_PAGE : PAGE, next, signal);
      for (const row of page.rows) known.delete(row.id);
      number += page.rows.length;
      next = page.next;
      if (onlyFirst || number >= MOST_OPEN) {
        if (filter === this.#filter) this.#next = next;
        return next === null;
      }
    } while (next !== null);
    if (round !== this.#round) return false;
    // What changed meanwhile came by the socket and is another object now; the rest is no longer what it was here.
    const gone = [...known].filter(([id, row]) => app.rows.get(id) === row).map(([id]) => id);
    app.drop(gone.filter((id) => id !== app.openId));
    if (gone.includes(app.openId)) await this.#refetch(app.openId, signal);
    return true;
  }

  /** The row of the conversation that is looked at: it may have left the list, but not the page. */
  async #refetch(id, signal) {
    const row = await api("GET", `/conversations/${encodeURIComponent(id)}`, undefined, { signal }).catch(() => null);
    if (row) app.take([row]);
  }

  async #page(filter, limit, before, signal) {
    const page = await api("GET", `/conversations?${serverQuery(filter, limit, before)}`, undefined, { signal });
    app.take(page.rows);
    return page;
  }

  #busyNow(busy) {
    this.busy = busy;
    this.dispatchEvent(new Event("change"));
  }

  #countLater() {
    if (this.#countTimer !== null) return;
    this.#countTimer = setTimeout(() => this.#count(), this.allOpen ? 500 : COUNT_AGAIN_MS);
  }

  async #count() {
    clearTimeout(this.#countTimer);
    this.#countTimer = null;
    if (this.allOpen) {
      const snoozed = app.counts.snoozed ?? 0;
      app.counts = { ...viewCounts(fromRows(), app.me.id), snoozed: Math.max(snoozed, 0) };
      app.emit("counts");
      this.#countSnoozed();
      return;
    }
    try {
      const { counts } = await api("GET", "/counts");
      app.counts = viewCounts(counts, app.me.id);
      app.emit("counts");
    } catch {
      // The numbers stay as they were; the next change asks again.
    }
  }

  #snoozedTimer = null;

  /** Snoozed ones are not all known here; now and then is soon enough for their number. */
  #countSnoozed() {
    if (this.#snoozedTimer !== null) return;
    this.#snoozedTimer = setTimeout(async () => {
      this.#snoozedTimer = null;
      const answer = await api("GET", "/counts").catch(() => null);
      if (!answer) return;
      app.counts = { ...app.counts, snoozed: viewCounts(answer.counts, app.me.id).snoozed };
      app.emit("counts");
    }, 2 * COUNT_AGAIN_MS);
  }
}

function fromRows() {
  const counts = [];
  for (const row of app.rows.values()) {
    if (row.state === "open") counts.push({ number: 1, handler: needsPerson(row) ? "nobody" : row.handler, assignee: row.assignee ?? row.handled_by, snoozed: false });
  }
  return counts;
}

/** The socket first, so that nothing that happens while rows are loaded is missed; without one, soon anyway. */
function helloOr(ms) {
  if (app.connected) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      app.removeEventListener("connection", done);
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, ms);
    app.addEventListener("connection", done);
  });
}

export const loading = new Loading();
