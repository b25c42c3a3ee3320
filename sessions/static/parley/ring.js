/** The last bytes of a stream, counted from its beginning. Pure. */

export class Ring {
  /** Keeps at most `capacity` bytes; its first byte is number `start` of the stream. */
  constructor(capacity, start = 0) {
    this.bytes = new Uint8Array(capacity);
    this.start = start;
    this.end = start;
  }

  /** Add bytes; the oldest give way. */
  push(bytes) {
    const capacity = this.bytes.length;
    const fresh = bytes.subarray(Math.max(0, bytes.length - capacity));
    let at = (this.end + bytes.length - fresh.length) % capacity;
    for (let done = 0; done < fresh.length; ) {
      const piece = fresh.subarray(done, done + capacity - at);
      this.bytes.set(piece, at);
      done += piece.length;
      at = (at + piece.length) % capacity;
    }
    this.end += bytes.length;
    this.start = Math.max(this.start, this.end - capacity);
  }

  /** A copy of at most `most` bytes from stream byte `from`, which must be kept. */
  read(from, most) {
    if (from < this.start || from > this.end) throw new RangeError(`byte ${from}`);
    const capacity = this.bytes.length;
    const length = Math.min(most, this.end - from);
    const copy = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = (from + done) % capacity;
      const piece = this.bytes.subarray(at, Math.min(at + length - done, capacity));
      copy.set(piece, done);
      done += piece.length;
    }
    return copy;
  }
}
