// A list of things whose rows open into a form, with one button to add another.

import { fill, h } from "../dom.js";
import { t } from "../texts.js";
import { confirm } from "../dialog.js";
import { say } from "./form.js";

/**
 * `{path, key, rowOf, formOf, mayEdit, add, empty, removing, changed}`: `GET path` answers `{[key]: items}`.
 * `rowOf(item)` is what a row shows; `formOf(item|null, {done, cancel})` the form that changes it, or makes one.
 * Without `formOf(null)` wanted, leave `add` (the button's text) away. Resolves to a node.
 */
export async function listing(app, kind) {
  const rows = h("ul", { class: "things" });
  const making = h("div", { class: "making", hidden: true });
  const said = h("p", { class: "form-said", role: "status" });
  const add = kind.add ? h("button", { type: "button", class: "btn primary", "aria-expanded": "false", on: { click: make } }, kind.add) : null;

  function make() {
    const close = () => {
      making.hidden = true;
      making.replaceChildren();
      add.setAttribute("aria-expanded", "false");
      add.focus();
    };
    fill(making, kind.formOf(null, { cancel: close, done: () => refresh().then(close) }));
    making.hidden = false;
    add.setAttribute("aria-expanded", "true");
    making.querySelector("input, textarea, select").focus();
  }

  async function refresh() {
    const found = await app.api("GET", kind.path);
    fill(rows, found[kind.key].map(row));
    if (!found[kind.key].length) fill(rows, h("li", { class: "empty" }, kind.empty));
    kind.changed?.();
  }

  function row(item) {
    const node = h("li", { data: { id: item.id } });
    const shown = () => {
      const edit = h("button", { type: "button", class: "btn small", "aria-label": t("settings.edit.what", { what: item.name }), on: { click: () => open(node, item, shown) } }, t("settings.edit"));
      const gone = h("button", { type: "button", class: "btn small", "aria-label": t("settings.remove.what", { what: item.name }), on: { click: () => remove(item) } }, t("settings.remove"));
      fill(node, kind.rowOf(item), kind.mayEdit(item) ? h("div", { class: "thing-acts" }, edit, gone) : null);
      return edit;
    };
    shown();
    return node;
  }

  function open(node, item, shown) {
    const done = async () => {
      await refresh();
      rows.querySelector(`[data-id="${CSS.escape(item.id)}"] button`)?.focus();
    };
    fill(node, kind.formOf(item, { done, cancel: () => shown().focus() }));
    node.querySelector("input, textarea, select").focus();
  }

  async function remove(item) {
    const sure = await confirm({ title: t("settings.remove.title", { what: item.name }), text: kind.removing(item), yes: t("settings.remove"), danger: true });
    if (!sure) return;
    try {
      await app.api("DELETE", `${kind.path}/${encodeURIComponent(item.id)}`);
      await refresh();
      say(said, t("settings.removed", { what: item.name }));
    } catch (error) {
      say(said, error.message, "wrong");
    }
  }

  await refresh();
  return h("div", { class: "listing" }, add ? h("div", { class: "listing-head" }, add) : null, making, said, rows);
}
