/** What this browser remembers for the person: theme, sounds, which conversations were listed how. */

const DEFAULTS = { theme: "auto", sound: true, desktop: true, language: null, panel: true, enterSends: true, nav: null };
const PREFIX = "omni.inbox.";
const listeners = new Set();
const memory = new Map();

export const prefs = {
  get(name) {
    if (memory.has(name)) return memory.get(name);
    let value = DEFAULTS[name];
    try {
      const kept = localStorage.getItem(PREFIX + name);
      if (kept !== null) value = JSON.parse(kept);
    } catch {
      // Storage is closed to the page (private window, policy): the default holds.
    }
    memory.set(name, value);
    return value;
  },
  set(name, value) {
    memory.set(name, value);
    try {
      localStorage.setItem(PREFIX + name, JSON.stringify(value));
    } catch {
      // As above: it holds until the page is closed.
    }
    for (const listener of listeners) listener(name, value);
  },
  onChange(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

export function applyTheme() {
  const theme = prefs.get("theme");
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

addEventListener("storage", (event) => {
  if (!event.key?.startsWith(PREFIX)) return;
  const name = event.key.slice(PREFIX.length);
  memory.delete(name);
  for (const listener of listeners) listener(name, prefs.get(name));
});
prefs.onChange((name) => name === "theme" && applyTheme());
