// What is under the newest message and not yet one: who is writing, the bot's words as they come, speech as it is heard.

import { fill, h, said } from "../dom.js";
import { app } from "../model.js";
import { t } from "../texts.js";
import { words } from "./words.js";

export class Tail {
  #customer;
  #mark = null;

  constructor(customer) {
    this.#customer = customer;
    this.element = h("div", { class: "tail" });
  }

  show(feed, row) {
    const written = [...feed.words].filter(([id]) => !feed.log.has(id));
    const writers = [...feed.typing.keys()].filter((who) => !app.isMe(who) && !(who === "bot" && written.length));
    const mark = JSON.stringify([written, writers, feed.hearing, row?.agent]);
    if (mark === this.#mark) return;
    this.#mark = mark;
    const bot = app.agents.get(row?.agent)?.name ?? t("bot");
    fill(this.element,
      feed.hearing ? h("div", { class: "msg theirs from-user is-live" }, h("div", { class: "bubble" }, words(feed.hearing), dots(t("thread.hearing")))) : null,
      written.map(([id, { text }]) => h("div", { class: "msg ours from-bot is-live", data: { words: id } }, h("div", { class: "who" }, said("span", {}, bot)), h("div", { class: "bubble" }, words(text), dots(t("thread.bot_writing", { bot }))))),
      writers.map((who) => h("p", { class: "typing", data: { who } }, dots(), said("span", {}, t("thread.is_writing", { name: this.#nameOf(who, bot) })))));
  }

  #nameOf(who, bot) {
    if (who === "user") return this.#customer();
    if (who === "bot") return bot;
    return who === "human" ? t("event.somebody") : app.nameOf(who);
  }
}

const dots = (label = null) => h("span", { class: "dots", role: label ? "img" : null, "aria-label": label }, h("i"), h("i"), h("i"));
