// Days, countdowns and the times to snooze until, in the reader's own zone. `ts` and durations are in seconds.

import { countdown, language, span, t } from "../texts.js";

export { countdown };

/** The day's name in the reader's zone: equal for two times of one day. */
export function dayKey(ts) {
  const date = new Date(ts * 1000);
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${String(date.getDate()).padStart(2, "0")}`;
}

/** "Tue, 24 Nov, 09:00" */
export const dayAndTime = (ts) =>
  new Intl.DateTimeFormat(language(), { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(ts * 1000);

/** "23h 4m", and in the last hour "4:10": how long something still takes. */
export function timeLeft(seconds) {
  const minutes = Math.floor(seconds / 60) % 60;
  return seconds < 3600 ? countdown(seconds) : `${span(seconds - (seconds % 3600))} ${t("span.m", { v: String(minutes) })}`;
}

/** Times to snooze until, from now: in three hours, tomorrow and next Monday at nine. */
export function snoozeTimes(now) {
  const at = (days) => {
    const date = new Date(now * 1000);
    date.setDate(date.getDate() + days);
    date.setHours(9, 0, 0, 0);
    return date / 1000;
  };
  const weekday = new Date(now * 1000).getDay();
  return { later: now + 3 * 3600, tomorrow: at(1), week: at((8 - weekday) % 7 || 7) };
}

/** A time as <input type="datetime-local"> wants it, and back. */
export function localInput(ts) {
  const date = new Date(ts * 1000);
  return new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export const fromLocalInput = (text) => (text ? new Date(text) / 1000 : NaN);
