// Choosing a template when the window for free text is closed: search, fill the blanks, read what will be sent.

import { openDialog } from "../dialog.js";
import { fill, h, plain, said, uid } from "../dom.js";
import { icon } from "../icons.js";
import { app } from "../model.js";
import { t } from "../texts.js";
import { words } from "../thread/words.js";

const BLANK = /\{\{\s*(\w+)\s*\}\}/g;

/** A text of a template with its blanks filled; one without a value stays as it is. */
export const filledTemplate = (text, values, prefix = "") => text.replace(BLANK, (whole, name) => values[prefix + name]?.trim() || whole);

/** What the person will read, as the server writes it down. */
export const previewOf = (template, values) =>
  [template.header ? filledTemplate(template.header, values, "header.") : null, filledTemplate(template.body ?? "", values), template.footer].filter(Boolean).join("\n");

export const missing = (template, values) => (template.variables ?? []).filter((variable) => !values[variable.name]?.trim());

/** Opens the picker; `send({name, language, values}, preview)` when one is sent. */
export function pickTemplate(row, send) {
  const body = h("div", { class: "templates" }, h("div", { class: "spinner", role: "status", "aria-label": t("list.loading") }));
  const dialog = openDialog({ title: t("template.title"), body, wide: true });
  load(row, body, (template, values) => {
    dialog.close();
    send({ name: template.name, language: template.language, values }, previewOf(template, values));
  });
}

async function load(row, body, send) {
  let templates;
  try {
    ({ templates } = await app.api("GET", `/conversations/${encodeURIComponent(row.id)}/templates`));
  } catch (error) {
    fill(body, h("p", { class: "problem", role: "alert" }, error.message));
    return;
  }
  if (!templates.length) fill(body, h("p", { class: "muted" }, t("template.none")));
  else list(row, body, templates, send);
}

function list(row, body, templates, send) {
  const found = h("ul", { class: "template-list" });
  const draw = () => {
    const wanted = plain(search.value.trim());
    const shown = templates.filter((one) => plain(`${one.name} ${one.body} ${one.language}`).includes(wanted));
    fill(found, shown.length ? shown.map((one) => h("li", {}, h("button", { type: "button", disabled: Boolean(one.problem), on: { click: () => fillIn(row, body, templates, one, send) } },
      h("span", { class: "template-name" }, said("b", {}, one.name), h("span", { class: "badge" }, one.language), one.category ? h("span", { class: "muted" }, one.category.toLowerCase()) : null),
      said("span", { class: "template-text" }, one.problem ? t("template.problem", { problem: one.problem }) : one.body)))) : h("li", { class: "muted" }, t("template.no_match")));
  };
  const search = h("input", { type: "search", class: "input", placeholder: t("template.search"), "aria-label": t("template.search"), on: { input: draw } });
  fill(body, search, found);
  draw();
  search.focus();
}

function fillIn(row, body, templates, template, send) {
  const values = {};
  const preview = h("div", { class: "template-preview", "aria-live": "polite" });
  const go = h("button", { type: "submit", class: "btn primary", data: { act: "send-template" } }, icon("send", { size: 16 }), t("composer.send"));
  const draw = () => {
    fill(preview, template.header ? said("b", {}, filledTemplate(template.header, values, "header.")) : null, words(filledTemplate(template.body ?? "", values)),
      template.footer ? said("small", { class: "muted" }, template.footer) : null,
      (template.buttons ?? []).length ? h("ul", { class: "offers" }, template.buttons.map((button) => said("li", {}, typeof button === "string" ? button : button.text ?? ""))) : null);
    go.disabled = missing(template, values).length > 0;
  };
  const fields = (template.variables ?? []).map((variable, place) => {
    const id = uid("blank");
    const isName = variable.name === "name" || (place === 0 && /name|nombre/i.test(variable.name));
    if (isName && row.contact?.name) values[variable.name] = row.contact.name;
    return h("div", { class: "field" }, h("label", { for: id }, t("template.blank", { name: variable.name })),
      h("input", { id, class: "input", dir: "auto", maxlength: 1000, value: values[variable.name] ?? "", placeholder: variable.example ? t("template.example", { example: variable.example }) : "", on: { input: ({ target }) => {
        values[variable.name] = target.value.replace(/[\n\r\t]/g, " ");
        draw();
      } } }));
  });
  const form = h("form", { class: "template-form", on: { submit: (event) => {
    event.preventDefault();
    if (!go.disabled) send(template, values);
  } } }, h("button", { type: "button", class: "btn ghost small", on: { click: () => list(row, body, templates, send) } }, icon("back", { size: 16 }), t("template.back")),
  h("p", {}, said("b", {}, template.name), " ", h("span", { class: "badge" }, template.language)), fields, h("h3", {}, t("template.preview")), preview, h("div", { class: "form-foot" }, go));
  fill(body, form);
  draw();
  (form.querySelector("input") ?? go).focus();
}
