/** Who has which colour and initials: the same person keeps them for the whole talk. */

const SLOTS = 8;

export class Speakers {
  constructor() {
    this.slots = new Map();
    this.names = new Map();
  }

  /** The colour slot 0..7. Somebody who comes back under the same name keeps theirs. */
  slot(participant, name) {
    if (!this.slots.has(participant)) {
      const known = this.names.get(name);
      const slot = known ?? this.names.size % SLOTS;
      this.slots.set(participant, slot);
      if (known === undefined) this.names.set(name, slot);
    }
    return this.slots.get(participant);
  }
}

/** One or two letters for a face: "Ada Lovelace" is AL, "Zoë" is Z. */
export function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const ends = words.length > 1 ? [words[0], words.at(-1)] : words;
  return ends.map((word) => [...word][0].toLocaleUpperCase()).join("") || "?";
}

/** A face with initials in the speaker's colour; read out as nothing. */
export function face(name, slot) {
  const element = document.createElement("span");
  element.className = "face";
  element.dataset.slot = slot;
  element.setAttribute("aria-hidden", "true");
  element.textContent = initials(name);
  return element;
}
