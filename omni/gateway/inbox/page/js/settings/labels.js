// Labels: the team's words for what a conversation is about, each with a colour.

import { fill, h, said, uid } from "../dom.js";
import { app } from "../model.js";
import { t } from "../texts.js";
import { field, form, input } from "./form.js";
import { listing } from "./listing.js";

const COLOURS = ["grey", "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink"];

export async function show(host) {
  const list = await listing(app, {
    path: "/labels",
    key: "labels",
    add: t("settings.labels.add"),
    empty: t("settings.labels.empty"),
    removing: () => t("settings.labels.removing"),
    mayEdit: () => true,
    rowOf: (label) => h("div", { class: "thing" }, h("p", { class: "thing-name" }, h("i", { class: "colour-dot", data: { colour: label.colour } }), said("span", {}, label.name))),
    formOf,
    changed: () => app.refreshLabels().catch(() => {}),
  });
  fill(host, h("p", { class: "lead" }, t("settings.labels.lead")), list);
}

function formOf(label, { done, cancel }) {
  const group = uid("colour");
  const radios = COLOURS.map((colour) =>
    h("label", { class: "colour-choice", title: t(`colour.${colour}`) },
      h("input", { type: "radio", name: group, value: colour, checked: colour === (label?.colour ?? "grey") }),
      h("i", { class: "colour-dot", data: { colour } }), h("span", { class: "sr-only" }, t(`colour.${colour}`))));
  const colours = h("fieldset", { class: "field colours" }, h("legend", {}, t("settings.labels.colour")), h("div", {}, radios));
  const fields = [field(t("settings.labels.name"), input("name", { value: label?.name ?? "", required: true, maxlength: "60", dir: "auto" })), colours];
  const node = form(fields, {
    label: t(label ? "settings.labels.edit" : "settings.labels.add"),
    submit: t("save"),
    cancel,
    done,
    save: ({ name }) => {
      const body = { name: name.trim(), colour: node.querySelector(`[name="${group}"]:checked`).value, shared: true };
      return label ? app.api("PATCH", `/labels/${encodeURIComponent(label.id)}`, body) : app.api("POST", "/labels", body);
    },
  });
  return node;
}
