// The emoji picker: categories, a search, arrows to move. Chosen ones come first the next time.

import { fill, h, plain } from "../dom.js";
import { place } from "../dialog.js";
import { t } from "../texts.js";
import { EMOJI } from "./emoji_set.js";

const RECENT = "omni.inbox.emoji";
const MOST_RECENT = 16;
const COLUMNS = 8;

export function openEmoji(anchor, pick) {
  const grid = h("div", { class: "emoji-grid", role: "group", "aria-label": t("composer.emoji") });
  const search = h("input", { type: "search", class: "input", placeholder: t("emoji.search"), "aria-label": t("emoji.search"), on: { input: () => draw() } });
  const picker = h("div", { class: "menu emoji-picker", popover: "auto", role: "dialog", "aria-label": t("composer.emoji") }, search, grid);
  const choose = (sign) => {
    remember(sign);
    picker.hidePopover();
    pick(sign);
  };
  const button = (sign, label) => h("button", { type: "button", class: "emoji", "aria-label": label, title: label, on: { click: () => choose(sign) } }, sign);
  const section = (name, entries) => (entries.length ? [h("h3", {}, t(`emoji.${name}`)), h("div", { class: "emoji-row" }, entries.map(([sign, found]) => button(sign, found.split(" ")[0] || sign)))] : null);
  function draw() {
    const wanted = plain(search.value.trim());
    const found = Object.values(EMOJI).flat().filter(([, names]) => plain(names).includes(wanted));
    if (wanted) fill(grid, found.length ? section("found", found) : h("p", { class: "muted" }, t("emoji.none")));
    else fill(grid, section("recent", recent().map((sign) => [sign, sign])), Object.entries(EMOJI).map(([name, entries]) => section(name, entries)));
  }
  picker.addEventListener("keydown", (event) => walk(event, grid, search));
  picker.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    anchor.setAttribute("aria-expanded", "false");
    picker.remove();
    if (document.activeElement === document.body && anchor.isConnected) anchor.focus();
  });
  draw();
  document.body.append(picker);
  anchor.setAttribute("aria-expanded", "true");
  picker.showPopover();
  place(picker, anchor);
  search.focus();
}

function walk(event, grid, search) {
  if (event.key === "Escape") {
    event.preventDefault();
    event.stopPropagation();
    grid.closest("[popover]").hidePopover();
    return;
  }
  if (event.key === "Enter" && event.target === search) {
    event.preventDefault();
    grid.querySelector(".emoji")?.click();
    return;
  }
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS }[event.key];
  if (!step || (event.target === search && event.key !== "ArrowDown")) return;
  const all = [...grid.querySelectorAll(".emoji")];
  const at = all.indexOf(document.activeElement);
  event.preventDefault();
  if (at >= 0 && at + step < 0) search.focus();
  else all[Math.min(all.length - 1, at < 0 ? 0 : at + step)]?.focus();
}

function recent() {
  try {
    const kept = JSON.parse(localStorage.getItem(RECENT) ?? "[]");
    return Array.isArray(kept) ? kept.filter((sign) => typeof sign === "string").slice(0, MOST_RECENT) : [];
  } catch {
    return [];
  }
}

function remember(sign) {
  try {
    localStorage.setItem(RECENT, JSON.stringify([sign, ...recent().filter((other) => other !== sign)].slice(0, MOST_RECENT)));
  } catch {
    // Nothing is remembered then.
  }
}
