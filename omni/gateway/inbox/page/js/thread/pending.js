// Letters of the outbox as rows of the thread: what is on its way looks like what it will be.

import { t } from "../texts.js";

export function pendingRows(letters, me, before) {
  let last = before;
  return letters.map((letter) => {
    const row = rowOf(letter, me);
    row.joined = last?.kind === "bubble" && last.from === row.from && last.by === row.by && row.ts - last.ts < 300;
    last = row;
    return row;
  });
}

function rowOf(letter, me) {
  const text = letter.shown?.text ?? letter.body.text ?? "";
  return {
    kind: "bubble", key: `o:${letter.key}`, id: letter.key, ts: letter.queuedAt, from: "human", by: me, provider: null, text, parts: partsOf(letter, text),
    replyTo: letter.body.reply_to ?? null, reactions: {}, delivery: null, edited: false, revoked: false, forwarded: null,
    pending: letter.state === "failed" ? "failed" : letter.state, group: letter.group, letter: letter.key,
    undo: letter.state === "waiting" && letter.tries === 0,
    ...(letter.state === "failed" ? { failure: { sentence: sentenceOf(letter.error) }, canRetry: letter.error.code !== "window_closed", retryLabel: letter.error.code === "taken" ? t("thread.steal_and_send") : t("thread.retry") } : {}),
  };
}

function partsOf(letter, text) {
  if (letter.body.template) return [{ type: "template", name: letter.body.template.name, preview: text }];
  const file = letter.shown?.file;
  if (!file) return [{ type: "text", text }];
  return [{ type: "media", kind: file.kind, filename: file.filename, size: file.size, caption: text || null, url: null, pending: true, sending: true }];
}

const sentenceOf = (error) => (error.code === "taken" ? t("thread.not_sent_taken") : t("thread.not_sent", { reason: error.message || error.code }));
