/**
 * What the page knows, in one place. Events (on `app`):
 * `rows` {detail: {ids, gone}} · `row:<id>` {detail: row|null} · `counts` · `operators` · `agents` · `labels` · `views` ·
 * `connection` · `open` {detail: id|null} · `me` · `language` · `theme` · `panel`.
 */

import { api } from "./api.js";
import { go } from "./router.js";

const RANKS = { viewer: 0, agent: 1, admin: 2 };

class App extends EventTarget {
  me = null;
  /** Conversations by id, as the server last said. */
  rows = new Map();
  operators = new Map();
  /** By slug: {slug, name, paused, brain, transports}. */
  agents = new Map();
  counts = [];
  /** {id, name, colour} by name. */
  labels = new Map();
  /** {id, name, filter, shared, mine}. */
  views = [];
  openId = null;
  connected = false;
  /** Seconds to add to this machine's clock to have the server's. */
  drift = 0;
  panelOpen = true;

  api(method, path, body, options) {
    return api(method, path, body, options);
  }

  go(path, options) {
    go(path, options);
  }

  /** Whether the person may do what an `agent`, an `admin` may. */
  can(role) {
    return this.me !== null && RANKS[this.me.role] >= RANKS[role];
  }

  /** The server's clock, epoch seconds. */
  now() {
    return Date.now() / 1000 + this.drift;
  }

  emit(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** Listens until `signal` aborts (give one: elements come and go). */
  on(name, listener, signal) {
    this.addEventListener(name, listener, { signal });
  }

  /** The name of whoever did something: an operator, an API key, omni itself. Null for nobody. */
  nameOf(by) {
    if (!by) return null;
    if (by === this.me?.id) return this.me.name;
    return this.operators.get(by)?.name ?? (by.startsWith("key:") ? `API ${by.slice(4)}` : by === "omni" ? "omni" : by);
  }

  isMe(by) {
    return Boolean(by) && by === this.me?.id;
  }

  /** Takes in rows from the list, a detail or the socket; an older one than is known changes nothing. */
  take(rows) {
    const ids = [];
    for (const row of rows) {
      const known = this.rows.get(row.id);
      if (known && isOlder(row, known)) continue;
      this.rows.set(row.id, row);
      ids.push(row.id);
    }
    if (ids.length) this.#told(ids, []);
  }

  drop(gone) {
    const known = gone.filter((id) => this.rows.delete(id));
    if (known.length) this.#told([], known);
  }

  #told(ids, gone) {
    this.emit("rows", { ids, gone });
    for (const id of ids) this.emit(`row:${id}`, this.rows.get(id));
    for (const id of gone) this.emit(`row:${id}`, null);
  }

  setAgents(agents) {
    this.agents = new Map(agents.map((agent) => [agent.slug, agent]));
    this.emit("agents");
  }

  async refreshOperators() {
    const { operators } = await api("GET", "/operators");
    this.operators = new Map(operators.map((operator) => [operator.id, operator]));
    this.emit("operators");
  }

  async refreshAgents() {
    this.setAgents((await api("GET", "/agents")).agents);
  }

  async refreshLabels() {
    const { labels } = await api("GET", "/labels");
    this.labels = new Map(labels.map((label) => [label.name, label]));
    this.emit("labels");
  }

  async refreshViews() {
    this.views = (await api("GET", "/views")).views;
    this.emit("views");
  }

  togglePanel(open = !this.panelOpen) {
    this.panelOpen = open;
    this.emit("panel");
  }
}

/**
 * Of the same call the one with fewer entries, or an older case, is older. Of two calls the one that has ended, since one
 * is open at a time and it is the newest; only between two that have ended their clocks decide, which may differ.
 */
function isOlder(row, known) {
  if (row.call !== known.call) {
    if ((row.state === "ended") !== (known.state === "ended")) return row.state === "ended";
    return (row.started_at ?? 0) < (known.started_at ?? 0);
  }
  return row.seq < known.seq || (row.seq === known.seq && (row.case ?? 0) < (known.case ?? 0));
}

export const app = new App();

/** Whether the bot would answer, if it were not paused: everywhere, or for this person. */
export const isSilent = (row) => Boolean(row.contact?.paused || app.agents.get(row.agent)?.paused);

const SPOKEN = new Set(["phone", "sip", "webrtc", "whatsapp_call", "mic"]);

/** Whether it is a call with sound, and not one in writing. */
export const isSpoken = (row) => SPOKEN.has(row?.transport);

/** Somebody is on the line now, or it rings. */
export const isOnLine = (row) => isSpoken(row) && row.state !== "ended";

/** What a conversation is called: the name, else the number or address, else the channel. */
export const titleOf = (row) => row.contact?.name || row.contact?.address || row.channel;
