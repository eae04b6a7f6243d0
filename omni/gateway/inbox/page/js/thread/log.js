// What is loaded of one conversation: its items in order, whichever way they came, and how far each delivery is.

const RANK = { queued: 0, sending: 1, sent: 2, delivered: 3, read: 4, played: 5, failed: 6, cancelled: 6 };

/**
 * Items by id. Adding one twice changes nothing; older pages and live items may come in any order.
 * `version` grows when what is shown may have changed.
 */
export class Log {
  #items = new Map();
  #deliveries = new Map();
  #sorted = null;
  version = 0;

  get size() {
    return this.#items.size;
  }

  has(id) {
    return this.#items.has(id);
  }

  /** Whether any of the items was new. */
  add(items) {
    let changed = false;
    for (const item of items) {
      if (item.delivery?.id) changed = this.#meet(item.delivery, false) || changed;
      if (this.#items.has(item.id)) continue;
      this.#items.set(item.id, item);
      changed = true;
    }
    if (changed) this.#touch();
    return changed;
  }

  /** A delivery as the server tells it just now. It may be of a message that is not loaded yet. */
  deliver(delivery) {
    const changed = this.#meet(delivery, true);
    if (changed) this.version += 1;
    return changed;
  }

  delivery(id) {
    return this.#deliveries.get(id) ?? null;
  }

  /** Forgets all but the newest `keep` items; returns whether anything was forgotten. */
  trim(keep) {
    const surplus = this.#items.size - keep;
    if (surplus <= 0) return false;
    for (const item of this.items().slice(0, surplus)) this.#items.delete(item.id);
    this.#touch();
    return true;
  }

  /** Oldest first: by time, but never against the order of a call's own entries. */
  items() {
    this.#sorted ??= inOrder([...this.#items.values()]);
    return this.#sorted;
  }

  #touch() {
    this.#sorted = null;
    this.version += 1;
  }

  #meet(delivery, live) {
    const known = this.#deliveries.get(delivery.id);
    if (known && !isNewer(delivery, known, live)) return false;
    this.#deliveries.set(delivery.id, delivery);
    return !known || JSON.stringify(known) !== JSON.stringify(delivery);
  }
}

/** A page that was asked for before a live update may arrive after it, and must not undo it. */
function isNewer(delivery, known, live) {
  if (delivery.version !== undefined && known.version !== undefined) return delivery.version > known.version;
  return live || (RANK[delivery.state] ?? 0) > (RANK[known.state] ?? 0);
}

/** A call's clock may step back when another worker takes it over; its `seq` never does. */
function inOrder(items) {
  const byCall = groupBy(items, (item) => item.call ?? "");
  const placed = [];
  for (const [call, entries] of byCall) {
    entries.sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0) || a.ts - b.ts);
    let at = -Infinity;
    for (const item of entries) placed.push({ item, at: call ? (at = Math.max(at, item.ts)) : item.ts });
  }
  placed.sort((a, b) => a.at - b.at || compare(a.item.call ?? "\uffff", b.item.call ?? "\uffff") || (a.item.seq ?? 0) - (b.item.seq ?? 0));
  return placed.map(({ item }) => item);
}

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (groups.has(key)) groups.get(key).push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
