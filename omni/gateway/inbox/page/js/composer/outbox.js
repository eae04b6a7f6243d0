// Messages on their way to the server. They live in localStorage until the server has them for good, so neither a
// reload nor a lost connection loses one, and each has a key under which the server acts once however often it is told.

export const UNDO = 5; // seconds in which a message can still be taken back
const STORED = "omni.inbox.outbox";
const PATIENCE = [1, 2, 4, 8, 15, 30]; // seconds between tries
const KEPT = 120; // seconds that an accepted message is shown while its entry in the log is on the way

/**
 * Letters of one operator: {key, group, owner, conversation, body, sendAt, queuedAt, state, shown, tries, error}.
 * `state`: "waiting" (can be undone) → "sending" → "accepted" → gone when the thread has the message itself, or
 * "failed" with {code, message, handled_by}. `body` is what is posted.
 *
 * The world comes as arguments: `storage` (localStorage), `now()` in seconds, `post(letter, {keepalive})` which throws
 * {status, code, message, retryAfter}, `later(seconds, act)` which returns a function that calls it off.
 */
export class Outbox extends EventTarget {
  #storage;
  #now;
  #post;
  #later;
  #owner = null;
  #timer = null;
  #posting = new Set();

  constructor({ storage, now, post, later }) {
    super();
    this.#storage = storage;
    this.#now = now;
    this.#post = post;
    this.#later = later;
  }

  /** Whose letters these are; another operator's, on the same computer, stay where they are. */
  own(operator) {
    this.#owner = operator;
    for (const letter of this.#mine()) if (letter.state === "sending") letter.tries = 0;
    this.run();
  }

  of(conversation) {
    return this.#mine().filter((letter) => letter.conversation === conversation);
  }

  get waiting() {
    return this.#mine().filter((letter) => letter.state === "waiting" || letter.state === "sending").length;
  }

  /** Bodies that belong together, sent in this order; they are taken back together. Returns the group. */
  put(conversation, bodies, { undo = UNDO, shown = [] } = {}) {
    const group = newKey();
    const now = this.#now();
    const letters = bodies.map((body, place) => ({
      key: newKey(), group, owner: this.#owner, conversation, body, shown: shown[place] ?? null,
      queuedAt: now, sendAt: now + undo, state: "waiting", tries: 0, error: null,
    }));
    this.#save([...this.#all(), ...letters]);
    this.run();
    return group;
  }

  /** Takes back what has not begun to go out; returns the bodies that came back. */
  undo(group) {
    const back = this.#mine().filter((letter) => letter.group === group && letter.state === "waiting");
    this.#save(this.#all().filter((letter) => !back.some((one) => one.key === letter.key)));
    return back;
  }

  drop(key) {
    this.#save(this.#all().filter((letter) => letter.key !== key));
  }

  /**
   * A letter that was refused goes out again, stolen or not, under its key: an earlier try may have got no answer and
   * yet be on its way, and then this one must not make a second message of it.
   */
  retry(key, changes = {}) {
    this.#change(key, (letter) => ({
      ...letter, body: { ...letter.body, ...changes }, state: "waiting", sendAt: this.#now(), tries: 0, error: null,
    }));
    this.run();
  }

  /** The thread has these messages ({key}) itself: their letters are done. */
  settle(conversation, echoes) {
    const keys = new Set(echoes.map((echo) => echo.key).filter(Boolean));
    if (this.of(conversation).some((letter) => keys.has(letter.key))) this.#save(this.#all().filter((letter) => !keys.has(letter.key)));
  }

  /** Posts what is due, in order, and comes back when the next one is. */
  run() {
    this.#timer?.();
    this.#timer = null;
    const now = this.#now();
    const soon = [];
    for (const [, letters] of byConversation(this.#mine())) {
      const first = letters.find((letter) => letter.state === "waiting" || letter.state === "sending");
      if (!first || this.#posting.has(first.key)) continue;
      if (first.sendAt <= now) this.#deliver(first);
      else soon.push(first.sendAt);
    }
    for (const letter of this.#mine()) {
      if (letter.state !== "accepted") continue;
      if (letter.sendAt + KEPT <= now) this.drop(letter.key);
      else soon.push(letter.sendAt + KEPT);
    }
    if (soon.length) this.#timer = this.#later(Math.max(0.05, Math.min(...soon) - now), () => this.run());
  }

  /** The connection is back: what waited for it need not wait longer. */
  hurry() {
    for (const letter of this.#mine()) {
      if (letter.state === "sending" && letter.tries > 0) this.#change(letter.key, (known) => ({ ...known, sendAt: this.#now(), tries: 0 }));
    }
    this.run();
  }

  /** Another window of the same browser changed the outbox. */
  changedElsewhere() {
    this.dispatchEvent(new Event("change"));
    this.run();
  }

  /** The page is closing: what waits goes out now. */
  flush() {
    for (const letter of this.#mine()) {
      if (letter.state === "waiting" || (letter.state === "sending" && !this.#posting.has(letter.key))) this.#deliver(letter, true);
    }
  }

  async #deliver(letter, keepalive = false) {
    const { key } = letter;
    this.#posting.add(key);
    this.#change(key, (known) => ({ ...known, state: "sending" }));
    try {
      await this.#post(letter, { keepalive });
      this.#change(key, (known) => ({ ...known, state: "accepted", sendAt: this.#now(), error: null }));
    } catch (problem) {
      this.#change(key, (known) => afterProblem(known, problem, this.#now()));
    } finally {
      this.#posting.delete(key);
    }
    this.run();
  }

  #change(key, change) {
    const letters = this.#all();
    const place = letters.findIndex((letter) => letter.key === key);
    if (place < 0) return;
    letters[place] = change(letters[place]);
    this.#save(letters);
  }

  #mine() {
    return this.#all().filter((letter) => letter.owner === this.#owner);
  }

  #all() {
    try {
      const letters = JSON.parse(this.#storage.getItem(STORED) ?? "[]");
      return Array.isArray(letters) ? letters : [];
    } catch {
      return [];
    }
  }

  #save(letters) {
    this.#storage.setItem(STORED, JSON.stringify(letters));
    this.dispatchEvent(new Event("change"));
  }
}

/** A refusal is final and said; anything else is tried again until it is answered. */
export function afterProblem(letter, problem, now) {
  const status = problem?.status ?? 0;
  const isFinal = status >= 400 && status < 500 && ![401, 408, 425, 429].includes(status) && problem.code !== "csrf";
  if (isFinal) {
    const error = { code: problem.code ?? "failed", message: problem.message ?? "", handled_by: problem.handled_by ?? null };
    return { ...letter, state: "failed", error };
  }
  const wait = problem?.retryAfter ?? PATIENCE[Math.min(letter.tries, PATIENCE.length - 1)];
  return { ...letter, tries: letter.tries + 1, sendAt: now + wait };
}

function byConversation(letters) {
  const groups = new Map();
  for (const letter of letters) groups.set(letter.conversation, [...(groups.get(letter.conversation) ?? []), letter]);
  return groups;
}

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `m_${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
