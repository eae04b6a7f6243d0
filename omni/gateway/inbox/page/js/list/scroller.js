/**
 * A list of any length with a few dozen elements: rows of one height, placed by their number. What is looked at keeps its
 * place when rows come in above it.
 */

import { h, perFrame } from "../dom.js";
import { ROW_HEIGHT, RowView } from "./row.js";

const OVERSCAN = 8;
const NEAR_THE_END = 40;
const MOST_SPARE = 30;

export class Scroller {
  #listing = null;
  #views = new Map();
  #spare = [];
  #spacer = h("div", { class: "rows-spacer", role: "presentation" });
  #active = null;
  #open = null;
  #href;
  #onNearEnd;
  #height = 0;
  #observer;
  draw = perFrame(() => this.drawNow());

  /** `href(id)` is the link of a row; `onNearEnd()` runs when the end of the list comes into sight. */
  constructor({ href, onNearEnd }) {
    this.#href = href;
    this.#onNearEnd = onNearEnd;
    this.element = h("div", { class: "rows scroll", role: "listbox", tabindex: "-1" }, this.#spacer);
    this.element.addEventListener("scroll", () => this.draw(), { passive: true });
    this.element.addEventListener("focusin", (event) => {
      if (event.target.dataset?.id) this.#active = event.target.dataset.id;
    });
    this.#observer = new ResizeObserver(() => {
      this.#height = this.element.clientHeight;
      this.draw();
    });
    this.#observer.observe(this.element);
  }

  stop() {
    this.#observer.disconnect();
  }

  get active() {
    return this.#active;
  }

  get scrollTop() {
    return this.element.scrollTop;
  }

  /** Another list, from its top. */
  showListing(listing, top = 0) {
    this.#listing = listing;
    this.drawNow();
    this.element.scrollTop = top;
    this.drawNow();
  }

  setOpen(id) {
    this.#open = id;
    if (id !== null) this.#active = id;
    this.draw();
  }

  /** Redraws after `changes`, which returns the ids it changed; the first visible row it did not touch stays put. */
  keepingPlace(changes) {
    const { element } = this;
    const top = element.scrollTop;
    const before = [];
    if (top > 2) for (let index = Math.floor(top / ROW_HEIGHT); index <= (top + this.#height) / ROW_HEIGHT; index += 1) if (index < this.#listing.length) before.push([this.#listing.at(index).id, index]);
    const changed = changes();
    const anchor = before.find(([id]) => !changed.has(id) && this.#listing.has(id));
    const shift = anchor ? this.#listing.indexOf(anchor[0]) - anchor[1] : 0;
    if (shift !== 0) {
      this.#resize();
      element.scrollTop = top + shift * ROW_HEIGHT;
    }
    this.drawNow();
    return shift;
  }

  #resize() {
    const height = `${this.#listing.length * ROW_HEIGHT}px`;
    if (this.#spacer.style.height !== height) this.#spacer.style.height = height;
  }

  drawNow() {
    const listing = this.#listing;
    if (!listing) return;
    const { element } = this;
    this.#height ||= element.clientHeight;
    this.#resize();
    const top = element.scrollTop;
    const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - OVERSCAN);
    const last = Math.min(listing.length - 1, Math.ceil((top + this.#height) / ROW_HEIGHT) + OVERSCAN);
    const wanted = new Map();
    for (let index = first; index <= last; index += 1) wanted.set(listing.at(index).id, index);
    let activeIndex = this.#active === null ? -1 : listing.indexOf(this.#active);
    // Somebody's focus may be in a row that has scrolled away: it stays, so that the keys go on from there.
    if (activeIndex >= 0 && this.#views.get(this.#active)?.element === document.activeElement) wanted.set(this.#active, activeIndex);
    const tabStop = activeIndex >= 0 && wanted.has(this.#active) ? this.#active : (listing.at(Math.min(Math.ceil(top / ROW_HEIGHT), listing.length - 1))?.id ?? null);
    for (const [id, view] of this.#views) {
      if (wanted.has(id)) continue;
      this.#views.delete(id);
      this.#spare.push(view);
    }
    for (const [id, index] of wanted) {
      let view = this.#views.get(id);
      if (!view) {
        view = this.#spare.pop() ?? new RowView();
        this.#views.set(id, view);
      }
      view.show(listing.at(index), { index, count: listing.length, open: id === this.#open, active: id === tabStop, href: this.#href(id) });
      if (view.element.parentNode !== this.#spacer) this.#spacer.append(view.element);
    }
    // Elements that had another row's words a moment ago were taken first; the rest is not needed now.
    for (const view of this.#spare) view.element.remove();
    this.#spare.length = Math.min(this.#spare.length, MOST_SPARE);
    if (last >= listing.length - NEAR_THE_END) this.#onNearEnd();
  }

  tick(now) {
    for (const view of this.#views.values()) view.tick(now);
  }

  /** Names or labels have changed. */
  redraw() {
    for (const view of this.#views.values()) view.draw();
  }

  /** Makes a row the one the keys are at, in sight, and focused if asked. */
  activate(id, { focus = true } = {}) {
    const index = this.#listing.indexOf(id);
    if (index < 0) return false;
    this.#active = id;
    const top = index * ROW_HEIGHT;
    const { element } = this;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_HEIGHT > element.scrollTop + this.#height) element.scrollTop = top + ROW_HEIGHT - this.#height;
    this.drawNow();
    if (focus) this.#views.get(id)?.element.focus({ preventScroll: true });
    return true;
  }

  /** The page up and down keys' step. */
  get perPage() {
    return Math.max(1, Math.floor(this.#height / ROW_HEIGHT) - 1);
  }
}
