/** What the keyboard does here. Never while somebody writes. */

import { made } from "./elements.js";

const WRITING = "input:not([type=range]), textarea, select, [contenteditable]";
const PRESSED = "button, summary, a"; // they have the space bar and Enter themselves

/** What each key does, as people read it. */
export const SHEET = [
  ["Space, K", "Play, pause"],
  ["← →", "5 seconds; with Shift 30"],
  ["J L", "10 seconds; with Shift 60"],
  ["↑ ↓", "The line before, the line after"],
  ["< >", "Slower, faster"],
  ["F", "Follow the sound"],
  ["/", "Find in this session"],
  ["E", "Correct the line", "edit"],
  ["B", "Bookmark this moment", "edit"],
  ["?", "This list"],
];

export class Keys {
  /** `deeds`: what to do, by name. */
  constructor({ deeds, dialog, list, mayEdit }) {
    Object.assign(this, { deeds, dialog });
    for (const [keys, what, needs] of SHEET) {
      if (needs && !mayEdit) continue;
      const names = made("dt");
      for (const key of keys.split(/,? /)) names.append(made("kbd", "", key));
      list.append(names, made("dd", "", what));
    }
    document.addEventListener("keydown", (event) => this.pressed(event));
  }

  open() {
    this.dialog.showModal();
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]") || event.target.matches(WRITING)) return;
    const deed = this.deed(event);
    if (!deed) return;
    event.preventDefault();
    deed();
  }

  deed({ key, shiftKey, target }) {
    const { deeds } = this;
    const far = shiftKey;
    const isSlider = target.matches("input[type=range]");
    if (isSlider && key.startsWith("Arrow")) return null; // it moves itself
    if (key === " " && target.matches(PRESSED)) return null;
    const known = {
      " ": deeds.toggle,
      k: deeds.toggle,
      j: () => deeds.skip(far ? -60 : -10),
      l: () => deeds.skip(far ? 60 : 10),
      arrowleft: () => deeds.skip(far ? -30 : -5),
      arrowright: () => deeds.skip(far ? 30 : 5),
      arrowup: () => deeds.beside(-1),
      arrowdown: () => deeds.beside(1),
      "<": () => deeds.faster(-1),
      ">": () => deeds.faster(1),
      f: deeds.follow,
      "/": deeds.find,
      e: deeds.edit,
      b: deeds.bookmark,
      "?": () => this.open(),
    };
    return known[key.toLowerCase()] ?? null;
  }
}
