/** Find in this session: in all of it, also where the page is not drawn. */

export class Finder {
  constructor({ part, score, onFound, onClose }) {
    Object.assign(this, { part, score, onFound, onClose });
    this.found = [];
    this.at = -1;
    part("find-open").addEventListener("click", () => this.open());
    part("find-close").addEventListener("click", () => this.close());
    part("find-before").addEventListener("click", () => this.step(-1));
    part("find").addEventListener("input", () => this.look());
    part("find").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
      if (event.key === "Enter" && event.shiftKey) event.preventDefault();
      if (event.key === "Enter" && event.shiftKey) this.step(-1);
    });
    part("finder").addEventListener("submit", (event) => {
      event.preventDefault();
      this.step(1);
    });
  }

  open() {
    this.part("finder").hidden = false;
    this.part("find").select();
    this.part("find").focus();
  }

  close() {
    this.part("finder").hidden = true;
    this.part("find-open").focus();
    this.onClose();
  }

  look() {
    this.found = this.score.find(this.part("find").value);
    this.at = -1;
    if (this.found.length) this.step(1);
    else this.tell();
  }

  step(by) {
    const { length } = this.found;
    if (!length) return this.tell();
    const isFirst = this.at < 0;
    this.at = isFirst ? 0 : (this.at + by + length) % length;
    this.onFound(this.found[this.at]);
    return this.tell();
  }

  tell() {
    const isEmpty = !this.part("find").value.trim();
    const { length } = this.found;
    const told = length ? `${this.at + 1} of ${length}` : "Nothing found";
    this.part("found").textContent = isEmpty ? "" : told;
  }
}
