/** Correcting a line in its place, and what stood there before. */

import { button, made } from "./elements.js";

const LONGEST = 5000;

export class Editor {
  constructor({ desk, reader, onClose }) {
    Object.assign(this, { desk, reader, onClose });
    this.line = null;
  }

  get isOpen() {
    return this.line !== null;
  }

  open(line) {
    if (this.isOpen) return this.field.focus();
    this.line = line;
    const element = this.reader.refresh(line);
    const form = this.draw(line);
    element.classList.add("editing");
    element.querySelector(".words").replaceWith(form);
    this.fit();
    this.field.focus();
    this.field.setSelectionRange(line.text.length, line.text.length);
    return undefined;
  }

  draw(line) {
    const form = made("form", "correction");
    this.field = made("textarea");
    this.field.value = line.text;
    this.field.maxLength = LONGEST;
    this.field.rows = 1;
    this.field.setAttribute("aria-label", `What ${line.name} said`);
    this.complaint = made("p", "complaint");
    this.complaint.setAttribute("role", "alert");
    const choices = made("div", "choices");
    const save = made("button", "primary", "Save");
    const hint = made("span", "hint-keys", "Enter saves, Esc leaves it");
    choices.append(hint, button("Cancel", "quiet", () => this.close()), save);
    form.append(this.field, this.complaint, choices);
    this.field.addEventListener("input", () => this.fit());
    this.field.addEventListener("keydown", (event) => this.pressed(event));
    form.addEventListener("submit", (event) => this.submitted(event));
    return form;
  }

  fit() {
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight + 2}px`;
  }

  pressed(event) {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.close();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.save();
    }
  }

  submitted(event) {
    event.preventDefault();
    this.save();
  }

  async save() {
    const { line, field } = this;
    const text = field.value.replace(/\s+/g, " ").trim();
    if (!text) {
      this.complaint.textContent = "A line cannot be empty. Write what was said.";
      return;
    }
    if (text === line.text) {
      this.close();
      return;
    }
    field.readOnly = true;
    try {
      this.take(line, await this.desk.patch(`/utterances/${line.id}`, { text }));
      this.close();
    } catch (error) {
      field.readOnly = false;
      this.complaint.textContent = `Not saved. ${error.message}`;
    }
  }

  take(line, answer) {
    line.text = answer.text;
    line.original = answer.original;
    line.correctedBy = answer.corrected_by;
    line.timed = null;
  }

  close() {
    const { line } = this;
    this.line = null;
    const element = this.reader.refresh(line);
    this.reader.redrawTime?.();
    this.onClose(line, element);
  }

  /** Show, or hide again, who changed a line and what was heard first. */
  async history(line) {
    const index = this.reader.score.indexOf(line.id);
    const element = this.reader.elementOf(index);
    const shown = element.querySelector(".history");
    if (shown) {
      shown.remove();
      return;
    }
    const list = made("ol", "history");
    list.append(told("Heard first", line.original));
    element.append(list);
    try {
      const changes = await this.desk.get(`/utterances/${line.id}/history`);
      const corrections = changes.filter((change) => change.by);
      list.append(...corrections.map((change) => told(by(change), change.text)));
    } catch {
      const who = line.correctedBy ? `Corrected by ${line.correctedBy}` : "Corrected";
      list.append(told(who, line.text));
    }
  }
}

function by({ by: who, at }) {
  const when = at ? `, ${new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}` : "";
  return `Corrected by ${who}${when}`;
}

function told(head, text) {
  const item = made("li");
  item.append(made("small", "", head), made("q", "", text));
  return item;
}
