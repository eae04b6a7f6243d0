// <omni-overview>: how the team and its bots are doing, for a lead.

import { fill, h } from "../dom.js";
import { app } from "../model.js";
import { menuButton } from "../shell/nav.js";
import { hasText, t } from "../texts.js";
import { charts } from "./charts.js";
import { spanOf, zone } from "./periods.js";
import { figuresTable } from "./tables.js";
import { momentOf, nowTiles, totalTiles } from "./tiles.js";
import { remembered, toolbar } from "./toolbar.js";

const AGAIN = 60_000; // the period's figures are counted anew while somebody looks at them
const SETTLE = 2_000; // changes of the conversations are counted together

class Overview extends HTMLElement {
  #choice = remembered();
  #asked = 0;
  #counts = null;
  #shown = { query: "", text: "" };
  #soon = 0;
  #left = new AbortController();

  connectedCallback() {
    this.#left = new AbortController();
    const { signal } = this.#left;
    this.#build();
    app.on("agents", () => this.bar.agents(), signal);
    app.on("counts", () => this.#countSoon(), signal);
    document.addEventListener("visibilitychange", () => document.hidden || this.#load(), { signal });
    const timer = setInterval(() => document.hidden || this.#load(), AGAIN);
    signal.addEventListener("abort", () => clearInterval(timer));
    this.#load();
  }

  disconnectedCallback() {
    this.#left.abort();
    clearTimeout(this.#soon);
  }

  #build() {
    this.bar = toolbar(this.#choice, () => this.#load());
    this.csv = h("a", { class: "btn", download: "" }, t("overview.csv"));
    this.message = h("div", { class: "overview-message", role: "status" });
    this.now = h("div", {});
    this.period = h("div", { class: "overview-period" });
    fill(this,
      h("header", { class: "page-head" }, menuButton(), h("h1", {}, t("overview.title")), app.can("admin") ? this.csv : null),
      this.bar,
      h("section", { class: "overview-now" }, h("h2", {}, t("overview.now")), this.now),
      this.message, this.period);
  }

  /** The moment's figures follow the conversations; there is no need to count a whole period for that. */
  #countSoon() {
    this.#soon ||= setTimeout(() => {
      this.#soon = 0;
      if (!document.hidden) this.#count();
    }, SETTLE);
  }

  async #count() {
    try {
      this.#counts = (await app.api("GET", "/counts", undefined, { signal: this.#left.signal })).counts;
      this.#showNow();
    } catch {
      // The period's figures say what is wrong.
    }
  }

  #showNow() {
    if (!this.#counts) return;
    const moment = momentOf(this.#counts, this.#choice);
    const text = JSON.stringify(moment);
    if (text === this.now.dataset.shown || this.now.contains(document.activeElement)) return;
    this.now.dataset.shown = text;
    fill(this.now, nowTiles(moment));
  }

  async #load() {
    this.#showNow();
    this.#count();
    const span = spanOf(this.#choice);
    const mine = ++this.#asked;
    if (span.wrong) return this.#fail("", t(span.wrong));
    const query = new URLSearchParams({ since: span.since, until: span.until, zone: zone() });
    for (const name of ["agent", "transport"]) if (this.#choice[name]) query.set(name, this.#choice[name]);
    this.csv.href = `/v1/inbox/overview.csv?${query}`;
    this.period.setAttribute("aria-busy", "true");
    if (!this.#shown.query) this.#say(t("overview.loading"));
    try {
      const found = await app.api("GET", `/overview?${query}`, undefined, { signal: this.#left.signal });
      if (mine === this.#asked) this.#show(found, String(query));
    } catch (error) {
      if (mine !== this.#asked || error.name === "AbortError") return;
      this.#fail(String(query), error.message || t("problem.unknown"), h("button", { type: "button", class: "btn small", on: { click: () => this.#load() } }, t("retry")));
    } finally {
      if (mine === this.#asked) this.period.removeAttribute("aria-busy");
    }
  }

  /** Figures of something else than what is chosen go away; those that are merely a minute old stay. */
  #fail(query, text, ...more) {
    if (query !== this.#shown.query) {
      this.#shown = { query: "", text: "" };
      fill(this.period);
    }
    this.#say(text, "wrong", ...more);
  }

  #say(text, tone = "", ...more) {
    this.message.className = `overview-message ${tone}`;
    fill(this.message, text ? [h("p", {}, text), ...more] : []);
  }

  /** Nothing is drawn anew while the figures are the same, or while somebody reads them by keyboard. */
  #show(found, query) {
    this.#say("");
    const text = JSON.stringify(found);
    if (query === this.#shown.query && (text === this.#shown.text || this.period.contains(document.activeElement))) return;
    this.#shown = { query, text };
    fill(this.period, found.totals.conversations > 0 ? this.#figures(found) : this.#empty());
  }

  #empty() {
    const isFiltered = this.#choice.agent || this.#choice.transport;
    return h("div", { class: "empty" }, h("p", {}, t("overview.empty")), h("p", { class: "muted" }, t(isFiltered ? "overview.empty.filtered" : "overview.empty.mend")));
  }

  #figures(found) {
    const transportOf = (row) => (hasText(`channel.${row.transport}`) ? t(`channel.${row.transport}`) : row.transport);
    return [
      found.truncated ? h("p", { class: "overview-truncated", role: "status" }, t("overview.truncated", { n: found.totals.conversations })) : null,
      h("section", {}, h("h2", {}, t(`overview.in.${this.#choice.period}`)), totalTiles(found.totals)),
      charts(found),
      figuresTable(t("overview.by.transport"), "transport", found.by_transport, transportOf),
      figuresTable(t("overview.by.agent"), "agent", found.by_agent, (row) => app.agents.get(row.agent)?.name || row.agent),
    ];
  }
}

customElements.define("omni-overview", Overview);
