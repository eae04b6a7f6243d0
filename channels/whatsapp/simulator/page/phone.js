// The demo phone. Everything shown is a reading of the simulator's event stream; nothing is kept that a reload would lose
// for good, and a lost connection resumes at the last event seen.

import { bubble, summary } from "./bubbles.js";
import { byId, dayOf, el, exactTimeOf, icon, initials, timeOf } from "./dom.js";
import { record } from "./voice.js";

const EMOJI = ["👍", "❤️", "😂", "😮", "🙏"];
const PLACES = [
  { latitude: 48.8606, longitude: 2.3376, place: "The glass pyramid", address: "Cour Napoléon, Paris" },
  { latitude: 51.5055, longitude: -0.0754, place: "The old bridge", address: "Tower Bridge Road, London" },
  { latitude: 30.0444, longitude: 31.2357, place: "ميدان التحرير", address: "القاهرة" },
];
const FAULTS = [
  { kind: "window", title: "The 24 hours are over", text: "Only templates get through." },
  { kind: "pair_rate_limited", title: "Too fast for one person", text: "131056: this chat has to wait." },
  { kind: "rate_limited", title: "Too fast altogether", text: "429 with Retry-After.", rule: { retry_after: 2 } },
  { kind: "server_error", title: "Server errors", text: "Every send is answered with 500." },
  { kind: "slow", title: "Slow answers", text: "Each send takes 3 s longer.", rule: { ms: 3000 } },
  { kind: "accept_then_reset", title: "Lost answers", text: "Delivered, then the line is cut." },
  { kind: "async_failure", title: "Failed deliveries", text: "Accepted first, failed later." },
  { kind: "duplicates", title: "Everything twice", text: "Each webhook comes two times.", plan: { duplicates: 1 }, off: { duplicates: 0 } },
  { kind: "jitter_ms", title: "Out of order", text: "Webhooks overtake each other.", plan: { jitter_ms: 2000 }, off: { jitter_ms: 0 } },
];

const state = {
  epoch: "", cursor: 0, botName: "Bot", people: new Map(), current: "", faults: [], plan: {}, waiting: [],
  quoting: null, connected: true, webhookTrouble: "", catchingUp: true, stopRecording: null, happened: [],
};
const ui = Object.fromEntries(
  ["log", "text", "send", "record", "composer", "quote", "quote-text", "banner", "subtitle", "bot-name", "bot-avatar", "people-list", "faults",
    "happened", "announce", "newest", "rows", "rows-title", "rows-body", "attach-menu", "message-menu", "emoji-row", "scrim", "lab-dot"].map((id) => [id, byId(id)])
);

// -- the simulator ------------------------------------------------------------------------------------------------------

async function call(method, path, body) {
  const raw = body instanceof Blob;
  const response = await fetch(`control/${path}`, {
    method, body: raw || body === undefined ? body : JSON.stringify(body), headers: body === undefined ? {} : { "Content-Type": raw ? body.type || "application/octet-stream" : "application/json" },
  });
  const answer = await response.json().catch(() => ({ error: `The simulator answered ${response.status}.` }));
  if (!response.ok) throw new Refused(answer.error ?? "The simulator refused this.");
  return answer;
}

class Refused extends Error {}

async function attempt(act) {
  try {
    return await act();
  } catch (problem) {
    announce(problem instanceof Refused ? problem.message : "The simulator cannot be reached.", true);
    return null;
  }
}

let stream = null;

function listen() {
  stream?.close();
  stream = new EventSource(`control/events?after=${state.cursor}`);
  stream.addEventListener("hello", (event) => {
    const hello = JSON.parse(event.data);
    if (state.epoch && state.epoch !== hello.epoch) {
      // The simulator began again: what is on the screen never happened in its new life.
      // What was written meanwhile still waits to be sent.
      stream.close();
      Object.assign(state, { epoch: "", cursor: 0, catchingUp: true, happened: [], webhookTrouble: "" });
      state.people.clear();
      start();
      return;
    }
    state.epoch = hello.epoch;
    state.connected = true;
    state.catchingUp = hello.after < hello.last_event;
    state.catchUpTo = hello.last_event;
    if (!state.catchingUp) caughtUp();
    showBanner();
  });
  for (const type of Object.keys(READINGS)) {
    stream.addEventListener(type, (event) => {
      const happening = JSON.parse(event.data);
      if (happening.id <= state.cursor) return;
      state.cursor = happening.id;
      READINGS[type](happening);
      if (state.catchingUp && happening.id >= state.catchUpTo) caughtUp();
    });
  }
  stream.addEventListener("error", () => {
    state.connected = false;
    showBanner();
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
}

function caughtUp() {
  state.catchingUp = false;
  showChat();
  showPeople();
  showHappened();
  sendWaiting();
}

async function start() {
  try {
    const known = await call("GET", "state");
    state.botName = known.verified_name;
    state.faults = known.faults;
    state.plan = known.webhook_plan;
    for (const person of known.people) meet(person);
    state.current = state.people.has(state.current) ? state.current : known.people[0]?.wa_id ?? "";
    ui["bot-name"].textContent = state.botName;
    ui["bot-avatar"].textContent = initials(state.botName);
    showPeople();
    showFaults();
    showChat();
    listen();
  } catch {
    state.connected = false;
    showBanner();
    setTimeout(start, 2000);
  }
}

// -- readings: what each event means for the phone -----------------------------------------------------------------------

function meet({ wa_id, name, window_until }) {
  const known = state.people.get(wa_id) ?? { wa_id, name: `+${wa_id}`, messages: [], index: new Map(), unread: 0, typingUntil: 0, windowUntil: 0 };
  if (name) known.name = name;
  if (window_until !== undefined) known.windowUntil = window_until;
  state.people.set(wa_id, known);
  return known;
}

function put(person, message) {
  if (person.index.has(message.id)) return;
  person.index.set(message.id, message);
  person.messages.push(message);
  if (person.messages.length > 1000) person.index.delete(person.messages.shift().id);
  if (state.catchingUp) return;
  if (person.wa_id === state.current) append(message);
  else if (!message.mine) person.unread += 1;
  showPeople();
}

function change(person, id, changes) {
  const message = person.index.get(id);
  if (!message) return;
  Object.assign(message, changes);
  if (!state.catchingUp && person.wa_id === state.current) redraw(message);
}

const RANK = { waiting: 0, sent: 1, delivered: 2, read: 3 };

function advance(person, id, to) {
  const message = person.index.get(id);
  if (message?.mine && RANK[message.state] < RANK[to]) change(person, id, { state: to });
}

const READINGS = {
  person: (event) => {
    meet(event);
    if (!state.catchingUp) showPeople();
  },
  user: ({ wa_id, at, message: item, window_until }) => {
    const person = meet({ wa_id, window_until });
    state.waiting = state.waiting.filter((waiting) => waiting.action.id !== item.id);
    happened(at, `${person.name}: ${describe(item)}`);
    if (item.type === "reaction") return react(person, item.reaction.message_id, "user", item.reaction.emoji ?? "");
    if (item.type === "edit") return change(person, item.edit.original_message_id, { body: item.edit.message, edited: true });
    if (item.type === "system" || item.type === "revoke") return undefined;
    byId(`m-${item.id}`)?.remove();
    put(person, { id: item.id, mine: true, at, type: item.type, body: item, quotes: item.context?.id, state: "sent", reactions: {} });
    return refreshWindow(person);
  },
  sent: ({ to, at, message: body, type, id, shown, media }) => {
    const person = meet({ wa_id: to });
    const message = { id, mine: false, at, type, body, shown, media, quotes: body.context?.message_id, reactions: {} };
    happened(at, `Bot to ${person.name}: ${type}, accepted`);
    if (type === "reaction") return react(person, body.reaction.message_id, "bot", body.reaction.emoji ?? "");
    person.typingUntil = 0;
    put(person, message);
    if (!state.catchingUp && person.wa_id !== state.current) announce(`${person.name} has a new message`);
    return showTyping();
  },
  status: ({ to, at, message_id, status, code, title }) => {
    if (status !== "failed") return;
    happened(at, `Reported as failed: ${code} ${title}`, true);
    change(meet({ wa_id: to }), message_id, { lost: `${title} (${code})` });
  },
  read: ({ to, message_id, message_ids }) => {
    const person = meet({ wa_id: to });
    for (const id of [message_id, ...message_ids]) advance(person, id, "read");
  },
  typing: ({ to, until }) => {
    meet({ wa_id: to }).typingUntil = until;
    if (!state.catchingUp) showTyping();
  },
  window: ({ wa_id, until, at }) => {
    const person = meet({ wa_id, window_until: until });
    happened(at, until > at ? `24 hours begin for ${person.name}` : `The 24 hours of ${person.name} are over`);
    refreshWindow(person);
  },
  webhook: ({ ok, message_ids, status, problem, attempt, given_up, at }) => {
    state.webhookTrouble = ok ? "" : given_up
      ? "The bot did not take a message, and the simulator gave up."
      : `The bot does not take messages at the moment (${status || problem}). Trying again.`;
    if (ok) for (const person of state.people.values()) for (const id of message_ids) advance(person, id, "delivered");
    else happened(at, `Webhook not taken: ${status || problem}, attempt ${attempt}`, true);
    if (!state.catchingUp) showBanner();
  },
  faults: ({ faults }) => {
    state.faults = faults;
    if (!state.catchingUp) showFaults();
  },
  fault: ({ kind, at }) => happened(at, `Fault: ${FAULTS.find((fault) => fault.kind === kind)?.title ?? kind}`, true),
  handshake: ({ ok, reason, at }) => happened(at, ok ? "The webhook passed its handshake" : reason, !ok),
};

function react(person, id, who, emoji) {
  const message = person.index.get(id);
  if (message) change(person, id, { reactions: { ...message.reactions, [who]: emoji } });
}

function describe(item) {
  if (item.type === "reaction") return item.reaction.emoji ? `reacts ${item.reaction.emoji}` : "takes a reaction back";
  return summary({ type: item.type, body: item }).slice(0, 60);
}

// -- drawing ------------------------------------------------------------------------------------------------------------

const current = () => state.people.get(state.current);
const acts = {
  botName: () => state.botName,
  find: (id) => current()?.index.get(id),
  jump: (id) => byId(`m-${id}`)?.scrollIntoView({ block: "center" }),
  tap: (action) => submit(action),
  openRows,
  menu: openMessageMenu,
  sendLocation: (message) => shareLocation(message.id),
  sharePhone: (message) => submit({
    type: "contacts", reply_to: message.id,
    contacts: [{ name: { formatted_name: current().name }, phones: [{ phone: `+${state.current}`, wa_id: state.current, type: "CELL" }], origin: "contact_request" }],
  }),
};

function showChat() {
  const person = current();
  if (!person) return;
  person.unread = 0;
  ui.log.replaceChildren();
  lastDrawn = null;
  for (const message of person.messages) draw(message);
  for (const waiting of state.waiting) if (waiting.wa_id === person.wa_id) draw(waitingMessage(waiting));
  if (!lastDrawn) ui.log.append(el("li", { className: "empty" }, el("strong", {}, `You are ${person.name}.`), `Write something, and ${state.botName} answers as it would on a real phone.`));
  toEnd();
  refreshWindow(person);
  showTyping();
}

let lastDrawn = null;

function draw(message, isNew = false) {
  ui.log.querySelector(".empty")?.remove();
  byId("typing")?.remove();
  const day = dayOf(message.at);
  if (!lastDrawn || dayOf(lastDrawn.at) !== day) ui.log.append(el("li", { className: "day" }, day));
  const node = bubble(message, acts);
  if (isNew) node.querySelector(".bubble").classList.add("is-new");
  ui.log.append(node);
  lastDrawn = message;
}

// Does the reader follow the newest message? True until they scroll up; then new messages wait behind a button.
let following = true;
const atEnd = () => ui.log.scrollHeight - ui.log.scrollTop - ui.log.clientHeight < 80;

function toEnd() {
  following = true;
  ui.log.scrollTop = ui.log.scrollHeight;
  ui.newest.hidden = true;
}

function append(message) {
  draw(message, true);
  if (following || message.mine) toEnd();
  else ui.newest.hidden = false;
}

function redraw(message) {
  const old = byId(`m-${message.id}`);
  if (!old) return;
  const node = bubble(message, acts);
  old.replaceWith(node);
  if (following) toEnd();
}

// A picture gets its height when it is loaded, and a keyboard takes height away; a reader at the end wants to stay there.
ui.log.addEventListener("load", () => following && toEnd(), true);
new ResizeObserver(() => following && toEnd()).observe(ui.log);
ui.log.addEventListener("scroll", () => {
  following = atEnd();
  if (following) ui.newest.hidden = true;
});
ui.newest.addEventListener("click", toEnd);

let typingTimer = 0;

function showTyping() {
  const person = current();
  clearTimeout(typingTimer);
  const left = person ? person.typingUntil - Date.now() / 1000 : 0;
  const typing = left > 0;
  if (typing) typingTimer = setTimeout(showTyping, left * 1000 + 50);
  const shown = byId("typing");
  if (typing && !shown) {
    ui.log.append(el("li", { className: "row", id: "typing", "aria-hidden": "true" }, el("div", { className: "bubble typing is-new" }, el("i"), el("i"), el("i"))));
    if (following) toEnd();
  }
  if (!typing) shown?.remove();
  ui.subtitle.textContent = typing ? "typing…" : person ? `You are ${person.name}` : "";
  ui.subtitle.classList.toggle("is-typing", typing);
}

function showPeople() {
  const focused = document.activeElement?.closest?.(".person")?.dataset.who;
  ui["people-list"].replaceChildren(...[...state.people.values()].map((person, index) => {
    const last = person.messages.at(-1);
    const hue = (35 + index * 137) % 360; // the golden angle keeps neighbours apart
    const avatar = el("span", { className: "avatar", "aria-hidden": "true" }, initials(person.name));
    avatar.style.setProperty("--hue", hue);
    return el("li", {}, el("button", { type: "button", className: "person", "data-who": person.wa_id, "aria-current": person.wa_id === state.current ? "true" : null, onclick: () => become(person.wa_id) },
      avatar, el("span", {}, el("b", {}, el("bdi", {}, person.name)), el("small", {}, el("bdi", {}, last ? summary(last) : `+${person.wa_id}`))),
      person.unread ? el("span", { className: "count", "aria-label": `${person.unread} unread` }, String(person.unread)) : last ? el("small", {}, timeOf(last.at)) : null));
  }));
  if (focused) ui["people-list"].querySelector(`[data-who="${CSS.escape(focused)}"]`)?.focus();
}

function become(wa_id) {
  state.current = wa_id;
  quote(null);
  closePanels();
  showChat();
  showPeople();
  announce(`You are ${current().name}`);
}

function happened(at, text, bad = false) {
  state.happened.unshift({ at, text, bad });
  state.happened.length = Math.min(state.happened.length, 40);
  if (!state.catchingUp) showHappened();
}

function showHappened() {
  ui.happened.replaceChildren(...state.happened.map(({ at, text, bad }) => el("li", { className: bad ? "is-bad" : "" }, el("time", {}, exactTimeOf(at)), el("span", { dir: "auto" }, text))));
}

function showBanner() {
  const text = state.connected ? state.webhookTrouble : "Connection lost. What you write waits here and is sent when it is back.";
  if (ui.banner.textContent !== text) ui.banner.textContent = text;
  ui.banner.hidden = !text;
  ui.banner.classList.toggle("is-bad", !state.connected);
}

let announcement = 0;

function announce(text, visible = false) {
  ui.announce.textContent = text;
  if (!visible) return;
  ui.banner.textContent = text;
  ui.banner.hidden = false;
  clearTimeout(announcement);
  announcement = setTimeout(showBanner, 5000);
}

// -- faults -------------------------------------------------------------------------------------------------------------

function isOn(fault) {
  // Who never wrote has no window that could be over: the first message opens it.
  if (fault.kind === "window") return current()?.messages.length > 0 && !(current().windowUntil > Date.now() / 1000);
  if (fault.plan) return Boolean(state.plan[fault.kind]);
  return state.faults.some((rule) => rule.kind === fault.kind);
}

function showFaults() {
  if (!ui.faults.childElementCount) {
    ui.faults.append(...FAULTS.map((fault) => el("li", {}, el("label", { className: "fault" },
      el("span", {}, el("b", {}, fault.title), el("small", {}, fault.text)),
      el("input", { type: "checkbox", role: "switch", className: "switch", id: `fault-${fault.kind}`, onchange: (event) => attempt(() => turn(fault, event.target.checked)).then(showFaults) })))));
  }
  for (const fault of FAULTS) byId(`fault-${fault.kind}`).checked = isOn(fault);
  ui["lab-dot"].hidden = !FAULTS.some((fault) => fault.kind !== "window" && isOn(fault));
}

async function turn(fault, on) {
  if (fault.kind === "window") return call("POST", "windows", { wa_id: state.current, action: on ? "close" : "open" });
  if (fault.plan) {
    state.plan = await call("PUT", "webhook-plan", on ? fault.plan : fault.off);
    return null;
  }
  if (on) return call("POST", "faults", { kind: fault.kind, times: null, ...fault.rule });
  for (const rule of state.faults.filter((known) => known.kind === fault.kind)) await call("DELETE", `faults/${rule.id}`);
  return null;
}

function refreshWindow(person) {
  if (person.wa_id === state.current && !state.catchingUp) showFaults();
}

byId("all-off").addEventListener("click", () => attempt(async () => {
  await call("DELETE", "faults");
  state.plan = await call("PUT", "webhook-plan", { duplicates: 0, jitter_ms: 0 });
  showFaults();
}));

// -- writing ------------------------------------------------------------------------------------------------------------

/** Ids are made here, so that a message whose answer was lost is not sent twice. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  return `wamid.${btoa(String.fromCharCode(...bytes))}`;
}

const waitingMessage = ({ action, at, wa_id }) => ({
  id: action.id, mine: true, at, waiting: true, state: "waiting", type: action.type === "reaction" ? "reaction" : "text", reactions: {}, wa_id,
  body: { text: { body: action.text ?? action.title ?? action.caption ?? `${action.type}…` } }, quotes: action.reply_to,
});

function submit(action) {
  const waiting = { wa_id: state.current, at: Date.now() / 1000, action: { from: state.current, id: newId(), ...action } };
  if (state.quoting && !action.reply_to && action.type !== "reaction") waiting.action.reply_to = state.quoting.id;
  quote(null);
  state.waiting.push(waiting);
  if (action.type !== "reaction") append(waitingMessage(waiting));
  sendWaiting();
}

let sending = false;

async function sendWaiting() {
  if (sending) return;
  sending = true;
  try {
    while (state.waiting.length && state.connected && !state.catchingUp) {
      const [next] = state.waiting;
      await call("POST", "messages", next.action);
      state.waiting = state.waiting.filter((waiting) => waiting !== next);
    }
  } catch (problem) {
    if (problem instanceof Refused) {
      const [bad] = state.waiting.splice(0, 1);
      byId(`m-${bad.action.id}`)?.remove();
      announce(problem.message, true);
    } else {
      state.connected = false;
      showBanner();
    }
  } finally {
    sending = false;
  }
}

function quote(message) {
  state.quoting = message;
  byId("quote").hidden = !message;
  ui["quote-text"].textContent = message ? summary(message) : "";
  if (message) ui.text.focus();
}

byId("quote-cancel").addEventListener("click", () => quote(null));

function showSend() {
  const empty = !ui.text.value.trim();
  const canRecord = Boolean(navigator.mediaDevices?.getUserMedia && globalThis.MediaRecorder);
  ui.send.hidden = empty && canRecord;
  ui.record.hidden = !empty || !canRecord;
}

ui.composer.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = ui.text.value.trim();
  if (!text || !state.current) return;
  ui.text.value = "";
  grow();
  submit({ type: "text", text });
  ui.text.focus();
});

function grow() {
  showSend();
  if (CSS.supports("field-sizing", "content")) return;
  ui.text.style.height = "auto";
  ui.text.style.height = `${ui.text.scrollHeight + 2}px`;
}

ui.text.addEventListener("input", grow);
ui.text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    ui.composer.requestSubmit();
  } else if (event.key === "Escape") quote(null);
});

async function sendFile(blob, name, extra = {}) {
  const base = (blob.type || "").split(";")[0];
  const kind = extra.type ?? (base === "image/webp" ? "sticker" : base.startsWith("image/") ? "image" : base.startsWith("video/") ? "video" : base.startsWith("audio/") ? "audio" : "document");
  await attempt(async () => {
    const media = await call("POST", `media?filename=${encodeURIComponent(name)}`, blob);
    const caption = kind === "audio" || kind === "sticker" ? "" : ui.text.value.trim();
    if (caption) {
      ui.text.value = "";
      grow();
    }
    submit({ type: kind, media_id: media.id, ...(caption ? { caption } : {}), ...(kind === "document" ? { filename: name } : {}), ...extra });
  });
}

for (const [input, extra] of [["photo-input", {}], ["file-input", { type: "document" }]]) {
  byId(input).addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (file) await sendFile(file, file.name, extra);
    event.target.value = "";
  });
}

ui.text.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (!file) return;
  event.preventDefault();
  sendFile(file, file.name);
});
ui.log.addEventListener("dragover", (event) => event.preventDefault());
ui.log.addEventListener("drop", (event) => {
  event.preventDefault();
  for (const file of event.dataTransfer.files) sendFile(file, file.name);
});

ui.record.addEventListener("click", async () => {
  if (state.stopRecording) {
    const stop = state.stopRecording;
    state.stopRecording = null;
    showRecording(false);
    const note = await stop();
    if (note) await sendFile(note.blob, "voice-note.ogg", { type: "audio", voice: true });
    return;
  }
  try {
    state.stopRecording = await record();
    showRecording(true);
  } catch {
    announce("The microphone is not available. Allow it in the browser, or attach a sound file.", true);
  }
});

function showRecording(on) {
  ui.record.classList.toggle("is-recording", on);
  ui.record.setAttribute("aria-label", on ? "Stop and send the voice note" : "Record a voice note");
  ui.record.replaceChildren(icon(on ? "stop" : "mic"));
  ui.text.placeholder = on ? "Recording…" : "Message";
}

function sharePlace(reply_to) {
  const place = PLACES[Math.floor(Math.random() * PLACES.length)];
  submit({ type: "location", ...place, ...(reply_to ? { reply_to } : {}) });
}

function shareLocation(reply_to) {
  if (!navigator.geolocation) return sharePlace(reply_to);
  return navigator.geolocation.getCurrentPosition(
    ({ coords }) => submit({ type: "location", latitude: coords.latitude, longitude: coords.longitude, ...(reply_to ? { reply_to } : {}) }),
    () => {
      announce("Your position is not available; an invented place was sent.", true);
      sharePlace(reply_to);
    },
    { timeout: 5000 }
  );
}

// -- menus, lists, panels -----------------------------------------------------------------------------------------------

function openMenu(menu, anchor) {
  menu.showPopover();
  const at = anchor.getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left), innerWidth - menu.offsetWidth - 8);
  const above = at.top - menu.offsetHeight - 6;
  menu.style.left = `${left}px`;
  menu.style.top = `${above > 8 ? above : at.bottom + 6}px`;
  anchor.setAttribute("aria-expanded", "true");
  menu.addEventListener("toggle", (event) => event.newState === "closed" && anchor.setAttribute("aria-expanded", "false"), { once: true });
  menu.querySelector("button").focus();
}

for (const menu of [ui["attach-menu"], ui["message-menu"]]) {
  menu.addEventListener("keydown", (event) => {
    const buttons = [...menu.querySelectorAll("button")];
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    buttons.at((buttons.indexOf(document.activeElement) + step) % buttons.length).focus();
  });
}

byId("attach").addEventListener("click", (event) => openMenu(ui["attach-menu"], event.currentTarget));
ui["attach-menu"].addEventListener("click", (event) => {
  const what = event.target.closest("[data-attach]")?.dataset.attach;
  if (!what) return;
  ui["attach-menu"].hidePopover();
  if (what === "photo") byId("photo-input").click();
  else if (what === "file") byId("file-input").click();
  else if (what === "here") shareLocation();
  else sharePlace();
});

let menuMessage = null;

function openMessageMenu(message, anchor) {
  menuMessage = message;
  ui["emoji-row"].replaceChildren(...EMOJI.map((emoji) => {
    const on = message.reactions.user === emoji;
    return el("button", { type: "button", role: "menuitemcheckbox", "aria-checked": String(on), "aria-pressed": String(on), "aria-label": `React with ${emoji}`, onclick: () => {
      ui["message-menu"].hidePopover();
      submit({ type: "reaction", message_id: message.id, emoji: on ? "" : emoji });
    } }, emoji);
  }));
  openMenu(ui["message-menu"], anchor);
}

byId("menu-reply").addEventListener("click", () => {
  ui["message-menu"].hidePopover();
  quote(menuMessage);
});

function openRows(message) {
  const { action, header } = message.body.interactive;
  ui["rows-title"].textContent = header?.text ?? action.button;
  ui["rows-body"].replaceChildren(...action.sections.flatMap((section) => [
    section.title ? el("h3", { dir: "auto" }, section.title) : null,
    ...section.rows.map((row) => el("button", { type: "button", className: "option", onclick: () => {
      ui.rows.close();
      submit({ type: "list_reply", row_id: row.id, title: row.title, ...(row.description ? { description: row.description } : {}), reply_to: message.id });
    } }, el("b", { dir: "auto" }, row.title), row.description ? el("small", { dir: "auto" }, row.description) : null)),
  ]).filter(Boolean));
  ui.rows.showModal();
}

byId("rows-close").addEventListener("click", () => ui.rows.close());
ui.rows.addEventListener("click", (event) => { if (event.target === ui.rows) ui.rows.close(); });

const phone = document.querySelector(".phone");
let opener = null;

function closePanels() {
  for (const panel of document.querySelectorAll(".panel.is-open")) panel.classList.remove("is-open");
  ui.scrim.hidden = true;
  phone.inert = false;
  opener?.setAttribute("aria-expanded", "false");
  opener?.focus();
  opener = null;
}

for (const button of document.querySelectorAll("[data-open]")) {
  button.addEventListener("click", () => {
    opener = button;
    button.setAttribute("aria-expanded", "true");
    ui.scrim.hidden = false;
    phone.inert = true;
    const panel = byId(button.dataset.open);
    panel.classList.add("is-open");
    panel.querySelector(".close-panel").focus();
  });
}
for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", closePanels);
ui.scrim.addEventListener("click", closePanels);
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && opener) closePanels(); });

byId("person-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const fields = new FormData(form);
  const wa_id = fields.get("wa_id").replace(/\D/g, "");
  const made = await attempt(() => call("POST", "people", { name: fields.get("name").trim(), wa_id }));
  if (!made) return;
  form.reset();
  form.closest("details").open = false;
  meet(made);
  become(made.wa_id);
});

showSend();
start();
