// Voice notes. The platform delivers OGG with Opus; browsers that record WebM with Opus get their packets put into OGG pages.

const PREFERRED = ["audio/ogg;codecs=opus", "audio/webm;codecs=opus", "audio/mp4"];

/** Start recording. Resolves to a function that stops and resolves to `{blob, type}`, or null when nothing was recorded. */
export async function record() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true } });
  const type = PREFERRED.find((known) => MediaRecorder.isTypeSupported(known));
  const recorder = new MediaRecorder(stream, { mimeType: type, audioBitsPerSecond: 24_000 });
  const pieces = [];
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  recorder.start();
  return async () => {
    const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve, { once: true }));
    if (recorder.state !== "inactive") recorder.stop();
    await stopped;
    for (const track of stream.getTracks()) track.stop();
    const blob = new Blob(pieces, { type: recorder.mimeType });
    if (!blob.size) return null;
    if (!recorder.mimeType.startsWith("audio/webm")) return { blob, type: recorder.mimeType };
    const ogg = webmToOgg(new Uint8Array(await blob.arrayBuffer()));
    return { blob: new Blob([ogg], { type: "audio/ogg; codecs=opus" }), type: "audio/ogg; codecs=opus" };
  };
}

/** Opus packets of a WebM file in an OGG file. RFC 7845 for the stream, RFC 3533 for the pages. */
export function webmToOgg(webm) {
  const { head, packets } = demux(webm);
  const pages = [page([head ?? opusHead()], 0n, 0, 2), page([opusTags()], 0n, 1, 0)];
  let position = 0n;
  packets.forEach((packet, index) => {
    position += BigInt(samples(packet));
    pages.push(page([packet], position, index + 2, index === packets.length - 1 ? 4 : 0));
  });
  return concat(pages);
}

const MASTERS = new Set([0x18538067, 0x1654ae6b, 0xae, 0x1f43b675, 0xa0]); // segment, tracks, entry, cluster, block group
const CODEC_PRIVATE = 0x63a2;
const SIMPLE_BLOCK = 0xa3;
const BLOCK = 0xa1;

function demux(bytes) {
  const packets = [];
  let head = null;
  const walk = (from, to) => {
    let at = from;
    while (at < to) {
      const idLength = Math.clz32(bytes[at]) - 23;
      let id = 0;
      for (let i = 0; i < idLength; i += 1) id = id * 256 + bytes[at + i];
      at += idLength;
      const sizeLength = Math.clz32(bytes[at]) - 23;
      if (sizeLength > 8 || idLength > 4) return;
      let size = bytes[at] & (0xff >> sizeLength);
      let unknown = size === 0xff >> sizeLength;
      for (let i = 1; i < sizeLength; i += 1) {
        size = size * 256 + bytes[at + i];
        unknown &&= bytes[at + i] === 0xff;
      }
      at += sizeLength;
      const end = unknown ? to : Math.min(to, at + size);
      if (MASTERS.has(id)) walk(at, end);
      else if (id === CODEC_PRIVATE) head = bytes.slice(at, end);
      else if (id === SIMPLE_BLOCK || id === BLOCK) packets.push(bytes.slice(at + 4, end)); // track, 2 × time, flags
      if (unknown && MASTERS.has(id)) return;
      at = end;
    }
  };
  // A live recording has clusters of unknown size one after the other, so they are found inside each other: the walk
  // goes into every master it meets and treats what follows as its content.
  walk(0, bytes.length);
  return { head, packets };
}

/** Duration of an Opus packet in samples at 48 kHz, from its first byte (RFC 6716, 3.1). */
function samples(packet) {
  const config = packet[0] >> 3;
  const frame = config < 12 ? [480, 960, 1920, 2880][config & 3] : config < 16 ? [480, 960][config & 1] : [120, 240, 480, 960][config & 3];
  const code = packet[0] & 3;
  return frame * (code === 0 ? 1 : code < 3 ? 2 : packet[1] & 63);
}

const ascii = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

function opusHead() {
  return concat([ascii("OpusHead"), new Uint8Array([1, 1, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, 0])]);
}

function opusTags() {
  const vendor = ascii("demo phone");
  return concat([ascii("OpusTags"), new Uint8Array([vendor.length, 0, 0, 0]), vendor, new Uint8Array(4)]);
}

function page(packets, position, sequence, flags) {
  const laces = packets.flatMap((packet) => [...new Array(Math.floor(packet.length / 255)).fill(255), packet.length % 255]);
  const header = new Uint8Array(27 + laces.length);
  const view = new DataView(header.buffer);
  header.set(ascii("OggS"));
  header[5] = flags;
  view.setBigUint64(6, position, true);
  view.setUint32(14, 0x6f6d6e69, true);
  view.setUint32(18, sequence, true);
  header[26] = laces.length;
  header.set(laces, 27);
  const whole = concat([header, ...packets]);
  new DataView(whole.buffer).setUint32(22, checksum(whole), true);
  return whole;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let rest = index << 24;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 0x80000000 ? (rest << 1) ^ 0x04c11db7 : rest << 1;
  return rest >>> 0;
});

function checksum(bytes) {
  let sum = 0;
  for (const byte of bytes) sum = ((sum << 8) ^ TABLE[((sum >>> 24) ^ byte) & 0xff]) >>> 0;
  return sum;
}

function concat(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
