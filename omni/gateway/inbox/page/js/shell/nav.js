/** The navigation: views with their numbers, saved views, labels, the other pages, the person's menu. */

import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { app } from "../model.js";
import { filterQuery, go, onRoute, route } from "../router.js";
import { compact, number, t } from "../texts.js";
import { filterOf, filterParams, parseFilter, sameFilter, VIEWS } from "../list/filter.js";
import { removeView } from "../list/head.js";
import { initials } from "../list/row.js";
import { openMenu } from "../dialog.js";
import { openAccount } from "./account.js";
import { openPalette } from "./palette.js";

export const VIEW_ICONS = { mine: "person", unassigned: "unassigned", waiting: "hand", all: "inbox", snoozed: "snooze", ended: "done" };
const place = document.getElementById("nav");
const frame = document.getElementById("app");
const veil = h("div", { class: "nav-veil", on: { click: () => closeDrawer() } });
let numbers = new Map();

export function startNav() {
  frame.append(veil);
  for (const name of ["views", "labels", "me", "operators"]) app.on(name, drawNav);
  app.on("counts", drawNumbers);
  onRoute(() => {
    closeDrawer();
    drawNav();
  });
  place.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && frame.classList.contains("nav-open")) {
      event.stopPropagation();
      closeDrawer();
    }
  });
}

/** Opens the navigation where there is no room for it beside the list. */
export const menuButton = () => h("button", { class: "icon-btn nav-button", type: "button", "aria-label": t("nav.open"), "aria-controls": "nav", on: { click: openDrawer } }, icon("menu"));

let opener = null;

function openDrawer(event) {
  opener = event.currentTarget;
  frame.classList.add("nav-open");
  for (const region of others()) region.inert = true;
  (place.querySelector("[aria-current]") ?? place.querySelector("a"))?.focus();
}

function closeDrawer() {
  if (!frame.classList.contains("nav-open")) return;
  const hadFocus = place.contains(document.activeElement) || document.activeElement === document.body;
  frame.classList.remove("nav-open");
  for (const region of others()) region.inert = false;
  if (hadFocus && opener?.isConnected) opener.focus({ preventScroll: true });
}

const others = () => ["list", "main", "panel"].map((id) => document.getElementById(id));

export function drawNav() {
  const where = route();
  const inList = where.name === "list" || where.name === "conversation";
  const filter = parseFilter(filterQuery());
  const savedOne = inList ? app.views.find((view) => sameFilter(filter, filterOf(view.filter))) : null;
  const labelOne = inList && !savedOne ? [...app.labels.keys()].find((name) => sameFilter(filter, { ...plainView("all"), labels: [name] })) : null;
  const currentView = inList && !savedOne && !labelOne ? filter.view : null;
  numbers = new Map();
  const focused = document.activeElement?.closest?.("#nav a")?.getAttribute("href") ?? null;
  place.setAttribute("aria-label", t("nav.label"));
  fill(
    place,
    h("div", { class: "nav-top" }, h("button", { class: "icon-btn nav-rail-button", type: "button", "aria-label": t("nav.open"), "aria-controls": "nav", on: { click: openDrawer } }, icon("menu")), h("span", { class: "nav-org one-line" }, t("inbox")), h("button", { class: "icon-btn nav-command", type: "button", title: t("nav.palette"), "aria-label": t("nav.palette"), on: { click: openPalette } }, icon("command"))),
    h(
      "div",
      { class: "nav-scroll scroll" },
      h("ul", null, VIEWS.map((view) => viewLink(view, view === currentView))),
      app.views.length ? [h("h2", { class: "nav-heading" }, t("nav.saved")), h("ul", null, app.views.map((view) => savedLink(view, view === savedOne)))] : null,
      app.labels.size ? [h("h2", { class: "nav-heading" }, t("nav.labels")), h("ul", null, [...app.labels.values()].map((label) => labelLink(label, label.name === labelOne)))] : null,
    ),
    h(
      "div",
      { class: "nav-bottom" },
      h("ul", null, pageLink("overview", "chart", where.name === "overview"), pageLink("settings", "settings", where.name === "settings")),
      h(
        "button",
        { class: "nav-account", type: "button", "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": `${t("account.label", { name: app.me.name })}, ${t(`account.role.${app.me.role}`)}`, on: { click: (event) => openAccount(event.currentTarget) } },
        h("span", { class: "avatar me", data: { initials: initials(app.me.name) } }),
        h("span", { class: "nav-words" }, h("span", { class: "one-line said", dir: "auto" }, app.me.name), " ", h("span", { class: "one-line muted" }, t(`account.role.${app.me.role}`))),
        icon("up", { size: 14, class: "nav-words" }),
      ),
    ),
  );
  if (focused) place.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  drawNumbers();
}

const plainView = (view) => parseFilter(new URLSearchParams({ view }));
const hrefOf = (filter) => {
  const query = filterParams(filter).toString();
  return query ? `#/?${query}` : "#/";
};

function link({ href, current, mark, text, badge = null, after = null, title = text }) {
  return h(
    "li",
    null,
    h("a", { class: "nav-link", href, "aria-current": current ? "page" : null, title, on: { click: (event) => followed(event, href) } }, mark, h("span", { class: "nav-words one-line said", dir: "auto" }, text), " ", badge),
    after,
  );
}

/** A link of its own would leave the filter the list has now: these are exact places. */
function followed(event, href) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  closeDrawer();
  go(href.includes("?") || !href.startsWith("#/") || href.length > 2 ? href : `${href}?`);
}

function viewLink(view, current) {
  const badge = h("span", { class: view === "waiting" ? "nav-number badge warn" : "nav-number", hidden: true });
  const item = link({ href: hrefOf(plainView(view)), current, mark: icon(VIEW_ICONS[view]), text: t(`view.${view}`), badge });
  numbers.set(view, { badge, link: item.firstElementChild });
  return item;
}

function drawNumbers() {
  for (const [view, { badge, link: anchor }] of numbers) {
    const n = app.counts[view] ?? 0;
    if (badge.dataset.number === String(n)) continue;
    badge.dataset.number = n;
    badge.textContent = n > 9999 ? compact(n) : number(n);
    badge.hidden = n === 0;
    anchor.setAttribute("aria-label", n ? t("view.count", { name: t(`view.${view}`), n }) : t(`view.${view}`));
  }
}

function savedLink(view, current) {
  const mayRemove = view.shared ? app.can("admin") : true;
  const more = mayRemove
    ? h("button", { class: "icon-btn nav-more", type: "button", "aria-label": t("more"), "aria-haspopup": "menu", "aria-expanded": "false", on: { click: (event) => openMenu(event.currentTarget, [{ text: t("views.remove", { name: view.name }), icon: "trash", danger: true, run: () => removeView(view) }], { label: t("more") }) } }, icon("more", { size: 15 }))
    : null;
  return link({ href: hrefOf(filterOf(view.filter)), current, mark: icon(view.shared ? "people" : "star"), text: view.name, after: more });
}

const labelLink = (label, current) => link({ href: hrefOf({ ...plainView("all"), labels: [label.name] }), current, mark: h("i", { class: "colour-dot nav-dot", data: { colour: label.colour } }), text: label.name });

const pageLink = (name, mark, current) => link({ href: `#/${name}`, current, mark: icon(mark), text: t(`nav.${name}`) });
