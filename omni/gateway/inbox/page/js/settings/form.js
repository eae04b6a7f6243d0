// Forms that say what is wrong beside the field it is about, and lose nothing of what was typed.

import { fill, h, uid } from "../dom.js";
import { t } from "../texts.js";

/** A control with its label, and room for a hint and an error. `control` needs a name. */
export function field(label, control, { hint, more } = {}) {
  const id = uid("field");
  control.id = id;
  control.dataset.hint = hint ? `${id}-hint` : "";
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return h("div", { class: control.type === "checkbox" ? "field check" : "field", data: { field: control.name } },
    h("label", { for: id }, label), control,
    hint ? h("p", { class: "hint", id: `${id}-hint` }, hint) : null, more,
    h("p", { class: "problem", id: `${id}-error`, hidden: true }));
}

export const input = (name, props) => h("input", { name, type: "text", autocomplete: "off", class: "input", ...props });
export const area = (name, props) => h("textarea", { name, rows: "4", dir: "auto", class: "input", ...props });
export const box = (name, checked, props) => h("input", { name, type: "checkbox", checked, ...props });

/** `options` are `[value, text]`. */
export function choice(name, value, options, props) {
  const select = h("select", { name, class: "input", ...props }, options.map(([one, text]) => h("option", { value: one }, text)));
  select.value = value;
  return select;
}

/**
 * A form of `fields`. `save(values)` may throw an ApiError: its sentence comes beside the field it names, or below.
 * `done(answer)` follows; without it the form says that it is saved. `cancel()` makes a button of that name.
 */
export function form(fields, { submit, save, done, cancel, label }) {
  const button = h("button", { type: "submit", class: "btn primary" }, submit);
  const said = h("p", { class: "form-said", role: "status" });
  const node = h("form", { class: "form", novalidate: true, "aria-label": label },
    fields, h("div", { class: "form-end" }, button, cancel ? h("button", { type: "button", class: "btn", on: { click: cancel } }, t("cancel")) : null, said));
  let busy = false;
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy || !complete(node)) return;
    busy = true;
    button.setAttribute("aria-disabled", "true");
    say(said, "");
    try {
      const answer = await save(valuesOf(node));
      if (done) done(answer);
      else say(said, t("settings.saved"));
    } catch (error) {
      blame(node, said, error);
    } finally {
      busy = false;
      button.removeAttribute("aria-disabled");
    }
  });
  node.addEventListener("input", (event) => {
    unmark(event.target);
    say(said, "");
  });
  return node;
}

export function valuesOf(node) {
  const values = {};
  for (const control of node.elements) if (control.name) values[control.name] = control.type === "checkbox" ? control.checked : control.value;
  return values;
}

function complete(node) {
  let first = null;
  for (const control of node.elements) {
    if (!control.name) continue;
    unmark(control);
    const wrong = complaint(control);
    if (!wrong) continue;
    mark(control, wrong);
    first ??= control;
  }
  first?.focus();
  return first === null;
}

function complaint(control) {
  const { validity } = control;
  if (validity.valid && !(control.required && !control.value.trim())) return null;
  if (validity.typeMismatch) return t("settings.wrong.email");
  if (validity.tooShort) return t("settings.wrong.short", { n: control.minLength });
  if (validity.tooLong) return t("settings.wrong.long", { n: control.maxLength });
  return t("settings.wrong.empty");
}

/** Puts an error where it belongs: beside the field that it names, else at the form's end. */
function blame(node, said, error) {
  const named = error.field && [...node.elements].find((control) => control.name === error.field || control.name === error.field.split(".").at(-1));
  const text = error.message || t("problem.unknown");
  if (!named) return say(said, text, "wrong");
  mark(named, text);
  named.focus();
}

function mark(control, text) {
  const place = document.getElementById(`${control.id}-error`);
  if (!place) return;
  fill(place, text);
  place.hidden = false;
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", [control.dataset.hint, place.id].filter(Boolean).join(" "));
}

function unmark(control) {
  if (!control.hasAttribute?.("aria-invalid")) return;
  document.getElementById(`${control.id}-error`).hidden = true;
  control.removeAttribute("aria-invalid");
  if (control.dataset.hint) control.setAttribute("aria-describedby", control.dataset.hint);
  else control.removeAttribute("aria-describedby");
}

export function say(place, text, tone = "") {
  place.dataset.tone = tone;
  place.textContent = text;
}
