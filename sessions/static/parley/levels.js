/** Level meters: from dBFS to a bar, which falls by itself when nothing more comes. */

const FLOOR_DBFS = -60;
const QUIET_AFTER_MS = 700;
const SPEAKING_DBFS = -42;

/** 0..1 of a meter. */
export function share(dbfs) {
  return Math.min(1, Math.max(0, 1 - dbfs / FLOOR_DBFS));
}

/** Show a level at an element; `onQuiet` follows when no newer one comes in time. */
export class Meter {
  constructor(element) {
    this.element = element;
  }

  show(dbfs) {
    clearTimeout(this.timer);
    this.draw(dbfs);
    if (dbfs <= FLOOR_DBFS) return;
    this.timer = setTimeout(() => this.draw(FLOOR_DBFS), QUIET_AFTER_MS);
  }

  draw(dbfs) {
    this.element.style.setProperty("--level", share(dbfs).toFixed(2));
    this.element.classList.toggle("sounding", dbfs > SPEAKING_DBFS);
  }

  stop() {
    clearTimeout(this.timer);
  }
}
