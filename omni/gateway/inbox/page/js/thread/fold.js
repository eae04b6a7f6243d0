// The rows of a thread out of its items. Pure: the same items, in the same order, give the same rows.

const SPEAKERS = { "user.message": "user", "bot.message": "bot", "human.message": "human", note: "note" };
const STEPS = new Set(["tool.call", "tool.result", "turn.start", "turn.end"]);
const ATTACHED = new Set(["reaction", "edit", "revoke", "media", "delivery.failed", "bot.corrected", "bot.finished", "bot.interrupted"]);
const TOGETHER = 300; // seconds within which one speaker's messages are shown as one group

/**
 * `items` oldest first; `deliveryOf(id)` the newest that is known of a delivery; `heardOf(message)` how many words of one that is being spoken were heard; `dayOf(ts)` a day's name in the
 * reader's zone; `complete` says that nothing older is to be loaded.
 *
 * A row is {kind: "day" | "bubble" | "steps" | "event", key, ts, …}; its key stays the same while it is shown.
 */
export function rowsOf(items, { deliveryOf = () => null, heardOf = () => null, dayOf, complete = false }) {
  const bubbles = bubblesOf(items, deliveryOf);
  const orphans = attach(items, bubbles);
  for (const bubble of bubbles.byItem.values()) bubble.heard = bubble.speaking ? heardOf(bubble.message) : null;
  for (const item of items) if (item.key && bubbles.byDelivery.has(item.key)) bubbles.byDelivery.get(item.key).retried = true;
  const rows = [];
  const steps = new Steps();
  let day = null;
  for (const item of items) {
    if (bubbles.byItem.get(item.id)?.replaced) continue;
    const row = bubbles.byItem.get(item.id) ?? stepRow(steps, item, bubbles) ?? eventRow(item, orphans, complete);
    if (!row) continue;
    const today = dayOf(item.ts);
    if (today !== day) rows.push({ kind: "day", key: `d:${today}`, ts: item.ts, day: today });
    day = today;
    rows.push(row);
  }
  return grouped(withoutEchoes(withoutEmpty(rows)));
}

function bubblesOf(items, deliveryOf) {
  const byItem = new Map();
  const byMessage = new Map();
  const byProvider = new Map();
  const byDelivery = new Map();
  const byTurn = new Map();
  for (const item of items) {
    const from = SPEAKERS[item.type];
    if (!from) continue;
    const delivery = item.delivery ? { ...item.delivery, ...deliveryOf(item.delivery.id) } : null;
    const bubble = {
      kind: "bubble", key: `m:${item.message_id ?? item.id}`, id: item.id, ts: item.ts, from, by: item.by ?? null,
      call: item.call, turn: item.turn ?? null, message: item.message_id ?? null, provider: providerOf(item, delivery),
      text: item.text ?? "", parts: item.parts ?? (item.text ? [{ type: "text", text: item.text }] : []),
      replyTo: item.reply_to ?? null, forwarded: item.forwarded && item.forwarded !== "no" ? item.forwarded : null,
      name: item.name ?? null, delivery, reactions: {}, edited: false, revoked: false, echo: item.key ?? null,
      speaking: Boolean(item.spoken), interrupted: false, cut: "",
    };
    byItem.set(item.id, bubble);
    if (item.replaces && byMessage.has(item.replaces)) byMessage.get(item.replaces).replaced = true;
    if (item.message_id) byMessage.set(item.message_id, bubble);
    for (const id of [item.provider_id, ...(delivery?.provider_ids ?? [])]) if (id) byProvider.set(id, bubble);
    if (delivery) byDelivery.set(delivery.id, bubble);
    if (from === "bot") byTurn.set(`${item.call}:${item.turn}`, [...(byTurn.get(`${item.call}:${item.turn}`) ?? []), bubble]);
  }
  return { byItem, byMessage, byProvider, byDelivery, byTurn };
}

const providerOf = (item, delivery) => item.provider_id ?? delivery?.provider_ids?.[0] ?? null;

/** Puts what came later onto its message; returns the ids of items whose message is not here. */
function attach(items, { byMessage, byProvider, byDelivery }) {
  const orphans = new Set();
  for (const item of items) {
    if (!ATTACHED.has(item.type)) continue;
    const bubble = item.type === "delivery.failed"
      ? byDelivery.get(item.delivery)
      : byMessage.get(item.message_id) ?? byProvider.get(item.target);
    if (!bubble) orphans.add(item.id);
    else change(bubble, item);
  }
  return orphans;
}

function change(bubble, item) {
  switch (item.type) {
    case "reaction":
      if (item.emoji) bubble.reactions = { ...bubble.reactions, [item.by ?? "user"]: item.emoji };
      else delete bubble.reactions[item.by ?? "user"];
      break;
    case "edit":
      bubble.text = item.text;
      bubble.parts = edited(bubble.parts, item.text);
      bubble.edited = true;
      break;
    case "revoke":
      bubble.revoked = true;
      break;
    case "bot.corrected":
      respoken(bubble, item.text);
      break;
    case "bot.finished":
      respoken(bubble, item.text ?? bubble.text);
      bubble.speaking = false;
      break;
    case "bot.interrupted":
      respoken(bubble, item.text);
      Object.assign(bubble, { speaking: false, interrupted: true });
      break;
    case "media":
      bubble.parts = bubble.parts.map((part, place) => (place === item.part ? { ...part, ...item.media } : part));
      break;
    default: {
      const { delivery } = bubble;
      const settled = ["delivered", "read", "played", "failed"].includes(delivery.state);
      if (!settled) bubble.delivery = { ...delivery, state: "failed", error: { code: item.code, reason: item.reason } };
    }
  }
}

/** What was heard may be less than was known as it began: the rest is shown as cut. Or more: then nothing was. */
function respoken(bubble, text) {
  const meant = bubble.text + bubble.cut;
  bubble.cut = meant.startsWith(text) ? meant.slice(text.length) : "";
  bubble.text = text;
  bubble.parts = text ? [{ type: "text", text }] : [];
}

/** An edit changes the words: a file's caption, or the text. */
function edited(parts, text) {
  const media = parts.findIndex((part) => part.type === "media");
  if (media >= 0) return parts.map((part, place) => (place === media ? { ...part, caption: text } : part));
  const rest = parts.filter((part) => part.type !== "text");
  return [{ type: "text", text }, ...rest];
}

/** What the bot did, turn by turn: everything of one turn is in the row where it began. */
class Steps {
  byTurn = new Map();
  byTool = new Map(); // a result names its tool's call, not its turn
}

function stepRow(steps, item, bubbles) {
  if (!STEPS.has(item.type)) return null;
  const tool_ = `${item.call}:${item.tool_id}`;
  const key = item.type === "tool.result" ? steps.byTool.get(tool_) ?? tool_ : `${item.call}:${item.turn}`;
  if (item.type === "tool.call") steps.byTool.set(tool_, key);
  let row = steps.byTurn.get(key);
  const isNew = !row;
  if (isNew) {
    row = { kind: "steps", key: `s:${key}`, ts: item.ts, call: item.call, tools: [], turns: [] };
    steps.byTurn.set(key, row);
  }
  if (item.type === "tool.call") {
    row.tools.push({ id: item.tool_id, name: item.name, args: item.args, result: undefined, ms: null, error: false, done: false });
  } else if (item.type === "tool.result") {
    let tool = row.tools.findLast((known) => known.id === item.tool_id && !known.done);
    if (!tool) row.tools.push(tool = { id: item.tool_id, name: item.name, args: undefined });
    Object.assign(tool, { result: item.result, ms: item.ms, error: Boolean(item.error), done: true });
  } else if (item.type === "turn.end") {
    row.turns.push({ turn: item.turn, outcome: item.outcome, error: item.error ?? null, latency: item.latency ?? {} });
    for (const bubble of bubbles.byTurn.get(key) ?? []) bubble.latency = item.latency ?? {};
  }
  return isNew ? row : null;
}

/** A turn that ran no tool and answered is told by its answer; neighbours become one row. */
function withoutEmpty(rows) {
  const kept = [];
  for (const row of rows) {
    if (row.kind !== "steps") kept.push(row);
    else if (row.tools.length || row.turns.some(isRemarkable)) {
      const last = kept.at(-1);
      if (last?.kind === "steps") kept[kept.length - 1] = { ...last, tools: [...last.tools, ...row.tools], turns: [...last.turns, ...row.turns] };
      else kept.push(row);
    }
  }
  return kept.filter((row, place) => row.kind !== "day" || (kept[place + 1] && kept[place + 1].kind !== "day"));
}

/**
 * Taking a conversation over assigns it, and resolving it ends its call: one line says each, not two. The end of the
 * call knows how long it was, the case knows who resolved it.
 */
function withoutEchoes(rows) {
  const kept = [];
  for (const row of rows) {
    const [last, item] = [kept.at(-1)?.item, row.item];
    if (last?.type === "handoff.active" && item?.type === "assigned" && item.to === item.by && item.by === last.by) continue;
    if (last?.type === "call.ended" && last.reason === "resolved" && item?.type === "resolved") kept[kept.length - 1] = { ...kept.at(-1), item: { ...last, by: item.by } };
    else kept.push(row);
  }
  return kept;
}

export const isRemarkable = (turn) => turn.outcome === "failed" || turn.outcome === "silent" || Boolean(turn.error);

function eventRow(item, orphans, complete) {
  if (STEPS.has(item.type)) return null;
  if (ATTACHED.has(item.type)) {
    const isTold = orphans.has(item.id) && complete && (item.type === "edit" || item.type === "delivery.failed");
    return isTold ? { kind: "event", key: `e:${item.id}`, ts: item.ts, item } : null;
  }
  return { kind: "event", key: `e:${item.id}`, ts: item.ts, item };
}

/** `joined` rows continue the group of the row before: same speaker, soon after. */
function grouped(rows) {
  let before = null;
  for (const row of rows) {
    row.joined = row.kind === "bubble" && before?.kind === "bubble" && before.from === row.from && before.by === row.by
      && row.ts - before.ts < TOGETHER;
    before = row;
  }
  return rows;
}
