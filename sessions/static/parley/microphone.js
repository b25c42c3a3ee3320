/**
 * The microphone: permission, an audio context, and the worklet that makes frames.
 *
 * Never sends anything anywhere: frames go to `onFrame`.
 */

const STOP_MS = 500;

/** Why there is no microphone: `code` is denied, missing, busy, insecure or failed. */
export class MicrophoneError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const MESSAGES = {
  denied:
    "The browser may not use the microphone." +
    " Allow it beside the address, then try again.",
  missing: "There is no microphone here. Connect one, then try again.",
  busy: "Another program holds the microphone. Close it there, then try again.",
  insecure: "Browsers lend the microphone only over https, or on this computer.",
  failed: "The microphone could not be started.",
};

const CODES = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
};

export class Microphone {
  /** `onFrame({pcm, peak, rms})` for each 30 ms; `onLost()` when the device goes. */
  constructor({ workletUrl, onFrame, onLost }) {
    this.workletUrl = workletUrl;
    this.onFrame = onFrame;
    this.onLost = onLost;
  }

  /** Raises MicrophoneError. */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) {
      throw new MicrophoneError("insecure", MESSAGES.insecure);
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true },
      });
      await this.listen();
    } catch (error) {
      this.release();
      const code = CODES[error.name] ?? "failed";
      throw new MicrophoneError(code, MESSAGES[code]);
    }
  }

  async listen() {
    for (const track of this.stream.getTracks()) track.onended = () => this.onLost();
    this.source = this.connectedSource();
    await this.context.audioWorklet.addModule(this.workletUrl);
    this.node = new AudioWorkletNode(this.context, "parley-microphone", {
      channelCount: 1,
      channelCountMode: "explicit",
    });
    this.node.port.onmessage = ({ data }) => this.onFrame(data);
    // Its output is silence; the connection is what makes browsers run it.
    this.source.connect(this.node).connect(this.context.destination);
    this.context.onstatechange = () => this.wake();
    await this.context.resume();
  }

  /** 48 kHz divides evenly; where a browser will not, its own rate and our filter. */
  connectedSource() {
    try {
      this.context = new AudioContext({
        sampleRate: 48000,
        latencyHint: "interactive",
      });
      return this.context.createMediaStreamSource(this.stream);
    } catch {
      this.context?.close();
      this.context = new AudioContext({ latencyHint: "interactive" });
      return this.context.createMediaStreamSource(this.stream);
    }
  }

  /** After a phone call or a sleep the context may stand still. */
  wake() {
    const standing = ["suspended", "interrupted"].includes(this.context?.state);
    if (standing && !document.hidden) this.context.resume().catch(() => {});
  }

  /** Resolves when the last frame has been handed on and the device is free. */
  async stop() {
    if (this.node) {
      await new Promise((resolve) => {
        const patience = setTimeout(resolve, STOP_MS);
        this.node.port.onmessage = ({ data }) => {
          this.onFrame(data);
          if (!data.last) return;
          clearTimeout(patience);
          resolve();
        };
        this.node.port.postMessage("stop");
      });
    }
    this.release();
  }

  release() {
    for (const track of this.stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    if (this.node) this.node.port.onmessage = null;
    if (this.context) {
      this.context.onstatechange = null;
      this.context.close().catch(() => {});
    }
    this.stream = this.context = this.node = this.source = null;
  }
}
