/** What the page says by itself: toasts, two soft tones, a desktop notification, a number in the title. */

import { announce, h } from "./dom.js";
import { icon } from "./icons.js";
import { prefs } from "./prefs.js";
import { t } from "./texts.js";

const MOST_TOASTS = 4;
const ICONS = { info: "info", ok: "done", problem: "warning", waiting: "hand" };

/**
 * A toast. `kind`: info, ok, problem, waiting. `action`: {text, run}. `ms` 0 keeps it until it is closed. One with the
 * same `id` is replaced. Returns close().
 */
export function toast({ text, detail = null, kind = "info", action = null, ms = 6000, id = null, quiet = false }) {
  const place = document.getElementById("toasts");
  if (id) withdraw(id);
  let timer = null;
  const close = () => {
    clearTimeout(timer);
    item.remove();
  };
  const item = h(
    "div",
    { class: `toast ${kind === "problem" ? "problem-toast" : kind}`, data: { id }, role: kind === "problem" ? "alert" : null },
    icon(ICONS[kind] ?? "info"),
    h("div", { class: "toast-text" }, h("strong", { class: "said", dir: "auto" }, text), detail ? h("p", { class: "said", dir: "auto" }, detail) : null),
    action ? h("button", { class: "btn small", type: "button", on: { click: () => (close(), action.run()) } }, action.text) : null,
    h("button", { class: "icon-btn", type: "button", "aria-label": t("close"), on: { click: close } }, icon("close", { size: 15 })),
  );
  const start = () => {
    if (ms) timer = setTimeout(close, ms);
  };
  item.addEventListener("mouseenter", () => clearTimeout(timer));
  item.addEventListener("mouseleave", start);
  item.addEventListener("focusin", () => clearTimeout(timer));
  item.addEventListener("focusout", start);
  place.append(item);
  while (place.children.length > MOST_TOASTS) place.firstElementChild.remove();
  start();
  if (kind !== "problem" && !quiet) announce(detail ? `${text}. ${detail}` : text);
  return close;
}

/** Takes back the toast with this `id`: what it said holds no more. */
export function withdraw(id) {
  for (const toast of document.getElementById("toasts").children) if (toast.dataset.id === id) toast.remove();
}

/** An error as a toast: its sentence, whatever it is. */
export function problem(error) {
  if (error?.name === "AbortError") return;
  console.warn(error);
  toast({ text: error?.message || t("problem.unknown"), kind: "problem", id: `problem-${error?.code ?? ""}`, ms: 8000 });
}

// Browsers let a page be heard only after the person has done something in it.
let audio = null;
const wake = () => {
  try {
    audio ??= new AudioContext();
    if (audio.state === "suspended") audio.resume().catch(() => {});
  } catch {
    audio = null;
  }
};
addEventListener("pointerdown", wake, { once: true, capture: true });
addEventListener("keydown", wake, { once: true, capture: true });

/** Two soft tones, unless they are switched off. Tells whether they were played. */
export function chime() {
  if (!prefs.get("sound") || !audio || audio.state !== "running") return false;
  [587.33, 783.99].forEach((frequency, at) => {
    const starts = audio.currentTime + at * 0.14;
    const tone = audio.createOscillator();
    const level = audio.createGain();
    tone.type = "sine";
    tone.frequency.value = frequency;
    level.gain.setValueAtTime(0, starts);
    level.gain.linearRampToValueAtTime(0.09, starts + 0.02);
    level.gain.exponentialRampToValueAtTime(0.0005, starts + 0.5);
    tone.connect(level).connect(audio.destination);
    tone.start(starts);
    tone.stop(starts + 0.55);
  });
  return true;
}

export const desktop = {
  /** "granted", "denied", "default" or "unsupported". */
  state: () => ("Notification" in window ? Notification.permission : "unsupported"),
  /** Asks the browser; only ever from a button. */
  ask: async () => ("Notification" in window ? Notification.requestPermission() : "denied"),
  show({ title, body, tag, run }) {
    if (desktop.state() !== "granted" || !prefs.get("desktop")) return;
    try {
      const note = new Notification(title, { body, tag, silent: true });
      note.onclick = () => {
        window.focus();
        note.close();
        run();
      };
    } catch {
      // Android's browsers allow notifications to service workers only; the toast is there anyway.
    }
  },
};

/** "(3) Inbox" */
export function titleCount(number) {
  document.title = number > 0 ? `(${number > 99 ? "99+" : number}) ${t("inbox")}` : t("inbox");
}
