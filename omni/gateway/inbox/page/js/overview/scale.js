// The steps of an axis: round numbers that a person would choose.

const DURATIONS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

/** Whole steps from 0 to at least `most`: `{ticks, top}`. */
export function countSteps(most, wanted = 4) {
  const rough = Math.max(most, 1) / wanted;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].find((times) => times * size >= rough) * size);
  return stepsOf(step, Math.max(most, 1));
}

/** Steps of seconds, minutes, hours or days from 0 to at least `most` seconds. */
export function durationSteps(most, wanted = 4) {
  const rough = Math.max(most, 1) / wanted;
  const last = DURATIONS.at(-1);
  const step = DURATIONS.find((seconds) => seconds >= rough) ?? Math.ceil(rough / last) * last;
  return stepsOf(step, Math.max(most, 1));
}

function stepsOf(step, most) {
  const top = Math.ceil(most / step) * step;
  const ticks = [];
  for (let at = 0; at <= top; at += step) ticks.push(at);
  return { ticks, top };
}

/** Which of `count` labels fit in `width` pixels when each takes `each`: every n-th, so that the last one is among them. */
export function everyOf(count, width, each) {
  const fit = Math.max(1, Math.floor(width / each));
  return Math.max(1, Math.ceil(count / fit));
}
