// What everybody did, the newest first.

import { fill, h, said } from "../dom.js";
import { app, titleOf } from "../model.js";
import { fullTime, hasText, region, t } from "../texts.js";
import { choice, say } from "./form.js";

const PAGE = 50;

export async function show(host) {
  const body = h("tbody", {});
  const message = h("p", { class: "form-said", role: "status" });
  const more = h("button", { type: "button", class: "btn", hidden: true, on: { click: () => load(true) } }, t("settings.audit.more"));
  const people = [...app.operators.values()].map((one) => [one.id, one.name]);
  const who = choice("actor", "", [["", t("settings.audit.everybody")], ...people], { "aria-label": t("settings.audit.person") });
  const when = new Intl.DateTimeFormat(region(), { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  let next = null;
  let asked = 0;

  async function load(further) {
    const mine = ++asked;
    const query = new URLSearchParams({ limit: PAGE });
    if (who.value) query.set("actor", who.value);
    if (further && next) query.set("before", next);
    more.setAttribute("aria-disabled", "true");
    try {
      const found = await app.api("GET", `/audit?${query}`);
      if (mine !== asked) return;
      next = found.next;
      const rows = found.records.map((record) => row(record, when));
      if (further) body.append(...rows);
      else fill(body, rows);
      say(message, body.childElementCount ? "" : t("settings.audit.empty"));
      if (further) rows[0]?.querySelector("th").focus();
    } catch (error) {
      if (!further && !body.childElementCount) throw error;
      say(message, error.message, "wrong");
    } finally {
      if (mine === asked) {
        more.removeAttribute("aria-disabled");
        more.hidden = !next;
      }
    }
  }

  who.addEventListener("change", () => load(false));
  await load(false);
  fill(host,
    h("p", { class: "lead" }, t("settings.audit.lead")),
    h("div", { class: "listing-head" }, who),
    message,
    h("table", { class: "audit" },
      h("thead", {}, h("tr", {}, ["when", "who", "what", "address"].map((head) => h("th", { scope: "col" }, t(`settings.audit.${head}`))))),
      body),
    more);
}

function row(record, when) {
  return h("tr", {},
    h("th", { scope: "row", tabindex: "-1" }, h("time", { datetime: new Date(record.at * 1000).toISOString(), title: fullTime(record.at) }, when.format(record.at * 1000))),
    said("td", {}, record.name || app.nameOf(record.actor)),
    h("td", {}, deed(record)),
    h("td", { class: "address" }, record.address ?? ""));
}

/** What was done; what it was done to and how are folded away. */
function deed(record) {
  const verb = hasText(`audit.${record.action}`) ? t(`audit.${record.action}`) : record.action;
  const facts = Object.entries(record.details ?? {});
  if (record.target) facts.unshift([t("settings.audit.target"), record.target]);
  if (!facts.length) return verb;
  return h("details", {}, h("summary", {}, verb), h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), said("dd", {}, shown(value))])));
}

/** An operator's name, the way to a conversation, or the value itself. */
function shown(value) {
  if (typeof value !== "string") return JSON.stringify(value);
  if (!value.startsWith("cv_")) return app.operators.get(value)?.name ?? value;
  const row = app.rows.get(value);
  return h("a", { href: `#/c/${encodeURIComponent(value)}` }, row ? titleOf(row) : value);
}
