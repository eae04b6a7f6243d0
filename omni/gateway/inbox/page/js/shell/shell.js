/** The frame around the views: which of them is shown where, and what the whole page needs to know. */

import { checkSession } from "../signin.js";
import { app } from "../model.js";
import { announce, fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { live } from "../live.js";
import { toast } from "../notices.js";
import { prefs } from "../prefs.js";
import { onRoute, route } from "../router.js";
import { language, t } from "../texts.js";
import { startBanners } from "./banners.js";
import { drawNav, startNav } from "./nav.js";
import { startCommands } from "./commands.js";
import { startTasks } from "./tasks.js";

const region = (id) => document.getElementById(id);
const frame = region("app");
let mounted = null;

export async function startShell() {
  app.panelOpen = prefs.get("panel");
  frame.hidden = false;
  startBanners();
  startNav();
  startCommands();
  await import("../list/list.js");
  // Before the list asks: it can only focus a row of a column that is shown.
  onRoute(() => show());
  draw();
  app.on("language", () => draw());
  app.on("panel", () => {
    if (innerWidth >= 1200) prefs.set("panel", app.panelOpen);
    placePanel();
  });
  live.onRefused = checkSession;
  live.start();
  startTasks();
  await loadRest();
  // Fetched before it is wanted: the first conversation then opens as quickly as the tenth.
  setTimeout(() => Promise.all([import("../thread/thread.js"), import("../panel/panel.js")]).catch(() => {}), 500);
  let { version } = app.me;
  app.on("connection", async () => {
    if (!app.connected || !version) return;
    const me = await app.api("GET", "/me", undefined, { quiet: true }).catch(() => null);
    if (!me || me.version === version) return;
    version = me.version;
    toast({ id: "update", text: t("update.ready"), ms: 0, action: { text: t("update.reload"), run: () => location.reload() } });
  });
  app.on("renewed", () => {
    live.restart();
    loadRest();
  });
}

/** Names and lists that views use; each one by itself, so that one that fails takes no other with it. */
async function loadRest() {
  const results = await Promise.allSettled([app.refreshOperators(), app.refreshAgents(), app.refreshLabels(), app.refreshViews()]);
  for (const result of results) if (result.status === "rejected") console.warn("inbox:", result.reason);
}

function draw() {
  drawNav();
  fill(region("list"), h("omni-list"));
  mounted = null;
  show();
}

function show() {
  const where = route();
  frame.dataset.route = where.name;
  const isConversation = where.name === "conversation";
  if (app.openId !== (isConversation ? where.id : null)) {
    app.openId = isConversation ? where.id : null;
    app.emit("open", app.openId);
  }
  region("list").setAttribute("aria-label", t("list.label"));
  region("panel").setAttribute("aria-label", t("panel.title"));
  const key = `${language()} ${where.name} ${isConversation ? where.id : where.name === "settings" ? where.tab : ""}`;
  if (key === mounted) return;
  const isFirst = mounted === null;
  mounted = key;
  if (isConversation) {
    mount("main", "omni-thread", { conversation: where.id }, () => import("../thread/thread.js"));
    mount("panel", "omni-panel", { conversation: where.id }, () => import("../panel/panel.js"));
  } else {
    fill(region("panel"));
    if (where.name === "overview") mount("main", "omni-overview", {}, () => import("../overview/overview.js"));
    else if (where.name === "settings") mount("main", "omni-settings", { tab: where.tab ?? "" }, () => import("../settings/settings.js"));
    else fill(region("main"), nothingChosen());
  }
  placePanel();
  if (!isFirst && (where.name === "overview" || where.name === "settings")) {
    region("main").focus({ preventScroll: true });
    announce(t(`nav.${where.name}`));
  }
}

/** Puts an element into a region, and then loads what defines it: there is a place for it before its code has come. */
function mount(id, tag, attributes, load) {
  const element = h(tag, attributes);
  fill(region(id), element);
  load().catch((error) => {
    console.warn("inbox:", error);
    if (element.isConnected && id === "main") fill(region(id), h("div", { class: "empty" }, icon("warning", { size: 28 }), h("p", null, t("problem.module"))));
  });
}

function nothingChosen() {
  return h(
    "div",
    { class: "empty nothing" },
    icon("inbox", { size: 40 }),
    h("h2", null, t("list.none")),
    h("p", null, t("list.none.hint")),
  );
}

let drawerOpen = false;

/** Wide windows keep the panel beside the conversation; in narrower ones it is a drawer that closes with the next step. */
function placePanel() {
  const isConversation = route().name === "conversation";
  const wide = innerWidth >= 1200;
  const open = isConversation && (wide ? app.panelOpen : drawerOpen);
  region("panel").hidden = !open;
  frame.classList.toggle("with-panel", open);
}

app.togglePanel = (open) => {
  if (innerWidth >= 1200) {
    app.panelOpen = open ?? !app.panelOpen;
  } else {
    drawerOpen = open ?? !drawerOpen;
  }
  app.emit("panel");
};

let wasWide = innerWidth >= 1200;
addEventListener("resize", () => {
  const wide = innerWidth >= 1200;
  if (wide !== wasWide) drawerOpen = false;
  wasWide = wide;
  placePanel();
});
app.on("open", () => {
  drawerOpen = false;
});
addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name === "ApiError") {
    event.preventDefault();
    toast({ text: event.reason.message, kind: "problem", id: "unhandled" });
  }
});
