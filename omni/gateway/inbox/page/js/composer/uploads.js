// Files on their way up: each is sent to the server as soon as it is chosen, so that sending the message is quick.

import { address, csrf } from "../api.js";
import { fill, h, said } from "../dom.js";
import { icon } from "../icons.js";
import { size, t } from "../texts.js";

export const MOST_FILES = 10;

/** `limits` as the conversation has them: {files: {image: bytes, …}}. `onChange` after anything changed. */
export class Uploads {
  limits = null;
  #files = [];
  #conversation;
  #onChange;

  constructor(conversation, onChange) {
    this.#conversation = conversation;
    this.#onChange = onChange;
    this.element = h("ul", { class: "attachments", "aria-label": t("composer.files"), hidden: true });
  }

  get count() {
    return this.#files.length;
  }

  get busy() {
    return this.#files.some((file) => file.state === "uploading");
  }

  get hasProblem() {
    return this.#files.some((file) => file.state === "failed");
  }

  /** {id, kind, filename, size} of what is up. */
  get ready() {
    return this.#files.filter((file) => file.state === "ready").map((file) => file.upload);
  }

  add(files) {
    for (const file of [...files].slice(0, MOST_FILES - this.#files.length)) {
      const one = { file, state: "uploading", progress: 0, upload: null, sentence: null, preview: previewOf(file), request: null };
      this.#files.push(one);
      const refusal = this.#refusal(file);
      if (refusal) Object.assign(one, { state: "failed", sentence: refusal });
      else this.#upload(one);
    }
    this.#changed();
  }

  clear() {
    for (const one of this.#files) this.#leave(one);
    this.#files = [];
    this.#changed();
  }

  /** Files that were taken back out of the outbox; they are on the server already. */
  putBack(uploads) {
    for (const upload of uploads) this.#files.push({ file: { name: upload.filename, size: upload.size }, state: "ready", progress: 1, upload, sentence: null, preview: null, request: null });
    this.#changed();
  }

  #refusal(file) {
    const limits = this.limits?.files;
    if (!limits) return null;
    if (!Object.keys(limits).length) return t("composer.no_files");
    const kind = file.type.split("/")[0];
    const most = limits[kind] ?? limits.document;
    const largest = Math.max(most ?? 0, limits.document ?? 0);
    return largest && file.size > largest ? t("composer.too_large", { name: file.name, most: size(largest) }) : null;
  }

  #upload(one) {
    const request = new XMLHttpRequest(); // fetch tells nothing of how far an upload is
    one.request = request;
    request.open("POST", address(`/uploads?conversation=${encodeURIComponent(this.#conversation)}`));
    request.setRequestHeader("Content-Type", one.file.type || "application/octet-stream");
    request.setRequestHeader("X-Filename", encodeURIComponent(one.file.name));
    request.setRequestHeader("X-CSRF-Token", csrf() ?? "");
    request.upload.onprogress = (event) => {
      one.progress = event.lengthComputable ? event.loaded / event.total : 0;
      this.#draw();
    };
    request.onload = () => {
      const answer = parsed(request.responseText);
      if (request.status === 201) Object.assign(one, { state: "ready", progress: 1, upload: answer });
      else Object.assign(one, { state: "failed", sentence: answer?.error?.message ?? t("composer.upload_failed", { name: one.file.name }) });
      this.#changed();
    };
    request.onerror = () => {
      Object.assign(one, { state: "failed", sentence: t("composer.upload_offline", { name: one.file.name }) });
      this.#changed();
    };
    request.send(one.file);
  }

  #leave(one) {
    one.request?.abort();
    if (one.preview) URL.revokeObjectURL(one.preview);
  }

  #remove(one) {
    this.#leave(one);
    this.#files = this.#files.filter((other) => other !== one);
    this.#changed();
  }

  #retry(one) {
    Object.assign(one, { state: "uploading", progress: 0, sentence: null });
    this.#upload(one);
    this.#changed();
  }

  #changed() {
    this.#draw();
    this.#onChange();
  }

  #draw() {
    this.element.hidden = this.#files.length === 0;
    fill(this.element, this.#files.map((one) => h("li", { class: `attachment is-${one.state}` },
      one.preview ? h("img", { src: one.preview, alt: "" }) : icon("file"),
      h("div", { class: "attachment-text" }, said("b", { class: "one-line" }, one.file.name),
        one.state === "failed" ? h("small", { class: "problem", role: "alert" }, one.sentence)
          : one.state === "uploading" ? h("progress", { max: 1, value: one.progress, "aria-label": t("composer.uploading", { name: one.file.name }) })
            : h("small", {}, size(one.upload?.size ?? one.file.size))),
      one.state === "failed" && one.request ? h("button", { type: "button", class: "icon-btn", "aria-label": t("retry"), on: { click: () => this.#retry(one) } }, icon("retry", { size: 16 })) : null,
      h("button", { type: "button", class: "icon-btn", "aria-label": t("composer.remove_file", { name: one.file.name }), on: { click: () => this.#remove(one) } }, icon("close", { size: 16 })))));
  }
}

function previewOf(file) {
  return file instanceof Blob && /^image\/(png|jpeg|gif|webp)$/.test(file.type) ? URL.createObjectURL(file) : null;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
