// The rows of a thread that are not messages: days, what happened to the conversation, and the bot's steps.

import { h, said } from "../dom.js";
import { icon } from "../icons.js";
import { app, isSpoken } from "../model.js";
import { clock, dayName, fullTime, hasText, number, spanInWords, t } from "../texts.js";
import { voicePlayer } from "./player.js";
import { dayAndTime } from "./times.js";

const LONGEST_SHOWN = 4000; // characters of a tool's arguments or result

export function lineNode(row, acts) {
  if (row.kind === "day") return h("div", { class: "day", role: "separator", data: { key: row.key } }, h("span", {}, dayName(row.ts, app.now())));
  if (row.kind === "steps") return stepsNode(row);
  if (row.item.type === "call.recording") return recordingNode(row);
  return eventNode(row, acts);
}

/** What an event says: {text, quote?, tone?, icon?}, or null for one that is not shown. */
export function sentenceOf(item, customer) {
  const who = actor(item.by);
  switch (item.type) {
    case "handoff.requested": return { text: t("event.asked", { who: item.by === "user" ? customer : who }), quote: item.reason, tone: "warn", icon: "hand" };
    case "handoff.active": return { text: t("event.took", { who }), icon: "person" };
    case "handoff.released": return { text: t("event.released", { who }), quote: item.note, icon: "bot" };
    case "whisper": return { text: t("event.whispered", { who }), quote: item.text, icon: "whisper" };
    case "assigned": return { text: assigned(item, who) };
    case "labelled": return { text: labelled(item, who), icon: "tag" };
    case "snoozed": return { text: item.until ? t("event.snoozed", { who, until: dayAndTime(item.until) }) : t("event.woken", { who }), icon: "snooze" };
    case "resolved": return { text: t("event.resolved", { who }), icon: "done" };
    case "reopened": return { text: t("event.reopened", { who }) };
    case "merged": return { text: t("event.merged", { who, name: item.name || item.contact }), icon: "merge" };
    case "call.started": return { text: isSpoken(item) ? t("event.answered") : t(item.direction === "outbound" ? "event.began_outbound" : "event.began"), tone: "edge" };
    case "call.ringing": return { text: t(item.direction === "outbound" ? "event.calling" : "event.ringing"), icon: "phone" };
    case "call.rejected": return { text: t(item.reason === "busy" ? "event.rejected_busy" : "event.rejected"), icon: "phone" };
    case "call.machine": return /^human/.test(item.answered_by) ? null : { text: t("event.machine"), icon: "phone" };
    case "call.held": return { text: t("event.held"), icon: "pause" };
    case "call.unheld": return { text: t("event.unheld"), icon: "play" };
    case "call.muted": return { text: t("event.muted"), icon: "mute" };
    case "call.unmuted": return { text: t("event.unmuted"), quote: item.transcript, icon: "volume" };
    case "user.wrote": return { text: t("event.wrote", { who: customer, channel: t(`channel.${item.channel}`) }), quote: item.text };
    case "call.dtmf_received": return { text: t("event.key", { digit: item.digit }), icon: "keyboard" };
    case "call.dtmf_sent": return { text: t("event.keys_sent", { digits: item.digits }), icon: "keyboard" };
    case "call.forwarded": return { text: t("event.forwarded", { to: item.to }), icon: "forward" };
    case "call.forward_failed": return { text: t("event.forward_failed", { to: item.to }), quote: item.reason, tone: "warn", icon: "warning" };
    case "call.ended": return { text: ended(item, who), tone: "edge" };
    case "contact.changed": return { text: t("event.contact_changed") };
    case "custom": return { text: t("event.custom", { name: item.name }) };
    case "edit": return { text: t("event.edited_unknown"), quote: item.text };
    case "delivery.failed": return { text: t("event.lost"), quote: item.reason, tone: "warn", icon: "warning" };
    default: return null;
  }
}

function actor(by) {
  if (!by) return t("event.somebody");
  if (app.isMe(by)) return t("thread.you");
  return hasText(`actor.${by}`) ? t(`actor.${by}`) : app.nameOf(by);
}

function assigned({ by, to }, who) {
  if (!to) return t("event.unassigned", { who });
  if (to === by) return t("event.assigned_self", { who });
  return t("event.assigned", { who, to: app.isMe(to) ? t("event.to_you") : app.nameOf(to) });
}

function labelled({ added = [], removed = [] }, who) {
  const names = (list) => list.join(", ");
  if (added.length && removed.length) return t("event.relabelled", { who, added: names(added), removed: names(removed) });
  return added.length ? t("event.labelled", { who, labels: names(added) }) : t("event.unlabelled", { who, labels: names(removed) });
}

function ended({ by, reason, duration }, who) {
  const why = by && reason === "resolved" ? t("event.resolved", { who }) : hasText(`ended.${reason}`) ? t(`ended.${reason}`) : t("ended.other", { reason });
  return duration > 0 ? t("event.ended", { why, duration: spanInWords(duration) }) : why;
}

function eventNode(row, acts) {
  const told = sentenceOf(row.item, acts.customer());
  if (!told) return null;
  return h("div", { class: `event ${told.tone ? `is-${told.tone}` : ""}`, data: { key: row.key, type: row.item.type } },
    h("p", {}, told.icon ? icon(told.icon, { size: 14 }) : null, said("span", {}, told.text), " ",
      h("time", { datetime: new Date(row.ts * 1000).toISOString(), title: fullTime(row.ts) }, clock(row.ts))),
    told.quote ? said("blockquote", {}, told.quote) : null);
}

function recordingNode(row) {
  const { url, duration } = row.item;
  return h("div", { class: "event recording", data: { key: row.key, type: row.item.type } },
    h("p", {}, icon("volume", { size: 14 }), h("span", {}, t("event.recorded", { duration: spanInWords(duration) }))),
    voicePlayer(url, { label: t("event.recording") }));
}

function stepsNode(row) {
  const failures = row.tools.filter((tool) => tool.error).length + row.turns.filter((turn) => turn.outcome === "failed").length;
  const silent = row.turns.some((turn) => turn.outcome === "silent");
  const count = row.tools.length || row.turns.length;
  return h("details", { class: "steps", data: { key: row.key } },
    h("summary", {}, icon("tool", { size: 14 }), h("span", {}, t("thread.steps", { n: count })),
      failures ? h("span", { class: "badge danger" }, t("thread.failures", { n: failures })) : silent && !row.tools.length ? h("span", { class: "muted" }, t("thread.silent")) : null,
      h("time", { title: fullTime(row.ts) }, clock(row.ts))),
    h("ol", {}, row.tools.map(toolNode), row.turns.map(turnNode)));
}

function toolNode(tool) {
  const state = tool.error ? h("span", { class: "badge danger" }, t("thread.tool_failed")) : tool.done ? h("span", { class: "muted" }, t("thread.ms", { ms: number(tool.ms ?? 0) })) : h("span", { class: "muted" }, t("thread.running"));
  return h("li", {}, h("p", {}, said("code", {}, tool.name), " ", state), code(t("thread.arguments"), tool.args), code(t("thread.result"), tool.result));
}

function code(label, value) {
  if (value === undefined || value === null) return null;
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 1);
  return [h("span", { class: "tiny" }, label), h("pre", { class: "said", dir: "auto", tabIndex: 0 }, text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text)];
}

function turnNode(turn) {
  const latency = turn.latency?.e2e ? t("thread.took", { seconds: number(Math.round(turn.latency.e2e * 10) / 10) }) : null;
  const outcome = hasText(`outcome.${turn.outcome}`) ? t(`outcome.${turn.outcome}`) : turn.outcome;
  return h("li", { class: "muted" }, [outcome, latency].filter(Boolean).join(" · "), turn.error ? said("p", { class: "problem" }, turn.error) : null);
}
