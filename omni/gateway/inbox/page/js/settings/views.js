// Saved views: filters of the list that have a name. They are made in the list; here they are named, shared, removed.

import { fill, h, said } from "../dom.js";
import { app } from "../model.js";
import { hasText, t } from "../texts.js";
import { box, field, form, input } from "./form.js";
import { listing } from "./listing.js";

export async function show(host) {
  const list = await listing(app, {
    path: "/views",
    key: "views",
    empty: t("settings.views.empty"),
    removing: (view) => t(view.shared ? "settings.views.removing.shared" : "settings.views.removing"),
    mayEdit: (view) => !view.shared || app.can("admin"),
    rowOf,
    formOf,
    changed: () => app.refreshViews().catch(() => {}),
  });
  fill(host, h("p", { class: "lead" }, t("settings.views.lead")), list);
}

function rowOf(view) {
  return h("div", { class: "thing" },
    h("p", { class: "thing-name" }, said("span", {}, view.name), h("span", { class: "badge" }, view.shared ? t("settings.shared") : t("settings.own"))),
    h("p", { class: "thing-text" }, inWords(view.filter) || t("settings.views.everything")));
}

/** "State: open · Channel: whatsapp" */
function inWords(filter) {
  return Object.entries(filter ?? {})
    .filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length))
    .map(([name, value]) => `${hasText(`settings.views.of.${name}`) ? t(`settings.views.of.${name}`) : name}: ${[value].flat().map(worded).join(", ")}`)
    .join(" · ");
}

const worded = (value) => {
  const text = String(value);
  for (const key of [`settings.views.is.${text}`, `channel.${text}`]) if (hasText(key)) return t(key);
  return app.operators.get(text)?.name ?? app.agents.get(text)?.name ?? text;
};

function formOf(view, { done, cancel }) {
  const fields = [
    field(t("settings.views.name"), input("name", { value: view.name, required: true, maxlength: "60", dir: "auto" })),
    app.can("admin") ? field(t("settings.share"), box("shared", view.shared, { class: "switch", role: "switch" }), { hint: t("settings.views.share.hint") }) : null,
  ];
  return form(fields, {
    label: t("settings.views.edit"),
    submit: t("save"),
    cancel,
    done,
    save: ({ name, shared = false }) => app.api("PATCH", `/views/${encodeURIComponent(view.id)}`, { name: name.trim(), shared }),
  });
}
