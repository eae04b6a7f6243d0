// A colleague's own voice on the line of a call: they hear both sides, and the caller hears them while they have the call.
// One line at a time, whichever conversation is shown; a note says so for as long as it is open.

import { app } from "../model.js";
import { problem, toast, withdraw } from "../notices.js";
import { t } from "../texts.js";

const GATHER_MS = 2000;
let seat = null;

/** A menu item for a call that goes on. */
export const seatItem = (row) => seat?.id === row.id
  ? { text: t("seat.leave"), icon: "mute", run: leave }
  : { text: t("seat.join"), icon: "volume", run: () => join(row) };

/** The microphone is open only while the call is theirs (the server sees to it as well). */
export function follow(row) {
  if (seat?.id !== row.id) return;
  if (row.state === "ended") return leave();
  const speaks = row.handler === "human" && app.isMe(row.handled_by);
  if (speaks === seat.speaks) return;
  seat.speaks = speaks;
  seat.stream.getAudioTracks().forEach((track) => (track.enabled = speaks));
  say();
}

function say() {
  const key = seat.speaks ? "seat.speaking" : "seat.listening";
  toast({ id: "seat", ms: 0, kind: seat.speaks ? "waiting" : "info", text: t(key), detail: t(`${key}_hint`), action: { text: t("seat.leave"), run: leave } });
}

async function join(row) {
  leave();
  const mine = (seat = { id: row.id, speaks: false, stream: null, pc: null, audio: new Audio() });
  try {
    mine.stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
    mine.stream.getAudioTracks().forEach((track) => (track.enabled = false));
    const { iceServers } = await (await fetch("/webrtc/ice-servers")).json();
    const pc = (mine.pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" }));
    mine.stream.getTracks().forEach((track) => pc.addTrack(track, mine.stream));
    mine.beat = beating(pc.createDataChannel("events"));
    pc.addEventListener("track", (event) => {
      mine.audio.srcObject = event.streams[0] ?? new MediaStream([event.track]);
      mine.audio.play().catch(() => {});
    });
    pc.addEventListener("connectionstatechange", () => {
      if (["failed", "closed", "disconnected"].includes(pc.connectionState) && seat === mine) leave();
    });
    await pc.setLocalDescription(await pc.createOffer());
    await gathered(pc);
    const answer = await app.api("POST", `/conversations/${encodeURIComponent(row.id)}/seat`, { sdp: pc.localDescription.sdp });
    if (seat !== mine) return close(mine);
    await pc.setRemoteDescription(answer);
    mine.speaks = null; // not known yet
    follow(row);
  } catch (error) {
    if (seat === mine) seat = null;
    close(mine);
    if (error instanceof DOMException) toast({ text: t("seat.no_microphone"), kind: "problem" });
    else problem(error);
  }
}

export function leave() {
  const old = seat;
  seat = null;
  withdraw("seat");
  if (old) close(old);
}

function close(old) {
  clearInterval(old.beat);
  old.stream?.getTracks().forEach((track) => track.stop());
  old.pc?.close();
  old.audio.srcObject = null;
}

const beating = (channel) => setInterval(() => channel.readyState === "open" && channel.send("ping"), 1000);

const gathered = (pc) => new Promise((done) => {
  const look = () => pc.iceGatheringState === "complete" && done();
  pc.addEventListener("icegatheringstatechange", look);
  setTimeout(done, GATHER_MS);
  look();
});
