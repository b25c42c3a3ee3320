/**
 * Play, pause, seek: one clock for all tracks.
 *
 * The clock is that of the piece that leads: sound is never bent where it need not be.
 * The others are watched ten times a second and kept beside it. Where nobody is heard
 * the clock runs by itself; when a piece has to wait for its data, all wait.
 */

import { Piece } from "./piece.js";

const TICK_MS = 100;
const AHEAD_MS = 6000;
const FAR_MS = 30000;
const PATIENCE_MS = 150; // a shorter wait is not shown

export class Transport {
  constructor({ durationMs, pieces, master, mixer, shelf, onChange, now }) {
    Object.assign(this, { durationMs, mixer, onChange });
    this.now = now ?? (() => performance.now());
    this.pieces = pieces.map((piece) => new Piece(piece, shelf));
    this.master = master && new Piece(master, shelf);
    this.isPlaying = false;
    this.isWaiting = false;
    this.rate = 1;
    this.anchor = { ms: 0, at: this.now() };
    this.leader = null;
  }

  get hasSound() {
    return this.pieces.length > 0 || Boolean(this.master);
  }

  /** Where we are, in ms since time zero. */
  get time() {
    const { ms, at } = this.anchor;
    const passed = this.isPlaying && !this.isWaiting ? (this.now() - at) * this.rate : 0;
    return Math.min(ms + passed, this.durationMs);
  }

  setTime(ms) {
    this.anchor = { ms: Math.max(0, Math.min(ms, this.durationMs)), at: this.now() };
  }

  play() {
    if (this.isPlaying || !this.hasSound) return;
    if (this.time >= this.durationMs - 50) this.setTime(0);
    this.setTime(this.time);
    this.isPlaying = true;
    this.tick();
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.onChange();
  }

  pause() {
    if (!this.isPlaying) return;
    this.setTime(this.time);
    this.isPlaying = this.isWaiting = false;
    clearInterval(this.timer);
    for (const piece of this.all) piece.rest();
    this.leader = null;
    this.onChange();
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  seek(ms) {
    this.setTime(ms);
    this.leader = null;
    for (const piece of this.all) {
      if (piece.element && piece.covers(this.time)) piece.jump(this.time);
    }
    if (this.isPlaying) this.tick();
    else for (const piece of this.wanted(this.time)) piece.prepare(this.time);
    this.onChange();
  }

  setRate(rate) {
    this.setTime(this.time);
    this.rate = rate;
    this.onChange();
  }

  get all() {
    return this.master ? [this.master, ...this.pieces] : this.pieces;
  }

  /** Whether the tracks are played, and not the master. */
  get isMixed() {
    return !this.master || (this.pieces.length > 0 && !this.mixer.isPlain);
  }

  /** The pieces that are to be heard at a time. */
  wanted(ms) {
    const sources = this.isMixed ? this.pieces : [this.master];
    return sources.filter((piece) => piece.covers(ms) && !piece.isLost);
  }

  tick() {
    const time = this.time;
    if (time >= this.durationMs) return this.pause();
    const wanted = this.wanted(time);
    this.makeReady(time, wanted);
    this.waitFor(wanted);
    if (this.isWaiting) return this.hold(wanted);
    return this.keepTogether(wanted);
  }

  makeReady(time, wanted) {
    for (const piece of this.wanted(time + AHEAD_MS)) piece.prepare(time);
    for (const piece of this.all) {
      if (wanted.includes(piece)) piece.prepare(time);
      else piece.rest();
      const isFar = time < piece.start - FAR_MS || time > piece.end + FAR_MS;
      if (isFar) piece.release();
    }
  }

  waitFor(wanted) {
    const isLate = wanted.some((piece) => !piece.isReady);
    if (isLate === this.isWaiting) return;
    const time = this.time;
    this.isWaiting = isLate;
    this.setTime(time);
    if (isLate) this.waitedFrom = this.now();
    else this.leader = null;
    this.onChange();
  }

  /** One alone is left to play as soon as it can: some browsers load nothing before. */
  hold(wanted) {
    if (wanted.length > 1) for (const piece of wanted) piece.rest();
    else wanted[0].lead(this.how(wanted[0]));
  }

  how(piece) {
    const volume = piece === this.master ? 1 : this.mixer.gain(piece.participant);
    return { rate: this.rate, volume };
  }

  get isVisiblyWaiting() {
    return this.isWaiting && this.now() - this.waitedFrom > PATIENCE_MS;
  }

  keepTogether(wanted) {
    if (!wanted.includes(this.leader)) this.leader = null;
    if (!this.leader) this.leader = this.newLeader(wanted);
    if (this.leader?.isSounding) this.setTime(this.leader.at);
    const time = this.time;
    for (const piece of wanted) {
      if (piece === this.leader) piece.lead(this.how(piece));
      else piece.follow(time, this.how(piece));
    }
  }

  /** The one that is nearest to where we are; it is put there exactly, if it is not. */
  newLeader(wanted) {
    const off = (piece) => Math.abs(piece.at - this.time);
    const [nearest] = [...wanted].sort((a, b) => off(a) - off(b));
    if (nearest && off(nearest) > 60 && !nearest.isSounding) nearest.jump(this.time);
    return nearest && off(nearest) < 1000 ? nearest : null;
  }

  /** How far each sounding piece is from the clock, in ms: for those who look. */
  drifts() {
    const sounding = this.wanted(this.time).filter((piece) => piece.isSounding);
    return sounding.map((piece) => piece.at - sounding[0].at);
  }

  /** Somebody is somebody else by now. */
  reassign(from, into) {
    for (const piece of this.pieces) {
      if (piece.participant === from) piece.participant = into;
    }
  }
}
