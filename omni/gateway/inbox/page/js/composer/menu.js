// All canned replies behind a button, for whoever does not know their names.

import { openMenu } from "../dialog.js";
import { said } from "../dom.js";
import { t } from "../texts.js";

export function cannedMenu(anchor, list, pick) {
  const items = list.map((reply) => ({ node: said("span", {}, reply.name), hint: reply.language ?? null, run: () => pick(reply) }));
  openMenu(anchor, items.length ? items : [{ text: t("composer.canned_empty"), disabled: true }], { label: t("composer.canned") });
}
