// Where the reader is: at the bottom, where it stays when something is added, or somewhere above, where nothing moves.

const NEAR = 48; // pixels from the bottom that still count as being there
const ASKED = 1500; // ms in which a scroll is put down to what the reader did
const AHEAD = 900; // pixels before the top at which older messages are asked for

export class Place {
  #box;
  #rows;
  #observer;
  #top = 0;
  #height = 0;
  #asked = -Infinity;
  stuck = true;

  /** `box` scrolls, `rows` holds the messages. `onMove()` after the reader moved, `onTop()` when the top is near. */
  constructor(box, rows, { onMove, onTop }) {
    this.#box = box;
    this.#rows = rows;
    box.addEventListener("scroll", () => {
      this.#scrolled();
      onMove();
      if (this.nearTop) onTop();
    }, { passive: true });
    for (const name of ["wheel", "touchmove", "keydown", "pointerdown"]) {
      box.addEventListener(name, () => {
        this.#asked = performance.now();
      }, { passive: true });
    }
    this.#observer = new ResizeObserver(() => this.stuck && this.toBottom());
    this.#observer.observe(box);
    this.#observer.observe(rows);
  }

  get nearTop() {
    return this.#box.scrollTop < AHEAD;
  }

  leave() {
    this.#observer.disconnect();
  }

  /** At once: while a smooth scroll is under way, messages turn out taller and the bottom moves on. */
  toBottom() {
    this.stuck = true;
    this.#asked = -Infinity;
    this.#box.scrollTo({ top: this.#box.scrollHeight, behavior: "instant" });
  }

  /** Changes the rows while what the reader sees stays where it is. */
  keep(change) {
    const anchor = this.stuck ? null : this.#firstInView();
    const before = anchor?.getBoundingClientRect().top;
    change();
    if (this.stuck) this.toBottom();
    else if (anchor?.isConnected) {
      const moved = anchor.getBoundingClientRect().top - before;
      if (Math.abs(moved) >= 1) this.#box.scrollTop += moved;
    }
  }

  /** The reader leaves the bottom by going up; messages that turn out shorter or taller than expected do not count. */
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    const gap = scrollHeight - scrollTop - clientHeight;
    const wentUp = scrollTop < this.#top - 1 && (scrollHeight === this.#height || performance.now() - this.#asked < ASKED);
    if (gap <= NEAR) this.stuck = true;
    else if (wentUp) this.stuck = false;
    if (this.stuck && gap > 1 && !wentUp) this.toBottom();
    this.#top = this.#box.scrollTop;
    this.#height = scrollHeight;
  }

  #firstInView() {
    const top = this.#box.getBoundingClientRect().top;
    const rows = this.#rows.children;
    let low = 0;
    let high = rows.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle].getBoundingClientRect().bottom > top) high = middle;
      else low = middle + 1;
    }
    return rows[low] ?? null;
  }
}
