/** Pausing a whole agent: for when it says something wrong to everybody. */

import { api } from "../api.js";
import { confirm } from "../dialog.js";
import { app } from "../model.js";
import { problem, toast } from "../notices.js";
import { t } from "../texts.js";

export async function pauseAgent(agent) {
  const sure = await confirm({
    title: t("agent.pause.title", { name: agent.name }),
    text: t("agent.pause.text"),
    yes: t("agent.pause.yes"),
    danger: true,
  });
  if (sure) await turn(agent, true);
}

export const resumeAgent = (agent) => turn(agent, false);

async function turn(agent, paused) {
  try {
    await api("POST", `/agents/${encodeURIComponent(agent.slug)}/${paused ? "pause" : "resume"}`, {});
    const known = app.agents.get(agent.slug);
    if (known) app.setAgents([...app.agents.values()].map((one) => (one === known ? { ...one, paused } : one)));
    if (!paused) toast({ text: t("agent.resumed", { name: agent.name }), kind: "ok" }); // that it is paused, the banner says
  } catch (error) {
    problem(error);
  }
}
