// Two records that are one person: search the other, read what will happen, agree.

import { openDialog } from "../dialog.js";
import { debounced, fill, h, said } from "../dom.js";
import { icon } from "../icons.js";
import { app } from "../model.js";
import { problem, toast } from "../notices.js";
import { t } from "../texts.js";
import { identitiesOf } from "./identities.js";

const nameOf = (contact) => contact.name || contact.address || contact.identities?.[0]?.value || contact.id;

const inWords = (contact) => identitiesOf(contact).map(({ value }) => value).join(" · ");

export function mergeDialog(contact, changed) {
  const body = h("div", { class: "merge" });
  const dialog = openDialog({ title: t("merge.title"), body });
  searchIn(body, contact, (other) => confirmIn(body, dialog, contact, other, changed));
}

function searchIn(body, contact, choose) {
  const found = h("ul", { class: "merge-found", "aria-live": "polite" });
  let asked = 0;
  const look = debounced(200, async () => {
    const words = input.value.trim();
    const mine = (asked += 1);
    if (words.length < 2) return fill(found);
    try {
      const { contacts } = await app.api("GET", `/search?q=${encodeURIComponent(words)}`);
      if (mine !== asked) return undefined;
      const others = contacts.filter((one) => one.id !== contact.id);
      return fill(found, others.length ? others.map((one) => h("li", {}, h("button", { type: "button", class: "merge-one", on: { click: () => choose(one) } },
        said("b", {}, nameOf(one)), said("small", { class: "muted" }, inWords(one))))) : h("li", { class: "muted" }, t("merge.none")));
    } catch (error) {
      return fill(found, h("li", { class: "problem" }, error.message));
    }
  });
  const input = h("input", { type: "search", class: "input", placeholder: t("merge.search"), "aria-label": t("merge.search"), on: { input: look } });
  fill(body, h("p", { class: "muted" }, t("merge.lead", { name: nameOf(contact) })), input, found);
  input.focus();
}

function confirmIn(body, dialog, contact, other, changed) {
  const go = h("button", { type: "button", class: "btn primary", data: { act: "merge" }, on: { click: async () => {
    go.disabled = true;
    try {
      await app.api("POST", `/contacts/${encodeURIComponent(contact.id)}/merge`, { other: other.id });
      dialog.close();
      toast({ text: t("merge.done", { name: nameOf(other) }), kind: "ok" });
      changed();
    } catch (error) {
      go.disabled = false;
      problem(error);
    }
  } } }, icon("merge", { size: 16 }), t("merge.go"));
  fill(body, h("div", { class: "merge-pair" }, card(contact), icon("merge", { size: 20 }), card(other)),
    h("ul", { class: "merge-what" }, ["keeps", "moves", "call", "final"].map((what) => h("li", {}, t(`merge.${what}`, { name: nameOf(contact), other: nameOf(other) })))),
    h("div", { class: "form-foot" }, h("button", { type: "button", class: "btn", on: { click: () => searchIn(body, contact, (one) => confirmIn(body, dialog, contact, one, changed)) } }, t("back")), go));
  go.focus();
}

const card = (contact) => h("div", { class: "card" }, icon("person"), h("span", {}, said("b", {}, nameOf(contact)), said("small", {}, inWords(contact))));
