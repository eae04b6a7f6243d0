// <omni-panel conversation="cv_…">: who the person is, what the team keeps about the conversation, and what came before.

import { fill, h, isTyping, perFrame } from "../dom.js";
import { icon } from "../icons.js";
import { app } from "../model.js";
import { t } from "../texts.js";
import { earlier } from "./calls.js";
import { caseSection } from "./case.js";
import { contactSection } from "./contact.js";

class Panel extends HTMLElement {
  #id;
  #row = null;
  #contact = null;
  #error = null;
  #gone;
  #asked = 0;
  #version = null;
  #shown = null;
  #draw = perFrame(() => this.#show());

  connectedCallback() {
    this.#id = this.getAttribute("conversation");
    this.#gone = new AbortController();
    const { signal } = this.#gone;
    const on = (target, name, act) => target.addEventListener(name, act, { signal });
    on(app, `row:${this.#id}`, ({ detail }) => detail && this.#took(detail));
    for (const name of ["operators", "labels", "agents"]) on(app, name, this.#draw);
    fill(this, h("div", { class: "panel-head" }, h("h2", {}, t("panel.title")),
      h("button", { type: "button", class: "icon-btn", "aria-label": t("panel.hide"), title: t("panel.hide"), on: { click: () => app.togglePanel(false) } }, icon("close"))),
    this.body = h("div", { class: "panel-body scroll" }, h("div", { class: "skeleton panel-skeleton" })));
    const row = app.rows.get(this.#id);
    if (row) this.#took(row);
    else this.#ask();
  }

  disconnectedCallback() {
    this.#gone?.abort();
  }

  #took(row) {
    this.#row = row;
    const version = `${row.contact?.id}:${row.call}:${row.contact?.name}:${row.contact?.paused}:${row.state}`;
    if (version !== this.#version) {
      this.#version = version;
      this.#load();
    }
    if (markOf(row) !== this.#shown) this.#draw();
  }

  async #ask() {
    try {
      const detail = await app.api("GET", `/conversations/${encodeURIComponent(this.#id)}`);
      if (this.isConnected && !this.#row) this.#took(detail);
    } catch (error) {
      this.#failed(error);
    }
  }

  async #load() {
    const asked = (this.#asked += 1);
    try {
      const contact = await this.#person();
      if (asked !== this.#asked || !this.isConnected) return;
      this.#contact = contact;
      this.#error = null;
      this.#draw();
    } catch (error) {
      if (asked === this.#asked) this.#failed(error);
    }
  }

  /** A group is nobody's record: it has what its conversation has. */
  async #person() {
    const { contact } = this.#row;
    if (!contact?.id || contact.id.startsWith("group:")) return { ...contact, identities: [], attributes: {}, opted_out: [], calls: [], isGroup: true };
    return app.api("GET", `/contacts/${encodeURIComponent(contact.id)}`);
  }

  #failed(error) {
    this.#error = error;
    this.#draw();
  }

  /** What the keyboard stops at: whoever stood at one of them stands there still once it is drawn anew. */
  #stops() {
    return [...this.body.querySelectorAll("button, input, a")];
  }

  #show() {
    if (!this.isConnected) return;
    if (this.#error && !this.#contact) {
      fill(this.body, h("div", { class: "empty" }, h("p", {}, this.#error.message), h("button", { type: "button", class: "btn", on: { click: () => this.#load() } }, t("retry"))));
      return;
    }
    this.#shown = null; // whoever types is left alone: the next row that comes is drawn
    if (!this.#row || !this.#contact || isTyping(this.body.contains(document.activeElement) ? document.activeElement : null)) return;
    const changed = () => this.#load();
    const at = this.#stops().indexOf(document.activeElement);
    fill(this.body, contactSection(this.#contact, this.#row, { changed }), caseSection(this.#row), earlier(this.#contact, this.#row));
    if (at >= 0) this.#stops()[at]?.focus({ preventScroll: true });
    this.#shown = markOf(this.#row);
  }
}

/** What is shown of a row: the rest of it changes with every message, several times a second. */
const markOf = (row) => JSON.stringify([row.id, row.call, row.agent, row.contact, row.state, row.handler, row.assignee, row.labels, row.snoozed_until, row.handoff_reason]);

customElements.define("omni-panel", Panel);
