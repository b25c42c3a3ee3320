/** Notes at a time: a list beside the transcript, and marks on the timeline. */

import { position } from "../clock.js";
import { button, iconButton, made } from "./elements.js";

const BIN = "M5 6h10M8 6V4h4v2m-5.5 0 .7 10h5.6l.7-10";
const PENCIL = "M4 16l.8-3.4 8.4-8.4 2.6 2.6-8.4 8.4z";

export class Bookmarks {
  /** Elements by their part's name; `time()` is where we are. */
  constructor({ desk, part, durationMs, mayEdit, time, onSeek }) {
    Object.assign(this, { desk, part, durationMs, mayEdit, time, onSeek });
    this.notes = [];
    this.at = 0;
    part("notes-open").addEventListener("click", () => this.toggle());
    part("notes-close").addEventListener("click", () => this.hide());
    part("note-form")?.addEventListener("submit", (event) => this.submitted(event));
    part("note")?.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.hide();
    });
  }

  async load() {
    try {
      this.notes = await this.desk.get("/bookmarks");
    } catch {
      this.part("notes-open").hidden = true; // this server keeps none
      return;
    }
    this.draw();
    const isWide = matchMedia("(min-width: 64rem)").matches;
    if (this.notes.length && isWide) this.show();
  }

  get isShown() {
    return !this.part("notes").hidden;
  }

  toggle() {
    if (this.isShown) this.hide();
    else this.show();
  }

  show() {
    this.part("notes").hidden = false;
    this.part("notes-open").setAttribute("aria-expanded", "true");
    this.mark();
  }

  hide() {
    const hadFocus = this.part("notes").contains(document.activeElement);
    this.part("notes").hidden = true;
    this.part("notes-open").setAttribute("aria-expanded", "false");
    if (hadFocus) this.part("notes-open").focus();
  }

  /** Note something about now. */
  begin() {
    if (!this.mayEdit || this.part("notes-open").hidden) return;
    this.show();
    this.mark();
    this.part("note").focus();
  }

  /** The note to come is about now, until somebody begins to write it. */
  follow() {
    const field = this.part("note");
    if (field && !field.value && document.activeElement !== field) this.mark();
  }

  mark() {
    this.at = Math.round(this.time());
    if (this.mayEdit) this.part("note-at").textContent = position(this.at);
  }

  async submitted(event) {
    event.preventDefault();
    const field = this.part("note");
    const note = { at_ms: this.at, text: field.value.trim() };
    await this.attempt(async () => {
      this.notes.push(await this.desk.post("/bookmarks", note));
      field.value = "";
      this.part("notes-open").focus();
    });
  }

  async attempt(change) {
    const complaint = this.part("notes-complaint");
    complaint.textContent = "";
    try {
      await change();
      this.draw();
    } catch (error) {
      complaint.textContent = `Not saved. ${error.message}`;
    }
  }

  draw() {
    this.notes.sort((a, b) => a.at_ms - b.at_ms);
    const { length } = this.notes;
    const count = this.part("notes-count");
    count.textContent = length;
    count.hidden = !length;
    this.part("notes-none").hidden = length > 0;
    this.part("notes-list").replaceChildren(...this.notes.map((note) => this.item(note)));
    this.part("marks").replaceChildren(...this.notes.map((note) => this.tick(note)));
  }

  tick(note) {
    const mark = made("span");
    mark.title = note.text;
    mark.style.setProperty("--at", note.at_ms / Math.max(this.durationMs, 1));
    return mark;
  }

  item(note) {
    const item = made("li", "bookmark");
    const time = button(position(note.at_ms), "time", () => this.onSeek(note.at_ms));
    const text = made("p", "", note.text || "Bookmark");
    item.append(time, text);
    if (note.by) item.append(made("small", "", note.by));
    if (this.mayEdit) {
      const tools = made("div", "tools");
      tools.append(
        iconButton("Change this note", PENCIL, () => this.edit(note, item)),
        iconButton("Delete this bookmark", BIN, () => this.drop(note)),
      );
      item.append(tools);
    }
    return item;
  }

  edit(note, item) {
    const field = made("input");
    field.type = "text";
    field.maxLength = 500;
    field.value = note.text;
    field.setAttribute("aria-label", `Note at ${position(note.at_ms)}`);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.change(note, field.value.trim());
      if (event.key === "Escape") this.draw();
      if (event.key === "Escape") event.stopPropagation();
    });
    item.querySelector("p").replaceWith(field);
    field.focus();
  }

  change(note, text) {
    return this.attempt(async () => {
      Object.assign(note, await this.desk.patch(`/bookmarks/${note.id}`, { text }));
    });
  }

  drop(note) {
    return this.attempt(async () => {
      await this.desk.drop(`/bookmarks/${note.id}`);
      this.notes = this.notes.filter((one) => one !== note);
      this.part("notes-open").focus();
    });
  }
}
