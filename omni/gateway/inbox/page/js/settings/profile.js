// A person's own settings: who they are, how the page looks and behaves in this browser, their password.

import { useSession } from "../api.js";
import { fill, h } from "../dom.js";
import { app } from "../model.js";
import { toast } from "../notices.js";
import { prefs } from "../prefs.js";
import { language, languages, setLanguage, t } from "../texts.js";
import { box, choice, field, form, input } from "./form.js";

const THEMES = ["auto", "light", "dark"];
const SHORTEST_PASSWORD = 10;

export async function show(host) {
  fill(host,
    h("p", { class: "lead" }, t("settings.profile.lead", { email: app.me.email ?? "", role: t(`account.role.${app.me.role}`) })),
    person(),
    h("h3", {}, t("settings.browser")), h("p", { class: "lead" }, t("settings.browser.lead")), browser(),
    h("h3", {}, t("settings.password")), password());
}

function person() {
  const fields = [
    field(t("settings.name"), input("name", { value: app.me.name, required: true, maxlength: "80", dir: "auto", autocomplete: "name" }), { hint: t("settings.name.hint") }),
    field(t("settings.language"), choice("language", app.me.language ?? language(), languages.map((one) => [one.code, one.name]))),
  ];
  return form(fields, {
    label: t("settings.tab.profile"),
    submit: t("save"),
    save: async ({ name, language: wanted }) => {
      adopt(await app.api("PATCH", "/me", { name: name.trim(), language: wanted }));
      prefs.set("language", wanted);
      if (wanted === language()) return;
      setLanguage(wanted);
      app.emit("language");
      toast({ text: t("settings.saved"), kind: "ok" });
    },
  });
}

/** The server's answer about the person; a changed password comes with another CSRF token. */
function adopt(me) {
  Object.assign(app.me, me);
  useSession({ csrf: app.me.csrf });
  app.emit("me");
}

/** What holds at once and only here. */
function browser() {
  const theme = choice("theme", prefs.get("theme"), THEMES.map((one) => [one, t(`account.theme.${one}`)]));
  theme.addEventListener("change", () => {
    prefs.set("theme", theme.value);
    app.emit("theme");
  });
  const desktop = notifications();
  return h("div", { class: "checks" }, field(t("account.theme"), theme), toggle("enterSends", "settings.enter", t("settings.enter.hint")), toggle("sound", "account.sound"), desktop);
}

/** On only while the browser agrees: switching it on is what asks. */
function notifications() {
  const permission = () => ("Notification" in window ? Notification.permission : "denied");
  const hint = () => (permission() === "denied" ? t("account.desktop.denied") : t(`settings.desktop.${permission()}`));
  const control = box("desktop", prefs.get("desktop") && permission() === "granted", { class: "switch", role: "switch", disabled: permission() === "denied" });
  const node = field(t("account.desktop"), control, { hint: hint() });
  control.addEventListener("change", async () => {
    prefs.set("desktop", control.checked);
    if (!control.checked || permission() !== "default") return;
    control.checked = (await Notification.requestPermission()) === "granted";
    control.disabled = permission() === "denied";
    node.querySelector(".hint").textContent = hint();
  });
  return node;
}

function toggle(name, key, hint) {
  const control = box(name, prefs.get(name), { class: "switch", role: "switch" });
  control.addEventListener("change", () => prefs.set(name, control.checked));
  return field(t(key), control, { hint });
}

function password() {
  const has = app.me.has_password !== false;
  const fields = [
    // For password managers: whose password this is.
    h("input", { type: "email", autocomplete: "username", value: app.me.email ?? "", hidden: true, "aria-hidden": "true", tabindex: "-1" }),
    has ? field(t("settings.password.old"), input("old", { type: "password", autocomplete: "current-password", required: true })) : null,
    field(t("settings.password.new"), input("new", { type: "password", autocomplete: "new-password", required: true, minlength: String(SHORTEST_PASSWORD) }), { hint: t("settings.password.new.hint", { n: SHORTEST_PASSWORD }) }),
  ];
  const node = form(fields, {
    label: t("settings.password"),
    submit: t(has ? "settings.password.change" : "settings.password.set"),
    save: async (values) => adopt(await app.api("PATCH", "/me", { password: { ...(has ? { old: values.old } : {}), new: values.new } })),
    done: () => {
      node.replaceWith(password());
      toast({ text: t("settings.password.done"), kind: "ok" });
    },
  });
  return node;
}
