/**
 * Where the page is, kept in the URL's hash so that every view has a link:
 * `#/?view=mine&transport=whatsapp` · `#/c/<conversation>?view=mine` · `#/overview?…` · `#/settings/<tab>`.
 */

const listeners = new Set();
let current = parse(location.hash);

/** {name: "list"|"conversation"|"overview"|"settings", id, tab, query: URLSearchParams} */
export const route = () => current;

function parse(hash) {
  const [path = "", query = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const [, first = "", second = ""] = path.split("/");
  const params = new URLSearchParams(query);
  if (first === "c" && second) return { name: "conversation", id: safely(second), tab: null, query: params };
  if (first === "overview") return { name: "overview", id: null, tab: null, query: params };
  if (first === "settings") return { name: "settings", id: null, tab: second || null, query: params };
  return { name: "list", id: null, tab: null, query: params };
}

function safely(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const usesFilter = (where) => where.name === "list" || where.name === "conversation";
let filter = usesFilter(current) ? current.query.toString() : "";

/** The list's filter as it is now, or was before the overview or the settings were opened. */
export const filterQuery = () => new URLSearchParams(filter);

/**
 * Goes to `#/…`, `/…`. Without a `?` of its own, a list or conversation keeps the list's filter. `replace` leaves no
 * step for the back button.
 */
export function go(path, { replace = false } = {}) {
  let target = path.replace(/^#/, "");
  if (!target.startsWith("/")) target = `/${target}`;
  if (!target.includes("?") && filter && usesFilter(parse(target))) target += `?${filter}`;
  target = target.replace(/\?$/, "");
  if (`#${target}` === location.hash) return;
  if (replace) history.replaceState(null, "", `#${target}`);
  else history.pushState(null, "", `#${target}`);
  moved();
}

/** The same place with another filter. */
export function setFilter(params, { replace = true } = {}) {
  const query = params.toString();
  const path = current.name === "conversation" ? `/c/${encodeURIComponent(current.id)}` : "/";
  filter = query;
  const target = `#${path}${query ? `?${query}` : ""}`;
  if (target === location.hash) return;
  history[replace ? "replaceState" : "pushState"](null, "", target);
  moved();
}

/** Calls `listener(route, previous)` at every move; returns what stops it. */
export function onRoute(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function moved() {
  const previous = current;
  current = parse(location.hash);
  if (usesFilter(current)) filter = current.query.toString();
  for (const listener of [...listeners]) listener(current, previous);
}

addEventListener("hashchange", () => {
  if (JSON.stringify(parse(location.hash)) !== JSON.stringify(current) || parse(location.hash).query.toString() !== current.query.toString()) moved();
});
addEventListener("popstate", moved);
