// The bots: which answer, and which are paused for everybody.

import { fill, h, said } from "../dom.js";
import { app } from "../model.js";
import { pauseAgent, resumeAgent } from "../shell/agents.js";
import { hasText, t } from "../texts.js";

export async function show(host, signal) {
  const rows = h("ul", { class: "things" });

  function draw() {
    const at = document.activeElement?.closest?.("li")?.dataset.id;
    fill(rows, [...app.agents.values()].map(row));
    if (!app.agents.size) fill(rows, h("li", { class: "empty" }, t("settings.agents.empty")));
    if (at) rows.querySelector(`[data-id="${CSS.escape(at)}"] button`)?.focus();
  }

  function row(agent) {
    const verb = agent.paused ? "resume" : "pause";
    const name = agent.name || agent.slug;
    return h("li", { data: { id: agent.slug } },
      h("div", { class: "thing" },
        h("p", { class: "thing-name" }, said("span", {}, name), agent.paused ? h("span", { class: "badge warn" }, t("settings.agents.paused")) : h("span", { class: "badge ok" }, t("settings.agents.answers"))),
        h("p", { class: "thing-text" }, [`${agent.slug}`, agent.brain, ...agent.transports.map((one) => (hasText(`channel.${one}`) ? t(`channel.${one}`) : one))].filter(Boolean).join(" · "))),
      h("div", { class: "thing-acts" },
        h("button", { type: "button", class: `btn small ${agent.paused ? "primary" : ""}`, "aria-label": t(`agent.${verb}`, { name }), on: { click: () => (agent.paused ? resumeAgent(agent) : pauseAgent(agent)) } }, t(`settings.agents.${verb}`))));
  }

  await app.refreshAgents();
  app.on("agents", draw, signal);
  draw();
  fill(host, h("p", { class: "lead" }, t("settings.agents.lead")), rows);
}
