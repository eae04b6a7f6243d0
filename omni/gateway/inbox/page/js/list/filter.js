/** A list's filter: what the URL's query says, what the server is asked for, and which rows belong to it. Pure. */

export const VIEWS = ["mine", "unassigned", "waiting", "all", "snoozed", "ended"];
export const TRANSPORTS = ["whatsapp", "chat", "sms", "phone", "sip", "webrtc", "whatsapp_call", "mic"];

/** {view, transports, agents, labels, assignee: null|"none"|op id, order}. `text` of a query that says nothing is "". */
export function parseFilter(params) {
  const many = (name) => (params.get(name) ?? "").split(",").map(decodeSafely).filter(Boolean);
  const view = params.get("view");
  return {
    view: VIEWS.includes(view) ? view : "all",
    transports: many("transport").filter((name) => TRANSPORTS.includes(name)),
    agents: many("agent"),
    labels: many("label"),
    assignee: params.get("assignee") || null,
    order: params.get("order") === "waiting" ? "waiting" : "newest",
  };
}

/** The opposite. A label may have a comma in it, so each is escaped by itself. */
export function filterParams(filter) {
  const params = new URLSearchParams();
  if (filter.view !== "all") params.set("view", filter.view);
  const many = (name, values) => values.length && params.set(name, values.map(encodeURIComponent).join(","));
  many("transport", filter.transports);
  many("agent", filter.agents);
  many("label", filter.labels);
  if (filter.assignee) params.set("assignee", filter.assignee);
  if (filter.order !== "newest") params.set("order", filter.order);
  return params;
}

/** A filter as a saved view keeps it, in the words of the list's query; and back. */
export function keptFilter(filter) {
  const { view, transports, agents, labels, assignee, order } = filter;
  return { view, transport: transports, agent: agents, label: labels, assignee, order };
}

export function filterOf(kept) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(kept ?? {})) {
    const values = [value].flat().filter((one) => one !== null && one !== undefined && one !== "");
    if (values.length) params.set(name, values.map((one) => encodeURIComponent(String(one))).join(","));
  }
  return parseFilter(params);
}

export const sameFilter = (a, b) => filterParams(a).toString() === filterParams(b).toString();

function decodeSafely(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** How many things narrow the view. */
export const narrowed = (filter) => filter.transports.length + filter.agents.length + filter.labels.length + (filter.assignee ? 1 : 0);

/** What the server is asked: a query string for `/conversations`. */
export function serverQuery(filter, limit, before = null) {
  const params = new URLSearchParams();
  params.set("state", filter.view === "snoozed" ? "snoozed" : filter.view === "ended" ? "ended" : "open");
  if (filter.view === "waiting") {
    params.set("handler", "bot,nobody");
    params.set("order", "waiting");
  }
  const assignee = filter.view === "mine" ? "me" : filter.view === "unassigned" ? "none" : filter.assignee;
  if (assignee) params.set("assignee", assignee);
  if (filter.transports.length) params.set("transport", filter.transports.join(","));
  if (filter.agents.length) params.set("agent", filter.agents.join(","));
  if (filter.labels.length) params.set("label", filter.labels.join(","));
  params.set("limit", String(limit));
  if (before) params.set("before", before);
  return params.toString();
}

/** Whether a person is wanted and none has it: the bot asked for one, or somebody wrote to a bot that is paused. */
export const needsPerson = (row) => row.state === "open" && (row.handler === "nobody" || (row.handler === "bot" && row.waiting_since !== null));

/** Whether a row belongs to the list. `me` is the person's operator id. */
export function belongs(row, filter, me) {
  switch (filter.view) {
    case "mine":
      if (row.state !== "open" || (row.assignee !== me && row.handled_by !== me)) return false;
      break;
    case "unassigned":
      if (row.state !== "open" || row.assignee || row.handled_by) return false;
      break;
    case "waiting":
      if (!needsPerson(row)) return false;
      break;
    case "snoozed":
      if (row.state !== "snoozed") return false;
      break;
    case "ended":
      if (row.state !== "ended") return false;
      break;
    default:
      if (row.state !== "open") return false;
  }
  if (filter.assignee === "none" ? row.assignee : filter.assignee && row.assignee !== filter.assignee) return false;
  if (filter.transports.length && !filter.transports.includes(row.transport)) return false;
  if (filter.agents.length && !filter.agents.includes(row.agent)) return false;
  return filter.labels.every((label) => row.labels.includes(label));
}

/** When something was last said in it. */
export const touchedAt = (row) => row.last?.at ?? row.ended_at ?? row.started_at ?? 0;

const byNewest = (a, b) => touchedAt(b) - touchedAt(a) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
// Nobody waits in a row without a time: after all who do. A number, since Infinity − Infinity is none.
const NEVER = Number.MAX_SAFE_INTEGER;
const byWaiting = (a, b) => (a.waiting_since ?? NEVER) - (b.waiting_since ?? NEVER) || byNewest(a, b);

export const comparison = (filter) => (filter.order === "waiting" ? byWaiting : byNewest);

/** The views' numbers from rows that are all known, or from the server's counts. */
export function viewCounts(counts, me) {
  const numbers = { mine: 0, unassigned: 0, waiting: 0, all: 0, snoozed: 0 };
  for (const { number, handler, assignee, snoozed } of counts) {
    if (snoozed) {
      numbers.snoozed += number;
      continue;
    }
    numbers.all += number;
    if (!assignee && handler !== "human") numbers.unassigned += number;
    if (assignee === me) numbers.mine += number;
    if (handler === "nobody") numbers.waiting += number;
  }
  return numbers;
}
