// A phone that texts the business: what was said with one invented number, live.

const $ = (id) => document.getElementById(id);
const me = $("me"), log = $("log"), text = $("text"), file = $("file"), notice = $("notice");
const shown = new Map(); // message id -> its place in the log
let after = 0;

function say(sentence) {
  notice.textContent = sentence;
  notice.hidden = !sentence;
}

function bubble(side, words, files = []) {
  const item = document.createElement("li");
  item.className = side;
  item.dir = "auto";
  for (const address of files) {
    const picture = document.createElement("img");
    picture.src = address;
    picture.alt = "a file";
    item.append(picture);
  }
  item.append(words);
  const below = document.createElement("small");
  item.append(below);
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(item);
  if (isAtEnd) log.scrollTop = log.scrollHeight;
  return below;
}

function show(event) {
  if (event.type === "inbound" && event.from === me.value) {
    bubble("mine", event.body || `[${event.files} file]`);
  } else if (event.type === "sent" && event.to === me.value) {
    const below = bubble("theirs", event.body, event.media);
    below.textContent = `${event.segments} segment${event.segments === 1 ? "" : "s"}`;
    shown.set(event.sid, below);
  } else if (event.type === "status" && shown.has(event.sid)) {
    shown.get(event.sid).textContent = event.status + (event.error ? ` (${event.error})` : "");
  } else if (event.type === "refused") {
    say(`A message of the business was refused: ${event.message} (${event.code})`);
  } else if (event.type === "webhook") {
    say(event.outcome === "200" ? "" : `The server answered ${event.outcome} at ${event.url}`);
  }
}

async function follow() {
  for (;;) {
    try {
      const answer = await fetch(`control/events?after=${after}&wait=25`);
      for (const event of await answer.json()) {
        after = Math.max(after, event.id);
        show(event);
      }
    } catch {
      say("The stand-in does not answer; trying again.");
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

async function encoded(chosen) {
  const bytes = new Uint8Array(await chosen.arrayBuffer());
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return { mime: chosen.type || "application/octet-stream", base64: btoa(binary) };
}

async function send() {
  if (!me.checkValidity() || (!text.value.trim() && !file.files.length)) return;
  const files = await Promise.all([...file.files].map(encoded));
  const body = JSON.stringify({ from: me.value, body: text.value, files });
  const answer = await fetch("control/texts", { method: "POST", body });
  if (!answer.ok) return say((await answer.json()).error);
  text.value = "";
  file.value = "";
  file.parentElement.classList.remove("has");
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  }
});
file.addEventListener("change", () => file.parentElement.classList.toggle("has", file.files.length > 0));
me.addEventListener("change", async () => {
  log.replaceChildren();
  shown.clear();
  for (const event of await (await fetch("control/events")).json()) show(event);
});

follow();
