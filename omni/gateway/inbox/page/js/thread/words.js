// The phone's text markup as DOM nodes: *bold* _italic_ ~strike~ `code` ```block```, "> " quotes, lists, links.
// A message is never parsed as HTML; a link is only what begins with http:// or https://.

import { h } from "../dom.js";

const MARKS = { "*": "strong", _: "em", "~": "s" };
const URL_PATTERN = /https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]'*_~]/iy;
const WORD = /[\p{L}\p{N}]/u;
const DEEPEST = 8;

/** Nodes for a whole message. */
export function markup(text) {
  const nodes = [];
  for (const [place, part] of text.split(/```([\s\S]+?)```/).entries()) {
    if (place % 2) nodes.push(h("pre", { dir: "auto" }, part.replace(/^\n|\n$/g, "")));
    else if (part) nodes.push(...blocks(part));
  }
  return nodes;
}

/** A paragraph of a person's words. */
export function words(text, className = "words") {
  return h("div", { class: isEmojiOnly(text) ? `${className} is-big` : className, dir: "auto" }, ...markup(text));
}

/** The same without its marks, on one line: for quotes and labels. */
export function plain(text) {
  return text.replace(/```/g, "").replace(/(^|\s)[*_~](?=\S)([^\n]*?\S)[*_~](?=\s|$|[.,;:!?])/g, "$1$2").replace(/\s+/g, " ").trim();
}

function blocks(text) {
  const nodes = [];
  let run = [];
  let group = null;
  const flush = () => {
    if (run.length) nodes.push(...inline(run.join("\n"), 0));
    run = [];
    group = null;
  };
  for (const line of text.split("\n")) {
    const quote = /^> (.*)$/.exec(line);
    const item = /^(?:[-*] |(\d{1,3})\. )(.+)$/.exec(line);
    if (!quote && !item) {
      group = null;
      run.push(line);
      continue;
    }
    const name = quote ? "blockquote" : item[1] ? "ol" : "ul";
    if (group?.localName !== name) {
      flush();
      group = h(name, name === "ol" ? { start: Number(item[1]) } : {});
      nodes.push(group);
    }
    if (quote) group.append(...(group.childNodes.length ? [h("br")] : []), ...inline(quote[1], 0));
    else group.append(h("li", {}, ...inline(item[2], 0)));
  }
  flush();
  return nodes;
}

/** A mark counts when it hugs its words, as on the phone: `*so*`, not `2 * 3 * 4`. */
function inline(text, depth) {
  const nodes = [];
  let from = 0;
  const literal = (to) => to > from && nodes.push(text.slice(from, to));
  for (let at = 0; at < text.length; at += 1) {
    const mark = text[at];
    if (mark === "h" || mark === "H") {
      URL_PATTERN.lastIndex = at;
      const found = WORD.test(text[at - 1] ?? " ") ? null : URL_PATTERN.exec(text);
      if (!found) continue;
      literal(at);
      nodes.push(link(found[0]));
      from = at + found[0].length;
      at = from - 1;
    } else if ((mark === "`" || MARKS[mark]) && depth < DEEPEST) {
      const end = closing(text, at, mark);
      if (end < 0) continue;
      literal(at);
      const inner = text.slice(at + 1, end);
      nodes.push(mark === "`" ? h("code", {}, inner) : h(MARKS[mark], {}, ...inline(inner, depth + 1)));
      from = end + 1;
      at = end;
    }
  }
  literal(text.length);
  return nodes;
}

export const link = (address, shown = address) =>
  h("a", { href: address, rel: "noopener noreferrer nofollow", target: "_blank" }, shown);

function closing(text, at, mark) {
  if (WORD.test(text[at - 1] ?? " ") || /\s/.test(text[at + 1] ?? " ") || text[at + 1] === mark) return -1;
  const line = text.indexOf("\n", at);
  const limit = line < 0 ? text.length : line;
  for (let end = text.indexOf(mark, at + 2); end >= 0 && end < limit; end = text.indexOf(mark, end + 1)) {
    if (!/\s/.test(text[end - 1]) && !WORD.test(text[end + 1] ?? " ")) return end;
  }
  return -1;
}

/** One to three emoji and nothing else, which phones show large. */
export function isEmojiOnly(text) {
  const trimmed = text.trim();
  if (!trimmed || trimmed.length > 24 || !/^[\p{Emoji}\p{Emoji_Component}\s]+$/u.test(trimmed) || /[\d#*]/.test(trimmed)) return false;
  return [...new Intl.Segmenter().segment(trimmed)].length <= 3;
}
