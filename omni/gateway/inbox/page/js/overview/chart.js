// <omni-chart>: a figure with its legend, values under the pointer or the arrow keys, and the same numbers as a table.

import { fill, h } from "../dom.js";
import { t } from "../texts.js";
import { bars, heat, line, s } from "./plots.js";

const PLOTS = { bars, line, heat };
const TALL = { bars: 200, line: 200, heat: 64 };
let number = 0;

/**
 * `show(chart)`: `{kind, title, note?, under?, head, columns, full, series, mark}`.
 * `columns` are the labels below, `full` the same in full words, `head` what they are (the table's first heading).
 * `note` stands beside the title, `under` below the chart.
 * `series` is `[{name, values, ink?, format?}]`: those without an ink are told but not drawn; null is "no value".
 * `mark(value)` writes the axis.
 */
class Chart extends HTMLElement {
  #chart = null;
  #plot = null;
  #at = -1;
  #width = 0;
  #watch = new ResizeObserver(([{ contentRect }]) => this.#resized(Math.floor(contentRect.width)));

  show(chart) {
    this.#chart = chart;
    this.#at = -1;
    if (!this.firstChild) this.#build();
    this.#tell();
    this.#draw();
  }

  connectedCallback() {
    if (this.surface) this.#watch.observe(this.surface);
  }

  disconnectedCallback() {
    this.#watch.disconnect();
  }

  #build() {
    const id = `chart-${++number}`;
    this.heading = h("h3", { id });
    this.note = h("p", { class: "chart-note" });
    this.under = h("p", { class: "chart-note" });
    this.legend = h("ul", { class: "chart-legend" });
    this.tip = h("div", { class: "chart-tip", role: "status" });
    this.svg = s("svg", { "aria-hidden": "true", focusable: "false" });
    this.surface = h("div", { class: "chart-surface", tabindex: "0", role: "group", "aria-labelledby": `${id} ${id}-how` }, this.tip);
    this.surface.prepend(this.svg);
    for (const name of ["pointermove", "pointerdown"]) this.surface.addEventListener(name, (event) => this.#point(this.#plot?.at(event.offsetX) ?? -1));
    // A finger that is lifted leaves as well, and what it pointed at is to be read then.
    this.surface.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.#point(-1));
    this.surface.addEventListener("blur", () => this.#point(-1));
    this.surface.addEventListener("keydown", (event) => this.#key(event));
    this.table = h("table", { class: "figures" });
    this.append(
      h("figure", { "aria-labelledby": id },
        h("div", { class: "chart-head" }, this.heading, this.note, this.legend),
        h("span", { class: "sr-only", id: `${id}-how` }, t("overview.chart.how")),
        this.surface,
        this.under,
        h("details", { class: "chart-table" },
          h("summary", {}, t("overview.chart.table")),
          h("div", { class: "scrolls", tabindex: "0", role: "region", "aria-labelledby": id }, this.table))),
    );
    this.#watch.observe(this.surface);
  }

  #tell() {
    const { title, note, under, head, full, series, kind } = this.#chart;
    this.dataset.kind = kind;
    this.heading.textContent = title;
    this.note.textContent = note ?? "";
    this.note.hidden = !note;
    this.under.textContent = under ?? "";
    this.under.hidden = !under;
    const drawn = series.filter((one) => one.ink);
    this.legend.hidden = drawn.length < 2;
    this.legend.replaceChildren(...drawn.map((one) => h("li", {}, h("i", { class: `swatch back-${one.ink}` }), one.name)));
    this.table.replaceChildren(
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, head), ...series.map((one) => h("th", { scope: "col", class: "number" }, one.name)))),
      h("tbody", {}, ...full.map((name, i) =>
        h("tr", {}, h("th", { scope: "row" }, name), ...series.map((one) => h("td", { class: "number" }, written(one, i)))))),
    );
  }

  #resized(width) {
    if (width === this.#width) return;
    this.#width = width;
    this.#draw();
  }

  #draw() {
    if (!this.#chart || this.#width < 40) return;
    const height = TALL[this.#chart.kind];
    this.#plot = PLOTS[this.#chart.kind](this.#chart, this.#width, height);
    this.svg.setAttribute("viewBox", `0 0 ${this.#width} ${height}`);
    this.svg.setAttribute("height", height);
    this.svg.replaceChildren(...this.#plot.nodes);
    this.#mark();
  }

  #key(event) {
    const last = this.#chart.columns.length - 1;
    const to = { ArrowRight: Math.min(this.#at + 1, last), ArrowLeft: this.#at < 0 ? last : Math.max(this.#at - 1, 0), Home: 0, End: last, Escape: -1 }[event.key];
    if (to === undefined || (event.key === "Escape" && this.#at < 0)) return;
    event.preventDefault();
    event.stopPropagation();
    this.#point(to);
  }

  /** Tell column `i`; -1 tells nothing. */
  #point(i) {
    if (i === this.#at) return;
    this.#at = i;
    this.#mark();
  }

  #mark() {
    const plot = this.#plot;
    const i = this.#at;
    this.svg.querySelector(".here")?.remove();
    fill(this.tip);
    if (!plot || i < 0) return;
    const { full, series } = this.#chart;
    this.svg.prepend(s("rect", { class: "here", x: plot.centre(i) - plot.band / 2, y: plot.top - 4, width: plot.band, height: plot.foot - plot.top + 8, rx: 3 }));
    fill(this.tip,
      h("strong", {}, full[i]),
      ...series.map((one) => h("span", {}, one.ink ? h("i", { class: `swatch back-${one.ink}` }) : h("i", { class: "swatch" }), `${one.name}: `, h("b", {}, written(one, i)))),
    );
    const room = this.#width - this.tip.offsetWidth;
    const middle = plot.centre(i);
    const beside = middle + plot.band / 2 + 8;
    const x = beside <= room ? beside : middle - plot.band / 2 - 8 - this.tip.offsetWidth;
    this.tip.style.transform = `translate(${Math.round(Math.min(Math.max(x, 0), Math.max(room, 0)))}px, ${this.#chart.kind === "heat" ? 0 : plot.top}px)`;
  }
}

function written(one, i) {
  const value = one.values[i];
  if (value === null || value === undefined) return t("overview.none");
  return one.format ? one.format(value) : String(value);
}

customElements.define("omni-chart", Chart);
