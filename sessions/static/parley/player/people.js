/** The menu of a voice: how loud it is, what it is called, and who it really is. */

import { button, drawing, made } from "./elements.js";

const DOTS = "M4.5 10h.01M10 10h.01M15.5 10h.01";

export class People {
  /** `voices`: [{id, name}]; `onRename(person)` and `onMerge(from, into)` redraw. */
  constructor({ desk, part, voices, mixer, mayEdit, onRename, onMerge }) {
    Object.assign(this, { desk, part, voices, mixer, mayEdit, onRename, onMerge });
    this.person = null;
    if (!mayEdit) return;
    part("person-form").addEventListener("submit", (event) => this.submitted(event));
    part("person-cancel").addEventListener("click", () => part("person").close());
  }

  /** What stands behind the three dots; null where there would be nothing. */
  menu(person, canMix) {
    if (!this.mayEdit && !canMix) return null;
    const menu = made("details", "menu person-menu");
    const summary = made("summary", "button quiet icon");
    summary.setAttribute("aria-label", `More about ${person.name}`);
    summary.append(drawing(DOTS));
    const list = made("ul");
    if (canMix) list.append(this.volume(person));
    if (this.mayEdit) list.append(...this.choices(person));
    menu.append(summary, list);
    return menu;
  }

  volume(person) {
    const item = made("li", "volume");
    const label = made("label", "", "Volume");
    const slider = made("input");
    Object.assign(slider, { type: "range", min: 0, max: 100, step: 5 });
    slider.value = Math.round(this.mixer.volumeOf(person.id) * 100);
    slider.setAttribute("aria-label", `Volume of ${person.name}`);
    slider.addEventListener("input", () => this.mixer.turn(person.id, slider.value / 100));
    item.append(label, slider);
    item.addEventListener("click", (event) => event.stopPropagation());
    return item;
  }

  choices(person) {
    const rename = button("Rename…", "", () => this.ask(person, "rename"));
    const merge = button("Same person as…", "", () => this.ask(person, "merge"));
    merge.disabled = this.voices.length < 2;
    return [rename, merge].map((choice) => {
      const item = made("li");
      item.append(choice);
      return item;
    });
  }

  ask(person, what) {
    Object.assign(this, { person, what });
    const { part } = this;
    part("person-complaint").textContent = "";
    part("rename-field").hidden = what !== "rename";
    part("merge-field").hidden = what !== "merge";
    part("person-title").textContent = what === "rename" ? "Rename" : `Who is ${person.name}?`;
    part("person-save").textContent = what === "rename" ? "Save" : "Merge";
    part("person-name").value = person.name;
    const others = this.voices.filter((one) => one.id !== person.id);
    part("person-into").replaceChildren(...others.map(({ id, name }) => new Option(name, id)));
    part("person").showModal();
    if (what === "rename") part("person-name").select();
  }

  async submitted(event) {
    event.preventDefault();
    try {
      if (this.what === "rename") await this.rename();
      else await this.merge();
      this.part("person").close();
    } catch (error) {
      this.part("person-complaint").textContent = `Not saved. ${error.message}`;
    }
  }

  async rename() {
    const name = this.part("person-name").value.trim();
    if (!name) throw new Error("A name cannot be empty.");
    const answer = await this.desk.patch(`/participants/${this.person.id}`, { name });
    this.person.name = answer.name ?? name;
    this.onRename(this.person);
  }

  async merge() {
    const into = this.part("person-into").value;
    await this.desk.post(`/participants/${this.person.id}/merge`, { into });
    this.onMerge(this.person, this.voices.find((one) => one.id === into));
  }
}
