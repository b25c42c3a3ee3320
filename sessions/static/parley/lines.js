/**
 * What was said, in order of when it was said: final lines and provisional ones. Pure.
 *
 * A final replaces the partial of the same id in its place; a partial never replaces a
 * final, nor a newer partial.
 */

export class Lines {
  constructor() {
    this.sorted = [];
    this.byId = new Map();
  }

  /** Take an utterance or partial event; the changed line, or null when it is old. */
  take(event, now = 0) {
    const known = this.byId.get(event.id);
    const final = event.type === "utterance";
    if (known?.final && !final) return null;
    if (known && !final && event.rev <= known.rev) return null;
    const line = known ?? { id: event.id };
    const { length } = event.text;
    const moved = !known || known.start !== event.start_ms;
    if (known && moved) this.remove(known);
    Object.assign(line, {
      final,
      rev: event.rev ?? Infinity,
      participant: event.participant,
      name: event.name ?? line.name ?? "",
      start: event.start_ms,
      end: event.end_ms,
      text: event.text,
      stable: final ? length : Math.min(event.stable ?? 0, length),
      at: now,
    });
    if (moved) this.insert(line);
    return line;
  }

  /** A note stands among the lines, at its moment; taken anew, in its old one's place. */
  note({ id, name, at_ms, text }, now = 0) {
    const known = this.byId.get(id);
    if (known) this.remove(known);
    const moment = { start: at_ms, end: at_ms, at: now };
    const who = { participant: `note:${id}`, name };
    const line = { id, note: true, final: true, text, stable: text.length };
    Object.assign(line, who, moment);
    this.insert(line);
    return line;
  }

  /** The lines of somebody are another's from here on, or under another name. */
  give(participant, { into = participant, name }) {
    const theirs = this.sorted.filter((line) => line.participant === participant);
    for (const line of theirs) Object.assign(line, { participant: into, name });
    return theirs;
  }

  insert(line) {
    let at = this.sorted.length;
    while (at > 0 && this.sorted[at - 1].start > line.start) at -= 1;
    this.sorted.splice(at, 0, line);
    this.byId.set(line.id, line);
  }

  /** Take a line away; returns where it stood. */
  remove(line) {
    const at = this.sorted.lastIndexOf(line);
    if (at >= 0) this.sorted.splice(at, 1);
    this.byId.delete(line.id);
    return at;
  }

  has(line) {
    return this.byId.get(line.id) === line;
  }

  /** Provisional lines not renewed since `before`: what became of them is not known. */
  stale(before) {
    return this.sorted.filter((line) => !line.final && line.at < before);
  }

  /** The lines of a participant that overlap start..end (ms), newest first. */
  over(participant, start, end) {
    const found = [];
    for (let i = this.sorted.length - 1; i >= 0 && found.length < 8; i -= 1) {
      const line = this.sorted[i];
      if (line.end < start - 60000) break;
      const overlaps = line.start < end && line.end > start;
      if (line.participant === participant && overlaps) found.push(line);
    }
    return found;
  }
}
