// What is sent for what was written, and whether writing is possible at all. Pure.

import { isSpoken } from "../model.js";

/**
 * One body a message. A text with one file is its caption, as far as the channel takes captions of that length; with
 * several files, and with a file that has no caption, it goes first. `shown` is what the thread shows meanwhile.
 */
export function bodiesOf({ text, files, quote, limits }) {
  const bodies = [];
  const shown = [];
  const add = (body, looks) => {
    bodies.push(bodies.length || !quote ? body : { ...body, reply_to: quote.id });
    shown.push({ ...looks, quote: shown.length ? null : quote ?? null });
  };
  const captioned = files.length === 1 && files[0].kind !== "audio" && files[0].kind !== "sticker" && text.length <= (limits?.caption ?? Infinity);
  if (text && !captioned) add({ text }, { text });
  for (const file of files) {
    const caption = captioned ? text : "";
    add({ ...(caption ? { text: caption } : {}), files: [{ id: file.id }] }, { text: caption, file });
  }
  return { bodies, shown };
}

/**
 * `closed`: why nothing can be written ("viewer", "window"), or null. `takes`: whom sending takes the conversation
 * from ("bot", "nobody", "colleague"), or null when the writer has it.
 */
export function stateOf({ row, detail, mode, now, mayAct, me = null }) {
  if (!mayAct) return { closed: "viewer", takes: null };
  if (mode === "note" || !row) return { closed: null, takes: null };
  if (isSpoken(row) && (row.state === "ended" || row.ringing)) return { closed: row.ringing ? "ringing" : "call", takes: null };
  if (typeof row.window_closes_at === "number" && row.window_closes_at <= now) return { closed: "window", takes: takesFrom(row, me) };
  return { closed: detail?.limits?.text === 0 ? "channel" : null, takes: takesFrom(row, me) };
}

function takesFrom(row, me) {
  if (row.state === "ended") return null;
  if (row.handler === "bot") return "bot";
  if (row.handler === "nobody") return "nobody";
  return me && row.handled_by === me ? null : "colleague";
}
