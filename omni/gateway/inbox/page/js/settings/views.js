// Saved views: filters of the list that have a name. They are made in the list; here they are named, shared, removed.

import { fill, h, said } from "../dom.js";
import { filterOf, filterParams } from "../list/filter.js";
import { app } from "../model.js";
import { t } from "../texts.js";
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
  const filter = filterOf(view.filter);
  return h("div", { class: "thing" },
    h("p", { class: "thing-name" }, said("a", { href: `#/?${filterParams(filter)}` }, view.name), h("span", { class: "badge" }, view.shared ? t("settings.shared") : t("settings.own"))),
    said("p", { class: "thing-text" }, inWords(filter)));
}

/** "Waiting for a person · WhatsApp · refund · Longest waiting first" */
function inWords(filter) {
  const { assignee } = filter;
  const whom = assignee && (assignee === "none" ? t("nobody") : (app.nameOf(assignee) ?? assignee));
  return [
    t(`view.${filter.view}`),
    ...filter.transports.map((name) => t(`channel.${name}`)),
    ...filter.agents.map((slug) => app.agents.get(slug)?.name || slug),
    ...filter.labels,
    whom && `${t("list.filter.assignee")}: ${whom}`,
    filter.order === "waiting" && t("list.sort.waiting"),
  ].filter(Boolean).join(" · ");
}

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
