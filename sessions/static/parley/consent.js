/** The step before the microphone opens: asked once for each text, session and browser. */

import { recall, remember } from "./memory.js";

export class Consent {
  /** Elements: `dialog`. `version` is that of the text in it. */
  constructor({ dialog, session, version }) {
    Object.assign(this, { dialog, version, key: `consent.${session}` });
  }

  get isGiven() {
    return recall(this.key) === this.version;
  }

  /** Whether they agree, now or before. "Only read" and Escape say no. */
  async ask() {
    if (this.isGiven) return true;
    if (!(await asked(this.dialog, "agree"))) return false;
    remember(this.key, this.version);
    return true;
  }

  /** They do not agree any more: the next time they are asked again. */
  withdraw() {
    remember(this.key, "");
  }
}

/** Show a dialog; whether its answer is `yes`. */
export function asked(dialog, yes) {
  if (dialog.open) return Promise.resolve(false);
  dialog.returnValue = "";
  return new Promise((resolve) => {
    const closed = () => resolve(dialog.returnValue === yes);
    dialog.addEventListener("close", closed, { once: true });
    dialog.showModal();
  });
}
