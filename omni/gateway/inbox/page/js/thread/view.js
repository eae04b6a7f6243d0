// The rows of a thread in the page: each node is made once, changed in place, and moved only when it must be.

import { h } from "../dom.js";
import { Bubble } from "./bubble.js";
import { lineNode } from "./lines.js";

export class View {
  #shown = new Map();
  #acts;

  constructor(acts) {
    this.#acts = acts;
    this.element = h("div", { class: "rows" });
  }

  bubble(key) {
    return this.#shown.get(key)?.bubble ?? null;
  }

  bubbleAt(node) {
    const element = node?.closest?.(".msg");
    return element ? this.bubble(element.dataset.key) : null;
  }

  node(key) {
    return this.#shown.get(key)?.element ?? null;
  }

  /** Words of the page changed (its language, somebody's name): everything is made anew. */
  forget() {
    this.#shown.clear();
    this.element.replaceChildren();
  }

  show(rows) {
    const wanted = new Set(rows.map((row) => row.key));
    for (const [key, shown] of this.#shown) {
      if (wanted.has(key)) continue;
      for (const player of shown.element?.querySelectorAll(".player") ?? []) player.dispatchEvent(new Event("detach"));
      shown.element?.remove();
      this.#shown.delete(key);
    }
    let next = this.element.firstChild;
    for (const row of rows) {
      const following = next?.nextSibling ?? null;
      const element = this.#node(row);
      if (next && next.parentNode !== this.element) next = element?.parentNode ? element : following;
      if (!element) continue;
      if (element === next) next = next.nextSibling;
      else this.element.insertBefore(element, next);
    }
  }

  #node(row) {
    const known = this.#shown.get(row.key);
    if (known?.bubble) {
      known.bubble.update(row);
      return known.element;
    }
    if (row.kind === "bubble") {
      const bubble = new Bubble(row, this.#acts);
      this.#shown.set(row.key, { bubble, element: bubble.element });
      return bubble.element;
    }
    const mark = JSON.stringify(row);
    if (known?.mark === mark) return known.element;
    const element = lineNode(row, this.#acts);
    if (known?.element) {
      if (element && known.element.open) element.open = true;
      if (element) known.element.replaceWith(element);
      else known.element.remove();
    }
    this.#shown.set(row.key, { mark, element });
    return element;
  }
}
