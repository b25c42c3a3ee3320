/**
 * The event stream of a session: server-sent events, taken up again where they broke.
 *
 * Each stored event is handed on once and in order, whatever the network repeats.
 */

import { Backoff } from "./backoff.js";

export class Feed {
  /**
   * `onEvent(event)` for each; `onState(feed)` when `state` changes: closed,
   * connecting, open, waiting. `check()` is asked before each new attempt: true to go
   * on, false to stop; it throws when it cannot tell.
   */
  constructor({
    url,
    onEvent,
    onState = () => {},
    check = async () => true,
    backoff = new Backoff({ mostMs: 8000 }),
  }) {
    Object.assign(this, { url, onEvent, onState, check, backoff });
    this.last = 0;
    this.state = "closed";
    this.online = () => this.tryNow();
    this.offline = () => this.lose();
  }

  open() {
    if (this.state !== "closed") return;
    window.addEventListener("online", this.online);
    window.addEventListener("offline", this.offline);
    this.connect();
  }

  close() {
    window.removeEventListener("online", this.online);
    window.removeEventListener("offline", this.offline);
    this.detach();
    this.change("closed");
  }

  connect() {
    this.detach();
    const address = new URL(this.url);
    address.searchParams.set("after", this.last);
    this.source = new EventSource(address);
    this.source.onopen = () => this.opened();
    this.source.onmessage = ({ data }) => this.take(JSON.parse(data));
    // The browser's own reconnection gives up at the first answer it dislikes.
    this.source.onerror = () => this.lose();
    this.change("connecting");
  }

  opened() {
    this.backoff.reset();
    this.change("open");
  }

  take(event) {
    if (event.seq) {
      if (event.seq <= this.last) return;
      this.last = event.seq;
    }
    this.onEvent(event);
  }

  lose() {
    if (this.state === "closed") return;
    this.detach();
    this.change("waiting");
    this.timer = setTimeout(() => this.retry(), this.backoff.next());
  }

  /** The stream looks alive but is behind what the server has: take it up anew. */
  renew() {
    if (this.state === "open") this.connect();
  }

  /** From the first event on, once more. */
  restart() {
    this.last = 0;
    this.renew();
  }

  tryNow() {
    if (this.state !== "waiting") return;
    clearTimeout(this.timer);
    this.retry();
  }

  async retry() {
    const attempt = (this.attempt = {});
    let goOn;
    try {
      goOn = await this.check();
    } catch {
      if (attempt === this.attempt) this.lose();
      return;
    }
    if (attempt !== this.attempt || this.state !== "waiting") return;
    if (goOn) this.connect();
    else this.close();
  }

  detach() {
    clearTimeout(this.timer);
    this.attempt = null;
    if (!this.source) return;
    this.source.onopen = this.source.onmessage = this.source.onerror = null;
    this.source.close();
    this.source = null;
  }

  change(state) {
    if (this.state === state) return;
    this.state = state;
    this.onState(this);
  }
}
