/** The switch for the report: whether the minutes come by mail when it is over. */

export class Report {
  /** `button` is null where nobody is signed in, or has no address. */
  constructor({ button, api, onTrouble }) {
    Object.assign(this, { button, api, onTrouble });
  }

  async start() {
    if (!this.button) return;
    this.button.addEventListener("click", () => this.toggle());
    this.show((await this.api.subscription()).subscribed);
  }

  async toggle() {
    const wanted = this.button.getAttribute("aria-pressed") !== "true";
    this.show(wanted);
    try {
      this.show((await this.api.subscribe(wanted)).subscribed);
    } catch (error) {
      this.show(!wanted);
      this.onTrouble(`That could not be changed. ${error.message}`);
    }
  }

  show(isOn) {
    this.button.setAttribute("aria-pressed", isOn);
    this.button.hidden = false;
  }
}
