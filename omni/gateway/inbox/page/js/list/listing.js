/** The rows of one list in their order, kept so by binary search: ten thousand of them, and each change is cheap. */

import { belongs, comparison } from "./filter.js";

export class Listing {
  #filter;
  #me;
  #compare;
  #rows = [];
  /** Rows by id, each as it was when it was put in its place. */
  #placed = new Map();

  constructor(filter, me, rows = []) {
    this.#filter = filter;
    this.#me = me;
    this.#compare = comparison(filter);
    for (const row of rows) if (belongs(row, filter, me)) this.#placed.set(row.id, row);
    this.#rows = [...this.#placed.values()].sort(this.#compare);
  }

  get length() {
    return this.#rows.length;
  }

  at(index) {
    return this.#rows[index];
  }

  has(id) {
    return this.#placed.has(id);
  }

  /** Where the row stands, −1 when it is not in this list. */
  indexOf(id) {
    const row = this.#placed.get(id);
    return row ? this.#find(row) : -1;
  }

  /** Takes a row in, moves it, or takes it out, as it says now. Tells whether the list is another one. */
  put(row) {
    const had = this.#placed.get(row.id);
    const stays = belongs(row, this.#filter, this.#me);
    if (had === row) return false;
    if (!had && !stays) return false;
    if (had && stays && this.#compare(had, row) === 0) {
      this.#rows[this.#find(had)] = row;
      this.#placed.set(row.id, row);
      return true;
    }
    if (had) this.#takeOut(had);
    if (stays) {
      this.#rows.splice(this.#find(row), 0, row);
      this.#placed.set(row.id, row);
    }
    return true;
  }

  remove(id) {
    const had = this.#placed.get(id);
    if (!had) return false;
    this.#takeOut(had);
    return true;
  }

  #takeOut(row) {
    this.#rows.splice(this.#find(row), 1);
    this.#placed.delete(row.id);
  }

  /** The first place whose row does not come before this one. */
  #find(row) {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(this.#rows[middle], row) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
