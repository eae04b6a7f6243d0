// An image in full, over the page: arrow keys go to the thread's other images, Escape leaves.

import { h } from "../dom.js";
import { t } from "../texts.js";
import { icon } from "../icons.js";

/** `images`: [{src, alt, caption}] in the order of the thread; `at` the one to begin with. */
export function openLightbox(images, at) {
  let place = at;
  const picture = h("img", { class: "lightbox-picture", alt: "" });
  const caption = h("p", { class: "lightbox-caption said", dir: "auto" });
  const save = h("a", { class: "lightbox-button", download: "", "aria-label": t("thread.download") }, icon("download"));
  const step = (by) => {
    place = Math.min(images.length - 1, Math.max(0, place + by));
    show();
  };
  const before = h("button", { type: "button", class: "lightbox-button lightbox-before", "aria-label": t("thread.previous_image"), on: { click: () => step(-1) } }, icon("back"));
  const after = h("button", { type: "button", class: "lightbox-button lightbox-after", "aria-label": t("thread.next_image"), on: { click: () => step(1) } }, icon("forward"));
  const dialog = h("dialog", {
    class: "lightbox", "aria-label": t("thread.image"),
    on: {
      keydown: (event) => {
        event.stopPropagation();
        if (event.key === "ArrowLeft") step(-1);
        else if (event.key === "ArrowRight") step(1);
      },
      click: (event) => (event.target === dialog || event.target === stage) && dialog.close(),
      close: () => dialog.remove(),
    },
  });
  const stage = h("div", { class: "lightbox-stage" }, before, picture, after);
  dialog.append(
    h("div", { class: "lightbox-bar" }, caption, save,
      h("button", { type: "button", class: "lightbox-button", "aria-label": t("thread.close"), autofocus: true, on: { click: () => dialog.close() } }, icon("close"))),
    stage);
  function show() {
    const image = images[place];
    picture.src = image.src;
    picture.alt = image.alt;
    save.href = image.src;
    caption.textContent = image.caption ?? "";
    before.disabled = place === 0;
    after.disabled = place === images.length - 1;
  }
  show();
  document.body.append(dialog);
  dialog.showModal();
}
