/** The controls at the foot of the page: name, Speak, level. Draws; decides nothing. */

import { seconds } from "./clock.js";
import { recall, remember } from "./memory.js";

const FLOOR_DB = -60;
const QUIET_PEAK = 0.002;
const QUIET_MS = 6000;

const WORDS = {
  off: { label: "Speak", hint: "" },
  asking: { label: "Speak", hint: "Your browser asks for the microphone…" },
  starting: { label: "Stop", hint: "Connecting…" },
  speaking: { label: "Stop", hint: "You are heard." },
  holding: { label: "Stop", hint: "" },
  finishing: { label: "Speak", hint: "" },
};

export class Dock {
  /** Elements: form `name` `button` `label` `hint` `meter`. `onToggle(name)`. */
  constructor({ form, name, button, label, hint, meter, onToggle, now = Date.now }) {
    Object.assign(this, { form, name, button, label, hint, meter, now });
    this.state = "off";
    this.heardAt = 0;
    this.trouble = "";
    this.kept = "";
    name.value = name.value || recall("name");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      remember("name", this.speaker);
      onToggle(this.speaker);
    });
    button.disabled = false;
  }

  get speaker() {
    return this.name.value.trim();
  }

  show({ state, keptS, lostS }) {
    if (state === "speaking" && this.state !== "speaking") this.heardAt = this.now();
    this.state = state;
    const { label } = WORDS[state];
    if (this.label.textContent !== label) this.label.textContent = label;
    this.form.dataset.state = state;
    this.button.disabled = state === "asking" || state === "finishing";
    this.name.readOnly = state !== "off";
    if (["asking", "starting", "speaking"].includes(state)) this.trouble = "";
    this.kept = { holding: keeping(keptS, lostS), finishing: sending(keptS) }[state];
    this.say();
  }

  level({ peak, rms }) {
    const decibels = 20 * Math.log10(Math.max(rms, 1e-6));
    const level = Math.max(0, 1 - decibels / FLOOR_DB);
    this.meter.style.setProperty("--level", level.toFixed(3));
    const heard = peak > QUIET_PEAK;
    if (heard) this.heardAt = this.now();
    if (this.form.classList.toggle("unheard", this.isQuiet) !== this.wasQuiet) {
      this.wasQuiet = this.isQuiet;
      this.say();
    }
  }

  get isQuiet() {
    return this.state === "speaking" && this.now() - this.heardAt > QUIET_MS;
  }

  /** Why speaking did not work; stands until the next attempt. */
  complain(message) {
    this.trouble = message;
    this.told = "";
    this.say();
  }

  say() {
    const quiet = "Nothing comes from your microphone. Is it muted?";
    const words =
      this.trouble || (this.isQuiet ? quiet : this.kept || WORDS[this.state].hint);
    // Seconds that count up are for the eye: read out once.
    this.hint.ariaLive = this.told === this.state ? "off" : "polite";
    this.told = words ? this.state : "";
    if (this.hint.textContent !== words) this.hint.textContent = words;
    this.hint.classList.toggle("trouble", Boolean(this.trouble) || this.isQuiet);
  }
}

function keeping(keptS, lostS) {
  if (lostS > 0) return "Only the last 30 seconds of what you say are kept.";
  return `Keep talking: ${seconds(keptS)} kept, sent when the connection is back.`;
}

function sending(keptS) {
  return keptS >= 1 ? `Sending the last ${seconds(keptS)}…` : "Finishing…";
}
