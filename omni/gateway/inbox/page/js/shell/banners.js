/** Lines above everything: the connection is gone, an agent is paused. */

import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { app } from "../model.js";
import { resumeAgent } from "./agents.js";
import { t } from "../texts.js";

const QUIET_MS = 1500;
const place = document.getElementById("banners");
let lost = false;
let timer = null;

export function startBanners() {
  app.on("connection", () => soon());
  for (const name of ["agents", "language", "me"]) app.on(name, draw);
  addEventListener("online", () => soon());
  addEventListener("offline", () => soon());
  draw();
}

/** A connection that is back within a moment was not worth a word. */
function soon() {
  clearTimeout(timer);
  const now = !app.connected;
  if (now === lost) return;
  timer = setTimeout(
    () => {
      lost = now;
      draw();
    },
    now ? QUIET_MS : 0,
  );
}

function draw() {
  const paused = [...app.agents.values()].filter((agent) => agent.paused);
  const [first] = paused;
  const hadFocus = place.contains(document.activeElement);
  fill(
    place,
    lost ? h("div", { class: "banner", role: "status" }, icon("offline", { size: 16 }), h("span", null, t(navigator.onLine === false ? "banner.offline" : "banner.reconnecting"))) : null,
    paused.length
      ? h(
          "div",
          { class: "banner warn", role: "status" },
          icon("pause", { size: 16 }),
          h("span", { class: "said" }, paused.length === 1 ? t("banner.agent", { name: first.name }) : t("banner.agents", { names: paused.map((agent) => agent.name).join(", ") })),
          app.can("admin") && paused.length === 1 ? h("button", { class: "btn small", type: "button", on: { click: () => resumeAgent(first) } }, t("banner.resume", { name: first.name })) : null,
        )
      : null,
  );
  if (hadFocus && !place.contains(document.activeElement)) document.getElementById("main").focus({ preventScroll: true });
}
