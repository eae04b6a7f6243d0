// A small player for voice notes: play, a scrubber, the speed, and what was said below. One plays at a time.

import { fill, h } from "../dom.js";
import { t } from "../texts.js";
import { icon } from "../icons.js";
import { countdown } from "./times.js";

const SPEEDS = [1, 1.5, 2];
let playing = null;

export function voicePlayer(address, { label }) {
  const audio = new Audio();
  audio.preload = "none";
  let speed = 0;
  const play = h("button", { type: "button", class: "player-play", "aria-label": t("thread.play"), on: { click: toggle } }, icon("play"));
  const place = h("input", {
    type: "range", min: 0, max: 1000, value: 0, class: "player-place", "aria-label": t("thread.position"),
    on: { input: () => Number.isFinite(audio.duration) && (audio.currentTime = (place.value / 1000) * audio.duration) },
  });
  const time = h("span", { class: "player-time" }, icon("mic"));
  const pace = h("button", {
    type: "button", class: "player-speed", "aria-label": t("thread.speed", { speed: "1" }),
    on: { click: () => {
      speed = (speed + 1) % SPEEDS.length;
      audio.playbackRate = SPEEDS[speed];
      pace.textContent = `${SPEEDS[speed]}×`;
      pace.setAttribute("aria-label", t("thread.speed", { speed: SPEEDS[speed] }));
    } },
  }, "1×");

  function toggle() {
    if (!audio.src) audio.src = address;
    if (audio.paused) audio.play().catch(() => broken());
    else audio.pause();
  }
  function broken() {
    fill(time, t("thread.no_sound"));
  }
  audio.addEventListener("play", () => {
    if (playing && playing !== audio) playing.pause();
    playing = audio;
    audio.playbackRate = SPEEDS[speed];
    show("pause", "thread.pause");
  });
  audio.addEventListener("pause", () => show("play", "thread.play"));
  audio.addEventListener("ended", () => {
    audio.currentTime = 0;
  });
  audio.addEventListener("error", broken);
  audio.addEventListener("timeupdate", () => {
    if (Number.isFinite(audio.duration)) place.value = (audio.currentTime / audio.duration) * 1000;
    place.setAttribute("aria-valuetext", countdown(audio.currentTime));
    const left = Number.isFinite(audio.duration) ? audio.duration - audio.currentTime : audio.currentTime;
    time.textContent = countdown(left);
  });
  function show(name, key) {
    fill(play, icon(name));
    play.setAttribute("aria-label", t(key));
  }
  return h("div", { class: "player", role: "group", "aria-label": label, ref: (element) => element.addEventListener("detach", () => audio.pause()) },
    play, place, time, pace);
}
