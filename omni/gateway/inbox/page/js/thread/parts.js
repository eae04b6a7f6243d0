// The parts of a message as nodes: words, files, places, cards, orders, and what was offered to tap.

import { h, said } from "../dom.js";
import { size, t, hasText } from "../texts.js";
import { icon } from "../icons.js";
import { voicePlayer } from "./player.js";
import { link, plain, words } from "./words.js";

const webAddress = (text) => (/^https?:\/\//i.test(text ?? "") ? text : null);

/** Nodes of one part. `acts.image(src)` opens the lightbox. */
export function partNodes(part, acts) {
  switch (part.type) {
    case "text": return [words(part.text)];
    case "media": return media(part, acts);
    case "location": return [place(part)];
    case "contacts": return (part.cards ?? []).map(card);
    case "choice": return choice(part);
    case "order": return order(part);
    case "buttons": return [...framed(part), offers((part.buttons ?? []).map((button) => button.title))];
    case "list": case "menu": return [...framed(part), menu(part)];
    case "link": case "link_button": return [...framed(part), linkButton(part)];
    case "location_request": return [words(part.body ?? ""), offers([t("part.share_location")])];
    case "template": return template(part);
    case "reaction": return [words(part.emoji ?? t("part.reaction_removed"))];
    default: return [unsupported(part)];
  }
}

/** One line that stands for a message: in quotes and announcements. */
export function summaryOf(parts, text) {
  for (const part of parts) {
    if (part.type === "text" && part.text) return plain(part.text);
    if (part.type === "media") return part.caption || part.filename || part.transcript || t(kindKey(part));
    if (part.type === "location") return part.name || t("part.location");
    if (part.type === "contacts") return part.cards?.[0]?.name || t("part.contact");
    if (part.type === "order") return t("part.order");
    if (part.type === "choice") return part.title || t("part.form");
  }
  return plain(text || t("part.message"));
}

const kindKey = (part) => (part.voice ? "part.voice" : hasText(`part.${part.kind}`) ? `part.${part.kind}` : "part.document");

function media(part, acts) {
  const nodes = [file(part, acts)];
  if (part.transcript) nodes.push(h("div", { class: "transcript" }, h("span", { class: "tiny" }, t("part.transcript")), words(part.transcript)));
  if (part.caption) nodes.push(words(part.caption));
  return nodes;
}

function file(part, acts) {
  const name = part.filename || t(kindKey(part));
  if (part.problem) return stub(part, t("part.no_file", { problem: part.problem }), "warning");
  if (!part.url) return stub(part, t(part.sending ? "part.uploading" : part.pending ? "part.fetching" : "part.gone"), part.pending ? "clock" : "warning");
  switch (part.kind) {
    case "image": return picture(part, name, acts);
    case "sticker": return h("img", { class: "sticker", src: part.url, alt: t("part.sticker"), loading: "lazy", on: { error: broken } });
    case "video": return h("video", { class: "picture", src: part.url, controls: true, preload: "metadata", playsinline: true, "aria-label": part.caption || name });
    case "audio": return voicePlayer(part.url, { label: t(kindKey(part)) });
    default: return document_(part, name);
  }
}

function picture(part, name, acts) {
  const image = h("img", { class: "picture", src: part.url, alt: part.caption || name, loading: "lazy", decoding: "async", on: { error: broken } });
  return h("button", { type: "button", class: "picture-button", data: { image: part.url }, "aria-label": t("thread.open_image", { name: part.caption || name }), on: { click: () => acts.image?.(part.url) } }, image);
}

function broken({ target }) {
  target.replaceWith(h("span", { class: "stub" }, icon("warning"), t("part.broken")));
}

function document_(part, name) {
  const kind = (part.filename?.match(/\.([a-z0-9]{1,8})$/i)?.[1] ?? part.mime?.split(";")[0].split("/").pop() ?? "").slice(0, 12).toUpperCase();
  const details = [kind, part.size ? size(part.size) : null].filter(Boolean).join(" · ");
  return h("a", { class: "card", href: part.url, download: part.filename || "", rel: "noopener" }, icon("file"),
    h("span", {}, said("b", {}, name), h("small", {}, details)));
}

const stub = (part, sentence, name) => h("div", { class: "stub" }, icon(name), h("span", {}, h("b", {}, part.filename || t(kindKey(part))), h("small", {}, sentence)));

function place(part) {
  const position = `${Number(part.latitude).toFixed(5)}, ${Number(part.longitude).toFixed(5)}`;
  const map = `https://www.openstreetmap.org/?mlat=${Number(part.latitude)}&mlon=${Number(part.longitude)}#map=16/${Number(part.latitude)}/${Number(part.longitude)}`;
  return h("div", { class: "card" }, icon("location"), h("span", {},
    part.name ? said("b", {}, part.name) : h("b", {}, t("part.location")),
    part.address ? said("small", {}, part.address) : null,
    h("small", {}, position),
    h("a", { href: map, target: "_blank", rel: "noreferrer noopener nofollow", class: "tiny" }, t("part.open_map"))));
}

function card(person) {
  const name = person.name || [person.first_name, person.last_name].filter(Boolean).join(" ") || t("part.contact");
  return h("div", { class: "card" }, icon("person"), h("span", {}, said("b", {}, name),
    person.organisation ? said("small", {}, person.organisation) : null,
    (person.phones ?? []).map((phone) => said("small", {}, [phone.phone, phone.label].filter(Boolean).join(" · "))),
    (person.emails ?? []).map((email) => said("small", {}, email))));
}

function choice(part) {
  const tapped = { button: "part.tapped", template_button: "part.tapped", list: "part.chosen", form: "part.form" }[part.kind] ?? "part.tapped";
  const nodes = [h("span", { class: "tiny choice-mark" }, icon(part.kind === "form" ? "template" : "check", { size: 14 }), t(tapped))];
  const title = part.title || part.raw || (part.kind === "form" ? null : part.id);
  if (title) nodes.push(words(title));
  if (part.description) nodes.push(said("small", { class: "footline" }, part.description));
  const answers = Object.entries(part.form ?? {}).filter(([name]) => name !== "flow_token");
  if (answers.length) nodes.push(h("dl", { class: "answers" }, answers.map(([name, value]) => [said("dt", {}, name), said("dd", {}, typeof value === "string" ? value : JSON.stringify(value))])));
  return nodes;
}

function order(part) {
  const rows = (part.items ?? []).map((item) => h("tr", {},
    h("td", {}, `${item.quantity} ×`), said("td", {}, item.product), h("td", {}, [item.price, item.currency].filter(Boolean).join(" "))));
  return [
    h("div", { class: "card order" }, icon("tag"), h("span", {}, h("b", {}, t("part.order")), h("table", {}, h("tbody", {}, rows)), h("small", {}, t("part.order_prices")))),
    part.text ? words(part.text) : null,
  ];
}

const framed = (part) => [
  part.header ? said("b", { class: "headline" }, part.header) : null,
  words(part.body ?? ""),
  part.footer ? said("small", { class: "footline" }, part.footer) : null,
];

const offers = (titles) => h("ul", { class: "offers", "aria-label": t("part.offered") }, titles.map((title) => said("li", {}, title)));

function menu(part) {
  const sections = (part.sections ?? []).map((section) => [
    section.title ? said("b", { class: "tiny" }, section.title) : null,
    h("ul", {}, (section.rows ?? []).map((row) => h("li", {}, said("span", {}, row.title), row.description ? said("small", {}, row.description) : null))),
  ]);
  return h("details", { class: "list-menu" }, h("summary", {}, icon("menu", { size: 16 }), said("span", {}, part.button || t("part.menu"))), sections);
}

function linkButton(part) {
  const address = webAddress(part.url);
  const label = part.label || part.url || "";
  return h("ul", { class: "offers" }, h("li", {}, address ? link(address, label) : said("span", {}, label)));
}

function template(part) {
  const mark = h("span", { class: "tiny choice-mark" }, icon("template", { size: 14 }), t("part.template", { name: part.name ?? "" }));
  return [mark, part.preview ? words(part.preview) : null];
}

function unsupported(part) {
  const sentence = t("part.unsupported", { kind: part.kind ?? part.type ?? "?" });
  return h("div", { class: "stub" }, icon("warning"), h("span", {}, said("b", {}, sentence), part.reason ? said("small", {}, part.reason) : null));
}
