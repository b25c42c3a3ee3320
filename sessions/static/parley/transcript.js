/**
 * The transcript on the page. Changes are drawn once per animation frame, so that a
 * replay of thousands of lines costs one layout.
 */

import { position } from "./clock.js";
import { Lines } from "./lines.js";
import { fillNote } from "./notes.js";
import { face } from "./speakers.js";
import { Tones } from "./tones.js";

const TOGETHER_MS = 20000; // lines of one speaker this close share a heading
const PINNED_PX = 80;
const PARTIAL_MS = 30000; // a provisional line nobody renews is taken away
const SPOKEN_MOST = 3; // lines read out at once

export class Transcript {
  /** Elements: `scroller` holds `list` (ol); `empty`, `jump`, `live` stand beside. */
  constructor({ scroller, list, empty, jump, live, speakers, now = () => Date.now() }) {
    Object.assign(this, { scroller, list, empty, jump, live, speakers, now });
    this.lines = new Lines();
    this.tones = new Tones();
    this.elements = new Map();
    this.changed = new Set();
    this.pinned = true;
    this.unseen = 0;
    this.readOut = false; // history is not read aloud, only what comes
    this.spoken = [];
    this.wanted = null;
    this.held = null; // a line kept in view until the reader moves: others come around it
    for (const move of ["wheel", "touchmove", "pointerdown", "keydown"]) {
      scroller.addEventListener(move, () => (this.held = null), { passive: true });
    }
    scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    jump.addEventListener("click", () => this.jumpToLive());
    new ResizeObserver(() => this.settle()).observe(list);
    new ResizeObserver(() => this.settle()).observe(scroller);
    setInterval(() => this.clearStale(), 5000);
  }

  /** An utterance or a partial. */
  say(event) {
    const line = this.lines.take(event, this.now());
    if (!line) return;
    if (line.final && !line.text.trim()) this.forget(line);
    else this.touch(line);
    if (line.final && this.readOut) this.spoken.push(`${line.name}: ${line.text}`);
  }

  /** Somebody is there of whom nothing is taken: said in their place. */
  unrecorded({ participant, name, at_ms }) {
    const id = `unrecorded-${participant}`;
    const at = { start_ms: at_ms, end_ms: at_ms };
    this.say({ type: "utterance", id, participant, name, text: "(not recorded)", ...at });
  }

  /** Show nothing any more: what is left is told anew. */
  clear() {
    for (const line of [...this.lines.sorted]) this.forget(line);
    this.changed.clear();
    this.spoken = [];
    this.unseen = 0;
    this.empty.hidden = false;
  }

  tone(event) {
    this.tones.take(event);
    const { participant, start_ms, end_ms } = event;
    for (const line of this.lines.over(participant, start_ms, end_ms)) this.touch(line);
  }

  note(event) {
    this.touch(this.lines.note(event, this.now()));
  }

  noteGone({ id }) {
    const line = this.lines.byId.get(id);
    if (line) this.forget(line);
    this.empty.hidden = this.lines.sorted.length > 0;
  }

  /** Somebody has another name, or is somebody else. */
  give(participant, shown) {
    for (const line of this.lines.give(participant, shown)) this.touch(line);
  }

  touch(line) {
    this.changed.add(line);
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  /** From the last changed line to the first: what follows a line stands already. */
  draw() {
    this.frame = null;
    const { sorted } = this.lines;
    let left = [...this.changed].filter((line) => this.lines.has(line)).length;
    let added = 0;
    for (let i = sorted.length - 1; left > 0; i -= 1) {
      if (!this.changed.has(sorted[i])) continue;
      added += this.drawLine(i);
      left -= 1;
    }
    this.changed.clear();
    this.empty.hidden = sorted.length > 0;
    if (!this.pinned) this.unseen += added;
    this.settle();
    this.showWanted();
    this.speak();
  }

  /** Show this line, as soon as it is here: whoever came by a link to it. */
  goTo(id) {
    this.wanted = id;
    this.showWanted();
  }

  showWanted() {
    const element = this.elements.get(this.wanted);
    if (!element) return;
    this.wanted = null;
    this.pinned = false;
    this.held = element;
    for (const other of this.list.querySelectorAll(".sought")) {
      other.classList.remove("sought");
    }
    this.sought = element;
    element.classList.add("sought");
    element.scrollIntoView({ block: "center" });
    this.showJump();
  }

  /** Draw the line at `index`; 1 when it is new on the page, else 0. */
  drawLine(index) {
    const line = this.lines.sorted[index];
    const next = this.elements.get(this.lines.sorted[index + 1]?.id) ?? null;
    const known = this.elements.get(line.id);
    const element = known ?? document.createElement("li");
    if (!known || element.nextElementSibling !== next) {
      this.list.insertBefore(element, next);
    }
    this.elements.set(line.id, element);
    this.fill(element, line);
    this.join(index);
    this.join(index + 1);
    return known ? 0 : 1;
  }

  fill(element, line) {
    if (line.note) {
      fillNote(element, line);
      return;
    }
    const slot = this.speakers.slot(line.participant, line.name);
    const words = document.createElement("p");
    words.className = "words";
    const firm = line.text.slice(0, line.stable);
    const tail = line.text.slice(line.stable);
    if (firm) words.append(span("firm", firm));
    if (tail) words.append(span("tail", tail));
    const tone = this.tones.of(line.participant, line.start, line.end);
    if (tone) words.append(" ", toneLabel(tone));
    element.className = line.final ? "line" : "line partial";
    element.classList.toggle("sought", element === this.sought);
    element.dataset.slot = slot;
    element.replaceChildren(face(line.name, slot), this.heading(line), words);
  }

  heading(line) {
    const heading = document.createElement("div");
    heading.className = "who";
    const time = document.createElement("time");
    time.textContent = position(line.start);
    heading.append(span("name", line.name), time);
    return heading;
  }

  /** Lines of one speaker in a row are one paragraph under one name. */
  join(index) {
    const [before, line] = [this.lines.sorted[index - 1], this.lines.sorted[index]];
    const together =
      before?.participant === line?.participant &&
      line?.start - before?.end < TOGETHER_MS;
    this.elements.get(line?.id)?.classList.toggle("follows", together);
  }

  forget(line) {
    const index = this.lines.remove(line);
    this.elements.get(line.id)?.remove();
    this.elements.delete(line.id);
    this.join(index);
  }

  clearStale() {
    for (const line of this.lines.stale(this.now() - PARTIAL_MS)) this.forget(line);
    this.empty.hidden = this.lines.sorted.length > 0;
  }

  scrolled() {
    if (this.held) return;
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.pinned = scrollHeight - clientHeight - scrollTop < PINNED_PX;
    if (this.pinned) this.unseen = 0;
    this.showJump();
  }

  jumpToLive() {
    this.held = null;
    this.pinned = true;
    this.unseen = 0;
    this.settle();
    this.scroller.focus({ preventScroll: true });
  }

  settle() {
    if (this.held) this.held.scrollIntoView({ block: "center" });
    else if (this.pinned) this.scroller.scrollTop = this.scroller.scrollHeight;
    this.showJump();
  }

  showJump() {
    this.jump.hidden = this.pinned;
    const lines = this.unseen === 1 ? "1 new line" : `${this.unseen} new lines`;
    this.jump.textContent = this.unseen ? `Jump to live · ${lines}` : "Jump to live";
  }

  /** Tell a screen reader; of a burst only the newest lines. */
  speak() {
    if (!this.spoken.length) return;
    for (const text of this.spoken.slice(-SPOKEN_MOST)) {
      const line = document.createElement("p");
      line.textContent = text;
      this.live.append(line);
    }
    while (this.live.childElementCount > 2 * SPOKEN_MOST) this.live.firstChild.remove();
    this.spoken = [];
  }
}

function span(className, text) {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text;
  return element;
}

function toneLabel({ label, mock }) {
  const element = span("tone", label);
  element.title = mock ? "How it sounded (made up: no classifier)" : "How it sounded";
  if (mock) element.classList.add("mock");
  return element;
}
