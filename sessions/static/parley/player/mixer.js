/**
 * Who is heard, and how loud. Pure.
 *
 * While everybody is heard as they are, the master is played alone: one file to fetch
 * and to decode however many spoke, nothing that could drift apart, and its loudness is
 * even. As soon as somebody is muted, soloed or turned down, the tracks take over at
 * the same moment.
 */

export class Mixer {
  constructor({ onChange = () => {} } = {}) {
    this.onChange = onChange;
    this.muted = new Set();
    this.soloed = new Set();
    this.volumes = new Map();
  }

  mute(id) {
    toggle(this.muted, id);
    this.onChange();
  }

  solo(id) {
    toggle(this.soloed, id);
    this.onChange();
  }

  /** 0..1 */
  turn(id, volume) {
    this.volumes.set(id, volume);
    this.onChange();
  }

  volumeOf(id) {
    return this.volumes.get(id) ?? 1;
  }

  /** What is heard of somebody, 0..1. */
  gain(id) {
    const isLeftOut = this.soloed.size ? !this.soloed.has(id) : this.muted.has(id);
    return isLeftOut ? 0 : this.volumeOf(id);
  }

  get isPlain() {
    const isEven = [...this.volumes.values()].every((volume) => volume === 1);
    return !this.muted.size && !this.soloed.size && isEven;
  }

  /** Forget somebody who is somebody else by now. */
  forget(id) {
    for (const known of [this.muted, this.soloed, this.volumes]) known.delete(id);
    this.onChange();
  }
}

function toggle(set, id) {
  if (!set.delete(id)) set.add(id);
}
