/** Building elements without HTML: whatever people write reaches the page as text nodes only. */

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "selected", "tabIndex", "indeterminate", "readOnly", "required", "open"]);

/**
 * An element. `props`: `class`, `on: {event: handler}`, `data: {name: value}`, `ref: (element) => …`, any attribute
 * (null, undefined and false leave it away, true sets it empty), or one of PROPERTIES. Children: strings, numbers,
 * nodes, arrays of them; null, undefined and false are left out.
 */
export function h(tag, props, ...children) {
  return dress(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props, ...children) {
  return dress(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function dress(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name === "on") {
      for (const [event, handler] of Object.entries(value)) if (handler) element.addEventListener(event, handler);
    } else if (name === "data") {
      for (const [key, text] of Object.entries(value)) if (text !== null && text !== undefined) element.dataset[key] = text;
    } else if (name === "ref") {
      value(element);
    } else if (PROPERTIES.has(name)) {
      element[name] = value;
    } else if (name === "style") {
      for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

/** What somebody else wrote: kept on its own line direction, unable to reorder what stands beside it. */
export function said(tag, props, text) {
  return h(tag, { dir: "auto", ...props, class: ["said", props?.class].filter(Boolean).join(" ") }, text);
}

/** Everything in `element` replaced. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** `run` at most once a frame, however often it is asked for; in a hidden page, where there are no frames, soon. */
export function perFrame(run) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    const go = () => {
      asked = false;
      run();
    };
    if (document.hidden) setTimeout(go, 100);
    else requestAnimationFrame(go);
  };
}

/** `run` in the next frame, but no sooner than `ms` after the last time: at once while little happens, and a few times a
 *  second while much does. */
export function paced(ms, run) {
  let last = -Infinity;
  let asked = false;
  const frame = perFrame(() => {
    asked = false;
    last = performance.now();
    run();
  });
  return () => {
    if (asked) return;
    asked = true;
    const wait = last + ms - performance.now();
    if (wait > 0) setTimeout(frame, wait);
    else frame();
  };
}

/** `run` once calls have stopped for `ms`. `.now()` runs what waits at once, `.cancel()` forgets it. */
export function debounced(ms, run) {
  let timer = null;
  let last = [];
  const later = (...args) => {
    last = args;
    clearTimeout(timer);
    timer = setTimeout(later.now, ms);
  };
  later.now = () => {
    if (timer === null) return;
    clearTimeout(timer);
    timer = null;
    run(...last);
  };
  later.cancel = () => {
    clearTimeout(timer);
    timer = null;
  };
  return later;
}

/** Wraps where `words` occur in the text of `element` in <mark>, whatever their case and accents. */
export function mark(element, words) {
  const wanted = words.map(plain).filter(Boolean);
  if (!wanted.length) return;
  const nodes = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) nodes.push(walker.currentNode);
  for (const node of nodes) markNode(node, wanted);
}

/** Lower case without accents, one character for each one of `text`, so that places in both are the same. */
export function plain(text) {
  return Array.from({ length: text.length }, (_, at) => {
    const bare = text[at].normalize("NFD").replace(/\p{Diacritic}/gu, "").toLowerCase();
    return bare.length === 1 ? bare : text[at];
  }).join("");
}

function markNode(node, wanted) {
  const text = plain(node.data);
  const places = [];
  for (const word of wanted) {
    for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
      const starts = at === 0 || !/[\p{L}\p{N}]/u.test(text[at - 1]);
      if (starts) places.push([at, at + word.length]);
    }
  }
  places.sort((a, b) => b[0] - a[0]);
  let before = Infinity;
  for (const [start, end] of places) {
    if (end > before) continue;
    before = start;
    const range = document.createRange();
    range.setStart(node, start);
    range.setEnd(node, end);
    range.surroundContents(document.createElement("mark"));
  }
}

/** Whether keys typed now are meant as text. */
export function isTyping(target = document.activeElement) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "button", "submit", "range", "color"].includes(target.type);
}

let lastId = 0;

/** An id no other element of the page has, for labels. */
export function uid(prefix = "x") {
  lastId += 1;
  return `${prefix}-${lastId}`;
}

/** A `prefers-…` media query asked now. */
export const prefersLessMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Says it to people who listen to the page. */
export function announce(text) {
  const place = document.getElementById("announcer");
  if (!place) return;
  place.textContent = "";
  setTimeout(() => {
    place.textContent = text;
  }, 30);
}
