/** Keeps the screen on while the talk is followed; silent where that is unsupported. */

export class WakeLock {
  constructor() {
    this.wanted = false;
    this.sentinel = null;
  }

  /** Ask for the lock; the browser itself drops it when the page is hidden. */
  async hold() {
    this.wanted = true;
    if (this.sentinel || this.asking || !navigator.wakeLock || document.hidden) return;
    this.asking = true;
    try {
      const sentinel = await navigator.wakeLock.request("screen");
      sentinel.addEventListener("release", () => {
        if (this.sentinel === sentinel) this.sentinel = null;
      });
      this.sentinel = sentinel;
      if (!this.wanted) this.release();
    } catch {
      // Low battery or a browser's rule: the talk goes on, the screen may go dark.
    } finally {
      this.asking = false;
    }
  }

  release() {
    this.wanted = false;
    const { sentinel } = this;
    this.sentinel = null;
    sentinel?.release().catch(() => {});
  }
}
