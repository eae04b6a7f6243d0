// What an operator does with a conversation. Each answers whether it was done; what went wrong is said in a toast, and a
// colleague who has the conversation is named, with the way to steal it.

import { openDialog } from "../dialog.js";
import { h } from "../dom.js";
import { app } from "../model.js";
import { problem, toast } from "../notices.js";
import { t } from "../texts.js";

const path = (id, rest) => `/conversations/${encodeURIComponent(id)}${rest}`;
const post = (id, rest, body = {}) => app.api("POST", path(id, rest), body);

async function done(promise) {
  try {
    await promise;
    return true;
  } catch (error) {
    problem(error);
    return false;
  }
}

/** Something only its holder does; a colleague's conversation is stolen for it only after asking. */
async function held(id, rest, body = {}) {
  try {
    await post(id, rest, body);
    return true;
  } catch (error) {
    if (error.code === "taken" && !body.steal) return (await askToSteal(holderOf(error))) && held(id, rest, { ...body, steal: true });
    problem(error);
    return false;
  }
}

/** Takes the conversation over. */
export const take = (id, { steal = false } = {}) => held(id, "/take", { steal });

/** Who has it, from a 409 `taken`. */
export const holderOf = (error) => error.body?.handled_by ?? error.body?.error?.handled_by ?? null;

export function askToSteal(holder) {
  const name = app.nameOf(holder) ?? t("event.somebody");
  return new Promise((decide) => {
    let answer = false;
    const dialog = openDialog({
      title: t("thread.taken", { name }),
      body: h("p", { class: "muted" }, t("thread.taken_text", { name })),
      foot: [
        h("button", { type: "button", class: "btn", on: { click: () => dialog.close() } }, t("cancel")),
        h("button", { type: "button", class: "btn primary", data: { act: "steal" }, on: { click: () => ((answer = true), dialog.close()) } }, t("thread.steal")),
      ],
      onClose: () => decide(answer),
    });
  });
}

export const release = (id, note = null) => held(id, "/release", note ? { note } : {});
export const reopen = (id) => done(post(id, "/reopen"));
export const hold = (id, on) => held(id, "/hold", { on });
export const mute = (id, on) => held(id, "/mute", { on });
export const keys = (id, digits) => held(id, "/keys", { digits });
export const forward = (id, to, message) => held(id, "/forward", { to, message });
export const hangUp = (id) => held(id, "/hang-up");
export const assign = (id, to) => done(post(id, "/assign", { to }));
export const label = (id, change) => done(post(id, "/labels", { add: [], remove: [], ...change }));
export const pauseContact = (id, paused) => done(post(id, "/pause-contact", { paused }));
export const whisper = (id, text) => done(post(id, "/whisper", { text }));
export const react = (id, target, emoji) => held(id, "/reactions", { target, emoji });
export const retry = (id, delivery) => held(id, `/messages/${encodeURIComponent(delivery)}/retry`);

/** Somebody looked at everything up to entry `seq`; what came behind it meanwhile, nobody has seen. */
export const seen = (id, call, seq) => post(id, "/seen", { call, seq }).catch(() => {});

/** Only what is known here is done with: when the customer has written meanwhile, the server says so instead. */
export async function resolve(id) {
  const { call, seq } = app.rows.get(id) ?? {};
  if (!(await held(id, "/end", call ? { call, seq } : {}))) return false;
  toast({ text: t("thread.resolved"), kind: "ok", action: { text: t("thread.reopen"), run: () => reopen(id) } });
  return true;
}

export async function snooze(id, until, words) {
  if (!(await done(post(id, "/snooze", { until })))) return false;
  if (until) toast({ text: t("thread.snoozed_until", { until: words }), kind: "ok", action: { text: t("thread.undo"), run: () => snooze(id, null) } });
  return true;
}

/** A note to the team; throws, so that what was written stays in the box. */
export const note = (id, text) => post(id, "/notes", { text });
