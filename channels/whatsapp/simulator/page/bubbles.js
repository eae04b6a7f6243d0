// A message as nodes: what the person with the phone sees, and what they can tap.

import { el, icon, sizeOf, timeOf } from "./dom.js";
import { isEmojiOnly, markup, plainText } from "./markup.js";

const mediaAddress = (id) => `control/media/${encodeURIComponent(id)}`;
const webAddress = (text) => (/^https?:\/\//.test(text ?? "") ? text : null);

/** One line that stands for a message: in quotes, lists and announcements. */
export function summary(message) {
  const body = message.body;
  switch (message.type) {
    case "text": return plainText(body.text?.body ?? "");
    case "image": return body.image?.caption || "Photo";
    case "video": return body.video?.caption || "Video";
    case "audio": return body.audio?.voice ? "Voice note" : "Audio";
    case "document": return body.document?.caption || body.document?.filename || "Document";
    case "sticker": return "Sticker";
    case "location": return body.location?.name || "Location";
    case "contacts": return body.contacts?.[0]?.name?.formatted_name ?? "Contact";
    case "template": return plainText(message.shown?.body ?? "Template");
    case "button": return body.button?.text ?? "";
    case "interactive": {
      const interactive = body.interactive ?? {};
      return plainText(interactive.body?.text ?? "") || (interactive.button_reply?.title ?? interactive.list_reply?.title ?? "Form");
    }
    default: return message.type;
  }
}

/**
 * The list item of one message. `acts` are callbacks: tap(action), openRows(message), menu(message, button),
 * jump(id), find(id), sendLocation(message), sharePhone(message).
 */
export function bubble(message, acts) {
  const nodes = [];
  const quoted = message.quotes ? acts.find(message.quotes) : null;
  if (quoted) {
    nodes.push(
      el("button", { type: "button", className: "quoted", onclick: () => acts.jump(quoted.id), "aria-label": `Quoted: ${summary(quoted)}` },
        el("b", {}, quoted.mine ? "You" : acts.botName()), el("span", { dir: "auto" }, summary(quoted)))
    );
  }
  nodes.push(...content(message));
  if (message.lost) nodes.push(el("p", { className: "failure" }, `Never reached you. ${message.lost}`));
  nodes.push(meta(message));
  const more = message.waiting ? null : el("button", {
    type: "button", className: "icon-button more", "aria-haspopup": "menu", "aria-expanded": "false",
    "aria-label": "Reply or react", onclick: (event) => acts.menu(message, event.currentTarget),
  }, icon("more"));
  const reactions = [...new Set(Object.values(message.reactions ?? {}).filter(Boolean))];
  const stack = el("div", { className: "stackup" },
    el("div", { className: message.lost ? "bubble is-lost" : "bubble" }, nodes),
    choices(message, acts),
    reactions.length ? el("span", { className: "reactions", role: "img", "aria-label": `Reactions: ${reactions.join(" ")}` }, reactions.join("")) : null);
  return el("li", { className: message.mine ? "row mine" : "row", id: `m-${message.id}` },
    el("span", { className: "hidden-text" }, message.mine ? "You: " : `${acts.botName()}: `), stack, more);
}

function meta(message) {
  const nodes = [message.edited ? el("span", {}, "edited") : null, el("time", {}, timeOf(message.at))];
  if (message.mine) {
    const [name, words] = {
      waiting: ["wait", "Waiting to be sent"], sent: ["tick", "Sent"], delivered: ["ticks", "Delivered to the bot"], read: ["ticks", "Read by the bot"],
    }[message.state];
    nodes.push(icon(name, message.state === "read" ? "ticks is-read" : "ticks"), el("span", { className: "hidden-text" }, words));
  }
  return el("div", { className: "meta" }, nodes);
}

const words = (text) => el("div", { className: isEmojiOnly(text) ? "words is-big" : "words", dir: "auto" }, markup(text));

function content(message) {
  const body = message.body;
  switch (message.type) {
    case "text": return [words(body.text?.body ?? "")];
    case "image": case "video": case "audio": case "document": case "sticker": return media(message.type, body[message.type] ?? {}, message);
    case "location": return place(body.location ?? {});
    case "contacts": return (body.contacts ?? []).map((card) => el("div", { className: "card" }, icon("people"),
      el("span", {}, el("b", { dir: "auto" }, card.name?.formatted_name ?? "Contact"), el("small", {}, card.phones?.[0]?.phone ?? ""))));
    case "template": return [words(message.shown?.body ?? "")];
    case "button": return [words(body.button?.text ?? "")];
    case "interactive": return interactive(body.interactive ?? {}, message);
    case "unsupported": return [words("_This kind of message cannot be passed on._")];
    default: return [words(`_${message.type}_`)];
  }
}

function interactive(body, message) {
  const reply = body.button_reply ?? body.list_reply;
  if (reply) return [words(reply.title), reply.description ? el("p", { className: "footline", dir: "auto" }, reply.description) : null];
  if (body.nfm_reply) return [words("_Form sent_")];
  const header = body.header;
  return [
    header?.type === "text" ? el("p", { className: "headline", dir: "auto" }, header.text) : null,
    header && header.type !== "text" ? media(header.type, header[header.type] ?? {}, message) : null,
    body.body?.text ? words(body.body.text) : null,
    body.footer?.text ? el("p", { className: "footline", dir: "auto" }, body.footer.text) : null,
  ].flat();
}

function media(kind, body, message) {
  const stored = (message.media ?? []).find((known) => known.id === String(body.id)) ?? {};
  const type = body.mime_type ?? stored.mime_type ?? "";
  const caption = body.caption ? words(body.caption) : null;
  if (!body.id) {
    const address = webAddress(body.link);
    const name = { image: "Photo", video: "Video", audio: "Audio", document: body.filename ?? "Document", sticker: "Sticker" }[kind];
    return [el("a", { className: "card", href: address ?? "#", target: "_blank", rel: "noopener noreferrer nofollow" }, icon("link"),
      el("span", {}, el("b", { dir: "auto" }, name), el("small", {}, address ? new URL(address).host : ""))), caption];
  }
  const source = mediaAddress(body.id);
  if (kind === "sticker") return [el("img", { className: "sticker", src: source, alt: "Sticker" })];
  if (kind === "image") return [el("img", { className: "picture", src: source, alt: body.caption || "Photo", loading: "lazy" }), caption];
  if (kind === "video") return [el("video", { className: "picture", src: source, controls: true, preload: "metadata" }), caption];
  if (kind === "audio") return [el("audio", { className: "sound", src: source, controls: true, preload: "metadata", "aria-label": body.voice ? "Voice note" : "Audio" })];
  const name = body.filename || stored.filename || "Document";
  const details = [type.split(";")[0].split("/").pop()?.slice(0, 12).toUpperCase(), sizeOf(stored.file_size)].filter(Boolean).join(" · ");
  return [el("a", { className: "card", href: source, download: name }, icon("file"),
    el("span", {}, el("b", { dir: "auto" }, name), el("small", {}, details))), caption];
}

function place(location) {
  const position = `${Number(location.latitude).toFixed(4)}, ${Number(location.longitude).toFixed(4)}`;
  return [
    el("div", { className: "map", role: "img", "aria-label": `A place at ${position}` }, icon("pin")),
    location.name ? el("p", { className: "headline", dir: "auto" }, location.name) : null,
    el("p", { className: "footline", dir: "auto" }, location.address || position),
  ];
}

/** What can be tapped below a message of the bot. Taps answer with the ids exactly as they were sent. */
function choices(message, acts) {
  if (message.mine || message.lost) return null;
  const choice = (label, act, name = null) => el("button", { type: "button", className: "choice", disabled: !act, onclick: act }, name ? icon(name) : null, el("span", { dir: "auto" }, label));
  const nodes = [];
  if (message.type === "template") {
    for (const { text, payload } of message.shown?.buttons ?? []) nodes.push(choice(text, () => acts.tap({ type: "button", text, payload, reply_to: message.id })));
  }
  const body = message.type === "interactive" ? message.body.interactive ?? {} : {};
  const parameters = body.action?.parameters ?? {};
  switch (body.type) {
    case "button":
      for (const { reply } of body.action.buttons) nodes.push(choice(reply.title, () => acts.tap({ type: "button_reply", button_id: reply.id, title: reply.title, reply_to: message.id })));
      break;
    case "list": nodes.push(choice(body.action.button, () => acts.openRows(message), "list")); break;
    case "cta_url": {
      const address = webAddress(parameters.url);
      nodes.push(el("a", { className: "choice", href: address ?? "#", target: "_blank", rel: "noopener noreferrer nofollow" }, icon("link"), parameters.display_text ?? address));
      break;
    }
    case "flow": nodes.push(choice(parameters.flow_cta ?? "Open", () => acts.tap({ type: "form_reply", response: { flow_token: parameters.flow_token ?? "unused", confirmed: true }, reply_to: message.id }), "file")); break;
    case "location_request_message": nodes.push(choice("Send a location", () => acts.sendLocation(message), "pin")); break;
    case "request_contact_info": nodes.push(choice("Share my number", () => acts.sharePhone(message), "people")); break;
    case "voice_call": nodes.push(choice(parameters.display_text ?? "Call", null)); break;
    default:
  }
  return nodes.length ? el("div", { className: "choices" }, nodes) : null;
}
