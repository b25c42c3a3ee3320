/**
 * The way of a voice to the server: one stream of 16-bit 16 kHz sound over as many
 * connections as it takes.
 *
 * Bytes are counted from the stream's beginning. The server says "ready" with the byte
 * it wants next; the ring holds the last 30 s; what it no longer holds is told as
 * "skip", so that everything after it stands at its right time.
 */

import { Backoff } from "./backoff.js";
import { Ring } from "./ring.js";

export const RATE = 16000;
export const BYTES_PER_S = 2 * RATE;
const FRAME_MOST = 32 * 1024;
// Sent and not yet acknowledged: two seconds of sound fill a slow line well enough.
const UNCONFIRMED_MOST = 64 * 1024;
const BUFFERED_MOST = 128 * 1024;
const SILENT_MS = 8000; // no answer for so long: the connection is dead
const DRAIN_MS = 20000; // how long "stop" waits for what is not yet sent
const TICK_MS = 500;

const CLOSE = { done: 1000, flood: 4008, ended: 4010, replaced: 4011 };

/** A version 4 UUID, also where the page is not "secure" and randomUUID is missing. */
function newStream() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

export class Uplink {
  /**
   * `onChange(uplink)` at every change of `state`: connecting, live, waiting (for the
   * next attempt), closed. `onClose(why, message)` once: stopped, ended, replaced or
   * refused. `pause` is what `continuation` said when this speaker last stopped.
   */
  constructor({
    url,
    pause = null,
    keepS = 30,
    onChange = () => {},
    onClose = () => {},
    now = () => performance.now(),
    wall = () => Date.now(),
    backoff = new Backoff(),
  }) {
    this.url = url;
    this.stream = pause?.stream ?? newStream();
    this.pause = pause;
    this.ring = new Ring(keepS * BYTES_PER_S);
    this.onChange = onChange;
    this.onClose = onClose;
    this.now = now;
    this.wall = wall;
    this.backoff = backoff;
    this.state = "connecting";
    this.sent = 0;
    this.unconfirmed = 0;
    this.origin = 0; // the stream byte of the first sound
    this.begun = false; // whether the server has ever been ready
    this.stopping = null;
  }

  open() {
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.online = () => this.tryNow();
    window.addEventListener("online", this.online);
    this.connect();
  }

  /** Seconds of sound that the server has not confirmed yet. */
  get keptS() {
    const first = Math.max(this.ring.start, this.sent - this.unconfirmed);
    return Math.max(0, this.ring.end - first) / BYTES_PER_S;
  }

  /** Seconds of sound that grew too old before a connection came. */
  get lostS() {
    const next = Math.max(this.sent, this.origin);
    return Math.max(0, this.ring.start - next) / BYTES_PER_S;
  }

  /** What a later Uplink goes on from, so that a speaker who pauses stays the same
   * person; null when something of this stream never arrived. */
  get continuation() {
    if (!this.begun || this.keptS || this.lostS) return null;
    return { stream: this.stream, byte: this.sent, at: this.soundAt ?? this.wall() };
  }

  /** Take sound (an ArrayBuffer of int16). Before the first "ready" it is dropped, for
   * the stream's place in time is the arrival of its first sound. */
  push(pcm) {
    if (!this.begun || this.stopping || this.state === "closed") return;
    if (this.pause) this.goOn(pcm.byteLength);
    this.soundAt = this.wall();
    this.ring.push(new Uint8Array(pcm));
    this.pump();
    this.tick();
  }

  /** Leave a hole as long as the pause: the server is told by "skip". */
  goOn(firstBytes) {
    const { byte, at } = this.pause;
    const samples = Math.round(((this.wall() - at) * RATE) / 1000) - firstBytes / 2;
    this.origin = byte + 2 * Math.max(0, samples);
    this.ring = new Ring(this.ring.bytes.length, this.origin);
    this.pause = null;
  }

  /** Send what is kept, then close. `onClose` is called when that is done. */
  stop() {
    if (this.stopping || this.state === "closed") return;
    this.stopping = { since: this.now(), said: false };
    this.pump();
    const nothingToSay = !this.begun || (this.state !== "live" && !this.keptS);
    if (nothingToSay) this.close("stopped");
  }

  tryNow() {
    if (this.state !== "waiting") return;
    this.retryAt = this.now();
    this.tick();
  }

  /** Driven by the sound as well as by a timer: timers sleep in hidden pages. */
  tick() {
    const now = this.now();
    if (this.stopping && now - this.stopping.since > DRAIN_MS) this.close("stopped");
    else if (this.state === "waiting" && now >= this.retryAt) this.connect();
    else if (this.isSilent(now)) this.lose();
    else if (this.state === "live") this.pump();
  }

  isSilent(now) {
    const owed = this.state === "connecting" || this.unconfirmed || this.stopping?.said;
    return this.socket && owed && now - this.heardAt > SILENT_MS;
  }

  connect() {
    const address = new URL(this.url);
    address.searchParams.set("rate", RATE);
    address.searchParams.set("stream", this.stream);
    this.heardAt = this.now();
    this.unconfirmed = 0;
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => this.hear(JSON.parse(data));
    this.socket.onclose = ({ code, reason }) => this.closed(code, reason);
    this.change("connecting");
  }

  hear(message) {
    this.heardAt = this.now();
    if (message.type === "ready") {
      this.begun = true;
      this.sent = message.bytes;
      this.backoff.reset();
      this.change("live");
    } else if (message.ok) {
      this.unconfirmed = Math.max(0, this.unconfirmed - message.bytes);
    }
    this.pump();
  }

  /** Send as much as the line takes. */
  pump() {
    if (this.state !== "live") return;
    const { socket, ring } = this;
    // An empty ring that starts later is a pause: told with the next sound.
    while (this.sent < ring.end && ring.end > ring.start && this.hasRoom()) {
      if (this.sent < ring.start) this.skip();
      const bytes = ring.read(this.sent, FRAME_MOST);
      if (!this.unconfirmed) this.heardAt = this.now(); // from now an answer is owed
      socket.send(bytes);
      this.sent += bytes.length;
      this.unconfirmed += bytes.length;
    }
    if (this.stopping) this.sayStop();
  }

  hasRoom() {
    return (
      this.socket.readyState === WebSocket.OPEN &&
      this.unconfirmed < UNCONFIRMED_MOST &&
      this.socket.bufferedAmount < BUFFERED_MOST
    );
  }

  skip() {
    const samples = (this.ring.start - this.sent) / 2;
    this.socket.send(JSON.stringify({ type: "skip", samples }));
    this.sent = this.ring.start;
  }

  sayStop() {
    const { ring, stopping } = this;
    const pending = ring.end > ring.start && this.sent < ring.end;
    if (stopping.said || pending || this.unconfirmed) return;
    stopping.said = true;
    this.heardAt = this.now();
    this.socket.send(JSON.stringify({ type: "stop" }));
  }

  closed(code, reason) {
    if (code === CLOSE.ended) this.close("ended", reason);
    else if (code === CLOSE.replaced) this.close("replaced", reason);
    else if (this.stopping?.said) this.close("stopped");
    else if (code === CLOSE.flood) this.lose({ leastMs: 5000 });
    else if (code >= 4000) this.close("refused", reason);
    else this.lose();
  }

  /** The connection is gone; the sound is not. */
  lose({ leastMs = 0 } = {}) {
    this.detach();
    if (this.stopping?.said) {
      this.close("stopped"); // everything was confirmed before
      return;
    }
    this.retryAt = this.now() + Math.max(leastMs, this.backoff.next());
    this.change("waiting");
  }

  close(why, message = "") {
    if (this.state === "closed") return;
    clearInterval(this.timer);
    window.removeEventListener("online", this.online);
    this.detach();
    this.change("closed");
    this.onClose(why, message);
  }

  detach() {
    const { socket } = this;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
    this.socket = null;
    this.sent -= this.unconfirmed;
    this.unconfirmed = 0;
  }

  change(state) {
    if (this.state === state && state !== "connecting") return;
    this.state = state;
    this.onChange(this);
  }
}
