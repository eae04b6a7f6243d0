/** The command palette: everything the page can do, and every conversation it knows, by a few letters. */

import { fill, h, mark, plain, said, uid } from "../dom.js";
import { channelIcon, icon } from "../icons.js";
import { app, titleOf } from "../model.js";
import { go } from "../router.js";
import { keyCaps } from "../shortcuts.js";
import { t } from "../texts.js";

const MOST_PEOPLE = 8;
const sources = new Set();

/**
 * Adds commands: `source()` returns a list of {text, run, icon?, keys?, words?} each time the palette is opened, or
 * nothing when they do not hold now. Returns what takes them back.
 */
export function addCommands(source) {
  sources.add(source);
  return () => sources.delete(source);
}

export function openPalette() {
  if (document.querySelector("dialog[open]")) return;
  const commands = [...sources].flatMap((source) => source() ?? []);
  const before = document.activeElement;
  const listId = uid("palette");
  let found = [];
  let at = 0;

  const results = h("div", { class: "palette-results scroll", role: "listbox", id: listId, "aria-label": t("palette.label") });
  const input = h("input", { class: "palette-input", type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": listId, "aria-label": t("palette.label"), placeholder: t("palette.placeholder"), autocomplete: "off", spellcheck: "false", dir: "auto" });
  const dialog = h("dialog", { class: "palette", "aria-label": t("palette.label") }, h("div", { class: "palette-head" }, icon("search"), input), results);

  const choose = (next) => {
    found[at]?.element.setAttribute("aria-selected", "false");
    at = next;
    const chosen = found[at]?.element;
    if (!chosen) {
      input.removeAttribute("aria-activedescendant");
      return;
    }
    chosen.setAttribute("aria-selected", "true");
    chosen.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", chosen.id);
  };
  const run = (entry) => {
    if (!entry) return;
    dialog.close();
    // The browser gives the focus back a moment after; what runs may want it elsewhere.
    setTimeout(() => entry.run(), 0);
  };
  const lineOf = (entry, words) => {
    const text = said("span", { class: "grow one-line" }, entry.text);
    mark(text, words);
    entry.element = h("div", { class: "palette-item", role: "option", id: uid("command"), "aria-selected": "false", on: { click: () => run(entry), pointermove: () => found[at] !== entry && choose(found.indexOf(entry)) } }, entry.mark ?? icon(entry.icon ?? "forward"), text, entry.hint ? h("span", { class: "muted one-line palette-hint" }, entry.hint) : null, entry.keys ? keyCaps([entry.keys].flat()[0]) : null);
    return entry.element;
  };
  const draw = () => {
    const words = plain(input.value).split(/\s+/u).filter(Boolean);
    const fits = (text) => words.every((word) => begins(plain(text), word));
    const actions = commands.filter((entry) => fits(`${entry.text} ${entry.words ?? ""}`)).map((entry) => ({ ...entry }));
    const people = words.length ? conversations(fits) : [];
    found = [...actions, ...people];
    fill(
      results,
      actions.length ? h("div", { role: "group", "aria-label": t("palette.commands") }, actions.map((entry) => lineOf(entry, words))) : null,
      people.length ? h("div", { role: "group", "aria-label": t("palette.conversations") }, h("h2", { class: "search-group" }, t("palette.conversations")), people.map((entry) => lineOf(entry, words))) : null,
      found.length ? null : h("p", { class: "search-said muted" }, t("palette.none")),
    );
    at = 0;
    choose(0);
  };

  input.addEventListener("input", draw);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown") choose((at + 1) % Math.max(1, found.length));
    else if (event.key === "ArrowUp") choose((at + found.length - 1) % Math.max(1, found.length));
    else if (event.key === "Enter") run(found[at]);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("mousedown", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before instanceof HTMLElement && before.isConnected && document.activeElement === document.body) before.focus({ preventScroll: true });
  });
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
  draw();
}

/** Whether a word of the text begins so; digits may stand anywhere, since nobody remembers a number from its start. */
function begins(text, word) {
  if (/^\d+$/u.test(word)) return text.replace(/\s/gu, "").includes(word);
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (at === 0 || !/[\p{L}\p{N}]/u.test(text[at - 1])) return true;
  }
  return false;
}

function conversations(fits) {
  const found = [];
  for (const row of app.rows.values()) {
    if (!fits(`${row.contact?.name ?? ""} ${row.contact?.address ?? ""}`)) continue;
    found.push({ text: titleOf(row), hint: row.contact?.address ?? "", mark: channelIcon(row.transport), run: () => go(`/c/${encodeURIComponent(row.id)}`) });
    if (found.length >= MOST_PEOPLE) break;
  }
  return found;
}
