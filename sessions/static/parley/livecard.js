/** One card of a live session: draws what it is told, and keeps its element. */

import { position } from "./clock.js";
import { Meter } from "./levels.js";
import { face } from "./speakers.js";

const SOURCES = { discord: "Discord", browser: "Browser", phone: "Phone" };

export class LiveCard {
  constructor(element) {
    this.element = element;
    this.meters = new Map();
    this.adopt();
  }

  part(name) {
    return this.element.querySelector(`[data-part="${name}"]`);
  }

  /** People the server has drawn already. */
  adopt() {
    for (const person of this.element.querySelectorAll("[data-person]")) {
      this.meters.set(person.dataset.person, new Meter(person));
    }
  }

  show(card) {
    const { element } = this;
    element.dataset.session = card.id;
    element.dataset.started = card.started_at;
    const title = this.part("title");
    title.href = `/session/${card.id}`;
    title.textContent = card.title || "Untitled session";
    this.part("icon").dataset.source = card.source;
    this.part("source").textContent = SOURCES[card.source] ?? card.source;
    this.part("readers").textContent = card.readers
      ? `${card.readers} reading along`
      : "";
    this.part("ending").hidden = !card.is_ending;
    this.line = card.line;
    this.people(card);
    this.say(null);
  }

  people({ people, more_people: more }) {
    const list = this.part("people");
    this.part("alone").hidden = people.length > 0;
    for (const meter of this.meters.values()) meter.stop();
    const known = new Map();
    for (const item of list.children) known.set(item.dataset.person, item);
    const items = people.map((one) => known.get(one.id) ?? person(one));
    if (more) items.push(others(more));
    list.replaceChildren(...items);
    const meter = ({ id }, at) => [id, this.meters.get(id) ?? new Meter(items[at])];
    this.meters = new Map(people.map(meter));
  }

  /** What is true for this moment: levels by person, and words still being said. */
  pass({ levels, saying }) {
    for (const [id, dbfs] of Object.entries(levels)) this.meters.get(id)?.show(dbfs);
    this.say(saying);
  }

  say(saying) {
    const line = saying ?? this.line;
    const last = this.part("last");
    last.hidden = !line;
    last.classList.toggle("provisional", Boolean(saying));
    if (!line) return;
    this.part("last-name").textContent = line.name;
    this.part("last-text").textContent = line.text;
  }

  tick(now) {
    const { started } = this.element.dataset;
    if (!started) return;
    this.part("elapsed").textContent = position(now - Date.parse(started));
  }
}

function person({ id, name, slot }) {
  const item = document.createElement("li");
  item.dataset.person = id;
  item.dataset.slot = slot;
  const label = document.createElement("span");
  label.className = "name";
  label.textContent = name;
  const level = document.createElement("span");
  level.className = "level";
  level.setAttribute("aria-hidden", "true");
  item.append(face(name, slot), label, level);
  return item;
}

function others(more) {
  const item = document.createElement("li");
  item.className = "others";
  item.textContent = `+${more}`;
  return item;
}
