// <omni-settings tab>: what a person sets for themselves, and an admin for the team.

import { fill, h } from "../dom.js";
import { app } from "../model.js";
import { menuButton } from "../shell/nav.js";
import { t } from "../texts.js";

const TABS = {
  profile: ["viewer", () => import("./profile.js")],
  canned: ["agent", () => import("./canned.js")],
  views: ["agent", () => import("./views.js")],
  labels: ["admin", () => import("./labels.js")],
  agents: ["admin", () => import("./agents.js")],
  operators: ["admin", () => import("./operators.js")],
  audit: ["admin", () => import("./audit.js")],
};

class Settings extends HTMLElement {
  static observedAttributes = ["tab"];
  #left = new AbortController();

  connectedCallback() {
    this.#show();
  }

  disconnectedCallback() {
    this.#left.abort();
  }

  attributeChangedCallback(_, was, is) {
    if (this.isConnected && was !== is) this.#show();
  }

  async #show() {
    const name = this.getAttribute("tab") || "profile";
    const [role, load] = TABS[name] ?? [null, null];
    this.#left.abort();
    this.#left = new AbortController();
    const { signal } = this.#left;
    const body = h("div", { class: "settings-body" });
    const tabs = Object.keys(TABS).filter((one) => app.can(TABS[one][0]));
    const nav = h("nav", { class: "settings-tabs", "aria-label": t("settings.title") },
      tabs.map((one) => h("a", { href: `#/settings/${one}`, "aria-current": one === name ? "page" : null }, t(`settings.tab.${one}`))));
    fill(this, h("header", { class: "page-head" }, menuButton(), h("h1", {}, t("settings.title"))), h("div", { class: "settings" }, nav,
      h("section", { class: "settings-page" }, h("h2", {}, load ? t(`settings.tab.${name}`) : t("settings.unknown")), body)));
    nav.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (!load) return fill(body, h("p", { class: "lead" }, t("settings.unknown.mend")));
    if (!app.can(role)) return fill(body, h("p", { class: "lead" }, await forbidden(role)));
    await this.#fill(body, load, signal);
  }

  async #fill(body, load, signal) {
    const waits = setTimeout(() => fill(body, h("p", { class: "muted", role: "status" }, t("settings.loading"))), 150);
    try {
      const { show } = await load();
      const host = h("div", {});
      await show(host, signal);
      if (!signal.aborted) fill(body, host);
    } catch (error) {
      if (signal.aborted) return;
      const again = h("button", { type: "button", class: "btn", on: { click: () => this.#fill(body, load, signal) } }, t("retry"));
      fill(body, h("p", { class: "wrong", role: "alert" }, error.message || t("problem.unknown")), again);
    } finally {
      clearTimeout(waits);
    }
  }
}

/** Who may see a page, and whom to ask. */
async function forbidden(role) {
  if (!app.operators.size) await app.refreshOperators().catch(() => {});
  const admins = [...app.operators.values()].filter((one) => one.role === "admin" && !one.disabled).map((one) => one.name);
  return [t(`settings.only.${role}`), admins.length ? t("settings.ask", { who: admins.join(", ") }) : ""].join(" ").trim();
}

customElements.define("omni-settings", Settings);
