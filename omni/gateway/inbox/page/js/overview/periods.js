// The periods a lead looks at, as instants in the reader's own zone.

export const PERIODS = ["today", "week", "month", "custom"];
const DAYS = { today: 1, week: 7, month: 30 };

export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** `YYYY-MM-DD` of a moment, in the reader's zone. */
export function dayText(date) {
  const two = (number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Midnight that begins a `YYYY-MM-DD`, or `after` days later; null when there is no such day. */
export function midnight(text, after = 0) {
  const [year, month, day] = text.split("-").map(Number);
  const date = new Date(year, month - 1, day + after);
  return Number.isNaN(date.getTime()) ? null : date;
}

/**
 * `{since, until}` in epoch seconds, `until` not included. Whole days: today counts until it ends.
 * `wrong` is the name of a text instead when a custom period makes no sense.
 */
export function spanOf({ period, from, to }, now = new Date()) {
  if (period !== "custom") {
    const today = dayText(now);
    return { since: midnight(today, 1 - DAYS[period]) / 1000, until: midnight(today, 1) / 1000 };
  }
  if (!from || !to) return { wrong: "overview.period.missing" };
  const [since, until] = [midnight(from), midnight(to, 1)];
  if (since === null || until === null) return { wrong: "overview.period.missing" };
  if (since >= until) return { wrong: "overview.period.backwards" };
  return { since: since / 1000, until: until / 1000 };
}
