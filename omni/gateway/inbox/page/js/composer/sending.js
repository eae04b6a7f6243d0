// The page's outbox: kept in localStorage, posted through the API, flushed when the page closes.

import { ApiError, address, csrf } from "../api.js";
import { app } from "../model.js";
import { Outbox } from "./outbox.js";

const LONGEST_KEEPALIVE = 60_000; // bytes: browsers allow 64 KiB in all

async function post(letter, { keepalive }) {
  const path = `/conversations/${encodeURIComponent(letter.conversation)}/messages`;
  const headers = { "Idempotency-Key": letter.key };
  if (keepalive) await leaving(path, letter.body, headers);
  else await app.api("POST", path, letter.body, { headers });
}

/** The page may be gone before the answer: the browser carries it out, and the key makes telling it twice harmless. */
async function leaving(path, body, headers) {
  const text = JSON.stringify(body);
  const answer = await fetch(address(path), {
    method: "POST", body: text, credentials: "same-origin", keepalive: text.length < LONGEST_KEEPALIVE,
    headers: { ...headers, "Content-Type": "application/json", "X-CSRF-Token": csrf() ?? "" },
  });
  if (!answer.ok) throw new ApiError(answer.status, `http_${answer.status}`, "");
}

export const outbox = new Outbox({
  storage: safeStorage(() => localStorage),
  now: () => Date.now() / 1000,
  post: (letter, how) => post(letter, how).catch((error) => {
    throw Object.assign(error, { handled_by: error.body?.handled_by ?? null });
  }),
  later: (seconds, act) => {
    const timer = setTimeout(act, Math.min(seconds * 1000, 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
});

/** Storage that is closed to the page (a private window, a policy) or full keeps nothing, and everything else goes on. */
export function safeStorage(storage) {
  const kept = new Map();
  return {
    getItem(name) {
      try {
        return kept.get(name) ?? storage().getItem(name);
      } catch {
        return null;
      }
    },
    setItem(name, text) {
      try {
        storage().setItem(name, text);
        kept.delete(name);
      } catch {
        kept.set(name, text);
      }
    },
  };
}

addEventListener("pagehide", () => outbox.flush());
addEventListener("online", () => outbox.hurry());
app.on("connection", () => app.connected && outbox.hurry());
app.on("me", () => outbox.own(app.me?.id ?? null));
addEventListener("storage", (event) => event.key === "omni.inbox.outbox" && outbox.changedElsewhere());
