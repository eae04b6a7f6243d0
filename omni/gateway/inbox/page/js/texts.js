/** The page's own words, in the person's language, and dates and numbers as that language writes them. */

import en from "./texts/en.js";
import es from "./texts/es.js";

const LANGUAGES = { en, es };
export const languages = [
  { code: "en", name: "English" },
  { code: "es", name: "Español" },
];

let code = "en";
let locale = "en";
let plurals = new Intl.PluralRules("en");
let formats = new Map();
const missing = new Set();

export const language = () => code;

/** The first of these the page speaks: `["es-MX", "en"]` → `es`. */
export function closest(wanted) {
  for (const one of wanted) {
    const base = String(one ?? "").slice(0, 2).toLowerCase();
    if (base in LANGUAGES) return base;
  }
  return "en";
}

/** How dates and numbers are written: as the reader's own country writes the language, where the browser says which. */
export const region = () => locale;

export function setLanguage(wanted) {
  code = closest([wanted]);
  locale = navigator.languages.find((one) => one.toLowerCase().startsWith(`${code}-`)) ?? code;
  plurals = new Intl.PluralRules(code);
  formats = new Map();
  document.documentElement.lang = code;
}

/**
 * The text of `key`, with `{name}` filled from `vars`. With a number `vars.n`, `key.one` and `key.other` are tried
 * first; `{n}` is written as the language writes numbers.
 */
export function t(key, vars = {}) {
  let text;
  if (typeof vars.n === "number") text = find(`${key}.${plurals.select(vars.n)}`) ?? find(`${key}.other`);
  text ??= find(key);
  if (text === undefined) {
    if (!missing.has(key)) console.warn(`inbox: no text for '${key}'`);
    missing.add(key);
    return key;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = vars[name];
    if (value === undefined || value === null) return whole;
    return typeof value === "number" ? number(value) : String(value);
  });
}

const find = (key) => LANGUAGES[code][key] ?? LANGUAGES.en[key];

/** Whether there is such a text (for reasons and codes the server may add to). */
export const hasText = (key) => find(key) !== undefined;

function format(name, make) {
  let found = formats.get(name);
  if (!found) {
    found = make();
    formats.set(name, found);
  }
  return found;
}

export const number = (value) => format("number", () => new Intl.NumberFormat(locale)).format(value);
/** "12K", for where there is no room. */
export const compact = (value) => format("compact", () => new Intl.NumberFormat(locale, { notation: "compact" })).format(value);
export const percent = (share) => format("percent", () => new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 })).format(share);

const pattern = (name, options) => format(name, () => new Intl.DateTimeFormat(locale, options));

/** Times are epoch seconds. "14:05" */
export const clock = (at) => pattern("clock", { hour: "numeric", minute: "2-digit" }).format(at * 1000);
/** "20 November 2026, 14:05:33", for titles. */
export const fullTime = (at) => pattern("full", { dateStyle: "long", timeStyle: "medium" }).format(at * 1000);
/** "20 Nov 2026" */
export const date = (at) => pattern("date", { dateStyle: "medium" }).format(at * 1000);

/** For a list: "14:05" today, "Tue" within six days, "12 Nov" this year, "12/11/25" before. */
export function shortTime(at, now = Date.now() / 1000) {
  const then = new Date(at * 1000);
  const today = new Date(now * 1000);
  if (then.toDateString() === today.toDateString()) return clock(at);
  if (Math.abs(now - at) < 6 * 86400) return pattern("weekday", { weekday: "short" }).format(then);
  if (then.getFullYear() === today.getFullYear()) return pattern("day", { day: "numeric", month: "short" }).format(then);
  return pattern("year", { day: "2-digit", month: "2-digit", year: "2-digit" }).format(then);
}

/** The heading of a day: "Today", "Yesterday", "Tuesday, 12 November". */
export function dayName(at, now = Date.now() / 1000) {
  const days = Math.round((midnight(now) - midnight(at)) / 86_400_000);
  if (days === 0 || days === 1) {
    const text = format("relative", () => new Intl.RelativeTimeFormat(code, { numeric: "auto" })).format(-days, "day");
    return text.charAt(0).toLocaleUpperCase(code) + text.slice(1);
  }
  const sameYear = new Date(at * 1000).getFullYear() === new Date(now * 1000).getFullYear();
  return pattern(sameYear ? "dayname" : "daynamey", { weekday: "long", day: "numeric", month: "long", ...(sameYear ? {} : { year: "numeric" }) }).format(at * 1000);
}

const midnight = (at) => new Date(at * 1000).setHours(0, 0, 0, 0);

/** How long, in the largest unit that fits: "45s", "12m", "3h", "2d". */
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return t("span.s", { v: String(whole) });
  if (whole < 3600) return t("span.m", { v: String(Math.floor(whole / 60)) });
  if (whole < 86400) return t("span.h", { v: String(Math.floor(whole / 3600)) });
  return t("span.d", { v: String(Math.floor(whole / 86400)) });
}

/** The same in words, for screen readers: "12 minutes". */
export function spanInWords(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [value, unit] = whole < 60 ? [whole, "second"] : whole < 3600 ? [Math.floor(whole / 60), "minute"] : whole < 86400 ? [Math.floor(whole / 3600), "hour"] : [Math.floor(whole / 86400), "day"];
  return format(`unit-${unit}`, () => new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" })).format(value);
}

/** "3.4 MB" */
export function size(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  let value = bytes;
  let at = 0;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000;
    at += 1;
  }
  return format(`size-${units[at]}`, () => new Intl.NumberFormat(locale, { style: "unit", unit: units[at], unitDisplay: at ? "short" : "long", maximumFractionDigits: at > 1 ? 1 : 0 })).format(value);
}

/** "4:10": for sound and the last minutes of something. */
export function countdown(seconds) {
  const left = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
