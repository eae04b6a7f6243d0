/** Dialogs and menus, on <dialog> and popover: focus goes in, stays in, and comes back to where it was. */

import { fill, h, uid } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./texts.js";

/**
 * A modal dialog. `body` and `foot` are nodes or lists of them; `onClose` runs once it is gone. `modalOnly` takes away
 * the ways out (Esc, the cross). Returns the <dialog>; close it with `.close()`.
 */
export function openDialog({ title, body, foot = null, onClose = null, wide = false, modalOnly = false, class: extra = "" }) {
  const id = uid("dialog");
  const before = document.activeElement;
  const dialog = h(
    "dialog",
    { "aria-labelledby": id, class: [wide ? "wide" : "", extra].join(" ").trim() || null },
    h(
      "header",
      { class: "dialog-head" },
      h("h2", { id }, title),
      modalOnly ? null : h("button", { class: "icon-btn", type: "button", "aria-label": t("close"), on: { click: () => dialog.close() } }, icon("close")),
    ),
    h("div", { class: "dialog-body" }, body),
    foot ? h("footer", { class: "dialog-foot" }, foot) : null,
  );
  dialog.addEventListener("cancel", (event) => modalOnly && event.preventDefault());
  dialog.addEventListener("keydown", (event) => modalOnly && event.key === "Escape" && event.preventDefault());
  dialog.addEventListener("mousedown", (event) => {
    if (event.target !== dialog || modalOnly) return;
    const box = dialog.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    // The browser gives the focus back itself, unless the element is gone; whoever took it meanwhile keeps it.
    if (document.activeElement === document.body && before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    onClose?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  const first = dialog.querySelector("[autofocus], .dialog-body input, .dialog-body textarea, .dialog-body select") ?? dialog.querySelector(".dialog-foot .primary");
  first?.focus();
  return dialog;
}

/** Asks before something that cannot be undone. Resolves to true or false. */
export function confirm({ title, text, yes, danger = false }) {
  return new Promise((resolve) => {
    let answer = false;
    const dialog = openDialog({
      title,
      body: h("p", { class: "muted" }, text),
      foot: [
        h("button", { class: "btn", type: "button", on: { click: () => dialog.close() } }, t("cancel")),
        h("button", { class: danger ? "btn danger" : "btn primary", type: "button", autofocus: true, on: { click: () => ((answer = true), dialog.close()) } }, yes),
      ],
      onClose: () => resolve(answer),
    });
  });
}

/**
 * A menu at `anchor`. Items: {text | node, icon?, hint?, run?, checked? (true/false makes it a check item), danger?,
 * disabled?, keepOpen?}, {heading}, "line", null (left out). Items may be a function giving them, asked again after an
 * item with `keepOpen` ran. Returns close().
 */
export function openMenu(anchor, items, { label = null, align = "start", onClose = null } = {}) {
  const menu = h("div", { class: "menu scroll", role: "menu", "aria-label": label, popover: "auto", tabindex: "-1" });
  const draw = () => fill(menu, (typeof items === "function" ? items() : items).map((item) => line(item, menu, draw)));
  draw();
  // Inside an open dialog, so that the dialog does not make it inert.
  (anchor.closest("dialog") ?? document.body).append(menu);
  menu.addEventListener("keydown", (event) => walk(event, menu));
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    anchor.setAttribute("aria-expanded", "false");
    const hadFocus = menu.contains(document.activeElement) || document.activeElement === document.body;
    menu.remove();
    if (hadFocus && anchor.isConnected) anchor.focus({ preventScroll: true });
    onClose?.();
  });
  anchor.setAttribute("aria-expanded", "true");
  menu.showPopover();
  place(menu, anchor, align);
  (menu.querySelector("[aria-checked=true]") ?? menu.querySelector("[role^=menuitem]"))?.focus({ preventScroll: false });
  return () => menu.isConnected && menu.hidePopover();
}

function line(item, menu, draw) {
  if (!item) return null;
  if (item === "line") return h("hr");
  if (item.heading) return h("div", { class: "heading" }, item.heading);
  const isCheck = typeof item.checked === "boolean";
  return h(
    "button",
    {
      type: "button",
      role: isCheck ? "menuitemcheckbox" : "menuitem",
      "aria-checked": isCheck ? String(item.checked) : null,
      "aria-disabled": item.disabled ? "true" : null,
      class: item.danger ? "danger" : null,
      tabindex: "-1",
      on: {
        click: () => {
          if (item.disabled) return;
          if (item.keepOpen) {
            const at = [...menu.querySelectorAll("[role^=menuitem]")].indexOf(document.activeElement);
            item.run?.();
            draw();
            menu.querySelectorAll("[role^=menuitem]")[at]?.focus();
          } else {
            menu.hidePopover();
            item.run?.();
          }
        },
      },
    },
    isCheck ? h("span", { class: "check" }, item.checked ? icon("check", { size: 16 }) : null) : null,
    item.icon ? (typeof item.icon === "string" ? icon(item.icon, { size: 16 }) : item.icon) : null,
    h("span", { class: "grow one-line" }, item.node ?? item.text),
    item.hint ? h("span", { class: "hint" }, item.hint) : null,
  );
}

function walk(event, menu) {
  const all = [...menu.querySelectorAll("[role^=menuitem]")];
  const at = all.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? all.length - 1 : at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (event.key === "Tab") {
    event.preventDefault();
    menu.hidePopover();
    return;
  }
  if (to !== undefined) {
    event.preventDefault();
    all[(to + all.length) % all.length]?.focus();
    return;
  }
  if (event.key === "Escape") {
    event.preventDefault();
    event.stopPropagation();
    menu.hidePopover();
    return;
  }
  if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const letter = event.key.toLowerCase();
    const found = [...all.slice(at + 1), ...all.slice(0, at + 1)].find((item) => item.textContent.trim().toLowerCase().startsWith(letter));
    if (found) found.focus();
    if (event.key !== " ") event.preventDefault();
    event.stopPropagation();
  }
}

/** Below the anchor, or above it when there is more room; never outside the window. */
export function place(menu, anchor, align = "start") {
  const from = anchor.getBoundingClientRect();
  const own = menu.getBoundingClientRect();
  const gap = 4;
  const below = innerHeight - from.bottom - gap;
  const top = own.height <= below || below >= from.top ? from.bottom + gap : from.top - gap - own.height;
  const left = align === "end" ? from.right - own.width : from.left;
  menu.style.top = `${Math.max(8, Math.min(top, innerHeight - own.height - 8))}px`;
  menu.style.left = `${Math.max(8, Math.min(left, innerWidth - own.width - 8))}px`;
}
