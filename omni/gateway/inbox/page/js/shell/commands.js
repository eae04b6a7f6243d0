/** The shell's own keys and commands. */

import { isTyping } from "../dom.js";
import { app } from "../model.js";
import { prefs } from "../prefs.js";
import { go, route } from "../router.js";
import * as shortcuts from "../shortcuts.js";
import { signOut } from "../signin.js";
import { language, languages, t } from "../texts.js";
import { VIEWS } from "../list/filter.js";
import { chooseLanguage, setTheme, THEMES } from "./account.js";
import { pauseAgent, resumeAgent } from "./agents.js";
import { VIEW_ICONS } from "./nav.js";
import { addCommands, openPalette } from "./palette.js";

export function startCommands() {
  shortcuts.add({ keys: "mod+k", text: "keys.palette", typing: true, run: openPalette });
  shortcuts.add({ keys: ["?", "shift+?"], sheetKeys: "?", text: "keys.sheet", run: shortcuts.showSheet });
  shortcuts.add({ keys: "escape", scope: "thread", text: "keys.back", typing: true, run: back });
  addCommands(commands);
}

/** One step out: of a field first, then of the panel that lies over the conversation, then of the conversation. */
function back(event) {
  if (isTyping(event.target)) {
    event.target.blur();
    return true;
  }
  if (route().name === "list") return false;
  if (innerWidth < 1200 && !document.getElementById("panel").hidden) {
    app.togglePanel(false);
    return true;
  }
  const id = app.openId;
  go("/");
  if (id) requestAnimationFrame(() => document.querySelector(`.row-item[data-id="${CSS.escape(id)}"]`)?.focus({ preventScroll: true }));
  return true;
}

const toList = (view) => go(view === "all" ? "/?" : `/?view=${view}`);

function commands() {
  return [
    ...(app.openId ? shortcuts.possible("thread").filter(({ keys }) => keys !== "escape").map((one) => ({ ...one, icon: "command" })) : []),
    ...VIEWS.map((view, at) => ({ text: t("palette.go", { name: t(`view.${view}`) }), icon: VIEW_ICONS[view], keys: String(at + 1), run: () => toList(view) })),
    ...app.views.map((view) => ({ text: t("palette.go", { name: view.name }), icon: "star", run: () => document.querySelector("omni-list")?.showSaved(view) })),
    { text: t("keys.search"), icon: "search", keys: "/", run: () => document.querySelector("omni-list")?.focusSearch() },
    { text: t("nav.overview"), icon: "chart", run: () => go("/overview") },
    { text: t("nav.settings"), icon: "settings", run: () => go("/settings") },
    { text: t("account.profile"), icon: "person", run: () => go("/settings/profile") },
    { text: t("account.keys"), icon: "keyboard", keys: "?", run: shortcuts.showSheet },
    ...THEMES.filter((theme) => theme !== prefs.get("theme")).map((theme) => ({ text: `${t("account.theme")}: ${t(`account.theme.${theme}`)}`, icon: theme === "dark" ? "moon" : "sun", run: () => setTheme(theme) })),
    ...languages.filter(({ code }) => code !== language()).map(({ code, name }) => ({ text: `${t("account.language")}: ${name}`, icon: "globe", words: "language idioma", run: () => chooseLanguage(code) })),
    { text: t("account.sound"), icon: prefs.get("sound") ? "mute" : "volume", run: () => prefs.set("sound", !prefs.get("sound")) },
    ...(app.can("admin") ? [...app.agents.values()].map((agent) => (agent.paused ? { text: t("agent.resume", { name: agent.name }), icon: "play", run: () => resumeAgent(agent) } : { text: t("agent.pause", { name: agent.name }), icon: "pause", run: () => pauseAgent(agent) })) : []),
    { text: t("account.signout"), icon: "exit", run: signOut },
  ];
}
