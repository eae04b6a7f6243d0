// One message: its words and files, what it quotes, its time, how far it got, what people put on it.

import { fill, h, said, svg } from "../dom.js";
import { clock, fullTime, hasText, number, t } from "../texts.js";
import { icon } from "../icons.js";
import { partNodes, summaryOf } from "./parts.js";

/**
 * A bubble that can change in place: only what differs is built anew, so a voice note goes on playing when its ticks
 * turn blue. `acts`: speaker(row) → name, find(provider id) → row, jump(row), image(src), retry(row).
 */
export class Bubble {
  #marks = {};
  #acts;

  constructor(row, acts) {
    this.#acts = acts;
    this.who = h("div", { class: "who" });
    this.quote = h("div", { class: "quote-place" });
    this.content = h("div", { class: "content" });
    this.meta = h("div", { class: "meta" });
    this.failure = h("div", { class: "failure-place" });
    this.reactions = h("div", { class: "reactions", hidden: true });
    this.body = h("div", { class: "bubble" }, this.quote, this.content, this.meta);
    this.element = h("article", { class: "msg", tabIndex: -1, data: { key: row.key } }, this.who, this.body, this.failure, this.reactions);
    this.update(row);
  }

  update(row) {
    this.row = row;
    const acts = this.#acts;
    const speaker = acts.speaker(row);
    const classes = ["msg", `from-${row.from}`, row.from === "user" ? "theirs" : "ours", row.joined ? "is-joined" : "", row.pending ? "is-pending" : "",
      row.revoked ? "is-revoked" : "", row.delivery?.state === "failed" || row.failure ? "is-failed" : "", row.delivery?.state === "cancelled" ? "is-cancelled" : ""];
    this.element.className = classes.filter(Boolean).join(" ");
    this.element.setAttribute("aria-label", t("thread.message_by", { who: speaker, at: clock(row.ts) }));
    this.#part("who", [speaker, row.from, row.joined], () => fill(this.who, row.joined ? null : [row.from === "note" ? icon("note", { size: 14 }) : row.from === "bot" ? icon("bot", { size: 14 }) : null, said("span", {}, row.from === "note" ? t("thread.note_by", { who: speaker }) : speaker)]));
    const quoted = row.replyTo ? acts.find(row.replyTo) : null;
    this.#part("quote", [row.replyTo, quoted?.text, quoted?.parts?.length, quoted?.revoked], () => this.#quote(row, quoted));
    this.#part("content", [row.parts, row.revoked, row.forwarded, row.heard, row.interrupted, row.cut], () => this.#content(row));
    this.#part("meta", [row.ts, row.edited, row.delivery, row.pending, row.latency, row.from], () => this.#meta(row));
    this.#part("failure", [row.delivery?.state, row.delivery?.error, row.failure, row.delivery?.retryable, row.undo, row.retried], () => this.#failure(row));
    this.#part("reactions", [row.reactions], () => this.#reactions(row));
  }

  #part(name, shown, build) {
    const mark = JSON.stringify(shown);
    if (this.#marks[name] === mark) return;
    this.#marks[name] = mark;
    build();
  }

  #quote(row, quoted) {
    if (!row.replyTo) return fill(this.quote);
    const who = quoted ? this.#acts.speaker(quoted) : t("thread.earlier");
    const text = quoted ? (quoted.revoked ? t("thread.revoked") : summaryOf(quoted.parts, quoted.text)) : t("thread.earlier_message");
    return fill(this.quote, h("button", { type: "button", class: "quoted", "aria-label": t("thread.go_to_quoted", { text: `${who}: ${text}` }), on: { click: () => this.#acts.jump(row.replyTo) } },
      said("b", {}, who), said("span", {}, text)));
  }

  #content(row) {
    if (row.revoked) {
      fill(this.content, h("p", { class: "gone" }, t(row.from === "user" ? "thread.revoked" : "thread.revoked_ours")));
      return;
    }
    if (row.heard !== null && row.heard !== undefined) return void fill(this.content, spokenWords(row.text, row.heard));
    const nodes = row.parts.map((part) => partNodes(part, this.#acts));
    if (row.interrupted) nodes.push(cutWords(row.cut));
    fill(this.content, row.forwarded ? h("span", { class: "tiny forwarded" }, t(row.forwarded === "often" ? "thread.forwarded_often" : "thread.forwarded")) : null,
      nodes.flat().length ? nodes : said("p", { class: "gone" }, row.text || t("part.message")));
  }

  #meta(row) {
    const took = row.latency?.e2e ? t("thread.took", { seconds: number(Math.round(row.latency.e2e * 10) / 10) }) : null;
    fill(this.meta, row.edited ? h("span", {}, t("thread.edited")) : null,
      h("time", { datetime: new Date(row.ts * 1000).toISOString(), title: [fullTime(row.ts), took].filter(Boolean).join(" · ") }, clock(row.ts)),
      row.from === "user" || row.from === "note" ? null : tick(row));
  }

  #failure(row) {
    const error = row.failure ?? (row.delivery?.state === "failed" ? row.delivery.error ?? {} : null);
    if (!error && !row.undo) return fill(this.failure);
    if (row.undo) return fill(this.failure, h("button", { type: "button", class: "undo", on: { click: () => this.#acts.undo(row) } }, t("thread.undo")));
    const sentence = error.sentence ?? t("thread.not_delivered", { reason: reasonOf(error) });
    const canRetry = row.failure ? row.canRetry : row.delivery?.retryable && !row.retried;
    return fill(this.failure, h("p", { class: "failure" }, icon("warning", { size: 15 }), said("span", {}, sentence)), row.retried ? h("span", { class: "muted" }, t("thread.retried")) : null,
      canRetry ? h("button", { type: "button", class: "retry", on: { click: () => this.#acts.retry(row) } }, icon("retry", { size: 15 }), row.retryLabel ?? t("thread.retry")) : null,
      row.failure ? h("button", { type: "button", class: "retry", on: { click: () => this.#acts.back(row) } }, t("thread.back_to_draft")) : null);
  }

  #reactions(row) {
    const shown = Object.entries(row.reactions).filter(([, emoji]) => emoji);
    this.reactions.hidden = shown.length === 0;
    fill(this.reactions, shown.map(([by, emoji]) => h("span", { role: "img", "aria-label": t("thread.reacted", { who: by === "user" ? this.#acts.customer() : t("thread.us"), emoji }) }, emoji)));
  }
}

function reasonOf({ code, reason }) {
  if (code && code !== "unknown" && hasText(`failed.${code}`)) return t(`failed.${code}`);
  return reason || code || t("failed.unknown");
}

const ONE = "M4 10.500l3.500 3.500 7-8";
const TWO = "M1.500 10.500L5 14l7-8M8.500 13l1 1 7-8";
const CLOCK = "M10 4.500a5.500 5.500 0 1 1 0 11 5.500 5.500 0 0 1 0-11zM10 7v3l2 1.500";
const BAD = "M10 3.500L17.500 16.500h-15zM10 8.500v3.500M10 14.300v.1";
const CROSS = "M6 6l8 8M14 6l-8 8";
/** How far a message got, as phones show it. */
const TICKS = { sent: ONE, delivered: TWO, read: TWO, played: TWO, failed: BAD, cancelled: CROSS };

/** What is being said: the words that were heard, and those that are to come. */
function spokenWords(text, heard) {
  const pieces = text.split(/(\s+)/);
  const at = heard * 2 - 1;
  return h("div", { class: "words", dir: "auto" }, pieces.slice(0, at).join(""), h("span", { class: "unheard" }, pieces.slice(at).join("")));
}

/** What would have come, had nobody spoken: as far as it was known. */
const cutWords = (cut) => h("p", { class: "cut" }, cut.trim() ? said("s", {}, `${cut.trim()} `) : null, h("span", { class: "cut-mark" }, t("thread.cut_off")));

function tick(row) {
  const state = row.pending ?? row.delivery?.state;
  if (!state) return null;
  const meaning = t(`state.${state}`);
  return h("span", { class: "tick", role: "img", "aria-label": meaning, title: meaning, data: { state } },
    svg("svg", { class: "icon", viewBox: "0 0 20 20", width: 16, height: 16, "aria-hidden": "true" }, svg("path", { d: TICKS[state] ?? CLOCK })),
    row.delivery?.unclear ? h("span", { title: t("thread.unclear") }, "?") : null);
}
