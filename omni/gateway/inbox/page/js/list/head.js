/** Above the list: which view it is, what narrows it, and how it is sorted. */

import { api } from "../api.js";
import { openDialog, openMenu } from "../dialog.js";
import { fill, h, uid } from "../dom.js";
import { channelIcon, icon } from "../icons.js";
import { app } from "../model.js";
import { problem, toast } from "../notices.js";
import { setFilter } from "../router.js";
import { number, t } from "../texts.js";
import { filterOf, filterParams, keptFilter, narrowed, sameFilter, TRANSPORTS } from "./filter.js";

export const apply = (filter) => setFilter(filterParams(filter), { replace: false });

/** The name of the saved view that this filter is, or of the view it narrows. */
export function nameOf(filter) {
  const isPlain = narrowed(filter) === 0 && filter.order === "newest";
  const saved = isPlain ? null : app.views.find((view) => sameFilter(filterOf(view.filter), filter));
  return saved?.name ?? t(`view.${filter.view}`);
}

export class Head {
  #title = h("h1", { class: "one-line said", dir: "auto" });
  #number = h("span", { class: "muted list-number" });
  #chips = h("div", { class: "list-chips" });
  #filterButton = h("button", { class: "icon-btn", type: "button", "aria-haspopup": "menu", "aria-expanded": "false", on: { click: () => this.#openFilter() } }, icon("filter"));
  #sortButton = h("button", { class: "icon-btn", type: "button", "aria-haspopup": "menu", "aria-expanded": "false", on: { click: () => this.#openSort() } }, icon("sort"));
  #filter = null;
  element;

  constructor({ before = null, search }) {
    this.element = h("header", { class: "list-head" }, h("div", { class: "list-title" }, before, this.#title, this.#number, h("span", { class: "grow" }), this.#filterButton, this.#sortButton), search, this.#chips);
  }

  show(filter, count, hasMore) {
    this.#filter = filter;
    this.#title.textContent = nameOf(filter);
    this.#number.textContent = count === null ? "" : number(count) + (hasMore ? "+" : "");
    this.#filterButton.setAttribute("aria-label", t("list.filter"));
    this.#filterButton.title = t("list.filter");
    this.#filterButton.classList.toggle("on", narrowed(filter) > 0);
    this.#sortButton.setAttribute("aria-label", t("list.sort"));
    this.#sortButton.title = t(`list.sort.${filter.order}`);
    this.#sortButton.classList.toggle("on", filter.order !== "newest");
    this.#drawChips();
  }

  #drawChips() {
    const filter = this.#filter;
    const chip = (name, text, mark, without) =>
      h("span", { class: "chip" }, mark, h("span", { class: "said", dir: "auto" }, text), h("button", { type: "button", "aria-label": t("list.filter.remove", { name: text }), on: { click: () => apply({ ...filter, ...without }) } }, icon("close", { size: 12 })));
    const chips = [
      ...filter.transports.map((name) => chip("transport", t(`channel.${name}`), channelIcon(name, { size: 14 }), { transports: filter.transports.filter((one) => one !== name) })),
      ...filter.agents.map((slug) => chip("agent", app.agents.get(slug)?.name ?? slug, icon("bot", { size: 14 }), { agents: filter.agents.filter((one) => one !== slug) })),
      ...filter.labels.map((name) => chip("label", name, h("i", { class: "colour-dot", data: { colour: app.labels.get(name)?.colour ?? "grey" } }), { labels: filter.labels.filter((one) => one !== name) })),
      filter.assignee ? chip("assignee", filter.assignee === "none" ? t("nobody") : (app.nameOf(filter.assignee) ?? filter.assignee), icon("person", { size: 14 }), { assignee: null }) : null,
    ].filter(Boolean);
    fill(this.#chips, chips);
    this.#chips.hidden = chips.length === 0;
  }

  #toggled(list, name) {
    return list.includes(name) ? list.filter((one) => one !== name) : [...list, name];
  }

  #openFilter() {
    const choice = (text, mark, name, value) => ({
      text,
      icon: mark,
      checked: this.#filter[name].includes(value),
      keepOpen: true,
      run: () => this.#change({ [name]: this.#toggled(this.#filter[name], value) }),
    });
    const items = () => [
      { heading: t("list.filter.channel") },
      ...usedTransports().map((name) => choice(t(`channel.${name}`), channelIcon(name, { size: 16 }), "transports", name)),
      app.agents.size > 1 ? { heading: t("list.filter.agent") } : null,
      ...(app.agents.size > 1 ? [...app.agents.values()].map((agent) => choice(agent.name, "bot", "agents", agent.slug)) : []),
      app.labels.size ? { heading: t("list.filter.label") } : null,
      ...[...app.labels.values()].map((label) => choice(label.name, h("i", { class: "colour-dot", data: { colour: label.colour } }), "labels", label.name)),
      { heading: t("list.filter.assignee") },
      ...[["none", t("nobody")], ...people()].map(([id, name]) => ({
        text: name,
        icon: "person",
        checked: this.#filter.assignee === id,
        keepOpen: true,
        run: () => this.#change({ assignee: this.#filter.assignee === id ? null : id }),
      })),
      "line",
      narrowed(this.#filter) ? { text: t("list.clear"), icon: "close", run: () => this.#change({ transports: [], agents: [], labels: [], assignee: null }) } : null,
      { text: t("list.filter.save"), icon: "star", run: () => saveView(this.#filter) },
    ];
    openMenu(this.#filterButton, items, { label: t("list.filter"), align: "end" });
  }

  #openSort() {
    const item = (order) => ({ text: t(`list.sort.${order}`), checked: this.#filter.order === order, run: () => this.#change({ order }) });
    openMenu(this.#sortButton, [item("newest"), item("waiting")], { label: t("list.sort"), align: "end" });
  }

  #change(changes) {
    this.#filter = { ...this.#filter, ...changes };
    apply(this.#filter);
  }
}

/** Channels that an agent is on, or that a conversation came by. */
function usedTransports() {
  const used = new Set([...app.agents.values()].flatMap((agent) => agent.transports ?? []));
  for (const row of app.rows.values()) used.add(row.transport);
  return TRANSPORTS.filter((name) => used.has(name));
}

function people() {
  return [...app.operators.values()].filter((operator) => !operator.disabled).map((operator) => [operator.id, operator.id === app.me.id ? t("you") : operator.name]);
}

/** Asks for a name and keeps the filter under it. */
export function saveView(filter) {
  const id = uid("name");
  const name = h("input", { class: "input", id, required: true, maxlength: "60", dir: "auto", autofocus: true });
  const shared = h("input", { class: "switch", type: "checkbox", role: "switch", id: `${id}-shared` });
  const said = h("p", { class: "problem", role: "alert", hidden: true });
  const form = h(
    "form",
    {
      class: "stack",
      id: `${id}-form`,
      on: {
        submit: async (event) => {
          event.preventDefault();
          try {
            await api("POST", "/views", { name: name.value.trim(), filter: keptFilter(filter), shared: shared.checked });
            dialog.close();
            toast({ text: t("views.saved", { name: name.value.trim() }), kind: "ok" });
            await app.refreshViews();
          } catch (error) {
            said.textContent = error.message;
            said.hidden = false;
          }
        },
      },
    },
    h("div", { class: "field" }, h("label", { for: id }, t("views.save.name")), name),
    app.can("admin") ? h("div", { class: "row" }, shared, h("label", { for: `${id}-shared` }, t("views.save.shared"))) : null,
    said,
  );
  const dialog = openDialog({
    title: t("views.save.title"),
    body: form,
    foot: [
      h("button", { class: "btn", type: "button", on: { click: () => dialog.close() } }, t("cancel")),
      h("button", { class: "btn primary", type: "submit", form: `${id}-form` }, t("save")),
    ],
  });
}

export async function removeView(view) {
  try {
    await api("DELETE", `/views/${encodeURIComponent(view.id)}`);
    toast({ text: t("views.removed") });
    await app.refreshViews();
  } catch (error) {
    problem(error);
  }
}
