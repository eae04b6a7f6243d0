// The web chat of omni, for any page: docs/web-chat.md has its attributes, methods, events and CSS variables.
//   <script src="https://your-server/widget.js" data-agent="desk"></script>
(() => {
"use strict";
const script = document.currentScript;

const WORDS = {
  open: "Open chat", close: "Close chat", messages: "Messages", write: "Write a message…", send: "Send",
  attach: "Attach a file", remove: "Remove", online: "Online", connecting: "Connecting…", file: "File",
  offline: "You are offline. What you write is sent when you are back.", lost: "Connection lost. Reconnecting…",
  typing: "is writing", looking: "Looking up:", waiting: "Waiting to be sent", failed: "Not sent:",
  human: "A colleague is here.", nobody: "A colleague will be with you soon.",
  bot: "You are talking to the assistant again.", call: "Call", ended: "The conversation has ended. Write to start a new one.",
};

const CSS = `
:host{--a:var(--vw-color-accent,47,82,204);--p:#fff;--f:#1b1d24;--m:#646b7a;--l:#e6e8ee;--b:#f1f3f7;--h:#e5f3ea;--i:#f6f7f9;--k:rgb(var(--a));--r:#c9251a;--w:#83470a;--wb:#fff4e2;
--line:1px solid var(--vw-panel-border,var(--l));color-scheme:light;font:15px/1.5 var(--pm-font,system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif)}
:host([dark]){--a:var(--vw-color-accent,64,98,216);--p:#15171c;--f:#e8eaf0;--m:#9aa2b2;--l:#292d36;--b:#23272f;--h:#1d3629;--i:#1e2128;--k:#a3b7ff;--r:#ff8a80;--w:#f5c77e;--wb:#332712;color-scheme:dark}
*{box-sizing:border-box;margin:0}[hidden]{display:none!important}
button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer}:disabled{cursor:default;opacity:.45}
:focus-visible{outline:2px solid var(--k);outline-offset:2px}
svg{display:block;width:22px;height:22px;fill:none;stroke:currentColor;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}
.fab,.panel{position:fixed;z-index:2147483000;inset-block-end:20px;inset-inline-end:20px}:host([left]) :is(.fab,.panel){inset-inline:20px auto}
.fab{display:flex;align-items:center;gap:10px;height:56px;border-radius:28px;padding-inline:17px;font-weight:500;background:var(--pm-fab-bg,rgb(var(--a)));color:var(--pm-fab-color,#fff);box-shadow:0 6px 20px rgba(16,24,40,.22)}
.fab[data-n]::after{content:attr(data-n);position:absolute;inset-block-start:-4px;inset-inline-end:-2px;min-width:20px;border-radius:10px;background:#c9251a;font:600 12px/20px system-ui}
.panel{inset-block-end:92px;width:392px;max-width:calc(100vw - 40px);height:min(660px,calc(100dvh - 116px));display:flex;flex-direction:column;overflow:hidden;animation:in .18s;
background:var(--pm-card-bg,var(--vw-panel-bg,var(--p)));color:var(--f);border:var(--line);border-radius:18px;box-shadow:var(--pm-shadow,0 16px 48px rgba(16,24,40,.2))}
@keyframes in{from{opacity:0;transform:translateY(8px)}}
header{display:flex;align-items:center;gap:12px;padding:14px 16px;border-block-end:var(--line)}header div{flex:1;min-width:0}
.face{flex:none;width:38px;height:38px;border-radius:50%;display:grid;place-items:center;background:rgba(var(--a),.14);color:var(--k);font-weight:600}
h1{font-size:16px;line-height:1.3;font-weight:600;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}.state,.t,.note,.busy,small{font-size:13px;color:var(--m)}
.on::before{content:"";display:inline-block;width:7px;height:7px;margin-inline-end:6px;vertical-align:1px;border-radius:50%;background:#17a34a}
.icon{flex:none;width:36px;height:36px;border-radius:50%;display:grid;place-items:center;color:var(--m)}.icon:hover{color:var(--f)}
.bar{padding:8px 16px;font-size:13px;color:var(--w);background:var(--wb)}
.log{flex:1;overflow-y:auto;overscroll-behavior:contain;padding:12px 16px;scrollbar-width:thin;scrollbar-color:var(--pm-scrollbar,rgba(128,136,150,.4)) transparent}
.all{list-style:none;padding:0;display:flex;flex-direction:column;align-items:flex-start;min-height:100%;justify-content:flex-end}
.m{max-width:84%;margin-block-start:14px}.user{align-self:flex-end}.bot+.bot,.human+.human,.user+.user,.b+.b{margin-block-start:3px}
.b{width:fit-content;max-width:100%;padding:9px 14px;border-radius:18px;background:var(--pm-bot-bg,var(--vw-bubble-bot-bg,var(--b)));color:var(--pm-bot-color,var(--vw-bubble-bot-color,var(--f)));overflow-wrap:anywhere}
.user .b{margin-inline-start:auto;background:var(--pm-user-bg,rgb(var(--a)));color:var(--pm-user-color,var(--vw-bubble-user-color,#fff))}
.bot+.bot .b,.human+.human .b{border-start-start-radius:6px}:is(.bot:has(+.bot),.human:has(+.human)) .b{border-end-start-radius:6px}
.user+.user .b{border-start-end-radius:6px}.user:has(+.user) .b{border-end-end-radius:6px}.human .b{background:var(--h)}
.t{font-size:12px;margin:4px 4px 0}.user .t{text-align:end}.same:not(.wait,.bad) .t{display:none}.bad .t{color:var(--r)}.wait .b{opacity:.65}
.b>*+*{margin-block-start:8px}.b a{color:var(--k)}.user .b a{color:inherit}.b :is(ul,ol){padding-inline-start:20px}.b ul{list-style:disc}.b :is(p,li){unicode-bidi:plaintext}.h{font-weight:600}
blockquote{border-inline-start:3px solid var(--m);padding-inline-start:10px}
code{font:13px/1.5 ui-monospace,Menlo,Consolas,monospace;background:rgba(128,136,150,.16);border-radius:5px;padding:1px 4px}
pre{overflow-x:auto;background:rgba(128,136,150,.14);border-radius:10px;padding:10px 12px}pre code{background:none;padding:0}
img,video{display:block;max-height:320px;border-radius:12px}img,video,audio{max-width:100%}.b:has(>:is(img,video)){padding:5px}.b:has(>img:only-child){padding:0;background:0}
.doc,.pick,.chips{display:flex;flex-wrap:wrap;gap:8px}.pick>*{border:1px solid rgba(var(--a),.5);color:var(--k);border-radius:18px;padding:6px 14px;text-align:start;text-decoration:none}small{display:block}
.note{align-self:center;text-align:center;margin:16px 24px 2px}.busy{display:flex;align-items:center;gap:4px;padding:0 20px 4px}.busy span{margin-inline-start:6px}
i{width:6px;height:6px;border-radius:50%;background:currentColor;animation:dot 1.2s infinite}i+i{animation-delay:.15s}i+i+i{animation-delay:.3s}@keyframes dot{0%,60%,100%{opacity:.3}30%{opacity:1}}
form{padding:8px 12px max(12px,env(safe-area-inset-bottom))}
.row,.chips span{display:flex;align-items:flex-end;gap:4px;background:var(--pm-input-bg,var(--i));border:var(--line);border-radius:23px;padding:4px}.row:focus-within{border-color:rgb(var(--a))}
textarea{flex:1;min-width:0;resize:none;border:0;background:none;color:var(--pm-input-color,inherit);font:inherit;font-size:16px;line-height:22px;padding:7px 4px;max-height:132px}textarea:focus{outline:0}
textarea::placeholder{color:var(--m);opacity:1}.row .go{background:var(--pm-send-bg,rgb(var(--a)));color:var(--pm-send-color,#fff)}
.chips span{align-items:center;font-size:13px;padding:2px 10px;margin-block-end:8px}.chips .bad{color:var(--r)}.chips svg{width:14px}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.panel.page{inset:0;width:auto;max-width:none;height:auto;border:0;border-radius:0;animation:none}.page>*{padding-inline:max(16px,calc(50% - 360px))}
@media(max-width:480px){.panel{inset:0!important;width:auto;max-width:none;height:auto;border:0;border-radius:0}}
@media(prefers-reduced-motion:reduce){*{animation:none!important}}`;

const h = (name, props = {}, ...kids) => {
  const [tag, style] = name.split("."), node = document.createElement(tag);
  if (style) node.className = style;
  for (const key in props) if (key in node) node[key] = props[key]; else node.setAttribute(key, props[key]);
  node.append(...kids);
  return node;
};
const icon = (d) => {
  const [svg, path] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.ariaHidden = true;
  path.setAttribute("d", d);
  svg.append(path);
  return svg;
};
const CHAT = "M21 11.5a8.5 8.5 0 0 1-12.3 7.6L3 21l1.9-5.7A8.5 8.5 0 1 1 21 11.5Z", CLOSE = "M6 6l12 12M18 6 6 18", SEND = "M12 19V5m-6 6 6-6 6 6";
const PHONE = "M5 4h4l2 5-2.5 1.5a11 11 0 0 0 5 5L15 13l5 2v4a2 2 0 0 1-2 2A16 16 0 0 1 3 6a2 2 0 0 1 2-2Z";
const CLIP = "m20 11-8.3 8.3a5 5 0 0 1-7-7L13 4a3.3 3.3 0 0 1 4.7 4.7L9.4 17A1.7 1.7 0 0 1 7 14.6L14.5 7", FILE = "M14 3H6v18h12V7zv4h4";

// Markdown as DOM nodes: what a message says is never parsed as HTML.
const safe = (url) => /^(https?:\/\/|mailto:)/i.test(url);
const link = (href, ...kids) => h("a", { href, target: "_blank", rel: "noopener noreferrer" }, ...kids);
const INLINE = /`([^`]+)`|\*\*(.+?)\*\*|(?<![\w*])[*_]([^\s*_](?:[^*_]*[^\s*_])?)[*_](?![\w*])|\[([^\]]+)\]\(([^()\s]+)\)|(https?:\/\/[^\s<>"]*[^\s<>".,;:!?)\]'])/g;
const inline = (text, into) => {
  let last = 0;
  for (const m of text.matchAll(INLINE)) {
    into.append(text.slice(last, m.index),
      m[1] ? h("code", {}, m[1]) : m[2] ? inline(m[2], h("strong")) : m[3] ? inline(m[3], h("em")) :
      m[6] ? link(m[6], m[6]) : safe(m[5]) ? inline(m[4], link(m[5])) : m[0]);
    last = m.index + m[0].length;
  }
  into.append(text.slice(last));
  return into;
};
const markdown = (text, into) => {
  let list, para, code, m;
  const put = (tag, words) => into.append(inline(words, h(tag)));
  for (const line of text.split("\n")) {
    const fence = /^\s*```/.test(line);
    if (code) fence ? code = 0 : code.append(line + "\n");
    else if (m = /^\s*(?:[-*+•]|(\d{1,6})[.)])\s+(.*)/.exec(line)) {
      const tag = m[1] ? "ol" : "ul";
      if (list?.localName !== tag) into.append(list = h(tag, m[1] && { start: m[1] }));
      list.append(inline(m[2], h("li")));
      para = 0;
    } else if (line.trim() && !fence && !/^(#{1,6}\s|>)/.test(line)) {
      para ? para.append(h("br")) : into.append(para = h("p"));
      inline(line, para);
      list = 0;
    } else {
      list = para = 0;
      if (fence) into.append(h("pre", { dir: "ltr", tabIndex: 0 }, code = h("code")));
      else if (line.trim()) put(line[0] === ">" ? "blockquote" : "p.h", line.replace(/^(#+|>)\s*/, ""));
    }
  }
};

const recall = (key) => { try { return JSON.parse(localStorage[key]); } catch {} };
const keep = (key, value) => { try { localStorage[key] = JSON.stringify(value); } catch {} return value; };

// The connection: comes back by itself, goes on where it was, and keeps messages until the server has them.
class Line {
  constructor(chat) {
    this.chat = chat;
    this.key = `omni:${chat.server}:${chat.org || ""}/${chat.agent}:`;
    this.outbox = recall(this.key + "out") || [];
    this.context = {};
    this.tries = 0;
    this.beat = setInterval(() => this.ping(), 25000);
    addEventListener("online", () => this.open());
    addEventListener("offline", () => this.lost());
    document.addEventListener("visibilitychange", () => document.hidden || this.ping());
    this.open();
  }
  end() {
    this.over = true;
    clearInterval(this.beat);
    this.lost();
  }
  open() {
    clearTimeout(this.timer);
    if (this.over || this.ws) return;
    this.chat.status(navigator.onLine ? "connecting" : "offline");
    if (!navigator.onLine) return;
    const ws = this.ws = new WebSocket(this.chat.server.replace(/^http/, "ws") + "/chat/ws");
    this.late = setTimeout(() => this.lost(), 15000);
    ws.onopen = () => this.hello().then((way) => ws.send(JSON.stringify({ event: "hello", ...way, after: this.cursor })), () => ws.close());
    ws.onmessage = (message) => this.ws === ws && this.take(JSON.parse(message.data));
    ws.onclose = (closed) => this.ws === ws && this.lost(closed.code);
  }
  async hello() {
    const visitor = recall(this.key + "visitor"), provider = this.chat.tokenProvider;
    if (!provider) this.session ||= recall(this.key + "session");
    if (this.session) return { session: this.session };
    return provider ? { token: (await provider("chat")).token, visitor } : { agent: this.chat.agent, org: this.chat.org, visitor };
  }
  lost(code) {
    const ws = this.ws;
    this.ws = this.ready = this.late = clearTimeout(this.late);
    ws?.close();
    if (this.over) return;
    if (code === 4403 || code === 4404) return this.chat.status("refused");
    if (code === 4401) this.session = keep(this.key + "session", null);
    this.chat.status(navigator.onLine ? "lost" : "offline");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), Math.min(30, 2 ** this.tries++) * (500 + Math.random() * 500) * (code === 4429 ? 20 : 1));
  }
  take(frame) {
    this.late = clearTimeout(this.late);
    this.cursor = frame.cursor || this.cursor;
    const what = frame.event, id = what === "chat.message" ? frame.message.id : frame.id;
    if (what === "chat.connected") {
      this.tries = 0;
      this.session = frame.session;
      if (!this.chat.tokenProvider) keep(this.key + "session", this.session);
      if (frame.visitor) keep(this.key + "visitor", frame.visitor);
    } else if (what === "chat.caught_up") {
      this.ready = true;
      for (const key in this.context) this.send({ event: "set_context", key, value: this.context[key] });
      this.outbox.forEach((one) => this.send(one));
    } else if (frame.retry) setTimeout(() => this.outbox.forEach((one) => one.id === id && this.send(one)), 3000);
    else if (id && this.outbox.some((one) => one.id === id)) this.outbox = keep(this.key + "out", this.outbox.filter((one) => one.id !== id));
    this.chat.take(frame);
  }
  say(frame) {
    this.outbox.push(frame);
    keep(this.key + "out", this.outbox);
    this.send(frame);
  }
  send(frame) {
    if (!this.ready) return;
    this.ws.send(JSON.stringify(frame));
    if (/message|ping/.test(frame.event)) this.late ||= setTimeout(() => this.lost(), 10000);
  }
  ping() { this.ws ? this.send({ event: "ping" }) : this.open(); }
  async upload(file) {
    const answer = await fetch(this.chat.server + "/chat/api/files?name=" + encodeURIComponent(file.name), {
      method: "POST", body: file, headers: { Authorization: "Bearer " + this.session },
    });
    const kept = await answer.json();
    if (answer.ok) return kept;
    throw Error(kept.error);
  }
}

class OmniChat extends HTMLElement {
  connectedCallback() {
    if (this.panel) return;
    const given = (name) => this.getAttribute(name), night = matchMedia("(prefers-color-scheme: dark)");
    this.agent = given("agent");
    this.org = given("org") || undefined;
    this.server = (given("server") || new URL(script?.src || location).origin).replace(/\/$/, "");
    this.words = { ...WORDS, ...JSON.parse(given("words") || "{}") };
    this.isPage = given("mode") === "page";
    this.handler = "bot";
    this.bubbles = new Map();
    this.drafts = new Map();
    this.files = [];
    this.build(given("label"));
    this.named(given("name") || this.agent);
    if (given("greeting")) this.show({ id: "greeting", from: "bot", parts: [{ text: given("greeting") }] });
    const dress = () => this.toggleAttribute("dark", (given("theme") || (night.matches ? "dark" : "")) === "dark");
    night.onchange = dress;
    new MutationObserver(dress).observe(this, { attributeFilter: ["theme"] });
    dress();
    this.toggleAttribute("left", [given("position"), getComputedStyle(this).getPropertyValue("--pc-position").trim()].includes("left"));
    if (this.isPage || sessionStorage["omni:open"]) this.open();
  }
  disconnectedCallback() { this.line?.end(); }
  build(label) {
    const w = this.words, root = this.attachShadow({ mode: "open" }), sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    root.adoptedStyleSheets = [sheet];
    const button = (name, path, onclick, more) => h("button.icon", { type: "button", ariaLabel: name, title: name, onclick, ...more }, icon(path));
    const files = (list) => [...list].forEach((file) => this.attach(file));
    this.state = h("p.state", { role: "status" });
    this.face = h("span.face", { ariaHidden: "true" });
    this.head = h("h1");
    this.bar = h("p.bar", { role: "status", hidden: true });
    this.list = h("ol.all");
    this.log = h("div.log", { role: "log", ariaLive: "off", ariaLabel: w.messages, tabIndex: 0 }, this.list);
    this.says = h("p.sr", { ariaLive: "polite" });
    this.busy = h("p.busy", { hidden: true }, h("i"), h("i"), h("i"), h("span"));
    this.chips = h("div.chips");
    this.text = h("textarea", {
      rows: 1, placeholder: w.write, ariaLabel: w.write, dir: "auto", maxLength: 4000,
      oninput: () => this.typed(), onpaste: (event) => files(event.clipboardData.files),
      onkeydown: (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && this.submit(event),
    });
    this.go = button(w.send, SEND, null, { type: "submit", className: "icon go", disabled: true });
    const pick = h("input", { type: "file", multiple: true, hidden: true, onchange: () => { files(pick.files); pick.value = ""; } });
    this.panel = h(this.isPage ? "section.panel page" : "section.panel", { role: this.isPage ? "main" : "dialog", hidden: true, onkeydown: (event) => this.isPage || this.key(event) },
      h("header", {}, this.face, h("div", {}, this.head, this.state), this.phone = button(w.call, PHONE, () => this.call(), { hidden: true }), button(w.close, CLOSE, () => this.close(), { hidden: this.isPage })),
      this.bar, this.log, this.says, this.busy,
      h("form", { onsubmit: (event) => this.submit(event) }, this.chips, pick,
        h("div.row", {}, button(w.attach, CLIP, () => pick.click()), this.text, this.go)));
    this.fab = h("button.fab", { type: "button", ariaLabel: label || w.open, ariaExpanded: "false", hidden: this.isPage, onclick: () => this.toggle() }, icon(CHAT), label || "");
    root.append(this.fab, this.panel);
  }
  call() { // by a script of its own, which nobody loads who does not call
    if (!customElements.get("omni-call") && !this.caller) {
      this.caller = h("script", { src: this.server + "/call.js", onload: () => this.call(), onerror: () => { this.caller = 0; } });
      return document.head.append(this.caller);
    }
    const old = this.panel.querySelector("omni-call");
    if (old) return old.connect();
    const call = h("omni-call", { agent: this.agent, server: this.server, name: this.name, bare: "", "auto-call": "" });
    for (const key of ["org", "theme", "language"]) if (this.getAttribute(key)) call.setAttribute(key, this.getAttribute(key));
    call.tokenProvider = this.tokenProvider;
    this.panel.insertBefore(call, this.bar);
  }
  named(name) {
    this.name = this.panel.ariaLabel = this.head.textContent = name;
    this.face.textContent = [...name][0].toUpperCase();
  }

  start() { return this.line ||= new Line(this); }
  open() { this.start(); this.turn(true); }
  close() { this.turn(false); }
  toggle() { this.panel.hidden ? this.open() : this.close(); }
  turn(on) {
    if (this.panel.hidden !== on) return;
    this.panel.hidden = !on;
    this.fab.ariaExpanded = on;
    delete this.fab.dataset.n;
    if (!this.isPage) sessionStorage["omni:open"] = on ? 1 : "";
    (on ? this.text : this.fab).focus();
    this.end();
    this.tell(on ? "open" : "close");
  }
  sendText(text) { this.open(); this.say({ text }); }
  setContext(key, value) {
    this.start().context[key] = value;
    this.line.send({ event: "set_context", key, value });
  }
  getState() { return { status: this.now, open: !this.panel.hidden, handler: this.handler }; }
  tell(what, detail) { this.dispatchEvent(new CustomEvent("omni:" + what, { detail, bubbles: true, composed: true })); }
  end() { this.log.scrollTop = 1e9; }
  isNear() { return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 120; }

  key(event) {
    if (event.key === "Escape") this.close();
    const all = [...this.panel.querySelectorAll("button:enabled,a[href],textarea,[tabindex='0']")];
    const stops = all.filter((stop) => stop.getClientRects()[0]); // what is hidden cannot be stood on
    const [from, to] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
    if (event.key === "Tab" && this.shadowRoot.activeElement === from) { event.preventDefault(); to.focus(); }
  }
  typed() {
    const box = this.text;
    box.style.height = "";
    box.style.height = box.scrollHeight + "px";
    this.go.disabled = !box.value.trim() && !this.files.some((file) => file.ref);
    if (box.value && !(Date.now() - this.typedAt < 3000)) { this.typedAt = Date.now(); this.line.send({ event: "typing" }); }
  }
  submit(event) {
    event.preventDefault();
    const text = this.text.value.trim(), ready = this.files.filter((file) => file.ref);
    if (!text && !ready[0]) return;
    this.files = this.files.filter((file) => file.ref || file.isBad ? file.chip.remove() : true);
    this.text.value = "";
    this.typed();
    this.say({ text, files: ready.map((file) => file.ref) }, ready.map((file) => file.part));
  }
  say(frame, parts = []) {
    frame = { event: "message", id: crypto.getRandomValues(new Uint32Array(4)).join("-"), ...frame };
    this.mine(frame, parts);
    this.line.say(frame);
  }
  mine(frame, parts = []) {
    const text = frame.text || frame.choice?.title || (parts[0] ? "" : this.words.file);
    this.show({ id: frame.id, from: "user", parts: text ? [...parts, { text }] : parts });
    this.mark(frame.id, "wait", this.line.ready ? "" : this.words.waiting);
    this.end();
  }
  mark(id, state, why) {
    const item = this.bubbles.get(id);
    if (!item) return;
    item.classList.remove("wait", "bad");
    if (state) item.classList.add(state);
    item.lastChild.textContent = why || item.time;
  }
  async attach(file) {
    const chip = h("span", {}, file.name), item = { chip };
    chip.append(h("button", { type: "button", ariaLabel: this.words.remove + " " + file.name, onclick: () => { chip.remove(); this.files = this.files.filter((one) => one !== item); this.typed(); } }, icon(CLOSE)));
    this.files.push(item);
    this.chips.append(chip);
    try {
      const kept = await this.line.upload(file);
      item.part = { type: "media", kind: kept.kind, name: file.name, url: URL.createObjectURL(file) };
      item.ref = kept.file;
    } catch (error) {
      item.isBad = chip.className = "bad";
      chip.firstChild.textContent = `${file.name}: ${error.message}`;
    }
    this.typed();
  }

  status(now) {
    if (this.now === now) return;
    this.now = now;
    this.bar.hidden = now === "online" || now === "connecting";
    if (!this.bar.hidden) this.bar.textContent = now === "refused" ? this.why : this.words[now];
    this.known();
    this.tell("status", now);
  }
  known() {
    const on = this.now === "online";
    this.state.textContent = on ? this.words[this.handler === "human" ? "human" : "online"] : this.bar.hidden ? this.words.connecting : "";
    this.state.classList.toggle("on", on);
  }
  take(frame) {
    const w = this.words, id = frame.id;
    switch (frame.event) {
      case "chat.connected":
        this.isOld = true;
        this.phone.hidden = !frame.agent.calls || this.getAttribute("no-call") !== null;
        return this.getAttribute("name") || this.named(frame.agent.name);
      case "chat.caught_up":
        this.isOld = false;
        this.line.outbox.forEach((one) => this.bubbles.has(one.id) ? this.mark(one.id, "wait") : this.mine(one));
        return this.status("online");
      case "chat.message": return this.arrived(frame.message);
      case "chat.token": return this.draft(frame.message_id, frame.text);
      case "chat.typing": return this.work(frame.on && `${this.name} ${w.typing}`);
      case "chat.tool_call": this.work(`${w.looking} ${frame.tool_calls[0].name.replace(/[_-]/g, " ")}`); // and
      case "chat.tool_result": return this.tell("tool", frame);
      case "chat.handler":
        if (frame.handler !== this.handler) this.note(w[this.handler = frame.handler]);
        return this.known();
      case "chat.ended":
        this.handler = "bot";
        this.known();
        return this.note(w.ended);
      case "chat.ack": return this.mark(id);
      case "chat.refused": return frame.retry || this.mark(id, "bad", `${w.failed} ${frame.error}`);
      case "error": this.why = frame.error; break;
      case "chat.error": this.note(frame.error); break;
      default: return;
    }
    this.tell("error", frame.error);
  }
  arrived(message) {
    if (message.from === "user") {
      if (!this.bubbles.has(message.id)) this.show(message);
      return this.mark(message.id);
    }
    this.work();
    this.show(message);
    if (this.isOld) return;
    this.says.textContent = `${this.name}: ${message.text}`;
    if (this.panel.hidden) this.fab.dataset.n = +(this.fab.dataset.n || 0) + 1;
    this.tell("message", message);
  }
  draft(id, text) {
    this.work();
    if (!this.drafts.size) requestAnimationFrame(() => {
      this.drafts.forEach((words, one) => words ? this.show({ id: one, from: "bot", parts: [{ text: words }] }) : this.drop(one));
      this.drafts.clear();
    });
    this.drafts.set(id, text);
  }
  drop(id) {
    this.bubbles.get(id)?.remove();
    this.bubbles.delete(id);
  }
  work(what) {
    const isNear = this.isNear();
    clearTimeout(this.working);
    this.busy.hidden = !what;
    this.busy.lastChild.textContent = what || "";
    if (isNear) this.end();
    if (what) this.working = setTimeout(() => this.work(), 9e4);
  }
  note(text) {
    this.work();
    if (!this.isOld) this.says.textContent = text;
    this.list.append(h("li.note", { dir: "auto" }, text));
    this.end();
  }
  show(message) {
    const { id, from, parts, at } = message, old = this.bubbles.get(id), isNear = this.isNear();
    const item = h("li.m", {}, ...parts.map((part) => this.part(part)));
    item.classList.add(from);
    item.time = `\u2068${(at ? new Date(at * 1000) : new Date()).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}\u2069`;
    item.append(h("div.t", {}, item.time));
    this.drafts.delete(id);
    this.bubbles.set(id, item);
    if (old) old.replaceWith(item);
    else this.list.insertBefore(item, from === "user" ? null : this.list.querySelector(".wait"));
    for (const one of [item, item.previousSibling]) one?.classList.toggle("same", one.time === one.nextSibling?.time);
    if (isNear) this.end();
  }
  part(part) {
    const box = h("div.b", { dir: "auto" }), extra = h("div.pick");
    if (part.type === "media") {
      const full = part.url && new URL(part.url, this.server).href, name = part.name || this.words.file;
      const url = (safe(full) || /^blob:/.test(full)) && full;
      if (part.kind === "image" && url) box.append(h("img", { src: url, alt: name, onload: () => this.end() }));
      else if (/audio|video/.test(part.kind) && url) box.append(h(part.kind, { src: url, controls: true }));
      else if (url) { box.append(link(url, icon(FILE), name)); box.firstChild.className = "doc"; } else box.append(name);
    }
    markdown(part.text || part.caption || "", box);
    for (const choice of part.choices || []) extra.append(h("button", { type: "button", onclick: () => {
      for (const one of extra.children) one.disabled = true;
      this.say({ choice: { id: choice.id, title: choice.title } });
    } }, choice.title, h("small", {}, choice.description || "")));
    if (part.type === "link") extra.append(safe(part.url) ? link(part.url, part.label) : part.label);
    if (extra.firstChild) box.append(extra);
    return box;
  }
}

customElements.define("omni-chat", OmniChat);
if (script?.dataset.agent) {
  const chat = window.omniChat = h("omni-chat");
  for (const key in script.dataset) chat.setAttribute(key, script.dataset[key]);
  const put = () => document.body.append(chat);
  document.body ? put() : addEventListener("DOMContentLoaded", put);
}
})();
