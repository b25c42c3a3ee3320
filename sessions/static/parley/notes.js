/** Notes of this moment: a button, the key N, and a small window for the words. */

import { position } from "./clock.js";

export class Notes {
  /** `parts`: `button`, and `dialog` with `form`, `input`, `moment`, `trouble` and
   * `cancel`. `url` takes notes; `now` is how long the session has lasted, in ms. */
  constructor({ parts, url, csrf, now }) {
    Object.assign(this, parts, { url, csrf, now });
    const { button, dialog, form, cancel } = parts;
    button.addEventListener("click", () => this.open());
    cancel.addEventListener("click", () => dialog.close());
    form.addEventListener("submit", (event) => this.submitted(event));
    document.addEventListener("keydown", (event) => this.pressed(event));
  }

  /** The moment is that of the press, not of the last word typed. */
  open() {
    this.at = this.now();
    this.moment.textContent = position(this.at);
    this.input.value = "";
    this.trouble.textContent = "";
    this.dialog.showModal();
    this.input.focus();
  }

  pressed(event) {
    const isTyping = event.target.closest?.("input, textarea, select, dialog");
    const isOther = event.ctrlKey || event.metaKey || event.altKey || event.repeat;
    if (event.key?.toLowerCase() !== "n" || isTyping || isOther || !this.isOn) return;
    event.preventDefault();
    this.open();
  }

  get isOn() {
    return this.button.isConnected && !document.querySelector("dialog[open]");
  }

  async submitted(event) {
    event.preventDefault();
    if (this.sending) return;
    this.sending = true;
    try {
      await this.send({ at_ms: this.at, text: this.input.value });
      this.dialog.close();
    } catch (error) {
      this.trouble.textContent = `The note could not be kept. ${error.message}`;
    } finally {
      this.sending = false;
    }
  }

  /** Signed in, it bears one's name; else the link in `url` opens, and it is a guest's. */
  async send(note) {
    const answer = await fetch(this.url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": this.csrf },
      body: JSON.stringify(note),
      signal: AbortSignal.timeout(8000),
    }).catch(() => {
      throw new Error("Is there a network?");
    });
    if (answer.ok) return;
    const { message = "" } = await answer.json().catch(() => ({}));
    throw new Error(message);
  }

  /** The session is over: there is no more "now". */
  end() {
    this.button.remove();
    if (this.dialog.open) this.dialog.close();
  }
}

/** Draw a note where a line would stand. */
export function fillNote(element, { name, start, text }) {
  const [time, who, words] = ["time", "span", "p"].map((tag) =>
    document.createElement(tag),
  );
  time.textContent = position(start);
  who.className = "by";
  who.textContent = name;
  words.className = "words";
  words.textContent = text || "Marked";
  element.className = "note";
  element.replaceChildren(words, who, time);
}
