/** The voices on one timeline: a head and a waveform each, and where we are. */

import WaveSurfer from "../../wavesurfer/wavesurfer.esm.js";
import { position } from "../clock.js";
import { face } from "../speakers.js";
import { button, made } from "./elements.js";

const HEIGHT = 34;
const POINTS = 2000;
const MARKS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200]; // seconds
const MARKS_MOST = 8;

export class Lanes {
  /** `people`: [{id, name}]; `menu(person)` gives the rest of a head, or null. */
  constructor({ section, list, ruler, head, durationMs, nonce, mixer, onSeek, menu }) {
    Object.assign(this, { section, list, ruler, head, durationMs, nonce });
    Object.assign(this, { mixer, onSeek, menu });
    this.lanes = new Map();
    this.waves = [];
    new ResizeObserver(() => this.measure()).observe(list);
    this.drawRuler();
  }

  /** `heights(id)` gives the points of somebody's waveform; `slots` their colours. */
  draw(people, { heights, slots, spoken, canMix }) {
    for (const wave of this.waves) wave.destroy();
    this.waves = [];
    this.lanes.clear();
    this.list.replaceChildren();
    this.section.hidden = !people.length;
    const total = [...spoken.values()].reduce((sum, ms) => sum + ms, 0) || 1;
    for (const person of people) {
      const ms = spoken.get(person.id) ?? 0;
      const told = `${position(ms)} · ${Math.round((100 * ms) / total)} %`;
      this.addLane(person, { slot: slots(person), told, points: heights(person.id), canMix });
    }
    this.showMix();
    this.measure();
  }

  addLane(person, { slot, told, points, canMix }) {
    const lane = made("div", "lane");
    lane.dataset.slot = slot;
    const wave = made("div", "wave");
    lane.append(this.drawHead(person, slot, told, canMix), wave);
    this.list.append(lane);
    this.lanes.set(person.id, lane);
    this.drawWave(wave, points);
  }

  drawHead(person, slot, told, canMix) {
    const head = made("div", "head");
    const who = made("div", "who-is");
    who.append(made("span", "name", person.name), made("small", "", told));
    head.append(face(person.name, slot), who);
    if (canMix) head.append(this.mixing(person));
    const menu = this.menu(person, canMix);
    if (menu) head.append(menu);
    return head;
  }

  mixing(person) {
    const group = made("div", "mix");
    const mute = button("M", "toggle mute", () => this.change(() => this.mixer.mute(person.id)));
    const solo = button("S", "toggle solo", () => this.change(() => this.mixer.solo(person.id)));
    mute.setAttribute("aria-label", `Mute ${person.name}`);
    solo.setAttribute("aria-label", `Hear only ${person.name}`);
    [mute.title, solo.title] = ["Mute", "Solo"];
    group.append(mute, solo);
    return group;
  }

  change(how) {
    how();
    this.showMix();
  }

  showMix() {
    for (const [id, lane] of this.lanes) {
      lane.querySelector(".mute")?.setAttribute("aria-pressed", this.mixer.muted.has(id));
      lane.querySelector(".solo")?.setAttribute("aria-pressed", this.mixer.soloed.has(id));
      lane.classList.toggle("unheard", this.mixer.gain(id) === 0);
    }
  }

  /** Of points that are known: nothing is fetched, nothing decoded. */
  drawWave(container, points) {
    const colours = getComputedStyle(container);
    const wave = WaveSurfer.create({
      container,
      cspNonce: this.nonce,
      height: HEIGHT,
      peaks: [shaped(points)],
      duration: Math.max(this.durationMs, 1) / 1000,
      waveColor: colours.getPropertyValue("--wave-ahead").trim() || "#999",
      progressColor: colours.getPropertyValue("--wave-behind").trim() || "#333",
      cursorWidth: 0,
      barWidth: 2,
      barGap: 1,
      barRadius: 2,
      barMinHeight: 1,
      hideScrollbar: true,
      dragToSeek: false,
    });
    wave.on("interaction", (seconds) => this.onSeek(seconds * 1000));
    this.waves.push(wave);
  }

  /** Colours come from the style sheet: they change with dark and light. */
  recolour() {
    [...this.lanes.values()].forEach((lane, i) => {
      const colours = getComputedStyle(lane.querySelector(".wave"));
      this.waves[i].setOptions({
        waveColor: colours.getPropertyValue("--wave-ahead").trim(),
        progressColor: colours.getPropertyValue("--wave-behind").trim(),
      });
    });
  }

  measure() {
    const wave = this.list.querySelector(".wave");
    if (!wave) return;
    const [inner, outer] = [wave.getBoundingClientRect(), this.section.getBoundingClientRect()];
    this.section.style.setProperty("--wave-left", `${inner.left - outer.left}px`);
    this.section.style.setProperty("--wave-width", `${inner.width}px`);
  }

  drawRuler() {
    const seconds = this.durationMs / 1000;
    const step = MARKS.find((one) => seconds / one <= MARKS_MOST) ?? 14400;
    for (let at = 0; at < seconds - step / 3; at += step) {
      const mark = made("span", "", position(at * 1000));
      mark.style.setProperty("--at", at / seconds);
      this.ruler.append(mark);
    }
  }

  show(ms) {
    const share = this.durationMs ? ms / this.durationMs : 0;
    this.head.style.setProperty("--at", share);
    for (const wave of this.waves) wave.setTime(ms / 1000);
  }

  speaking(ids) {
    for (const [id, lane] of this.lanes) lane.classList.toggle("speaking", ids.has(id));
  }
}

export { POINTS };

/** Loudness as ears take it: quiet voices are seen, too. */
function shaped(points) {
  const most = Math.max(...points, 24);
  return Float32Array.from(points, (point) => (point / most) ** 0.7);
}
