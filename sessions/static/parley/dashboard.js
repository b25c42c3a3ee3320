/** The dashboard: cards of what is live, and a list that follows its filters. */

import { localTimes } from "./home.js";
import { LiveCard } from "./livecard.js";
import { LiveLine } from "./liveline.js";

const WORDS = {
  open: "",
  polling: "",
  waiting: "Connection lost. Trying again…",
  refused: "You have signed out.",
};

class LiveBoard {
  constructor(section) {
    this.section = section;
    this.list = this.part("cards");
    this.blank = this.part("card");
    this.cards = new Map();
    for (const element of this.list.children) {
      this.cards.set(element.dataset.session, new LiveCard(element));
    }
    this.line = new LiveLine({
      url: section.dataset.live,
      onMessage: (message) => this.take(message),
      onState: (state) => this.tell(state),
    });
  }

  part(name) {
    return this.section.querySelector(`[data-part="${name}"]`);
  }

  start() {
    this.tick();
    setInterval(() => this.tick(), 1000);
    document.addEventListener("visibilitychange", () => this.look());
    window.addEventListener("pagehide", () => this.line.close());
    window.addEventListener("pageshow", () => this.look());
    window.addEventListener("online", () => this.again());
    this.look();
  }

  look() {
    if (document.hidden) this.line.close();
    else this.line.open();
  }

  again() {
    this.line.close();
    this.look();
  }

  /** Exactly these cards, some of them changed. */
  keep(ids, changed) {
    for (const card of changed) {
      if (!this.cards.has(card.id)) this.cards.set(card.id, this.made());
      this.cards.get(card.id).show(card);
    }
    for (const [id, card] of this.cards) {
      if (ids.includes(id)) continue;
      card.element.remove();
      this.cards.delete(id);
    }
    this.arrange(ids);
    this.tick();
  }

  made() {
    return new LiveCard(this.blank.content.firstElementChild.cloneNode(true));
  }

  /** In their order, moving only what stands elsewhere: the focus stays. */
  arrange(ids) {
    const elements = ids.map((id) => this.cards.get(id)?.element).filter(Boolean);
    elements.forEach((element, at) => {
      if (this.list.children[at] !== element) {
        this.list.insertBefore(element, this.list.children[at] ?? null);
      }
    });
  }

  take(message) {
    if (message.type === "cards") {
      this.keep(message.ids, message.cards);
      const more = this.part("more");
      more.hidden = !message.more;
      more.textContent = `And ${message.more} more.`;
      this.part("quiet").hidden = message.ids.length > 0;
    } else if (message.type === "passing") {
      for (const [id, now] of Object.entries(message.sessions)) {
        this.cards.get(id)?.pass(now);
      }
    }
  }

  tell(state) {
    const pulse = this.part("pulse");
    if (pulse.textContent !== WORDS[state]) pulse.textContent = WORDS[state];
    // Whoever has signed out is shown nothing any more.
    if (state === "refused") location.assign("/");
  }

  tick() {
    for (const card of this.cards.values()) card.tick(Date.now());
  }
}

/** The list that htmx brings: nothing empty in its address, times as people have them. */
function followFilters() {
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    for (const [name, value] of Object.entries(detail.parameters)) {
      if (value === "") delete detail.parameters[name];
    }
  });
  document.addEventListener("htmx:afterSwap", ({ detail }) =>
    localTimes(detail.target?.isConnected ? detail.target : document),
  );
}

followFilters();
new LiveBoard(document.querySelector('[data-part="board"]')).start();
