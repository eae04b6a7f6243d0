/** The inbox's HTTP API: one function, errors as sentences, a session that may end in the middle of a day's work. */

const ROOT = "/v1/inbox";
const LONGEST_WAIT_MS = 30_000;

/** `status` 0 with code `offline` when no answer came. `message` can be shown as it is. */
export class ApiError extends Error {
  constructor(status, code, message, field = null, body = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.field = field;
    this.body = body;
  }
}

const session = {
  csrf: null,
  /** Asks for a new sign-in and resolves when there is one; set by the shell. */
  renew: null,
  offline: () => "The server cannot be reached; check the connection.",
};

export function useSession(changes) {
  Object.assign(session, changes);
}

export const csrf = () => session.csrf;

/** The absolute path of an inbox path: `address("/me")`; one that begins with `/v1/` stays as it is. */
export const address = (path) => (path.startsWith("/v1/") ? path : ROOT + path);

/**
 * `api("GET", "/me")`, `api("POST", "/canned", {…})`. `body` is JSON, or a Blob sent as it is (set its Content-Type in
 * `headers`). Answers the JSON (null for 204). When the session has ended the person is asked to sign in and the
 * request is made again, so what was being done is not lost; `quiet: true` throws instead. `signal` aborts.
 */
export async function api(method, path, body = undefined, { headers = {}, signal, quiet = false, timeout = LONGEST_WAIT_MS } = {}) {
  const answer = await once(method, path, body, headers, signal, timeout);
  if (answer.ok) return parsed(answer);
  const error = await failure(answer);
  if (quiet || !session.renew) throw error;
  if (error.code === "signed_out" || error.code === "csrf") {
    await session.renew(error.code);
    const again = await once(method, path, body, headers, signal, timeout);
    if (again.ok) return parsed(again);
    throw await failure(again);
  }
  throw error;
}

async function once(method, path, body, headers, signal, timeout) {
  const sent = { Accept: "application/json", ...headers };
  if (method !== "GET" && session.csrf) sent["X-CSRF-Token"] = session.csrf;
  const isRaw = body instanceof Blob || body instanceof ArrayBuffer;
  if (body !== undefined && !isRaw) sent["Content-Type"] = "application/json";
  const ends = timeout ? AbortSignal.timeout(timeout) : null;
  const signals = [signal, ends].filter(Boolean);
  try {
    return await fetch(address(path), {
      method,
      headers: sent,
      body: body === undefined ? undefined : isRaw ? body : JSON.stringify(body),
      credentials: "same-origin",
      signal: signals.length ? AbortSignal.any(signals) : undefined,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "offline", session.offline());
  }
}

async function parsed(answer) {
  if (answer.status === 204) return null;
  const type = answer.headers.get("Content-Type") ?? "";
  return type.includes("json") ? answer.json() : null;
}

async function failure(answer) {
  let body = null;
  try {
    body = await answer.json();
  } catch {
    // Not ours: a proxy's page, say. The status has to do.
  }
  const error = body?.error ?? {};
  const found = new ApiError(answer.status, error.code ?? `http_${answer.status}`, error.message ?? `The server answered ${answer.status}.`, error.field ?? null, body);
  found.retryAfter = Number(answer.headers.get("Retry-After")) || null;
  return found;
}

/** A key for `Idempotency-Key`: the same one for every try of one message. */
export const freshKey = () => crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
