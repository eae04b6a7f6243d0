/** Keys: one registry, so that two views cannot quietly claim the same one and the `?` sheet shows them all. */

import { isTyping, h, fill } from "./dom.js";
import { openDialog } from "./dialog.js";
import { t } from "./texts.js";

const registered = new Set();
const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

/**
 * `keys`: "j", "?", "escape", "mod+k" (Ctrl, or ⌘ on a Mac), "shift+enter", or a list of them. `scope` is the heading
 * in the sheet ("general", "list", "thread", "composer"). `text` is a key of the texts. `run(event)` may return false to
 * leave the key to others. `when()` says whether it holds now; `typing: true` also inside fields; `inDialog: true` also
 * while a dialog is open. `hidden` keeps it out of the sheet; `sheetKeys` is shown there instead of `keys`. Returns what
 * takes it back.
 */
export function add({ keys, scope = "general", text, run, when = () => true, typing = false, inDialog = false, hidden = false, sheetKeys = null }) {
  const entry = { keys: [keys].flat(), scope, text, run, when, typing, inDialog, hidden, sheetKeys };
  registered.add(entry);
  return () => registered.delete(entry);
}

/** A key as people see it: "mod+k" → ["Ctrl", "K"]. */
export function shown(keys) {
  const names = { mod: isMac ? "⌘" : "Ctrl", shift: "⇧", alt: isMac ? "⌥" : "Alt", enter: "↵", escape: "Esc", arrowup: "↑", arrowdown: "↓" };
  return keys.split("+").filter(Boolean).map((key) => names[key] ?? (key.length === 1 ? key.toUpperCase() : key));
}

export const keyCaps = (keys) => h("span", { class: "row", style: { gap: "3px" } }, shown(keys).map((key) => h("kbd", { class: "kbd" }, key)));

function pressed(event) {
  const key = event.key === " " ? "space" : event.key.toLowerCase();
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("mod");
  if (event.altKey) parts.push("alt");
  if (event.shiftKey && (key.length > 1 || /[a-z0-9]/.test(key))) parts.push("shift");
  parts.push(key);
  return parts.join("+");
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.repeat === undefined) return;
  const keys = pressed(event);
  const typing = isTyping(event.target);
  const dialog = document.querySelector("dialog[open]") !== null;
  // The newest first: what was opened last answers first.
  for (const entry of [...registered].reverse()) {
    if (!entry.keys.includes(keys)) continue;
    if (typing && !entry.typing && !keys.includes("mod+")) continue;
    if (dialog && !entry.inDialog) continue;
    if (!entry.when()) continue;
    if (entry.run(event) === false) continue;
    event.preventDefault();
    return;
  }
});

/** What the keys of these scopes would do now, for the palette. */
export function possible(...scopes) {
  return [...registered]
    .filter((entry) => scopes.includes(entry.scope) && entry.text && !entry.hidden && entry.when())
    .map((entry) => ({ text: t(entry.text), keys: entry.keys[0], run: () => entry.run(null) }));
}

const SCOPES = ["general", "list", "thread", "composer"];

/** The sheet of all keys that hold now. */
export function showSheet() {
  const body = h("div", { class: "keys-sheet" });
  const entries = [...registered].filter((entry) => !entry.hidden && entry.text);
  const scopes = [...SCOPES, ...new Set(entries.map((entry) => entry.scope))].filter((scope, at, all) => all.indexOf(scope) === at);
  fill(
    body,
    scopes.map((scope) => {
      const here = entries.filter((entry) => entry.scope === scope);
      const seen = new Set();
      const lines = here.filter((entry) => !seen.has(entry.text) && seen.add(entry.text));
      if (!lines.length) return null;
      return h(
        "section",
        null,
        h("h3", null, t(`keys.scope.${scope}`)),
        h("dl", null, lines.map((entry) => h("div", null, h("dt", null, t(entry.text)), h("dd", null, (entry.sheetKeys ? [entry.sheetKeys].flat() : entry.keys.slice(0, 2)).map(keyCaps))))),
      );
    }),
  );
  openDialog({ title: t("keys.title"), body, wide: true });
}

export const shortcuts = { add, shown, keyCaps, showSheet };
