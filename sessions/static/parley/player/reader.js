/**
 * The transcript of hours: in blocks of some dozen lines. A block is filled when it comes
 * near and emptied when it is far, so that a page holds a few hundred lines at most.
 */

import { position } from "../clock.js";
import { face } from "../speakers.js";
import { button, iconButton, made } from "./elements.js";
import { current, timed } from "./words.js";

const PER_BLOCK = 40;
const NEAR = "1500px 0px";
const TOGETHER_MS = 20000; // lines of one speaker this close share a heading
const PENCIL = "M4 16l.8-3.4 8.4-8.4 2.6 2.6-8.4 8.4z";

export class Reader {
  /** `slots(line)` gives a colour; what a reader does goes to `on.seek`, `on.edit`,
   * `on.history` and `on.away`. */
  constructor({ scroller, list, empty, score, slots, mayEdit, on }) {
    Object.assign(this, { scroller, list, empty, score, slots, mayEdit, on });
    this.blocks = [];
    this.heights = new Map();
    this.filled = new Set();
    this.lit = new Map();
    this.sought = null;
    this.watch = new IntersectionObserver((seen) => this.look(seen), {
      root: scroller,
      rootMargin: NEAR,
    });
    this.listen();
  }

  listen() {
    this.list.addEventListener("click", (event) => this.clicked(event));
    this.list.addEventListener("dblclick", (event) => this.asked(event));
    const leave = () => this.on.away();
    for (const kind of ["wheel", "touchmove"]) {
      this.scroller.addEventListener(kind, leave, { passive: true });
    }
    this.scroller.addEventListener("pointerdown", (event) => {
      if (event.target === this.scroller) leave(); // the scroll bar
    });
    let width = this.scroller.clientWidth;
    new ResizeObserver(() => {
      if (this.scroller.clientWidth === width) return;
      width = this.scroller.clientWidth;
      this.heights.clear();
    }).observe(this.scroller);
  }

  /** More lines stand in the score: make room for them. */
  grow() {
    const { lines } = this.score;
    this.empty.hidden = lines.length > 0;
    const last = this.blocks.length - 1;
    if (last >= 0 && this.filled.has(last)) this.fill(last);
    while (this.blocks.length * PER_BLOCK < lines.length) {
      const block = made("ol", "lines block");
      block.dataset.block = this.blocks.length;
      this.blocks.push(block);
      this.list.append(block);
      this.watch.observe(block);
    }
    for (let i = Math.max(last, 0); i < this.blocks.length; i += 1) this.size(i);
  }

  /** Everything anew, where it stands. */
  redraw() {
    for (const number of this.filled) {
      if (!this.blocks[number].querySelector("textarea")) this.fill(number);
    }
  }

  size(number) {
    if (this.filled.has(number)) return;
    const known = this.heights.get(number) ?? this.guess(number);
    this.blocks[number].style.height = `${known}px`;
  }

  guess(number) {
    const { lines } = this.score;
    const perRow = Math.max(20, Math.min(this.scroller.clientWidth, 736) / 8.6);
    let height = 0;
    for (let i = number * PER_BLOCK; i < this.endOf(number); i += 1) {
      const rows = Math.ceil(lines[i].text.length / perRow);
      height += 27.2 * rows + (this.follows(i) ? 3 : 42);
    }
    return height;
  }

  endOf(number) {
    return Math.min((number + 1) * PER_BLOCK, this.score.lines.length);
  }

  look(seen) {
    for (const { target, isIntersecting } of seen) {
      const number = Number(target.dataset.block);
      if (isIntersecting) this.fill(number);
      else this.clear(number);
    }
  }

  fill(number) {
    const block = this.blocks[number];
    const drawn = [];
    for (let i = number * PER_BLOCK; i < this.endOf(number); i += 1) drawn.push(this.line(i));
    block.replaceChildren(...drawn);
    block.style.height = "";
    this.filled.add(number);
    for (const index of this.lit.keys()) this.lit.set(index, -2); // drawn anew
  }

  clear(number) {
    const block = this.blocks[number];
    if (!this.filled.has(number) || block.querySelector("textarea")) return;
    this.heights.set(number, block.getBoundingClientRect().height);
    block.replaceChildren();
    this.filled.delete(number);
    this.size(number);
  }

  follows(index) {
    const [before, line] = [this.score.lines[index - 1], this.score.lines[index]];
    const isSame = before?.participant === line.participant;
    return isSame && line.start_ms - before.end_ms < TOGETHER_MS;
  }

  line(index) {
    const line = this.score.lines[index];
    const element = made("li", "line");
    const slot = this.slots(line);
    element.id = `u-${line.id}`;
    element.dataset.slot = slot;
    element.dataset.index = index;
    element.classList.toggle("follows", this.follows(index));
    element.classList.toggle("sought", index === this.sought);
    element.append(face(line.name, slot), this.heading(line), this.words(line));
    if (this.mayEdit) element.append(this.tools(line));
    return element;
  }

  heading(line) {
    const heading = made("div", "who");
    const time = button(position(line.start_ms), "time", () => this.on.seek(line.start_ms));
    time.title = "Play from here";
    heading.append(made("span", "name", line.name), time);
    return heading;
  }

  words(line) {
    const words = made("p", "words");
    line.timed ??= timed(line);
    line.timed.forEach((word, i) => {
      const element = made("span", "w", word.text);
      element.dataset.w = i;
      words.append(element, " ");
    });
    if (line.tone) words.append(toneLabel(line.tone));
    if (line.original != null) {
      const mark = button("Corrected", "corrected", () => this.on.history(line));
      mark.title = "Show what was heard first";
      words.append(mark);
    }
    return words;
  }

  tools(line) {
    const tools = made("div", "tools");
    const edit = iconButton("Correct this line", PENCIL, () => this.on.edit(line));
    tools.append(edit);
    return tools;
  }

  // --- what people do ---------------------------------------------------------------

  clicked(event) {
    const word = event.target.closest(".w");
    if (!word || !getSelection().isCollapsed) return;
    const line = this.lineOf(word);
    this.on.seek(line.timed[word.dataset.w].start);
  }

  asked(event) {
    if (!this.mayEdit || !event.target.closest(".words")) return;
    getSelection().removeAllRanges();
    this.on.edit(this.lineOf(event.target));
  }

  lineOf(element) {
    return this.score.lines[element.closest(".line").dataset.index];
  }

  /** The element of a line; its block is filled for it. */
  elementOf(index) {
    const number = Math.floor(index / PER_BLOCK);
    if (!this.blocks[number]) return null;
    if (!this.filled.has(number)) this.fill(number);
    return this.blocks[number].children[index % PER_BLOCK];
  }

  /** Draw one line again. */
  refresh(line) {
    const index = this.score.indexOf(line.id);
    this.lit.delete(index);
    this.elementOf(index)?.replaceWith(this.line(index));
    return this.elementOf(index);
  }

  /** Bring a line to where it is read well. */
  bring(index, { smooth = true, block = "center" } = {}) {
    const element = this.elementOf(index);
    if (!element) return;
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const view = this.scroller.getBoundingClientRect();
    const isFar = Math.abs(element.getBoundingClientRect().top - view.top) > 2 * view.height;
    const behavior = smooth && !isCalm && !isFar ? "smooth" : "instant";
    element.scrollIntoView({ block, behavior });
    if (isFar) requestAnimationFrame(() => element.scrollIntoView({ block }));
  }

  isInView(index) {
    const element = this.filled.has(Math.floor(index / PER_BLOCK)) && this.elementOf(index);
    if (!element) return false;
    const [line, view] = [element.getBoundingClientRect(), this.scroller.getBoundingClientRect()];
    return line.bottom > view.top + 20 && line.top < view.bottom - 40;
  }

  /** Mark the line somebody came for; null: none any more. */
  seek(index) {
    const before = this.sought;
    this.sought = index;
    if (before !== null) this.lineAt(before)?.classList.remove("sought");
    if (index !== null) this.elementOf(index)?.classList.add("sought");
  }

  lineAt(index) {
    const isThere = this.filled.has(Math.floor(index / PER_BLOCK));
    return isThere ? this.elementOf(index) : null;
  }

  /** Light up what is being said at `ms`: the lines, and in them the words. */
  light(ms) {
    const now = new Set(this.score.saidAt(ms));
    for (const index of [...this.lit.keys()]) {
      if (now.has(index)) continue;
      this.dim(this.lineAt(index));
      this.lit.delete(index);
    }
    for (const index of now) this.lightWord(index, ms);
  }

  lightWord(index, ms) {
    const line = this.score.lines[index];
    line.timed ??= timed(line);
    const isOver = ms > line.end_ms + 400;
    const word = isOver ? line.timed.length : current(line.timed, ms);
    if (this.lit.get(index) === word) return;
    this.lit.set(index, word);
    const element = this.lineAt(index);
    if (!element) return;
    element.classList.add("now");
    for (const one of element.querySelectorAll(".w")) {
      const i = Number(one.dataset.w);
      one.classList.toggle("past", i < word);
      one.classList.toggle("saying", i === word);
    }
  }

  dim(element) {
    element?.classList.remove("now");
    for (const word of element?.querySelectorAll(".past, .saying") ?? []) {
      word.classList.remove("past", "saying");
    }
  }
}

function toneLabel({ label, mock }) {
  const element = made("span", mock ? "tone mock" : "tone", label);
  element.title = mock ? "How it sounded (made up: no classifier)" : "How it sounded";
  return element;
}
