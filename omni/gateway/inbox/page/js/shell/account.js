/** The person's menu: language, theme, sounds, agents, leaving. */

import { api } from "../api.js";
import { openMenu } from "../dialog.js";
import { app } from "../model.js";
import { desktop, problem, toast } from "../notices.js";
import { prefs } from "../prefs.js";
import { go } from "../router.js";
import { showSheet } from "../shortcuts.js";
import { signOut } from "../signin.js";
import { language, languages, setLanguage, t } from "../texts.js";
import { pauseAgent, resumeAgent } from "./agents.js";

export const THEMES = ["auto", "light", "dark"];
const THEME_ICONS = { auto: "browser", light: "sun", dark: "moon" };

export function openAccount(anchor) {
  openMenu(anchor, items, { label: t("account.label", { name: app.me.name }) });
}

const items = () => [
  { text: t("account.profile"), icon: "person", run: () => go("/settings/profile") },
  { text: t("account.keys"), icon: "keyboard", hint: "?", run: showSheet },
  { heading: t("account.theme") },
  ...THEMES.map((theme) => ({ text: t(`account.theme.${theme}`), icon: THEME_ICONS[theme], checked: prefs.get("theme") === theme, keepOpen: true, run: () => setTheme(theme) })),
  { heading: t("account.language") },
  ...languages.map(({ code, name }) => ({ text: name, icon: "globe", checked: language() === code, run: () => chooseLanguage(code) })),
  "line",
  { text: t("account.sound"), icon: prefs.get("sound") ? "volume" : "mute", checked: prefs.get("sound"), keepOpen: true, run: () => prefs.set("sound", !prefs.get("sound")) },
  notifications(),
  ...agents(),
  "line",
  { text: t("account.signout"), icon: "exit", run: signOut },
];

function notifications() {
  const state = desktop.state();
  if (state === "unsupported") return null;
  if (state === "denied") return { text: t("account.desktop.denied"), icon: "bellOff", disabled: true };
  if (state === "default") return { text: t("account.desktop.ask"), icon: "bell", run: () => desktop.ask() };
  return { text: t("account.desktop"), icon: "bell", checked: prefs.get("desktop"), keepOpen: true, run: () => prefs.set("desktop", !prefs.get("desktop")) };
}

function agents() {
  if (!app.can("admin") || !app.agents.size) return [];
  return [
    { heading: t("account.agents") },
    ...[...app.agents.values()].map((agent) =>
      agent.paused ? { text: t("agent.resume", { name: agent.name }), icon: "play", run: () => resumeAgent(agent) } : { text: t("agent.pause", { name: agent.name }), icon: "pause", run: () => pauseAgent(agent) },
    ),
  ];
}

export function setTheme(theme) {
  prefs.set("theme", theme);
  app.emit("theme");
}

/** The page in another language at once, and for the person's next sign-in. */
export async function chooseLanguage(code) {
  prefs.set("language", code);
  setLanguage(code);
  app.emit("language");
  document.querySelector(".nav-account")?.focus();
  try {
    app.me = { ...app.me, ...(await api("PATCH", "/me", { language: code })) };
  } catch (error) {
    if (error.code === "offline") toast({ text: error.message, kind: "problem" });
    else problem(error);
  }
}
