// The person: their name, where they can be reached, what is known of them, and whether the bot answers them.

import { openMenu } from "../dialog.js";
import { announce, h, said, uid } from "../dom.js";
import { icon } from "../icons.js";
import { app } from "../model.js";
import { problem, toast } from "../notices.js";
import { hasText, t } from "../texts.js";
import * as acts from "../thread/acts.js";
import { identitiesOf } from "./identities.js";
import { mergeDialog } from "./merge.js";

const path = (contact) => `/contacts/${encodeURIComponent(contact.id)}`;

export function contactSection(contact, row, { changed }) {
  const may = app.can("agent") && !contact.isGroup;
  return h("section", { class: "panel-section panel-person", "aria-label": t("panel.contact") },
    h("div", { class: "person-head" }, h("span", { class: "avatar person-mark", "aria-hidden": "true" }, initials(contact.name || contact.address || "?")),
      name(contact, may, changed), may ? more(contact, row, changed) : null),
    contact.username ? said("p", { class: "muted" }, `@${contact.username}`) : null,
    marks(contact),
    identities(contact),
    attributes(contact, may, changed),
    may ? pause(contact, row) : null);
}

const initials = (text) => [...text.replace(/^\+/, "")].slice(0, 1).join("").toUpperCase();

function name(contact, may, changed) {
  const shown = contact.name || contact.address || t("panel.no_name");
  if (!may) return said("h3", { class: "grow" }, shown);
  const label = t("panel.edit_name");
  const show = () => h("button", { type: "button", class: "person-name grow", "aria-label": `${shown}. ${label}`, title: label, on: { click: ({ currentTarget }) => edit(currentTarget) } }, said("span", {}, shown), icon("edit", { size: 14 }));
  function edit(button) {
    const input = h("input", { class: "input grow", value: contact.name ?? "", maxlength: 120, dir: "auto", "aria-label": label });
    let over = false;
    const leave = async (keep) => {
      if (over) return;
      over = true;
      const typed = input.value.trim();
      input.blur();
      input.replaceWith(show());
      if (keep && typed !== (contact.name ?? "")) await save(contact, { name: typed || null }, changed);
    };
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") leave(true);
      if (event.key === "Escape") leave(false);
    });
    input.addEventListener("blur", () => leave(true));
    button.replaceWith(input);
    input.focus();
    input.select();
  }
  return show();
}

async function save(contact, change, changed) {
  try {
    await app.api("PATCH", path(contact), change);
    announce(t("panel.saved"));
  } catch (error) {
    problem(error);
  }
  changed();
}

function more(contact, row, changed) {
  const button = h("button", { type: "button", class: "icon-btn", "aria-label": t("more"), "aria-haspopup": "menu", on: { click: () => openMenu(button, [
    { text: t("panel.merge"), icon: "merge", run: () => mergeDialog(contact, changed) },
    { text: t("panel.add_attribute"), icon: "plus", run: () => button.closest("section").querySelector(".attribute-add")?.click() },
  ], { align: "end", label: t("more") }) } }, icon("more"));
  return button;
}

function marks(contact) {
  const badges = [
    contact.paused ? h("span", { class: "badge warn" }, icon("pause", { size: 12 }), t("panel.paused")) : null,
    ...(contact.opted_out ?? []).map((what) => h("span", { class: "badge danger" }, t("panel.opted_out", { what: hasText(`channel.${what}`) ? t(`channel.${what}`) : what }))),
  ].filter(Boolean);
  return badges.length ? h("p", { class: "panel-badges" }, badges) : null;
}

function identities(contact) {
  if (!contact.identities?.length) return contact.address ? said("p", { class: "muted" }, contact.address) : null;
  return h("dl", { class: "facts" }, identitiesOf(contact).map(({ kind, value }) => [
    h("dt", {}, hasText(`identity.${kind}`) ? t(`identity.${kind}`) : kind),
    h("dd", {}, said("span", {}, value), h("button", { type: "button", class: "icon-btn fact-copy", "aria-label": t("panel.copy", { value }), on: { click: () => copy(value) } }, icon("copy", { size: 14 }))),
  ]));
}

function copy(value) {
  navigator.clipboard?.writeText(value).then(() => toast({ text: t("thread.copied"), ms: 2000, id: "copied" }), problem);
}

function attributes(contact, may, changed) {
  const all = Object.entries(contact.attributes ?? {});
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const add = may ? h("button", { type: "button", class: "btn ghost small attribute-add", on: { click: ({ currentTarget }) => addAttribute(currentTarget, contact, changed) } }, icon("plus", { size: 14 }), t("panel.add_attribute")) : null;
  return [all.length ? h("dl", { class: "facts" }, all.map(([key, value]) => [said("dt", {}, key), h("dd", {}, said("span", {}, text(value)),
    may ? h("button", { type: "button", class: "icon-btn fact-copy", "aria-label": t("panel.remove_attribute", { name: key }), on: { click: () => save(contact, { attributes: Object.fromEntries(all.filter(([other]) => other !== key)) }, changed) } }, icon("close", { size: 14 })) : null)])) : null, add];
}

function addAttribute(button, contact, changed) {
  const key = h("input", { class: "input", maxlength: 60, dir: "auto", placeholder: t("panel.attribute_name"), "aria-label": t("panel.attribute_name"), required: true });
  const value = h("input", { class: "input", maxlength: 1000, dir: "auto", placeholder: t("panel.attribute_value"), "aria-label": t("panel.attribute_value"), required: true });
  const form = h("form", { class: "attribute-form", on: {
    submit: (event) => {
      event.preventDefault();
      const attributes_ = { ...contact.attributes, [key.value.trim()]: value.value.trim() };
      document.activeElement?.blur();
      form.replaceWith(button);
      save(contact, { attributes: attributes_ }, changed);
    },
    keydown: (event) => {
      event.stopPropagation();
      if (event.key === "Escape") form.replaceWith(button);
    },
  } }, key, value, h("button", { type: "submit", class: "btn small" }, t("save")));
  button.replaceWith(form);
  key.focus();
}

function pause(contact, row) {
  const id = uid("pause");
  return h("div", { class: "panel-pause" }, h("label", { for: id, class: "grow" }, h("b", {}, t("panel.pause")), h("small", { class: "muted" }, t("panel.pause_hint"))),
    h("input", { type: "checkbox", role: "switch", class: "switch", id, checked: Boolean(contact.paused), on: { change: async ({ target }) => {
      const wanted = target.checked;
      if (!(await acts.pauseContact(row.id, wanted))) target.checked = !wanted;
    } } }));
}
