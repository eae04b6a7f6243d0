// <omni-thread conversation="cv_…">: a conversation from its first message to the one being written.

import { Composer } from "../composer/composer.js";
import { outbox } from "../composer/sending.js";
import { announce, fill, h, paced, perFrame } from "../dom.js";
import { icon } from "../icons.js";
import { app, isOnLine, titleOf } from "../model.js";
import { problem } from "../notices.js";
import { shortcuts } from "../shortcuts.js";
import { t } from "../texts.js";
import { ActionBar } from "./actions.js";
import * as acts from "./acts.js";
import { Feed } from "./feed.js";
import { rowsOf } from "./fold.js";
import { Header } from "./header.js";
import { takeJump } from "./jump.js";
import { lineOf } from "./calling.js";
import { openLightbox } from "./lightbox.js";
import { summaryOf } from "./parts.js";
import { pendingRows } from "./pending.js";
import { Place } from "./scroll.js";
import { Tail } from "./tail.js";
import { dayKey } from "./times.js";
import { View } from "./view.js";

const ASIDE_MS = 200; // between two draws of what is no message: each is a frame, and messages wait for frames
const SEEN_MS = 500;

class Thread extends HTMLElement {
  #id = null;
  #row = null;
  #detail = null;
  #rows = [];
  #byProvider = new Map();
  #unseen = 0;
  #gone = null;
  #draw = perFrame(() => this.#show());
  #drawSoon = paced(ASIDE_MS, () => this.#show());
  #drawRow = paced(ASIDE_MS, () => this.#showRow());
  #seen = null;
  #unsaid = null;
  #saySoon = paced(SEEN_MS, () => this.#saySeen());
  #feed;
  #header;
  #composer;
  #view;
  #place;
  #tail;
  #bar;

  connectedCallback() {
    this.#id = this.getAttribute("conversation");
    this.#gone = new AbortController();
    this.#build();
    this.#listen(this.#gone.signal);
    this.#start();
  }

  disconnectedCallback() {
    this.#saySeen();
    this.#gone?.abort();
    this.#feed?.stop();
    this.#place?.leave();
    this.#header?.leave();
    this.#composer?.leave();
  }

  #build() {
    this.#feed = new Feed(this.#id);
    this.#header = new Header(() => this.#composer.write("reply"));
    this.#tail = new Tail(() => this.#customer());
    this.#bar = new ActionBar({
      react: (row, emoji) => acts.react(this.#id, row.provider, emoji),
      quote: (row) => this.#composer.quote(row, this.#speaker(row), summaryOf(row.parts, row.text)),
      copy: (row) => navigator.clipboard?.writeText(row.text).then(() => announce(t("thread.copied")), problem),
      allowed: (row) => ({ react: this.#may() && Boolean(row.provider) && row.from === "user" && !row.revoked && this.#row?.transport === "whatsapp", quote: this.#may() && Boolean(row.provider) && !row.revoked }),
    });
    this.#view = new View({
      speaker: (row) => this.#speaker(row), customer: () => this.#customer(), find: (id) => this.#byProvider.get(id) ?? null,
      jump: (id) => this.#jumpToMessage(id), image: (src) => this.#enlarge(src), undo: (row) => this.#composer.takeBack(row.group),
      retry: (row) => (row.letter ? this.#composer.sendAgain(row.letter) : acts.retry(this.#id, row.delivery.id)),
      back: (row) => this.#composer.takeBack(row.group, true),
    });
    this.top = h("div", { class: "thread-top" });
    this.news = h("div", { class: "sr-only", role: "log", "aria-live": "polite", "aria-relevant": "additions" });
    this.box = h("div", { class: "log scroll", role: "group", tabIndex: 0, "aria-label": t("thread.messages") },
      this.top, this.#view.element, this.#tail.element);
    this.pill = h("button", { type: "button", class: "pill", hidden: true, on: { click: () => this.#place.toBottom() } });
    this.#composer = new Composer({
      id: this.#id, typing: (on) => this.#feed.sayTyping(on), sent: () => this.#place.toBottom(),
    });
    fill(this, this.#header.element, h("div", { class: "log-frame" }, this.box, this.pill), this.news, this.#composer.element);
    this.#place = new Place(this.box, this.#view.element, { onMove: () => this.#moved(), onTop: () => this.#older() });
  }

  #listen(signal) {
    const on = (target, name, act, options = {}) => target.addEventListener(name, act, { signal, ...options });
    on(this.#feed, "change", this.#draw);
    on(this.#feed, "aside", this.#drawSoon);
    on(this.#feed, "failed", this.#draw);
    on(this.#feed, "fleeting", () => this.#place.keep(() => this.#tail.show(this.#feed, this.#row)));
    on(this.#feed, "presence", () => this.#header.present(this.#feed.presence));
    on(this.#feed, "arrived", ({ detail }) => this.#arrived(detail));
    on(outbox, "change", this.#draw);
    on(app, `row:${this.#id}`, ({ detail }) => this.#heard(detail));
    on(app, "operators", () => this.#named());
    on(app, "agents", () => this.#named());
    on(app, "jump", () => this.#jump());
    on(document, "visibilitychange", () => this.#look());
    on(this.box, "mouseover", ({ target }) => this.#bar.at(this.#view.bubbleAt(target)));
    on(this.box, "mouseleave", () => this.box.contains(document.activeElement) || this.#bar.leave());
    on(this.box, "focusin", ({ target }) => this.#bar.at(this.#view.bubbleAt(target)));
    on(this.box, "keydown", (event) => this.#walk(event));
    this.#keys(signal);
  }

  #keys(signal) {
    const press = (act) => [() => this.#header.press(act), () => this.#header.can(act)];
    const always = () => true;
    const added = [
      ["t", "keys.take", ...press("take")], ["h", "keys.hand_back", ...press("release")], ["e", "keys.resolve", ...press("end")],
      ["s", "keys.snooze", ...press("snooze")], ["a", "keys.assign", ...press("assign")], ["l", "keys.label", ...press("label")],
      ["r", "keys.reply", () => this.#composer.write("reply")], ["n", "keys.note", () => this.#composer.write("note")],
      ["i", "keys.details", () => app.togglePanel()],
    ].map(([keys, text, run, may = always]) => shortcuts.add({ keys, scope: "thread", text, run, when: () => this.isConnected && may() }));
    signal.addEventListener("abort", () => added.forEach((takeBack) => takeBack()));
  }

  async #start() {
    this.#took(app.rows.get(this.#id) ?? null);
    outbox.own(app.me?.id ?? null);
    this.#feed.start().then(() => this.#jump());
    try {
      this.#detail = await app.api("GET", this.#feed.path(""));
    } catch (error) {
      if (error.status === 404) fill(this, h("div", { class: "empty" }, icon("warning", { size: 28 }), h("h2", {}, t("thread.not_found"))));
      else problem(error);
      return;
    }
    if (!this.isConnected) return;
    app.take([this.#detail]);
    this.#took(app.rows.get(this.#id) ?? this.#detail);
    if (this.#detail.presence) {
      this.#feed.presence = this.#detail.presence;
      this.#header.present(this.#feed.presence);
    }
  }

  /** A row that says who has the conversation is shown at once; most say only that there was another message. */
  #heard(row) {
    const was = this.#row;
    if (!row) return;
    if (!was || was.handler !== row.handler || was.handled_by !== row.handled_by || was.state !== row.state || was.case !== row.case) return void this.#took(row);
    this.#row = row;
    this.#drawRow();
    this.#look();
  }

  #took(row) {
    if (!row) return;
    this.#row = row;
    this.#showRow();
    this.#look();
  }

  #showRow() {
    const row = this.#row;
    if (!this.isConnected || !row) return;
    this.#header.show(row, lineOf(this.#feed.log.items(), row.call));
    this.#composer.show(row, this.#detail);
    this.#tail.show(this.#feed, row);
  }

  /** Somebody's name has come or changed. */
  #named() {
    this.#view.forget();
    this.#took(this.#row);
    this.#draw();
  }

  #may() {
    return app.can("agent");
  }

  #customer() {
    return this.#row ? titleOf(this.#row) : "";
  }

  #speaker(row) {
    if (row.from === "user") return row.name && this.#row?.contact?.id?.startsWith("group") ? row.name : this.#customer();
    if (row.from === "bot") return app.agents.get(this.#row?.agent)?.name ?? t("bot");
    return app.isMe(row.by) ? t("thread.you") : app.nameOf(row.by) ?? t("event.somebody");
  }

  #show() {
    if (!this.isConnected) return;
    const letters = outbox.of(this.#id);
    if (letters.length) outbox.settle(this.#id, this.#feed.log.items().filter((item) => item.type === "human.message"));
    this.#rows = rowsOf(this.#feed.log.items(), { deliveryOf: (id) => this.#feed.log.delivery(id), heardOf: (id) => this.#feed.heard.get(id) ?? null, dayOf: dayKey, complete: this.#feed.complete });
    this.#byProvider = new Map();
    for (const row of this.#rows) if (row.provider) this.#byProvider.set(row.provider, row);
    for (const row of this.#rows) for (const id of row.delivery?.provider_ids ?? []) this.#byProvider.set(id, row);
    const shown = [...this.#rows, ...pendingRows(outbox.of(this.#id), app.me?.id, this.#rows.at(-1))];
    if (isOnLine(this.#row)) this.#header.show(this.#row, lineOf(this.#feed.log.items(), this.#row.call));
    this.#place.keep(() => {
      this.#view.show(shown);
      this.#tail.show(this.#feed, this.#row);
      this.#showTop();
    });
    if (this.#place.nearTop) this.#older();
    this.#look();
  }

  #showTop() {
    const { error, loading, loaded, complete } = this.#feed;
    if (error) {
      fill(this.top, h("div", { class: "empty" }, icon("warning", { size: 24 }), h("p", {}, error.message), h("button", { type: "button", class: "btn", on: { click: () => this.#feed.start() } }, t("retry"))));
    } else if (!loaded && loading) {
      fill(this.top, h("div", { class: "thread-loading", "aria-label": t("list.loading") }, [62, 40, 55].map((width) => h("div", { class: "skeleton", style: { width: `${width}%` } }))));
    } else if (loaded && complete && !this.#rows.length) {
      fill(this.top, h("div", { class: "empty" }, h("p", {}, t("thread.empty"))));
    } else fill(this.top, loaded && !complete ? h("div", { class: "spinner", role: "status", "aria-label": t("list.loading") }) : null);
  }

  async #older() {
    if (!this.#feed.loaded || this.#feed.before === null) return;
    try {
      await this.#feed.older();
    } catch (error) {
      if (error.code !== "offline") problem(error);
    }
  }

  #arrived(items) {
    const told = items.filter((item) => ["user.message", "bot.message", "human.message", "note"].includes(item.type) && !app.isMe(item.by));
    for (const item of told) {
      const from = { "user.message": "user", "bot.message": "bot" }[item.type] ?? "human";
      this.news.append(h("p", { dir: "auto" }, `${this.#speaker({ from, by: item.by, name: item.name })}: ${summaryOf(item.parts ?? [], item.text)}`));
    }
    while (this.news.children.length > 5) this.news.firstChild.remove();
    if (this.#place.stuck) return;
    this.#unseen += told.length;
    this.#showPill();
  }

  #showPill() {
    const mark = `${this.#place.stuck} ${this.#unseen}`;
    if (mark === this.pill.dataset.mark) return; // every message scrolls the log, and asks
    this.pill.dataset.mark = mark;
    this.pill.hidden = this.#place.stuck;
    fill(this.pill, icon("down", { size: 16 }), this.#unseen ? t("thread.new_messages", { n: this.#unseen }) : t("thread.to_bottom"));
  }

  #moved() {
    if (this.#place.stuck) {
      this.#unseen = 0;
      this.#feed.trim();
      this.#look();
    }
    this.#showPill();
  }

  /** Whoever looks at the newest message has seen them all. */
  #look() {
    const row = this.#row;
    if (!row?.unread || document.hidden || !this.#feed.loaded || !this.#place.stuck || !this.#may()) return;
    const mark = `${row.call}:${row.seq}`;
    if (this.#seen === mark) return;
    this.#seen = mark;
    this.#unsaid = [row.call, row.seq];
    this.#saySoon();
  }

  #saySeen() {
    const upTo = this.#unsaid;
    this.#unsaid = null;
    if (upTo) acts.seen(this.#id, ...upTo);
  }

  #walk(event) {
    if (!["ArrowUp", "ArrowDown"].includes(event.key) || event.target.closest("button, input, summary, pre, video, .actions")) return;
    const messages = [...this.#view.element.querySelectorAll(".msg")];
    const at = messages.indexOf(document.activeElement.closest(".msg"));
    const next = at < 0 ? messages.at(-1) : messages[at + (event.key === "ArrowUp" ? -1 : 1)];
    if (!next) return;
    event.preventDefault();
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }

  async #jump() {
    const wanted = takeJump(this.#id);
    if (!wanted || !this.#feed.loaded) return;
    await this.#goTo((item) => item.call === wanted.call && (wanted.seq ? item.seq >= wanted.seq : true));
  }

  #jumpToMessage(providerId) {
    return this.#goTo((item) => item.provider_id === providerId || item.delivery?.provider_ids?.includes(providerId));
  }

  async #goTo(test) {
    const item = await this.#feed.find(test).catch(problem);
    if (!item) {
      announce(t("thread.not_loaded"));
      return;
    }
    this.#place.stuck = false;
    this.#show();
    const node = this.#view.node(`m:${item.message_id ?? item.id}`) ?? this.#view.node(`e:${item.id}`);
    if (!node) return;
    node.scrollIntoView({ block: "center" });
    node.classList.add("is-found");
    node.focus?.({ preventScroll: true });
    setTimeout(() => node.classList.remove("is-found"), 1600);
    this.#moved();
  }

  #enlarge(src) {
    const images = this.#rows.flatMap((row) => (row.parts && !row.revoked ? row.parts : [])
      .filter((part) => part.type === "media" && part.kind === "image" && part.url)
      .map((part) => ({ src: part.url, alt: part.caption || part.filename || t("part.image"), caption: part.caption })));
    const at = images.findIndex((image) => image.src === src);
    if (at >= 0) openLightbox(images, at);
  }
}

customElements.define("omni-thread", Thread);
