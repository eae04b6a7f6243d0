// WhatsApp text markup as DOM nodes: *bold* _italic_ ~strike~ `code` ```block```, "> " quotes, "- " and "1. " lists, links.

import { el } from "./dom.js";

const MARKS = { "*": "strong", _: "em", "~": "s" };
const URL_PATTERN = /https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]'*_~]/y;
const WORD = /[\p{L}\p{N}]/u;

/** Nodes for a whole message. */
export function markup(text) {
  const nodes = [];
  for (const [index, part] of text.split(/```([\s\S]+?)```/).entries()) {
    if (index % 2) nodes.push(el("pre", { dir: "ltr" }, part.replace(/^\n|\n$/g, "")));
    else if (part) nodes.push(...blocks(part));
  }
  return nodes;
}

/** The words without their markup, on one line. */
export function plainText(text) {
  const holder = el("div", {}, markup(text.slice(0, 400)));
  for (const block of holder.querySelectorAll("pre, blockquote, li, br")) block.after(" ");
  return holder.textContent.replace(/\s+/g, " ").trim();
}

function blocks(text) {
  const nodes = [];
  let plain = [];
  let group = null;
  const flush = () => {
    if (plain.length) nodes.push(...inline(plain.join("\n")));
    plain = [];
    group = null;
  };
  for (const line of text.split("\n")) {
    const quote = /^> (.*)$/.exec(line);
    const item = /^(?:[-*] |(\d{1,3})\. )(.+)$/.exec(line);
    if (!quote && !item) {
      // A line after a block begins by itself; the newline between them would be an empty line.
      if (group) group = null;
      plain.push(line);
      continue;
    }
    const name = quote ? "blockquote" : item[1] ? "ol" : "ul";
    if (!group || group.localName !== name) {
      flush();
      group = el(name, name === "ol" ? { start: Number(item[1]) } : {});
      nodes.push(group);
    }
    if (quote) group.append(...(group.childNodes.length ? [el("br")] : []), ...inline(quote[1]));
    else group.append(el("li", {}, inline(item[2])));
  }
  flush();
  return nodes;
}

/** Nodes for a run of text. A mark counts when it hugs its words, as on the phone: `*so*`, not `2 * 3 * 4`. */
function inline(text) {
  const nodes = [];
  let from = 0;
  const plain = (to) => to > from && nodes.push(text.slice(from, to));
  for (let at = 0; at < text.length; at += 1) {
    const mark = text[at];
    if (mark === "h") {
      URL_PATTERN.lastIndex = at;
      const found = URL_PATTERN.exec(text);
      if (found && !WORD.test(text[at - 1] ?? " ")) {
        plain(at);
        nodes.push(el("a", { href: found[0], rel: "noopener noreferrer nofollow", target: "_blank" }, found[0]));
        from = at + found[0].length;
        at = from - 1;
      }
    } else if (mark === "`" || MARKS[mark]) {
      const end = closing(text, at, mark);
      if (end > 0) {
        plain(at);
        const inner = text.slice(at + 1, end);
        nodes.push(mark === "`" ? el("code", {}, inner) : el(MARKS[mark], {}, inline(inner)));
        from = end + 1;
        at = end;
      }
    }
  }
  plain(text.length);
  return nodes;
}

function closing(text, at, mark) {
  if (WORD.test(text[at - 1] ?? " ") || /\s/.test(text[at + 1] ?? " ") || text[at + 1] === mark) return -1;
  for (let end = at + 2; end < text.length && text[end] !== "\n"; end += 1) {
    if (text[end] === mark && !/\s/.test(text[end - 1]) && !WORD.test(text[end + 1] ?? " ")) return end;
  }
  return -1;
}

/** One to three emoji and nothing else, which phones show large. */
export function isEmojiOnly(text) {
  const trimmed = text.trim();
  if (!trimmed || trimmed.length > 24 || !/^[\p{Emoji}\p{Emoji_Component}\s]+$/u.test(trimmed) || /[\d#*]/.test(trimmed)) return false;
  return [...new Intl.Segmenter().segment(trimmed)].length <= 3;
}
