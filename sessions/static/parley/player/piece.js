/** One file of sound at its place: a media element that is made when it is needed. */

const SEEK_MS = 250; // further off, it jumps; nearer, it hurries or waits
const PLACE_MS = 30; // before it sounds it is put more exactly: nobody hears that jump
const CALM_MS = 12;
const HURRY_MOST = 0.3; // of the speed
const CLOSE_MS = 400; // how long it takes to come up
const SETTLE_MS = 350; // a jump is not judged before it has come to rest

export class Piece {
  constructor({ url, start_ms, duration_ms, participant }, shelf) {
    Object.assign(this, { url, shelf, participant });
    this.start = start_ms;
    this.end = start_ms + duration_ms;
    this.element = null;
    this.broken = 0;
    this.settledAt = 0;
  }

  covers(ms) {
    return ms >= this.start && ms < this.end - 20;
  }

  /** Make it ready to sound from about this time on. */
  prepare(ms) {
    if (this.element) return;
    const element = document.createElement("audio");
    element.preload = "auto";
    element.src = this.url;
    element.addEventListener("error", () => this.mend());
    this.shelf.append(element);
    this.element = element;
    this.jump(Math.max(ms, this.start));
  }

  /** A link that has expired is asked for anew; what is lost stays silent. */
  mend() {
    this.broken += 1;
    if (!this.element || this.broken > 3) return;
    const { currentTime } = this.element;
    this.element.src = this.url;
    this.element.currentTime = currentTime;
  }

  get isLost() {
    return this.broken > 3;
  }

  /** Where it is on the session's timeline, in ms. */
  get at() {
    return this.start + this.element.currentTime * 1000;
  }

  get isReady() {
    return Boolean(this.element) && this.element.readyState >= 3 && !this.element.seeking;
  }

  get isSounding() {
    return Boolean(this.element) && !this.element.paused && this.isReady;
  }

  jump(ms) {
    this.element.currentTime = Math.max(0, ms - this.start) / 1000;
    this.settledAt = performance.now() + SETTLE_MS;
  }

  /** Be at `ms`, at this speed; small differences are made up for unheard. */
  follow(ms, { rate, volume }) {
    const { element } = this;
    element.volume = volume;
    element.muted = volume === 0;
    const drift = this.at - ms;
    const allowed = element.paused ? PLACE_MS : SEEK_MS;
    if (Math.abs(drift) > allowed && performance.now() > this.settledAt) this.jump(ms);
    const isCalm = Math.abs(drift) < CALM_MS;
    const hurry = isCalm ? 0 : -drift / CLOSE_MS;
    const bent = 1 + Math.max(-HURRY_MOST, Math.min(HURRY_MOST, hurry));
    if (Math.abs(element.playbackRate - rate * bent) > 0.001) {
      element.playbackRate = rate * bent;
    }
    if (element.paused && this.isReady) element.play().catch(() => {});
  }

  /** Lead: go at this speed, wherever one is. */
  lead({ rate, volume }) {
    const { element } = this;
    element.volume = volume;
    element.muted = volume === 0;
    if (element.playbackRate !== rate) element.playbackRate = rate;
    if (element.paused) element.play().catch(() => {});
  }

  rest() {
    if (this.element && !this.element.paused) this.element.pause();
  }

  /** Let go of what was loaded. */
  release() {
    if (!this.element) return;
    this.element.pause();
    this.element.removeAttribute("src");
    this.element.load();
    this.element.remove();
    this.element = null;
    this.broken = 0;
  }
}
