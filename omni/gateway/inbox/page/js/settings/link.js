// A sign-in link, shown once.

import { h, uid } from "../dom.js";
import { t } from "../texts.js";

/** A box with the link of an operator's answer and a button that copies it. `close` takes the box away. */
export function linkBox({ name, link }, close) {
  const id = uid("link");
  const place = h("input", { id, class: "input", readOnly: true, value: new URL(link, location.href).href, on: { focus: () => place.select() } });
  const told = h("span", { class: "form-said", role: "status" });
  const copy = async () => {
    place.select();
    try {
      await navigator.clipboard.writeText(place.value);
      told.textContent = t("settings.link.copied");
    } catch {
      // Without TLS there is no clipboard for pages; the text is selected.
      told.textContent = document.execCommand("copy") ? t("settings.link.copied") : t("settings.link.by_hand");
    }
  };
  return h("div", { class: "link-box" },
    h("label", { for: id }, t("settings.link.of", { name })),
    h("div", { class: "link-row" }, place, h("button", { type: "button", class: "btn primary", on: { click: copy } }, t("settings.link.copy")), h("button", { type: "button", class: "btn", on: { click: close } }, t("settings.link.close"))),
    h("p", { class: "hint" }, t("settings.link.means")), told);
}
