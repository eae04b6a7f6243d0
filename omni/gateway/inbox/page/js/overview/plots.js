// How a chart's numbers become SVG. Each takes the room there is and returns nodes; nothing here listens or keeps state.

import { svg } from "../dom.js";
import { countSteps, durationSteps, everyOf } from "./scale.js";

const LETTER = 6.6; // pixels that one character of an 11 px label takes, a little more than it does
const UNDER = 22; // for the labels below
const OVER = 10;

/** An SVG element; its numbers lose their long tails. */
export function s(tag, attributes = {}, ...children) {
  const short = Object.entries(attributes).map(([name, value]) => [name, typeof value === "number" ? Math.round(value * 100) / 100 : value]);
  return svg(tag, Object.fromEntries(short), ...children);
}

/**
 * Bars that stand on each other, a column for each of `chart.columns`.
 * Returns `{nodes, centre(i), at(x)}`: what is drawn, where a column's middle is, and which column is at an x.
 */
export function bars(chart, width, height) {
  const drawn = chart.series.filter((one) => one.ink);
  const sums = chart.columns.map((_, i) => drawn.reduce((sum, one) => sum + (one.values[i] ?? 0), 0));
  const plane = planeOf(chart, width, height, countSteps(Math.max(0, ...sums)));
  const bar = Math.max(1, Math.min(plane.band * 0.72, 44));
  const nodes = [...plane.nodes];
  chart.columns.forEach((_, i) => {
    let from = 0;
    for (const one of drawn) {
      const value = one.values[i] ?? 0;
      if (value > 0) {
        const [low, high] = [plane.y(from), plane.y(from + value)];
        const gap = from > 0 && low - high > 2 ? 1 : 0;
        nodes.push(s("rect", { class: `ink-${one.ink}`, x: plane.centre(i) - bar / 2, y: high, width: bar, height: Math.max(0.5, low - high - gap), rx: Math.min(2, bar / 4) }));
      }
      from += value;
    }
  });
  return { ...plane, nodes };
}

/** A line through the values of the first series, with a gap where there is none. As `bars`. */
export function line(chart, width, height) {
  const [one] = chart.series;
  const known = one.values.filter((value) => value !== null);
  const plane = planeOf(chart, width, height, durationSteps(Math.max(0, ...known)));
  const nodes = [...plane.nodes];
  let run = [];
  const finish = () => {
    if (run.length > 1) {
      const path = run.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
      const foot = plane.y(0).toFixed(1);
      nodes.push(s("path", { class: `area-${one.ink}`, d: `${path}L${run.at(-1)[0].toFixed(1)} ${foot}L${run[0][0].toFixed(1)} ${foot}Z` }));
      nodes.push(s("path", { class: `stroke-${one.ink}`, d: path, fill: "none" }));
    }
    const dots = run.length === 1 || plane.band > 14 ? run : [];
    for (const [cx, cy] of dots) nodes.push(s("circle", { class: `ink-${one.ink} point`, cx, cy, r: 3 }));
    run = [];
  };
  one.values.forEach((value, i) => (value === null ? finish() : run.push([plane.centre(i), plane.y(value)])));
  finish();
  return { ...plane, nodes };
}

/** One cell a column, the darker the more. As `bars`; `height` is taken as it is needed. */
export function heat(chart, width, height) {
  const [one] = chart.series;
  const most = Math.max(1, ...one.values);
  const band = width / chart.columns.length;
  const foot = height - UNDER;
  const nodes = one.values.map((value, i) =>
    s("rect", { class: `heat-${value > 0 ? Math.max(1, Math.ceil((value / most) * 6)) : 0}`, x: i * band + 1, y: OVER, width: Math.max(1, band - 2), height: foot - OVER, rx: 3 }));
  const centre = (i) => (i + 0.5) * band;
  nodes.push(...below(chart, centre, band, width, height));
  return { nodes, band, centre, at: (x) => within(Math.floor(x / band), chart), left: 0, top: OVER, foot };
}

function planeOf(chart, width, height, { ticks, top }) {
  const marks = ticks.map((tick) => chart.mark(tick));
  const left = Math.max(...marks.map((mark) => mark.length)) * LETTER + 8;
  const foot = height - UNDER;
  const y = (value) => foot - (value / top) * (foot - OVER);
  const band = (width - left) / chart.columns.length;
  const centre = (i) => left + (i + 0.5) * band;
  const nodes = ticks.flatMap((tick, i) => [
    s("line", { class: tick ? "grid" : "grid base", x1: left, x2: width, y1: Math.round(y(tick)) + 0.5, y2: Math.round(y(tick)) + 0.5 }),
    s("text", { class: "mark", x: left - 8, y: y(tick) + 3.5, "text-anchor": "end" }, marks[i]),
  ]);
  nodes.push(...below(chart, centre, band, width, height));
  return { nodes, band, centre, y, left, top: OVER, foot, at: (x) => within(Math.floor((x - left) / band), chart) };
}

function below(chart, centre, band, width, height) {
  const widest = Math.max(...chart.columns.map((label) => label.length)) * LETTER + 10;
  const every = everyOf(chart.columns.length, width, Math.max(widest, band));
  return chart.columns.flatMap((label, i) => {
    if (i % every) return [];
    const half = (label.length * LETTER) / 2;
    const x = Math.min(Math.max(centre(i), half), width - half);
    return [s("text", { class: "mark", x, y: height - 6, "text-anchor": "middle" }, label)];
  });
}

const within = (i, chart) => Math.min(Math.max(i, 0), chart.columns.length - 1);
