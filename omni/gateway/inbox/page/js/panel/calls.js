// The person's conversations so far, on every channel; each opens where it took place.

import { h } from "../dom.js";
import { channelIcon } from "../icons.js";
import { app } from "../model.js";
import { clock, date, hasText, t } from "../texts.js";
import { jumpTo } from "../thread/jump.js";

export function earlier(contact, row) {
  const calls = (contact.calls ?? []).filter((call) => call.conversation);
  if (!calls.length) return null;
  return h("section", { class: "panel-section", "aria-label": t("panel.earlier") },
    h("h3", {}, t("panel.earlier"), " ", h("span", { class: "muted" }, String(calls.length))),
    h("ul", { class: "calls" }, calls.map((call) => h("li", {}, line(call, row)))));
}

function line(call, row) {
  const isHere = call.conversation === row.id && call.id === row.call;
  const how = call.ended_at ? (hasText(`ended.${call.reason}`) ? t(`ended.${call.reason}`) : t("ended.other", { reason: call.reason ?? "" })) : t("panel.open_now");
  return h("button", { type: "button", class: "call", "aria-current": isHere ? "true" : null, on: { click: () => jumpTo(call.conversation, { call: call.id }) } },
    channelIcon(call.transport, { label: t(`channel.${call.transport}`), size: 16 }),
    h("span", { class: "grow" }, h("span", { class: "call-when" }, `${date(call.started_at)}, ${clock(call.started_at)}`),
      h("small", { class: "muted" }, [app.agents.get(call.agent)?.name ?? call.agent, how, typeof call.messages === "number" ? t("panel.messages", { n: call.messages }) : null].filter(Boolean).join(" · "))));
}
