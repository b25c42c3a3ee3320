/**
 * The audio thread's part: whatever rate the context has, in; 16 kHz frames out.
 *
 * Posts {pcm: ArrayBuffer of 480 int16 samples (30 ms), peak, rms}, both 0..1, the
 * buffer transferred. The message "stop" makes it post what is left, marked `last`.
 */

import { Resampler } from "./resampler.js";

const RATE = 16000;
const FRAME = 480;

class MicrophoneProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(Math.round(sampleRate), RATE);
    this.silence = new Float32Array(128);
    this.running = true;
    this.begin();
    this.give = (sample) => this.take(sample);
    this.port.onmessage = ({ data }) => data === "stop" && this.stop();
  }

  process([input]) {
    if (!this.running) return false;
    // A muted or vanished source gives no channels: time goes on all the same.
    this.resampler.push(input[0] ?? this.silence, this.give);
    return true;
  }

  begin() {
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.peak = 0;
    this.energy = 0;
  }

  take(sample) {
    const size = Math.abs(sample);
    if (size > this.peak) this.peak = size;
    this.energy += sample * sample;
    const scaled = Math.round(sample * 32767);
    this.frame[this.filled] = Math.max(-32768, Math.min(32767, scaled));
    this.filled += 1;
    if (this.filled === FRAME) this.post(false);
  }

  post(last) {
    const pcm = this.frame.buffer.slice(0, 2 * this.filled);
    const rms = this.filled ? Math.sqrt(this.energy / this.filled) : 0;
    this.port.postMessage({ pcm, peak: Math.min(this.peak, 1), rms, last }, [pcm]);
    this.begin();
  }

  stop() {
    if (!this.running) return;
    this.running = false;
    this.resampler.flush(this.give);
    this.post(true);
  }
}

registerProcessor("parley-microphone", MicrophoneProcessor);
