// Numbers, shares and durations as people read them, in the page's language.

import { number, region, t } from "../texts.js";

export const count = number;

export function share(part) {
  if (part === null || part === undefined) return t("overview.none");
  return new Intl.NumberFormat(region(), { style: "percent", maximumFractionDigits: part > 0 && part < 0.1 ? 1 : 0 }).format(part);
}

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** The two largest units of a duration in seconds: "1 h 5 min". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return t("overview.none");
  if (seconds > 0 && seconds < 0.1) return `< ${new Intl.NumberFormat(region()).format(0.1)} s`;
  if (seconds < 10) return `${new Intl.NumberFormat(region(), { maximumFractionDigits: 1 }).format(seconds)} s`;
  let rest = Math.round(seconds);
  const first = UNITS.findIndex(([, size]) => rest >= size);
  const words = [];
  for (const [unit, size] of UNITS.slice(first, first + 2)) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole) words.push(`${whole} ${unit}`);
  }
  return words.join(" ");
}

/** A day `YYYY-MM-DD`: short for an axis, in full for people. */
export function dayNames(day) {
  const [year, month, date] = day.split("-").map(Number);
  const noon = new Date(year, month - 1, date, 12);
  const write = (options) => new Intl.DateTimeFormat(region(), options).format(noon);
  return { short: write({ day: "numeric", month: "short" }), full: write({ weekday: "long", day: "numeric", month: "long", year: "numeric" }) };
}

export const hourName = (hour) => `${String(hour).padStart(2, "0")}:00`;
