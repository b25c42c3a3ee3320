/** Calm lines about what is wrong just now; each has a key and stands once. */

export class Banners {
  /** `order` lists the keys, most important first. */
  constructor({ container, order }) {
    this.container = container;
    this.order = order;
    this.shown = new Map();
  }

  /** Show, change or (without a message) take away the banner `key`. */
  set(key, message, { tone = "calm" } = {}) {
    const known = this.shown.get(key);
    if (!message) {
      known?.remove();
      this.shown.delete(key);
      return;
    }
    const element = known ?? this.add(key);
    if (element.textContent !== message) element.textContent = message;
    element.dataset.tone = tone;
  }

  add(key) {
    const element = document.createElement("p");
    element.className = "banner";
    element.dataset.key = key;
    this.shown.set(key, element);
    const behind = this.order.slice(this.order.indexOf(key) + 1);
    const next = behind.map((other) => this.shown.get(other)).find(Boolean);
    this.container.insertBefore(element, next ?? null);
    return element;
  }
}
