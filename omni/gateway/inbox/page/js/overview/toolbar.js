// What an overview is about: its period, channel and agent. Remembered on this computer.

import { h } from "../dom.js";
import { app } from "../model.js";
import { prefs } from "../prefs.js";
import { t } from "../texts.js";
import { dayText, PERIODS } from "./periods.js";

const TRANSPORTS = ["whatsapp", "chat", "sms", "phone", "sip", "webrtc", "whatsapp_call", "mic"];

/** The choice of last time, if that makes sense. */
export function remembered() {
  const choice = { period: "week", from: dayText(new Date(Date.now() - 13 * 86_400_000)), to: dayText(new Date()), transport: "", agent: "" };
  const kept = prefs.get("overview") ?? {};
  for (const name of Object.keys(choice)) if (typeof kept[name] === "string") choice[name] = kept[name];
  if (!PERIODS.includes(choice.period)) choice.period = "week";
  return choice;
}

/** A form that calls `onchange(choice)` with every change; `.agents()` fills its agents anew. */
export function toolbar(choice, onchange) {
  const changed = () => {
    for (const name of Object.keys(choice)) choice[name] = form.elements[name].value;
    days.hidden = choice.period !== "custom";
    prefs.set("overview", { ...choice });
    onchange(choice);
  };
  const radio = (period) =>
    h("label", {}, h("input", { type: "radio", name: "period", value: period, checked: period === choice.period }), h("span", {}, t(`overview.period.${period}`)));
  const day = (name) => h("label", {}, t(`overview.period.${name}`), h("input", { type: "date", name, value: choice[name], max: dayText(new Date()) }));
  const pick = (name, options) => {
    const select = h("select", { name, "aria-label": t(`overview.${name}`) }, ...options.map(([value, text]) => h("option", { value }, text)));
    select.value = choice[name];
    if (select.value !== choice[name]) select.value = choice[name] = "";
    return select;
  };
  const agents = () => {
    const known = [...app.agents.values()].map((agent) => [agent.slug, agent.name || agent.slug]);
    // Before the agents have come, the remembered one is taken at its word.
    if (!known.length && choice.agent) known.push([choice.agent, choice.agent]);
    return [["", t("overview.every.agent")], ...known];
  };
  const days = h("span", { class: "days", hidden: choice.period !== "custom" }, day("from"), day("to"));
  const form = h("form", { class: "overview-bar", "aria-label": t("overview.choose") },
    h("fieldset", { class: "segments" }, h("legend", { class: "sr-only" }, t("overview.period")), ...PERIODS.map(radio)),
    days,
    pick("transport", [["", t("overview.every.transport")], ...TRANSPORTS.map((name) => [name, t(`channel.${name}`)])]),
    pick("agent", agents()));
  form.addEventListener("change", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.agents = () => {
    const old = form.elements.agent;
    const chosen = choice.agent;
    const now = pick("agent", agents());
    if (now.textContent !== old.textContent) old.replaceWith(now);
    if (choice.agent !== chosen) onchange(choice);
  };
  return form;
}
