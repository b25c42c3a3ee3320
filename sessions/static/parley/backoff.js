/** How long to wait before trying again: longer each time, in step with nobody. */

export class Backoff {
  constructor({ firstMs = 500, mostMs = 15000, random = Math.random } = {}) {
    Object.assign(this, { firstMs, mostMs, random, attempts: 0 });
  }

  /** The next wait in ms: half of a doubling step, and as much again by chance. */
  next() {
    const step = Math.min(this.mostMs, this.firstMs * 2 ** this.attempts);
    this.attempts += 1;
    return step * (0.5 + this.random() / 2);
  }

  reset() {
    this.attempts = 0;
  }
}
