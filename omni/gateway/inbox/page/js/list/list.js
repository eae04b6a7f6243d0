/** <omni-list>: the list of conversations. */

import { fill, h, paced } from "../dom.js";
import { icon } from "../icons.js";
import { app } from "../model.js";
import { filterQuery, go, onRoute, route } from "../router.js";
import * as shortcuts from "../shortcuts.js";
import { t } from "../texts.js";
import { menuButton } from "../shell/nav.js";
import { jumpTo } from "../thread/jump.js";
import { filterOf, filterParams, parseFilter, VIEWS } from "./filter.js";
import { failed, nothing, skeletons } from "./empty.js";
import { Head } from "./head.js";
import { Listing } from "./listing.js";
import { loading } from "./loading.js";
import { Scroller } from "./scroller.js";
import { Search } from "./search.js";

const TICK_MS = 1000;
const REDRAW_MS = 250; // nobody reads rows that move more often, and each time is a layout of the whole list

class OmniList extends HTMLElement {
  #abort = null;
  #filter = null;
  #key = null;
  #listing = null;
  #scroller = null;
  #head = null;
  #search = null;
  #status = h("div", { class: "list-status" });
  #above = h("button", { class: "btn small list-above", type: "button", hidden: true, on: { click: () => this.#toTop() } });
  #newAbove = 0;
  #changed = new Set();
  #gone = new Set();
  #flush = paced(REDRAW_MS, () => this.#takeChanges());
  #takenBack = [];
  #timer = null;

  connectedCallback() {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#search = new Search({
      go: (id, message) => this.#openFound(id, message),
      onToggle: (isOn) => this.classList.toggle("searching", isOn),
    });
    this.#head = new Head({ before: menuButton(), search: this.#search.element });
    this.#scroller = new Scroller({ href: (id) => this.#linkTo(id), onNearEnd: () => loading.more() });
    this.#scroller.element.setAttribute("aria-label", t("list.label"));
    this.#scroller.element.addEventListener("keydown", (event) => this.#pressed(event));
    this.#scroller.element.addEventListener("click", (event) => this.#clicked(event));
    this.#scroller.element.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    fill(this, this.#head.element, h("div", { class: "list-body" }, this.#above, this.#scroller.element, this.#status), this.#search.results);

    app.on("rows", ({ detail }) => this.#heard(detail), signal);
    for (const name of ["operators", "labels", "agents"]) app.on(name, () => (this.#scroller.redraw(), this.#drawHead()), signal);
    app.on("views", () => this.#drawHead(), signal);
    app.on("open", ({ detail }) => this.#scroller.setOpen(detail), signal);
    loading.addEventListener("change", () => this.#drawHead(), { signal });
    this.#takenBack = [onRoute((now, before) => this.#routed(now, before)), ...this.#keys()];
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#routed(route(), null);
    this.#scroller.setOpen(app.openId);
  }

  disconnectedCallback() {
    this.#abort?.abort();
    this.#scroller?.stop();
    clearInterval(this.#timer);
    for (const takeBack of this.#takenBack) takeBack();
    this.#takenBack = [];
  }

  // -- what is listed

  #routed(now, before) {
    const filter = parseFilter(filterQuery());
    const key = filterParams(filter).toString();
    if (key !== this.#key) {
      this.#key = key;
      this.#filter = filter;
      this.#newAbove = 0;
      this.#listing = new Listing(filter, app.me.id, app.rows.values());
      this.#scroller.showListing(this.#listing);
      this.#search.clear();
      loading.show(filter);
      this.#drawHead();
    }
    const cameBack = before?.name === "conversation" && now.name === "list";
    if (cameBack && innerWidth < 800) this.#scroller.activate(before.id);
  }

  #heard({ ids, gone }) {
    for (const id of ids) {
      this.#changed.add(id);
      this.#gone.delete(id);
    }
    for (const id of gone) {
      this.#gone.add(id);
      this.#changed.delete(id);
    }
    this.#flush();
  }

  #takeChanges() {
    if (!this.#listing) return;
    const changed = new Set();
    const isLive = !loading.busy;
    const shift = this.#scroller.keepingPlace(() => {
      for (const id of this.#gone) if (this.#listing.remove(id)) changed.add(id);
      for (const id of this.#changed) {
        const row = app.rows.get(id);
        if (row && this.#listing.put(row)) changed.add(id);
      }
      return changed;
    });
    this.#changed.clear();
    this.#gone.clear();
    if (!changed.size) return;
    if (isLive && shift > 0) this.#newAbove += shift;
    this.#drawHead();
  }

  #drawHead() {
    if (!this.#listing) return;
    this.#head.show(this.#filter, this.#listing.length || !loading.busy ? this.#listing.length : null, loading.hasMore);
    this.#drawStatus();
    this.#drawAbove();
  }

  #drawStatus() {
    const isEmpty = this.#listing.length === 0;
    const kind = loading.problem && isEmpty ? "problem" : loading.busy && isEmpty ? "loading" : isEmpty ? "empty" : "";
    this.#scroller.element.hidden = isEmpty;
    const key = `${kind} ${this.#key}`;
    if (this.#status.dataset.key === key) return;
    this.#status.dataset.key = key;
    this.#status.hidden = kind === "";
    fill(this.#status, kind === "problem" ? failed(loading.problem, () => loading.refresh()) : kind === "loading" ? skeletons() : kind === "empty" ? nothing(this.#filter) : null);
  }

  #drawAbove() {
    this.#above.hidden = this.#newAbove === 0;
    if (this.#newAbove) fill(this.#above, icon("up", { size: 15 }), t("list.new", { n: this.#newAbove }));
  }

  #scrolled() {
    if (this.#newAbove && this.#scroller.scrollTop < 40) {
      this.#newAbove = 0;
      this.#drawAbove();
    }
  }

  #toTop() {
    this.#newAbove = 0;
    this.#scroller.element.scrollTop = 0;
    this.#drawAbove();
    this.#scroller.element.querySelector("[tabindex='0']")?.focus({ preventScroll: true });
  }

  #tick() {
    const now = app.now();
    this.#scroller.tick(now);
    const woken = [...app.rows.values()].filter((row) => row.state === "snoozed" && row.snoozed_until !== null && row.snoozed_until <= now);
    // The server says so only when somebody asks: time passing is no event.
    if (woken.length) app.take(woken.map((row) => ({ ...row, state: "open", snoozed_until: null })));
  }

  // -- opening

  #linkTo(id) {
    const query = this.#key ? `?${this.#key}` : "";
    return `#/c/${encodeURIComponent(id)}${query}`;
  }

  #open(id) {
    go(`/c/${encodeURIComponent(id)}`);
    if (innerWidth < 800) document.getElementById("main").focus({ preventScroll: true });
  }

  #openFound(id, message) {
    if (message?.call) jumpTo(id, { call: message.call, seq: message.seq });
    else go(`/c/${encodeURIComponent(id)}`);
  }

  #clicked(event) {
    const item = event.target.closest?.(".row-item");
    if (!item || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    this.#scroller.activate(item.dataset.id, { focus: true });
    this.#open(item.dataset.id);
  }

  // -- keys

  #step(by) {
    const at = this.#listing.indexOf(this.#scroller.active);
    const fresh = this.#scroller.element.querySelector("[tabindex='0']")?.dataset.id;
    const to = at < 0 ? Math.max(0, this.#listing.indexOf(fresh)) : Math.min(this.#listing.length - 1, Math.max(0, at + by));
    return this.#listing.at(to)?.id ?? null;
  }

  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.#listing.length - 1;
    const at = this.#listing.indexOf(event.target.dataset?.id);
    const page = this.#scroller.perPage;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: last }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.#scroller.activate(this.#listing.at(Math.min(last, Math.max(0, to)))?.id);
    } else if ((event.key === "Enter" || event.key === " ") && at >= 0) {
      event.preventDefault();
      this.#open(this.#listing.at(at).id);
    }
  }

  /** In the list, J and K move; from an open conversation they open the next one. */
  #move(by) {
    const id = this.#step(by);
    if (id === null) return false;
    const inList = app.openId === null || this.contains(document.activeElement);
    this.#scroller.activate(id, { focus: inList });
    if (!inList) go(`/c/${encodeURIComponent(id)}`, { replace: true });
    return true;
  }

  #keys() {
    const listed = () => (route().name === "list" || route().name === "conversation") && this.#listing.length > 0;
    return [
      shortcuts.add({ keys: "j", scope: "list", text: "keys.next", when: listed, run: () => this.#move(1) }),
      shortcuts.add({ keys: "k", scope: "list", text: "keys.previous", when: listed, run: () => this.#move(-1) }),
      shortcuts.add({
        keys: "enter",
        scope: "list",
        text: "keys.open",
        when: () => route().name === "list" && document.activeElement === document.body && this.#scroller.active !== null && listed(),
        run: () => this.#open(this.#scroller.active),
      }),
      shortcuts.add({ keys: "/", text: "keys.search", run: () => this.focusSearch() }),
      ...VIEWS.map((view, at) => shortcuts.add({ keys: String(at + 1), sheetKeys: ["1", "6"], scope: "list", text: "keys.view", when: () => route().name !== "settings", run: () => showView(view) })),
    ];
  }

  showSaved(view) {
    const query = filterParams(filterOf(view.filter)).toString();
    go(`/?${query}`);
  }

  focusSearch() {
    if (route().name === "overview" || route().name === "settings" || innerWidth < 800) go("/");
    this.#search.focus();
  }
}

/** One of the six views, without what narrowed the last one. */
export function showView(view) {
  const filter = { ...parseFilter(new URLSearchParams()), view };
  const query = filterParams(filter).toString();
  go(`/?${query}`);
}

customElements.define("omni-list", OmniList);
