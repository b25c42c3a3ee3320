/** Everything that was said, in order, and who said it. Pure. */

export class Score {
  constructor() {
    this.lines = [];
    this.byId = new Map();
  }

  /** Lines in the order they were said. */
  add(lines) {
    for (const line of lines) {
      if (!line.text.trim()) continue;
      this.byId.set(line.id, this.lines.length);
      this.lines.push(line);
    }
  }

  /** How lines sounded: [{id, label, mock}]. */
  sound(tones) {
    for (const { id, label, mock } of tones) {
      const line = this.lines[this.indexOf(id)];
      if (line) line.tone = { label, mock };
    }
  }

  indexOf(id) {
    return this.byId.get(id) ?? -1;
  }

  /** The line that was begun last at this time; -1 before the first. */
  indexAt(ms) {
    let [low, high] = [0, this.lines.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.lines[middle].start_ms <= ms) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Indexes of the lines that are being said just now: voices may overlap. */
  saidAt(ms) {
    const last = this.indexAt(ms);
    const found = [];
    for (let i = last; i >= 0 && i > last - 12; i -= 1) {
      if (this.lines[i].end_ms > ms) found.push(i);
    }
    return found.length || last < 0 ? found : [last];
  }

  /** A neighbour of the line at this time. */
  beside(ms, step) {
    const now = this.indexAt(ms);
    const isInside = step < 0 && now >= 0 && ms - this.lines[now].start_ms > 1500;
    const index = isInside ? now : now + step;
    return this.lines[Math.min(Math.max(index, 0), this.lines.length - 1)];
  }

  /** How long each of them spoke, in ms, by participant. */
  shares() {
    const spoken = new Map();
    for (const { participant, start_ms, end_ms } of this.lines) {
      spoken.set(participant, (spoken.get(participant) ?? 0) + end_ms - start_ms);
    }
    return spoken;
  }

  /** Indexes of the lines that hold this text. */
  find(wanted) {
    const sought = wanted.trim().toLocaleLowerCase();
    if (!sought) return [];
    const found = [];
    this.lines.forEach((line, i) => {
      if (line.text.toLocaleLowerCase().includes(sought)) found.push(i);
    });
    return found;
  }

  /** All lines of a person get another's name, or their own under a new one. */
  reassign(from, { id, name }) {
    for (const line of this.lines) {
      if (line.participant === from) Object.assign(line, { participant: id, name });
    }
  }

  /** Where a voice was, as a waveform of few points: for want of a better one. */
  presence(participant, { points, durationMs }) {
    const found = new Array(points).fill(0);
    for (const line of this.lines) {
      if (line.participant !== participant) continue;
      const first = Math.floor((line.start_ms / durationMs) * points);
      const last = Math.min(Math.floor((line.end_ms / durationMs) * points), points - 1);
      for (let i = first; i <= last; i += 1) found[i] = 46;
    }
    return found;
  }
}
