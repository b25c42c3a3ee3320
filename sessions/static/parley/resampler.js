/**
 * Sample rate conversion by a windowed-sinc filter, block after block without a seam.
 *
 * Pure: no audio API, no clock. The passband ends at 7/8 of the lower rate's half, the
 * stop band begins at that half and lies 70 dB down, so nothing folds back audibly.
 */

const STOP_BAND_DB = 70;
const PASS_EDGE = 7 / 8;

export class Resampler {
  /** `from` and `to` are whole sample rates in Hz. */
  constructor(from, to) {
    const common = greatestCommonDivisor(from, to);
    // Output n stands at input position n * down / up.
    this.up = to / common;
    this.down = from / common;
    this.half = from === to ? 1 : halfLength(from, to);
    this.phases = filterBank(from, to, this.up, this.half);
    this.kept = new Float32Array(2 * this.half + 4096);
    this.keptFrom = 1 - this.half; // input index of kept[0]: zeros before the start
    this.keptLength = this.half - 1;
    this.received = 0;
    this.made = 0;
  }

  /** Take input samples and hand each output sample to `give`. */
  push(block, give) {
    this.received += block.length;
    this.keep(block);
    this.make(give, this.received - this.half);
  }

  /** The input has ended: give what the filter still holds. Then as many samples have
   * come out as the input lasted, to the sample. */
  flush(give) {
    this.keep(new Float32Array(this.half));
    this.make(give, this.received);
  }

  /** Make every output whose position lies below input index `limit`. */
  make(give, limit) {
    for (;;) {
      const scaled = this.made * this.down;
      const whole = Math.floor(scaled / this.up);
      if (whole >= limit) break;
      const taps = this.phases[scaled % this.up];
      const first = whole + 1 - this.half - this.keptFrom;
      let sum = 0;
      for (let k = 0; k < taps.length; k += 1) sum += taps[k] * this.kept[first + k];
      give(sum);
      this.made += 1;
    }
  }

  keep(block) {
    const whole = Math.floor((this.made * this.down) / this.up);
    const spent = Math.min(whole + 1 - this.half - this.keptFrom, this.keptLength);
    if (spent > 0) {
      this.kept.copyWithin(0, spent, this.keptLength);
      this.keptFrom += spent;
      this.keptLength -= spent;
    }
    if (this.keptLength + block.length > this.kept.length) {
      const larger = new Float32Array(2 * (this.keptLength + block.length));
      larger.set(this.kept.subarray(0, this.keptLength));
      this.kept = larger;
    }
    this.kept.set(block, this.keptLength);
    this.keptLength += block.length;
  }
}

function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Half the filter's length in input samples (Kaiser's estimate). */
function halfLength(from, to) {
  const transition = ((1 - PASS_EDGE) * Math.min(from, to)) / 2 / from;
  return Math.ceil((STOP_BAND_DB - 7.95) / (14.36 * transition) / 2);
}

/** For each of the `up` fractions of an input sample, the 2 * half taps. */
function filterBank(from, to, up, half) {
  if (from === to) return [Float32Array.of(1, 0)];
  const cutoff = (((1 + PASS_EDGE) / 2) * Math.min(from, to)) / 2 / from;
  return Array.from({ length: up }, (_, phase) => {
    const taps = new Float64Array(2 * half);
    for (let k = 0; k < taps.length; k += 1) {
      const distance = k + 1 - half - phase / up;
      taps[k] = sinc(2 * cutoff * distance) * kaiser(distance / half);
    }
    const gain = taps.reduce((sum, tap) => sum + tap, 0);
    return Float32Array.from(taps, (tap) => tap / gain);
  });
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

const BETA = 0.1102 * (STOP_BAND_DB - 8.7);

function kaiser(x) {
  if (Math.abs(x) >= 1) return 0;
  return bessel(BETA * Math.sqrt(1 - x * x)) / bessel(BETA);
}

/** The modified Bessel function of the first kind, order zero, by its series. */
function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > 1e-12 * sum; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
