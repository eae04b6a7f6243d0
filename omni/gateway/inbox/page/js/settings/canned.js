// Canned replies: what is typed after "/" in the reply box. One's own, and those of the team.

import { filledReply } from "../composer/canned.js";
import { fill, h, said } from "../dom.js";
import { app } from "../model.js";
import { languages, t } from "../texts.js";
import { area, box, choice, field, form, input } from "./form.js";
import { listing } from "./listing.js";

const VARIABLES = ["contact.name", "operator.name", "agent.name"];

export async function show(host) {
  const list = await listing(app, {
    path: "/canned",
    key: "canned",
    add: t("settings.canned.add"),
    empty: t("settings.canned.empty"),
    removing: () => t("settings.canned.removing"),
    mayEdit: (reply) => !reply.shared || app.can("admin"),
    rowOf,
    formOf,
  });
  fill(host, h("p", { class: "lead" }, t("settings.canned.lead")), list);
}

function rowOf(reply) {
  const marks = [reply.shared ? t("settings.shared") : t("settings.own"), languages.find((one) => one.code === reply.language)?.name];
  return h("div", { class: "thing" },
    h("p", { class: "thing-name" }, said("code", {}, `/${reply.name}`), marks.filter(Boolean).map((mark) => h("span", { class: "badge" }, mark))),
    said("p", { class: "thing-text" }, reply.text));
}

function formOf(reply, { done, cancel }) {
  const text = area("text", { value: reply?.text ?? "", required: true, maxlength: "4000" });
  const preview = said("p", { class: "preview" }, "");
  const show = () => fill(preview, text.value ? filled(text.value) : t("settings.canned.preview.empty"));
  text.addEventListener("input", show);
  show();
  const fields = [
    field(t("settings.canned.name"), input("name", { value: reply?.name ?? "", required: true, maxlength: "60", dir: "auto" }), { hint: t("settings.canned.name.hint") }),
    field(t("settings.canned.text"), text, { more: variables(text) }),
    h("div", { class: "field" }, h("span", { class: "label" }, t("settings.canned.preview")), preview),
    field(t("settings.language"), choice("language", reply?.language ?? "", [["", t("settings.language.any")], ...languages.map((one) => [one.code, one.name])])),
    app.can("admin") ? field(t("settings.share"), box("shared", reply?.shared ?? false, { class: "switch", role: "switch" }), { hint: t("settings.canned.share.hint") }) : null,
  ];
  return form(fields, {
    label: t(reply ? "settings.canned.edit" : "settings.canned.add"),
    submit: t("save"),
    cancel,
    done,
    save: ({ name, text: words, language, shared = false }) => {
      const body = { name: name.trim().replace(/^\//, ""), text: words, language: language || null, shared };
      return reply ? app.api("PATCH", `/canned/${encodeURIComponent(reply.id)}`, body) : app.api("POST", "/canned", body);
    },
  });
}

/** A button for each variable, which writes it where the caret is. */
function variables(text) {
  const put = (name) => {
    text.focus();
    text.setRangeText(`{{${name}}}`, text.selectionStart, text.selectionEnd, "end");
    text.dispatchEvent(new Event("input", { bubbles: true }));
  };
  return h("div", { class: "variables" }, h("span", { class: "hint" }, t("settings.canned.variables")),
    VARIABLES.map((name) => h("button", { type: "button", class: "btn small", title: t(`settings.canned.variable.${name}`), on: { click: () => put(name) } }, `{{${name}}}`)));
}

/** A reply as a customer would read it, with somebody made up. */
function filled(text) {
  const [agent] = app.agents.values();
  const values = { "contact.name": t("settings.canned.somebody"), "operator.name": app.me.name, "agent.name": agent?.name || agent?.slug || "Desk" };
  return filledReply(text, values);
}
