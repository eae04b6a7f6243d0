/**
 * The live socket: rows of the whole inbox, and what happens in the conversation that is open. It comes back by itself,
 * after sleep too, and goes on from the cursor it had.
 */

import { address } from "./api.js";
import { app } from "./model.js";

const QUIET_MS = 20_000;
const PONG_MS = 10_000;
const PONG_AFTER_SLEEP_MS = 4_000;
const CONNECT_MS = 15_000;
const LONGEST_BACKOFF_MS = 15_000;
const CLOSED_WITHOUT_ANSWER_BEFORE_ASKING = 2;

/** Full jitter: anywhere between 0 and a bound that doubles, so that a restart is not met by everybody at once. */
export const backoff = (tries, random = Math.random) => random() * Math.min(LONGEST_BACKOFF_MS, 500 * 2 ** tries);

class Live {
  #socket = null;
  #watched = new Map();
  #tries = 0;
  #retry = null;
  #watchdog = null;
  #heard = 0;
  /** Since when an answer to a ping is waited for, and for how long. */
  #asked = null;
  #wanted = false;
  #wasConnected = false;
  /** Called when the server says that something was missed, and after every reconnect. Set by the shell. */
  onStale = () => {};
  /** Asks the server whether the session still stands; set by the shell. */
  onRefused = async () => {};

  start() {
    this.#wanted = true;
    addEventListener("online", () => this.#hurry());
    addEventListener("offline", () => this.#lost());
    addEventListener("pageshow", (event) => event.persisted && this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#check());
    this.#connect();
  }

  stop() {
    this.#wanted = false;
    this.#lost();
    clearTimeout(this.#retry);
  }

  /** Drops the socket and connects anew, as after a new sign-in. */
  restart() {
    this.#lost();
    this.#hurry();
  }

  /**
   * Follows a conversation from `after` (a cursor of its items; null: only what is new). `handlers` by message type:
   * `items`, `caught_up`, `delivery`, `typing`, `words`, `hearing`, `presence`, and `stale` when it cannot go on from its
   * cursor and must be read and opened again; each is given the message. Returns {close(), typing(on)}. After a reconnect
   * it goes on after the last items it was given.
   */
  open(id, after, handlers) {
    const watch = { id, after, handlers };
    this.#watched.set(id, watch);
    if (app.connected) this.#send({ type: "open", conversation: id, after });
    return {
      close: () => {
        if (this.#watched.get(id) !== watch) return;
        this.#watched.delete(id);
        this.#send({ type: "close", conversation: id });
      },
      typing: (on) => this.#send({ type: "typing", conversation: id, on }),
    };
  }

  #connect() {
    clearTimeout(this.#retry);
    this.#retry = null;
    if (!this.#wanted || this.#socket || navigator.onLine === false) return;
    const url = new URL(address("/live"), location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.#socket = socket;
    let opened = false;
    const patience = setTimeout(() => socket.close(), CONNECT_MS);
    socket.onopen = () => {
      opened = true;
      clearTimeout(patience);
      this.#heard = Date.now();
      clearInterval(this.#watchdog);
      this.#watchdog = setInterval(() => this.#watch(), 2_000);
    };
    socket.onmessage = (event) => {
      if (socket !== this.#socket) return;
      this.#heard = Date.now();
      this.#asked = null;
      this.#took(JSON.parse(event.data));
    };
    socket.onclose = (event) => {
      clearTimeout(patience);
      if (socket !== this.#socket) return;
      this.#lost();
      const refused = !opened && this.#tries >= CLOSED_WITHOUT_ANSWER_BEFORE_ASKING;
      if (refused || [1008, 4401, 4403].includes(event.code)) this.#ask();
      else this.#later();
    };
  }

  async #ask() {
    try {
      await this.onRefused();
    } catch {
      // Unreachable: the next try says so again.
    }
    this.#later();
  }

  #later() {
    if (!this.#wanted || this.#retry !== null) return;
    this.#retry = setTimeout(() => this.#connect(), backoff(this.#tries));
    this.#tries += 1;
  }

  #hurry() {
    if (!this.#wanted || this.#socket) return;
    this.#tries = 0;
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#connect();
  }

  /** After sleep a socket may look open for minutes though nobody is at its other end. */
  #check() {
    if (!this.#socket) this.#hurry();
    else this.#askWithin(PONG_AFTER_SLEEP_MS);
  }

  #askWithin(ms) {
    this.#asked ??= { at: Date.now(), ms };
    this.#send({ type: "ping" });
  }

  /** Only an unanswered ping counts: in a page that nobody looks at, this runs as seldom as once a minute. */
  #watch() {
    const now = Date.now();
    if (this.#asked !== null && now - this.#asked.at > this.#asked.ms) {
      this.#lost();
      this.#later();
    } else if (this.#asked === null && now - this.#heard > QUIET_MS) {
      this.#askWithin(PONG_MS);
    }
  }

  #lost() {
    clearInterval(this.#watchdog);
    this.#asked = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#say(false);
  }

  #say(connected) {
    if (app.connected === connected) return;
    app.connected = connected;
    app.emit("connection");
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #took(message) {
    switch (message.type) {
      case "hello":
        this.#greeted(message);
        return;
      case "rows":
        app.take(message.rows);
        return;
      case "gone":
        app.drop(message.ids);
        return;
      case "stale":
        if (message.conversation) this.#handed(message); // its cursor is good for nothing: it is followed no more
        else this.onStale();
        return;
      case "agents":
        app.setAgents(message.agents);
        return;
      case "operators":
        app.refreshOperators().catch(() => {});
        return;
      case "pong":
        return;
      case "bye":
        // The socket is closed right after, with a code that says what to do.
        return;
      default:
        this.#handed(message);
    }
  }

  #greeted(message) {
    this.#tries = 0;
    app.drift = message.server_time - Date.now() / 1000;
    for (const watch of this.#watched.values()) this.#send({ type: "open", conversation: watch.id, after: watch.after });
    this.#say(true);
    if (this.#wasConnected) this.onStale();
    this.#wasConnected = true;
  }

  #handed(message) {
    const watch = this.#watched.get(message.conversation);
    if (!watch) return;
    if (message.after) watch.after = message.after;
    watch.handlers[message.type]?.(message);
  }
}

export const live = new Live();
