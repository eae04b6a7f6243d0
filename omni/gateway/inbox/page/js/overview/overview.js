// <omni-overview>: how the team and its bots are doing, for a lead.

import { h } from "../dom.js";
import { app } from "../model.js";
import { menuButton } from "../shell/nav.js";
import { t } from "../texts.js";
import { charts } from "./charts.js";
import { spanOf, zone } from "./periods.js";
import { figuresTable } from "./tables.js";
import { nowTiles, totalTiles } from "./tiles.js";
import { remembered, toolbar } from "./toolbar.js";

const AGAIN = 60_000; // the figures are counted anew while somebody looks at them
const SETTLE = 1_500; // several changes of the conversations are one change of the figures

class Overview extends HTMLElement {
  #choice = remembered();
  #asked = 0;
  #shown = "";
  #timer = 0;
  #soon = 0;

  connectedCallback() {
    this.#build();
    this.agentsChanged = () => this.bar.agents();
    this.countsChanged = () => this.#later(SETTLE);
    this.seen = () => document.hidden || this.#load();
    app.addEventListener("agents", this.agentsChanged);
    app.addEventListener("counts", this.countsChanged);
    document.addEventListener("visibilitychange", this.seen);
    this.#timer = setInterval(() => document.hidden || this.#load(), AGAIN);
    this.#load();
  }

  disconnectedCallback() {
    this.#asked += 1;
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    this.#soon = 0;
    app.removeEventListener("agents", this.agentsChanged);
    app.removeEventListener("counts", this.countsChanged);
    document.removeEventListener("visibilitychange", this.seen);
  }

  #build() {
    this.bar = toolbar(this.#choice, () => this.#load());
    this.csv = h("a", { class: "btn", download: "" }, t("overview.csv"));
    this.message = h("div", { class: "overview-message", role: "status" });
    this.results = h("div", { class: "overview-results" });
    this.replaceChildren(
      h("header", { class: "page-head" }, menuButton(), h("h1", {}, t("overview.title")), app.can("admin") ? this.csv : null),
      this.bar, this.message, this.results);
  }

  #later(wait) {
    this.#soon ||= setTimeout(() => {
      this.#soon = 0;
      if (!document.hidden) this.#load();
    }, wait);
  }

  async #load() {
    const span = spanOf(this.#choice);
    const mine = ++this.#asked;
    if (span.wrong) return this.#say(t(span.wrong), "wrong");
    const query = new URLSearchParams({ since: span.since, until: span.until, zone: zone() });
    for (const name of ["agent", "transport"]) if (this.#choice[name]) query.set(name, this.#choice[name]);
    this.csv.href = `/v1/inbox/overview.csv?${query}`;
    this.results.setAttribute("aria-busy", "true");
    if (!this.#shown) this.#say(t("overview.loading"));
    try {
      const found = await app.api("GET", `/v1/inbox/overview?${query}`);
      if (mine === this.#asked) this.#show(found, String(query));
    } catch (error) {
      if (mine !== this.#asked) return;
      this.#say(error.message || t("problem.unknown"), "wrong", h("button", { type: "button", class: "btn", on: { click: () => this.#load() } }, t("retry")));
    } finally {
      if (mine === this.#asked) this.results.removeAttribute("aria-busy");
    }
  }

  #say(text, tone = "", ...more) {
    this.message.className = `overview-message ${tone}`;
    this.message.replaceChildren(...(text ? [h("p", {}, text), ...more] : []));
  }

  /** Nothing is drawn anew while the figures are the same: whoever reads a value by keyboard stays where they are. */
  #show(found, query) {
    this.#say("");
    const shown = query + JSON.stringify(found);
    if (shown === this.#shown) return;
    const [was, is] = [this.#shown.startsWith(query), found.totals.conversations > 0];
    this.#shown = shown;
    const now = h("section", {}, h("h2", {}, t("overview.now")), nowTiles(found.now));
    if (was && is && this.results.contains(document.activeElement)) return this.results.firstChild.replaceWith(now);
    this.results.replaceChildren(now, ...(is ? this.#period(found) : [this.#empty()]));
  }

  #empty() {
    const filtered = this.#choice.agent || this.#choice.transport;
    return h("div", { class: "empty" }, h("p", {}, t("overview.empty")), h("p", { class: "muted" }, t(filtered ? "overview.empty.filtered" : "overview.empty.mend")));
  }

  #period(found) {
    const agentOf = (row) => app.agents.get(row.agent)?.name || row.agent;
    return [
      h("section", {}, h("h2", {}, t(`overview.in.${this.#choice.period}`)), totalTiles(found.totals)),
      charts(found),
      figuresTable(t("overview.by.transport"), "transport", found.by_transport, (row) => t(`channel.${row.transport}`)),
      figuresTable(t("overview.by.agent"), "agent", found.by_agent, agentOf),
    ];
  }
}

customElements.define("omni-overview", Overview);
