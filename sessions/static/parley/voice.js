/** One's own voice: the microphone and its uplink, started and stopped as one. */

import { Microphone } from "./microphone.js";
import { Uplink } from "./uplink.js";

export class Voice {
  /**
   * `onChange(voice)` whenever `state` may have changed: off, asking, starting,
   * speaking, holding (no connection, sound is kept), finishing. `onLevel({peak, rms})`
   * for each 30 ms; `onClose(why, message)` when a turn is over.
   */
  constructor({ audioUrl, workletUrl, consent = "true", onChange, onLevel, onClose }) {
    Object.assign(this, { audioUrl, workletUrl, consent, onChange, onLevel, onClose });
    this.streams = new Set(); // under which this page has spoken
    this.microphone = null;
    this.uplink = null;
    this.pause = null;
    this.asking = false;
  }

  get state() {
    if (this.asking) return "asking";
    if (!this.uplink) return "off";
    if (this.uplink.stopping) return "finishing";
    if (this.uplink.state === "live") return "speaking";
    return this.uplink.begun ? "holding" : "starting";
  }

  get keptS() {
    return this.uplink?.keptS ?? 0;
  }

  get lostS() {
    return this.uplink?.lostS ?? 0;
  }

  /** Ask for the microphone, then speak as `name`. Raises MicrophoneError. */
  async start(name) {
    if (this.state !== "off") return;
    const microphone = new Microphone({
      workletUrl: this.workletUrl,
      onFrame: (frame) => this.hear(frame),
      onLost: () => this.lose(),
    });
    this.asking = true;
    this.onChange(this);
    try {
      await microphone.start();
      this.microphone = microphone;
      this.speakAs(name);
    } finally {
      this.asking = false;
      this.onChange(this);
    }
  }

  speakAs(name) {
    const url = new URL(this.audioUrl);
    if (name) url.searchParams.set("name", name);
    url.searchParams.set("consent", this.consent);
    this.uplink = new Uplink({
      url,
      pause: this.pause?.name === name ? this.pause : null,
      onChange: () => this.onChange(this),
      onClose: (why, message) => this.closed(name, why, message),
    });
    this.streams.add(this.uplink.stream);
    this.uplink.open();
  }

  /** They want to be forgotten: close at once, send nothing more, be somebody new. */
  drop() {
    this.pause = null;
    this.streams.clear();
    this.abandon();
    this.pause = null;
  }

  hear({ pcm, peak, rms }) {
    this.uplink?.push(pcm);
    this.onLevel({ peak, rms });
  }

  /** The page is seen again: the browser may have put the microphone to sleep. */
  wake() {
    this.microphone?.wake();
  }

  /** Stop listening at once, send what is kept, then close. */
  async stop() {
    const { microphone, uplink } = this;
    this.microphone = null;
    if (microphone) await microphone.stop();
    uplink?.stop();
    this.onChange(this);
  }

  /** The device was unplugged, or the permission taken back. */
  async lose() {
    await this.stop();
    this.onClose("unplugged", "");
  }

  /** The page goes away: no time for anything but letting go. */
  abandon() {
    this.microphone?.release();
    this.microphone = null;
    this.uplink?.close("stopped");
  }

  closed(name, why, message) {
    const kept = why === "stopped" ? this.uplink.continuation : null;
    this.pause = kept && { ...kept, name };
    this.uplink = null;
    this.microphone?.release();
    this.microphone = null;
    this.onLevel({ peak: 0, rms: 0 });
    this.onChange(this);
    this.onClose(why, message);
  }
}
