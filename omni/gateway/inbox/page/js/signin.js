/** Signing in: password, one-time link, the company's own login; and again when a session ends during the day. */

import { ApiError, api, useSession } from "./api.js";
import { fill, h, uid } from "./dom.js";
import { openDialog } from "./dialog.js";
import { icon } from "./icons.js";
import { app } from "./model.js";
import { setLanguage, t } from "./texts.js";

const gate = document.getElementById("gate");

/** A one-time link's token. It leaves the address bar before anything is asked of the server. */
function takeLink() {
  const found = /^#link=([^&]+)/.exec(location.hash);
  if (!found) return null;
  history.replaceState(null, "", `${location.pathname}#/`);
  return decodeURIComponent(found[1]);
}

/** Resolves once somebody is signed in and `app.me` is known. */
export async function signIn() {
  useSession({ offline: () => t("problem.offline") });
  const link = takeLink();
  let problem = null;
  if (link) {
    fill(gate, h("main", { class: "gate-card" }, h("div", { class: "spinner" }), h("p", { class: "muted" }, t("signin.link"))));
    gate.hidden = false;
    try {
      accept(await api("POST", "/sign-in/link", { token: link }, { quiet: true }));
    } catch (error) {
      problem = error;
    }
  }
  if (!app.me) {
    try {
      accept(await api("GET", "/me", undefined, { quiet: true }));
    } catch (error) {
      if (error.code !== "signed_out") problem ??= error;
    }
  }
  if (!app.me) await askAtGate(problem);
  gate.hidden = true;
  gate.replaceChildren();
  useSession({ renew: renewOnce });
}

function accept(me) {
  app.me = me;
  if (typeof me.server_time === "number") app.drift = me.server_time - Date.now() / 1000;
  useSession({ csrf: me.csrf });
  if (me.language) setLanguage(me.language);
  app.emit("me");
}

async function askAtGate(problem) {
  const options = await api("GET", "/sign-in/options", undefined, { quiet: true }).catch(() => ({ oidc: null, needs_operator: false }));
  await new Promise((resolve) => {
    const title = uid("title");
    fill(
      gate,
      h(
        "main",
        { class: "gate-card", "aria-labelledby": title },
        h("div", { class: "gate-mark" }, icon("inbox", { size: 26 })),
        h("h1", { id: title }, t("signin.title")),
        options.needs_operator ? h("p", { class: "gate-note" }, t("signin.needs")) : null,
        form(options, problem, (me) => {
          accept(me);
          resolve();
        }),
      ),
    );
    gate.hidden = false;
    gate.querySelector("input")?.focus();
  });
}

/** `inPlace`: the page stays as it is, so the company's login opens in a window of its own. */
function form(options, problem, done, email = "", inPlace = false) {
  const said = h("p", { class: "problem", role: "alert", hidden: !problem }, problem?.message ?? "");
  const emailId = uid("email");
  const passwordId = uid("password");
  const emailInput = h("input", { class: "input", id: emailId, type: "email", name: "email", autocomplete: "username", required: true, value: email, spellcheck: "false", autocapitalize: "off" });
  const passwordInput = h("input", { class: "input", id: passwordId, type: "password", name: "password", autocomplete: "current-password", required: true });
  const button = h("button", { class: "btn primary wide", type: "submit" }, t("signin.go"));
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    button.textContent = t("signin.going");
    said.hidden = true;
    try {
      done(await api("POST", "/sign-in", { email: emailInput.value.trim(), password: passwordInput.value }, { quiet: true }));
    } catch (error) {
      said.textContent = sentence(error);
      said.hidden = false;
      passwordInput.select();
      passwordInput.focus();
    } finally {
      button.disabled = false;
      button.textContent = t("signin.go");
    }
  };
  return h(
    "form",
    { class: "stack gate-form", method: "post", on: { submit } },
    options.oidc
      ? [
          h("a", { class: "btn wide", href: "/v1/inbox/oidc/start", target: inPlace ? "_blank" : null }, icon("key"), t("signin.oidc", { name: options.oidc.name })),
          h("div", { class: "gate-or" }, h("span", null, t("signin.or"))),
        ]
      : null,
    h("div", { class: "field" }, h("label", { for: emailId }, t("signin.email")), emailInput),
    h("div", { class: "field" }, h("label", { for: passwordId }, t("signin.password")), passwordInput),
    said,
    button,
    inPlace ? null : h("p", { class: "gate-hint muted" }, t("signin.no_password")),
  );
}

function sentence(error) {
  if (error instanceof ApiError && error.status === 429) return t("signin.wait", { n: Math.ceil(error.retryAfter ?? 60) });
  if (error instanceof ApiError && error.status === 401) return error.message || t("signin.bad");
  return error.message || t("problem.unknown");
}

let renewing = null;

/** However many requests find the session ended, it is asked for once. */
function renewOnce(code) {
  renewing ??= renew(code).finally(() => {
    renewing = null;
  });
  return renewing;
}

async function renew(code) {
  // Another tab may have signed in meanwhile, or only the token is old.
  try {
    const me = await api("GET", "/me", undefined, { quiet: true });
    if (me.id === app.me?.id) {
      accept(me);
      return;
    }
    await beSomebodyElse();
  } catch (error) {
    if (error.code !== "signed_out") throw error;
  }
  if (code === "csrf") return;
  const options = await api("GET", "/sign-in/options", undefined, { quiet: true }).catch(() => ({ oidc: null }));
  await new Promise((resolve) => {
    const dialog = openDialog({
      title: t("signin.again"),
      modalOnly: true,
      class: "again",
      body: [
        h("p", { class: "muted" }, t("signin.again.why")),
        form(options, null, done, app.me.email, true),
      ],
    });
    // Whoever signed in in another window, by a link or by the company's login, comes back to this one.
    const looked = new AbortController();
    const look = async () => {
      const me = await api("GET", "/me", undefined, { quiet: true }).catch(() => null);
      if (me) done(me);
    };
    addEventListener("focus", look, { signal: looked.signal });
    document.addEventListener("visibilitychange", () => document.hidden || look(), { signal: looked.signal });
    function done(me) {
      if (looked.signal.aborted) return;
      looked.abort();
      if (me.id !== app.me.id) {
        beSomebodyElse();
        return;
      }
      accept(me);
      dialog.close();
      resolve();
    }
    dialog.querySelector("input[type=password]")?.focus();
  });
  app.emit("renewed");
}

/** Somebody else is signed in in this browser now: what waits here must not be done in their name. */
function beSomebodyElse() {
  location.reload();
  return new Promise(() => {});
}

/** Asks the server whether the session still stands, and for a new one if not. */
export async function checkSession() {
  try {
    const me = await api("GET", "/me", undefined, { quiet: true });
    if (me.id !== app.me.id) await beSomebodyElse();
    accept(me);
  } catch (error) {
    if (error.code === "signed_out") await renewOnce("signed_out");
    else throw error;
  }
}

export async function signOut() {
  await api("POST", "/sign-out", {}, { quiet: true }).catch(() => {});
  location.hash = "";
  location.reload();
}
