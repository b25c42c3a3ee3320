/** Who is here with a microphone, and who is speaking just now. */

import { Meter } from "./levels.js";
import { face } from "./speakers.js";

const SPEAKING_MS = 2500;

export class Presence {
  constructor({ list, empty, speakers }) {
    Object.assign(this, { list, empty, speakers });
    this.people = new Map();
  }

  /** A participant event, or an item of the API's list. */
  take({ participant, id = participant, name, present }) {
    const known = this.people.get(id);
    if (!present) this.leave(id);
    else if (!known) this.enter(id, name);
    this.empty.hidden = this.people.size > 0;
  }

  /** Exactly these are here, whatever was seen before. */
  replace(participants) {
    const here = new Set(participants.filter((p) => p.present).map((p) => p.id));
    for (const id of [...this.people.keys()]) if (!here.has(id)) this.leave(id);
    for (const person of participants) this.take(person);
  }

  enter(id, name) {
    const element = document.createElement("li");
    const label = document.createElement("span");
    label.className = "name";
    label.textContent = name;
    const slot = this.speakers.slot(id, name);
    element.className = "person";
    element.dataset.slot = slot;
    const level = document.createElement("span");
    level.className = "level";
    level.setAttribute("aria-hidden", "true");
    const said = document.createElement("span");
    said.className = "said";
    said.append(label, level);
    element.append(face(name, slot), said);
    this.people.set(id, { element, timer: null, meter: new Meter(element) });
    this.list.append(element);
  }

  rename(id, name) {
    const person = this.people.get(id);
    if (!person) return;
    const slot = person.element.dataset.slot;
    person.element.querySelector(".name").textContent = name;
    person.element.querySelector(".face").replaceWith(face(name, slot));
  }

  leave(id) {
    const person = this.people.get(id);
    if (!person) return;
    clearTimeout(person.timer);
    person.meter.stop();
    person.element.remove();
    this.people.delete(id);
  }

  /** Their words are coming in: light up for a moment. */
  hear(id) {
    const person = this.people.get(id);
    if (!person) return;
    clearTimeout(person.timer);
    person.element.classList.add("speaking");
    const quiet = () => person.element.classList.remove("speaking");
    person.timer = setTimeout(quiet, SPEAKING_MS);
  }

  /** How loud they are just now: dBFS by person. */
  levels(levels) {
    for (const [id, dbfs] of Object.entries(levels)) {
      this.people.get(id)?.meter.show(dbfs);
    }
  }
}
