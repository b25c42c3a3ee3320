/** Links for others, read-only, until they expire or are revoked. */

import { copyText } from "../menus.js";
import { button, made } from "./elements.js";

export class Shares {
  constructor({ desk, part }) {
    Object.assign(this, { desk, part });
    this.links = [];
    part("share-open").addEventListener("click", () => this.open());
    part("shares-close").addEventListener("click", () => part("shares").close());
    part("share-form").addEventListener("submit", (event) => this.submitted(event));
  }

  async open() {
    this.part("shares").showModal();
    await this.attempt(async () => {
      this.links = await this.desk.get("/shares");
    });
  }

  async submitted(event) {
    event.preventDefault();
    const days = Number(this.part("share-days").value);
    await this.attempt(async () => {
      this.links.unshift(await this.desk.post("/shares", { days }));
    });
  }

  async attempt(change) {
    const complaint = this.part("shares-complaint");
    complaint.textContent = "";
    try {
      await change();
      this.draw();
    } catch (error) {
      complaint.textContent = `That did not work. ${error.message}`;
    }
  }

  draw() {
    this.part("shares-list").replaceChildren(...this.links.map((link) => this.item(link)));
  }

  item(link) {
    const item = made("li");
    const field = made("input");
    field.type = "text";
    field.readOnly = true;
    field.value = new URL(link.url, location.href).href;
    field.setAttribute("aria-label", "Link");
    field.addEventListener("focus", () => field.select());
    const copy = button("Copy", "quiet", async () => {
      copy.textContent = (await copyText(field.value)) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => (copy.textContent = "Copy"), 2000);
    });
    const revoke = button("Revoke", "quiet danger", () => this.revoke(link));
    const until = new Date(link.expires_at).toLocaleDateString([], { dateStyle: "long" });
    item.append(field, copy, revoke, made("small", "", `Open until ${until}`));
    return item;
  }

  revoke(link) {
    return this.attempt(async () => {
      await this.desk.drop(`/shares/${link.id}`);
      this.links = this.links.filter((one) => one !== link);
    });
  }
}
