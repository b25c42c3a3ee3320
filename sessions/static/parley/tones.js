/** What the tone classifier heard, by speaker and time. Pure. */

const KEPT = 600; // pieces of about a second, per speaker

export class Tones {
  constructor() {
    this.heard = new Map();
  }

  take(event) {
    const pieces = this.heard.get(event.participant) ?? [];
    pieces.push(event);
    if (pieces.length > KEPT) pieces.shift();
    this.heard.set(event.participant, pieces);
  }

  /** The label that weighs most within start..end (ms), as {label, mock}, or null. */
  of(participant, start, end) {
    const weights = new Map();
    for (const piece of this.heard.get(participant) ?? []) {
      const shared = Math.min(end, piece.end_ms) - Math.max(start, piece.start_ms);
      if (shared <= 0) continue;
      const known = weights.get(piece.label) ?? { label: piece.label, weight: 0 };
      known.weight += shared * piece.confidence;
      known.mock = Boolean(piece.mock);
      weights.set(piece.label, known);
    }
    const ranked = [...weights.values()].sort((a, b) => b.weight - a.weight);
    return ranked[0] ?? null;
  }
}
