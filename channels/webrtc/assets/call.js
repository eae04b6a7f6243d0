// Calls from a page: docs/browser-calls.md has its attributes, methods and events.
//   <script src="https://your-server/call.js" data-agent="desk"></script>
(() => {
"use strict";
const script = document.currentScript;
if (customElements.get("omni-call")) return;

const WORDS = {
  en: {
    call: "Call", again: "Call again", hangUp: "Hang up", mute: "Mute", unmute: "Unmute", microphone: "Microphone",
    speaker: "Speaker", settings: "Sound settings", type: "Type instead", send: "Send", said: "What is said", ready: "Talk by voice, from here",
    asking: "Allow the microphone…", connecting: "Connecting…", listening: "Listening", pause: "Listening",
    thinking: "Thinking…", speaking: "Speaking", held: "On hold", muted: "You are muted", human: "A colleague is here",
    back: "You are talking to the assistant again", reconnecting: "Connection lost. Reconnecting…", ended: "Call ended",
    idle: "Are you still there?", looking: "Looking up:", forwarded: "You are being connected",
    refused: "The microphone is blocked. Allow it in your browser's address bar, then call again.",
    noMicrophone: "No microphone was found. Connect one, then call again.",
    inUse: "The microphone is used by another program. Close that, then call again.",
    insecure: "Calls need a secure page (https://). This one is not, so the browser gives no microphone.",
    old: "This browser cannot make calls. Use a current one.",
    nobody: "Nobody takes calls on this server at the moment.", busy: "All lines are busy. Try again in a moment.",
    late: "Too many calls from here. Try again in a minute.", away: "The server cannot be reached. Check your connection.",
    notAllowed: "This page may not make this call.", gone: "There is nobody by this name to call.",
    noSound: "No sound came through. A firewall or VPN may block it.", lost: "The connection was lost, and the call ended.",
    silence: "The call ended because nothing was said.", long: "The call has reached its longest time.", failed: "The call failed.",
  },
  es: {
    call: "Llamar", again: "Llamar de nuevo", hangUp: "Colgar", mute: "Silenciar", unmute: "Activar", microphone: "Micrófono",
    speaker: "Altavoz", settings: "Ajustes de sonido", type: "Escribe, si prefieres", send: "Enviar", said: "Lo que se dice", ready: "Habla por voz, desde aquí",
    asking: "Permite el micrófono…", connecting: "Conectando…", listening: "Escuchando", pause: "Escuchando",
    thinking: "Pensando…", speaking: "Hablando", held: "En espera", muted: "Estás en silencio", human: "Te atiende una persona",
    back: "Vuelves a hablar con el asistente", reconnecting: "Conexión perdida. Reconectando…", ended: "Llamada terminada",
    idle: "¿Sigues ahí?", looking: "Consultando:", forwarded: "Te estamos pasando",
    refused: "El micrófono está bloqueado. Permítelo en la barra de direcciones y llama de nuevo.",
    noMicrophone: "No hay micrófono. Conecta uno y llama de nuevo.",
    inUse: "Otro programa está usando el micrófono. Ciérralo y llama de nuevo.",
    insecure: "Las llamadas necesitan una página segura (https://). Esta no lo es y el navegador no da el micrófono.",
    old: "Este navegador no puede llamar. Usa uno actual.",
    nobody: "Ahora nadie atiende llamadas en este servidor.", busy: "Todas las líneas están ocupadas. Prueba en un momento.",
    late: "Demasiadas llamadas desde aquí. Prueba en un minuto.", away: "No se llega al servidor. Revisa tu conexión.",
    notAllowed: "Esta página no puede hacer esta llamada.", gone: "No hay nadie con ese nombre.",
    noSound: "No llegó el sonido. Puede que un cortafuegos o una VPN lo impida.", lost: "Se perdió la conexión y la llamada terminó.",
    silence: "La llamada terminó porque nadie hablaba.", long: "La llamada llegó a su duración máxima.", failed: "La llamada falló.",
  },
};
const REASONS = { idle_timeout: "silence", max_duration: "long", disconnected: "lost", error: "failed" };
const CODES = { nobody: "nobody", busy: "busy", over: "lost" };
const STATUSES = { 401: "notAllowed", 403: "notAllowed", 404: "gone", 429: "late", 503: "busy" };
const MICROPHONE = { NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "noMicrophone", OverconstrainedError: "noMicrophone", NotReadableError: "inUse", AbortError: "inUse" };
const CONNECT = 15000, AWAY = 20000;

const CSS = `
:host{--a:var(--vw-color-accent,47,82,204);--p:var(--vw-panel-bg,#fff);--f:#1b1d24;--m:#5d6473;--l:#e3e6ed;--b:#f1f3f7;--k:rgb(var(--a));--r:#c9251a;--w:#83470a;--wb:#fff4e2;--level:0;
display:flex;flex-direction:column;color-scheme:light;background:var(--p);color:var(--f);font:15px/1.5 var(--pm-font,system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif)}
:host([dark]){--a:var(--vw-color-accent,64,98,216);--p:var(--vw-panel-bg,#15171c);--f:#e8eaf0;--m:#a3abba;--l:#292d36;--b:#23272f;--k:#a3b7ff;--r:#e5483d;--w:#f5c77e;--wb:#332712;color-scheme:dark}
*{box-sizing:border-box;margin:0}[hidden]{display:none!important}
button,select{font:inherit;color:inherit}button{border:0;padding:0;background:none;cursor:pointer}
:focus-visible{outline:2px solid var(--k);outline-offset:3px}
svg{display:block;width:24px;height:24px;fill:none;stroke:currentColor;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}
.who{display:flex;align-items:center;gap:14px;padding:12px 16px}
.who div{min-width:0;flex:1}h1{font-size:16px;line-height:1.3;font-weight:600;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.face{position:relative;flex:none;width:44px;height:44px;border-radius:50%;display:grid;place-items:center;background:rgba(var(--a),.16);color:var(--k);font-weight:600;font-size:18px}
.face::before,.face::after{content:"";position:absolute;inset:0;border-radius:50%;background:rgba(var(--a),.22);transform:scale(calc(1 + var(--level)*.2));z-index:0}
.face::after{background:rgba(var(--a),.12);transform:scale(calc(1 + var(--level)*.4))}.face b{position:relative;z-index:1;font-weight:600}
.state{font-size:13px;color:var(--m)}.state time{margin-inline-start:8px;font-variant-numeric:tabular-nums}
.bar{padding:10px 16px;font-size:14px;color:var(--w);background:var(--wb)}
.log{flex:1;min-height:0;overflow-y:auto;padding:8px 16px;list-style:none;display:flex;flex-direction:column;gap:6px}
.log li{max-width:86%;padding:8px 14px;border-radius:18px;background:var(--b);overflow-wrap:anywhere;unicode-bidi:plaintext;align-self:flex-start}
.log .user{align-self:flex-end;background:rgb(var(--a));color:#fff}.log .interim{opacity:.65}.log .cut::after{content:" —";color:var(--m)}
.log .note{align-self:center;background:none;color:var(--m);font-size:13px;text-align:center}
.deck{display:flex;justify-content:center;align-items:center;gap:18px;padding:14px 16px max(16px,env(safe-area-inset-bottom))}
.deck button{flex:none;width:56px;height:56px;border-radius:50%;display:grid;place-items:center;background:var(--b);border:1px solid var(--l)}
.deck .go{width:auto;min-width:160px;padding-inline:26px;border-radius:28px;display:flex;align-items:center;justify-content:center;gap:10px;background:rgb(var(--a));border:0;color:#fff;font-weight:600}
.deck .end{background:var(--r);border:0;color:#fff}.deck .end svg{transform:rotate(135deg)}
.deck [aria-pressed=true]{background:var(--f);color:var(--p)}
.meter{height:4px;border-radius:2px;margin:0 16px;background:var(--b);overflow:hidden}.meter i{display:block;height:100%;width:100%;background:#17a34a;transform-origin:left;transform:scaleX(var(--mine,0))}
.sound{display:grid;grid-template-columns:auto minmax(0,1fr);gap:8px 12px;align-items:center;padding:4px 16px 12px;font-size:14px}
select,input{width:100%;min-height:40px;padding:6px 10px;border:1px solid var(--l);border-radius:10px;background:var(--b)}
.type{display:flex;gap:8px;padding:8px 16px 12px}.type input{font:inherit;font-size:16px;color:inherit;border-radius:20px;padding-inline:16px}.type button{flex:none;width:40px;height:40px;border-radius:50%;display:grid;place-items:center;color:var(--k)}
:host([mode=page]){position:fixed;inset:0;overflow-y:auto;align-items:center;justify-content:safe center}
:host([mode=page])>*{width:100%;max-width:560px;flex:none}:host([mode=page]) .log{flex:1 0 96px}:host([mode=page]) .meter{width:calc(100% - 32px);max-width:528px}
:host([mode=page]) .who{flex-direction:column;text-align:center;padding-block:max(28px,7vh) 12px;gap:30px}:host([mode=page]) .who div{flex:none;max-width:100%}
:host([mode=page]) .face{width:104px;height:104px;font-size:40px}:host([mode=page]) h1{font-size:24px}:host([mode=page]) .state{font-size:15px;min-height:23px}
:host([mode=page]) .bar{border-radius:12px;width:calc(100% - 32px);max-width:528px}:host([mode=page]) .log:empty{flex:0 0 auto;padding:0}
:host([mode=page]) .deck{padding-block:24px max(32px,env(safe-area-inset-bottom))}
:host([hidden]),:host([bare]) :is(.face,h1,.type){display:none}:host([bare]){border-block-end:1px solid var(--l);flex:none;max-height:60%}:host([bare]) .who{padding-block:10px 4px;text-align:center}
:host(:not([mode=page])) .log{max-height:180px}:host(:not([mode=page])) .deck{padding-block:8px 12px}:host(:not([mode=page])) .deck button{width:44px;height:44px}
@media(max-height:560px){:host([mode=page]) .who{padding-block:16px 4px;gap:14px}:host([mode=page]) .face{width:56px;height:56px;font-size:22px}:host([mode=page]) .deck{padding-block:10px 14px}}
@media(prefers-reduced-motion:reduce){.face::before,.face::after{transform:none}}`;

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
const PHONE = "M5 4h4l2 5-2.5 1.5a11 11 0 0 0 5 5L15 13l5 2v4a2 2 0 0 1-2 2A16 16 0 0 1 3 6a2 2 0 0 1 2-2Z";
const MIC = "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5 11a7 7 0 0 0 14 0M12 18v3", MIC_OFF = MIC + "M4 4l16 16";
const SEND = "M4 12l16-8-6 16-3-7-7-1Z", SLIDERS = "M4 7h10M18 7h2M4 17h2M10 17h10M14 5v4M6 15v4";
const recall = (key) => { try { return JSON.parse(localStorage[key]); } catch {} };
const keep = (key, value) => { try { localStorage[key] = JSON.stringify(value); } catch {} };

class CallError extends Error {
  constructor(word, detail) { super(detail || word); this.word = word; }
}

// One call: its microphone, its connection, and the connection after that when the network changes.
class Line {
  constructor(how, told) {
    this.how = how;
    this.told = told;
    this.key = `omni:${how.server}:${how.org || ""}/${how.agent}:`;
  }
  async start(microphone) {
    if (!window.RTCPeerConnection) throw new CallError("old");
    if (!navigator.mediaDevices?.getUserMedia) throw new CallError(isSecureContext ? "old" : "insecure");
    this.stream = await this.open(microphone);
    if (this.over) return this.drop();
    this.told("phase", "connecting");
    this.server = this.how.server;
    const who = { metadata: this.how.metadata, config: this.how.config };
    if (this.how.tokenProvider) {
      const given = await this.how.tokenProvider("webrtc");
      who.token = given.token;
      this.server = (given.server || this.server).replace(/^ws/, "http").replace(/\/$/, "");
    } else Object.assign(who, { agent: this.how.agent, org: this.how.org, visitor: recall(this.key + "visitor") });
    await this.connect(who);
    this.beat = setInterval(() => this.send("ping"), 1000);
    this.onOnline = () => this.pc?.connectionState !== "connected" && this.again();
    addEventListener("online", this.onOnline);
  }
  async open(device) {
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    if (device) audio.deviceId = { exact: device };
    try {
      return await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      throw new CallError(MICROPHONE[error.name] || "refused", error.message);
    }
  }
  async servers() {
    try {
      return (await (await fetch(this.server + "/webrtc/ice-servers")).json()).iceServers;
    } catch { return []; }
  }
  async connect(who) {
    const pc = new RTCPeerConnection({ iceServers: await this.servers(), bundlePolicy: "max-bundle" });
    try {
      const channel = pc.createDataChannel("events");
      channel.onmessage = (message) => (pc === this.pc || pc === this.next) && this.told("event", JSON.parse(message.data));
      this.stream.getAudioTracks().forEach((track) => pc.addTrack(track, this.stream));
      pc.ontrack = (event) => this.told("sound", event.streams[0] || new MediaStream([event.track]));
      this.next = pc;
      await pc.setLocalDescription(await pc.createOffer());
      await gathered(pc);
      const answer = await this.post({ ...clean(who), sdp: pc.localDescription.sdp, type: "offer" });
      if (this.over) return pc.close();
      this.ticket = answer.ticket || this.ticket;
      this.id = answer.call_id || this.id;
      if (answer.visitor) keep(this.key + "visitor", answer.visitor);
      await pc.setRemoteDescription(answer);
      await connected(pc);
      if (this.over) return pc.close();
      const before = this.pc;
      [this.pc, this.next, this.channel] = [pc, null, channel];
      before?.close();
      pc.onconnectionstatechange = () => this.changed(pc);
      this.changed(pc);
    } catch (error) {
      pc.close();
      throw error;
    }
  }
  async post(body) {
    let answer;
    try {
      answer = await fetch(this.server + "/webrtc/offer", {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
      });
    } catch (error) { throw new CallError("away", error.message); }
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return told;
    const error = new CallError(CODES[told.code] || STATUSES[answer.status] || "failed", told.detail);
    error.isFinal = answer.status < 500 && answer.status !== 429;
    throw error;
  }
  changed(pc) {
    if (pc !== this.pc || this.over) return;
    clearTimeout(this.doubt);
    if (pc.connectionState === "failed" || pc.connectionState === "closed") this.again();
    else if (pc.connectionState === "disconnected") this.doubt = setTimeout(() => this.again(), 2000);
  }
  async again() {
    if (this.over || this.isBack === false) return;
    this.isBack = false;
    this.told("phase", "reconnecting");
    for (const began = Date.now(); !this.over;) {
      try {
        await this.connect({ ticket: this.ticket });
        this.isBack = true;
        return this.told("phase", "listening");
      } catch (error) {
        if (error.isFinal || Date.now() - began > AWAY) return this.told("lost", "lost");
      }
      await new Promise((done) => setTimeout(done, 1500));
    }
  }
  send(frame) {
    if (this.channel?.readyState === "open") this.channel.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }
  mute(on) {
    this.stream.getAudioTracks().forEach((track) => { track.enabled = !on; });
    this.send({ action: on ? "mute" : "unmute" });
  }
  async use(device) {
    const stream = await this.open(device), [track] = stream.getAudioTracks();
    track.enabled = this.stream.getAudioTracks()[0].enabled;
    for (const pc of [this.pc, this.next]) await pc?.getSenders().find((one) => one.track?.kind === "audio")?.replaceTrack(track);
    this.stream.getTracks().forEach((one) => one.stop());
    return this.stream = stream;
  }
  end() {
    if (this.over) return;
    this.over = true;
    this.send({ action: "hang_up" });
    this.drop();
  }
  drop() {
    clearInterval(this.beat);
    clearTimeout(this.doubt);
    removeEventListener("online", this.onOnline);
    this.stream?.getTracks().forEach((track) => track.stop());
    const old = [this.pc, this.next];
    setTimeout(() => old.forEach((pc) => pc?.close()), 200); // the goodbye goes out first
  }
}
const clean = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value != null));
const gathered = (pc) => new Promise((done) => {
  const look = () => pc.iceGatheringState === "complete" && done();
  pc.addEventListener("icegatheringstatechange", look);
  setTimeout(done, 2000);
  look();
});
const connected = (pc) => new Promise((done, fail) => {
  const late = setTimeout(() => fail(new CallError("noSound")), CONNECT);
  const look = () => {
    if (pc.connectionState === "connected") done();
    else if (/failed|closed/.test(pc.connectionState)) fail(new CallError("noSound"));
    else return;
    clearTimeout(late);
  };
  pc.addEventListener("connectionstatechange", look);
  look();
});

class OmniCall extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    const given = (name) => this.getAttribute(name), night = matchMedia("(prefers-color-scheme: dark)");
    const language = given("language") || document.documentElement.lang || navigator.language;
    this.words = { ...(WORDS[language.slice(0, 2)] || WORDS.en), ...JSON.parse(given("words") || "{}") };
    this.server = (given("server") || new URL(script?.src || location).origin).replace(/\/$/, "");
    this.phase = "idle";
    this.bubbles = new Map();
    this.build(given("name") || given("agent"));
    const dress = () => this.toggleAttribute("dark", (given("theme") || (night.matches ? "dark" : "")) === "dark");
    night.addEventListener("change", dress);
    dress();
    this.leave = () => this.line?.end();
    addEventListener("pagehide", this.leave);
    if (this.hasAttribute("auto-call")) this.connect();
  }
  disconnectedCallback() {
    removeEventListener("pagehide", this.leave);
    this.disconnect();
  }
  build(name) {
    const w = this.words, root = this.attachShadow({ mode: "open" }), sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    root.adoptedStyleSheets = [sheet];
    const button = (style, label, path, onclick) => h("button." + style, { type: "button", ariaLabel: label, title: label, onclick }, icon(path));
    this.state = h("span", {}, w.ready);
    this.clock = h("time", { hidden: true });
    this.bar = h("p.bar", { role: "alert", hidden: true });
    this.log = h("ol.log", { role: "log", ariaLabel: w.said, tabIndex: 0, hidden: true });
    this.audio = h("audio", { autoplay: true });
    this.go = h("button.go", { type: "button", onclick: () => this.connect() }, icon(PHONE), h("span", {}, w.call));
    this.muter = button("mute", w.mute, MIC, () => this.toggleMute());
    this.ender = button("end", w.hangUp, PHONE, () => this.disconnect());
    this.tuner = button("tune", w.settings, SLIDERS, () => this.tune());
    this.input = h("input", { type: "text", maxLength: 2000, placeholder: w.type, ariaLabel: w.type, autocomplete: "off", enterKeyHint: "send" });
    this.writer = h("form.type", { hidden: true, onsubmit: (event) => { event.preventDefault(); this.say(this.input.value); this.input.value = ""; } },
      this.input, h("button", { type: "submit", ariaLabel: w.send, title: w.send }, icon(SEND)));
    this.muter.ariaPressed = this.tuner.ariaExpanded = "false";
    this.microphones = h("select", { ariaLabel: w.microphone, onchange: () => this.choose() });
    this.speakers = h("select", { ariaLabel: w.speaker, onchange: () => this.audio.setSinkId(this.speakers.value) });
    this.sound = h("div.sound", { hidden: true }, h("span", {}, w.microphone), this.microphones);
    if (this.audio.setSinkId) this.sound.append(h("span", {}, w.speaker), this.speakers);
    this.meter = h("div.meter", { hidden: true, ariaHidden: "true" }, h("i"));
    root.append(
      h("div.who", {}, h("span.face", { ariaHidden: "true" }, h("b", {}, [...name][0].toUpperCase())),
        h("div", {}, h("h1", {}, name), h("p.state", { role: "status" }, this.state, this.clock))),
      this.bar, this.log, this.writer, this.meter, h("div.deck", { role: "group" }, this.go, this.muter, this.ender, this.tuner), this.sound, this.audio);
    this.show("idle");
  }

  // what pages may call

  async connect() {
    if (this.line) return;
    this.bar.hidden = true;
    this.log.replaceChildren();
    this.bubbles.clear();
    this.isMuted = false;
    const how = { server: this.server, agent: this.getAttribute("agent"), org: this.getAttribute("org"), tokenProvider: this.tokenProvider, metadata: this.metadata, config: this.config };
    const line = this.line = new Line(how, (what, value) => line === this.line && this.took(what, value));
    this.show("asking");
    this.context = window.AudioContext && new AudioContext();
    try {
      await line.start(recall("omni:microphone"));
      if (line !== this.line || line.over) return;
      this.since = Date.now();
      this.ticks = setInterval(() => this.tick(), 500);
      this.listen(line.stream, "--mine");
      if (this.phase === "connecting") this.show("listening");
    } catch (error) {
      if (recall("omni:microphone") && error.word === "noMicrophone") keep("omni:microphone", null);
      if (line === this.line) this.finish(error.word || "failed", error.message);
    }
  }
  disconnect() { if (this.line) this.finish(); }
  toggleMute() { this.setMuted(!this.isMuted); }
  setMuted(on) {
    if (!this.line?.stream) return;
    this.isMuted = on;
    this.line.mute(on);
    this.show(this.phase);
  }
  configure(config) { this.line?.send({ action: "configure", ...config }); }
  say(text) { if (text.trim()) this.line?.send({ action: "inject_text", text: text.trim() }); }
  setContext(key, value) { this.line?.send({ action: "set_context", key, value }); }
  getState() { return { status: this.status, phase: this.phase, isMuted: !!this.isMuted, call: this.line?.id }; }
  get status() { return !this.line ? "idle" : /asking|connecting/.test(this.phase) ? "connecting" : "connected"; }

  // what happens

  took(what, value) {
    if (what === "phase") this.show(value);
    else if (what === "lost") this.finish(value);
    else if (what === "sound") {
      this.audio.srcObject = value;
      this.audio.play().catch(() => {});
      this.listen(value, "--level");
    } else this.heard(value);
  }
  heard(event) {
    const id = event.message_id, w = this.words;
    this.tell(event.event, event);
    switch (event.event) {
      case "user.speaking": this.put(id, "user", event.text).classList.add("interim"); return this.show("listening");
      case "user.message":
        this.drop(event.replaces);
        this.put(id, "user", event.text).classList.remove("interim");
        return this.show("thinking");
      case "turn.pause": return this.show("pause");
      case "turn.resumed": return this.show("listening");
      case "turn.end": return this.show("thinking");
      case "bot.speaking": this.saying = { id, words: [] }; return;
      case "bot.word": {
        if (this.saying?.id !== id) this.saying = { id, words: [] };
        this.saying.words[event.word_index] = event.word;
        this.put(id, "bot", this.saying.words.join(" "));
        return this.show("speaking");
      }
      case "bot.finished":
        if (this.bubbles.has(id)) event.text ? this.put(id, "bot", event.text) : this.drop(id);
        return this.show("listening");
      case "bot.interrupted":
        if (this.bubbles.has(id)) this.put(id, "bot", event.text || this.bubbles.get(id).textContent).classList.add("cut");
        return this.show("listening");
      case "call.held": return this.show("held");
      case "call.unheld": return this.show("listening");
      case "call.forwarded": return this.note(w.forwarded);
      case "session.paused": return event.active && this.note(w.human);
      case "session.resumed": return this.note(w.back);
      case "session.idle_warning": return this.warn(w.idle);
      case "llm.tool_call": return this.note(`${w.looking} ${event.tool_calls[0].name.replace(/[_-]/g, " ")}`);
      case "error": return this.warn(event.error);
      case "call.ended": return this.finish(REASONS[event.reason], "", true);
    }
  }
  finish(word, detail, isTold) {
    const line = this.line;
    if (!line) return;
    this.line = null;
    line.end();
    clearInterval(this.ticks);
    this.context?.close();
    this.context = this.audio.srcObject = null;
    this.style.setProperty("--level", 0);
    if (word) this.warn(this.words[word] || detail, detail);
    this.show("idle");
    this.state.textContent = this.since ? this.words.ended : this.words.ready;
    this.go.lastChild.textContent = this.words.again;
    this.go.focus();
    this.tell("ended", { reason: word || (isTold ? "ended" : "hangup"), detail });
    this.since = 0;
  }

  // what is seen

  show(phase) {
    if (phase !== "idle" && !this.line) return;
    const was = this.phase, w = this.words, on = phase !== "idle";
    if (was === "reconnecting" && phase !== "reconnecting") this.bar.hidden = true;
    this.phase = phase;
    this.setAttribute("phase", phase);
    this.go.hidden = on;
    this.ender.hidden = !on;
    this.muter.hidden = this.meter.hidden = this.tuner.hidden = this.writer.hidden = !on || /asking|connecting/.test(phase);
    if (!on) this.sound.hidden = true;
    this.hidden = !on && this.bar.hidden && this.hasAttribute("bare"); // beside a chat, only as long as there is a call
    this.muter.ariaPressed = `${!!this.isMuted}`;
    this.muter.ariaLabel = this.muter.title = w[this.isMuted ? "unmute" : "mute"];
    this.muter.replaceChildren(icon(this.isMuted ? MIC_OFF : MIC));
    if (on) this.state.textContent = this.isMuted && phase === "listening" ? w.muted : w[phase];
    if (phase === "reconnecting") this.warn(w.reconnecting);
    this.tick();
    if (was !== phase) this.tell("phase", { phase, status: this.status });
  }
  tick() {
    const seconds = this.since ? Math.floor((Date.now() - this.since) / 1000) : 0;
    this.clock.hidden = !this.since;
    this.clock.textContent = `${Math.floor(seconds / 60)}:${`${seconds % 60}`.padStart(2, "0")}`;
  }
  warn(text, title) {
    this.bar.textContent = text;
    this.bar.title = title || "";
    this.bar.hidden = false;
  }
  note(text) { this.add(h("li.note", {}, text)); }
  put(id, who, text) {
    let item = this.bubbles.get(id);
    if (!item) {
      item = h("li." + who);
      this.bubbles.set(id, item);
      this.add(item);
    }
    item.textContent = text;
    this.log.scrollTop = 1e9;
    return item;
  }
  add(item) {
    this.log.hidden = false;
    this.log.append(item);
    this.log.scrollTop = 1e9;
  }
  drop(id) {
    this.bubbles.get(id)?.remove();
    this.bubbles.delete(id);
  }
  tell(what, detail) { this.dispatchEvent(new CustomEvent("omni:" + what, { detail, bubbles: true, composed: true })); }

  // sound

  listen(stream, name) {
    if (!this.context) return;
    const ear = this.context.createAnalyser(), wave = new Float32Array(512), context = this.context;
    ear.fftSize = 512;
    context.createMediaStreamSource(stream).connect(ear);
    const look = () => {
      if (context !== this.context) return;
      ear.getFloatTimeDomainData(wave);
      const level = Math.sqrt(wave.reduce((sum, one) => sum + one * one, 0) / wave.length);
      this.style.setProperty(name, Math.min(1, level * 5).toFixed(3));
      requestAnimationFrame(look);
    };
    look();
  }
  async tune() {
    this.sound.hidden = !this.sound.hidden;
    this.tuner.ariaExpanded = `${!this.sound.hidden}`;
    if (this.sound.hidden) return;
    const all = await navigator.mediaDevices.enumerateDevices(), [track] = this.line.stream.getAudioTracks();
    const fill = (list, kind, chosen) => list.replaceChildren(...all.filter((one) => one.kind === kind).map((one, n) =>
      h("option", { value: one.deviceId, selected: one.deviceId === chosen }, one.label || `${list.ariaLabel} ${n + 1}`)));
    fill(this.microphones, "audioinput", track.getSettings().deviceId);
    fill(this.speakers, "audiooutput", this.audio.sinkId || "default");
  }
  async choose() {
    try {
      this.listen(await this.line.use(this.microphones.value), "--mine");
      keep("omni:microphone", this.microphones.value);
    } catch (error) { this.warn(this.words[error.word] || error.message); }
  }
}

customElements.define("omni-call", OmniCall);
if (script?.dataset.agent) {
  const call = window.omniCall = h("omni-call");
  for (const key in script.dataset) call.setAttribute(key, script.dataset[key]);
  const put = () => document.body.append(call);
  document.body ? put() : addEventListener("DOMContentLoaded", put);
}
})();
