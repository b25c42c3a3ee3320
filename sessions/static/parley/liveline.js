/**
 * The line to the board: a WebSocket, taken up again where it broke; where none gets
 * through, plain questions now and then, until one does.
 */

import { Backoff } from "./backoff.js";

const SIGNED_OUT = 4003;
const POLL_AFTER = 2; // attempts that failed
const POLL_MS = 5000;
const ALIVE_MS = 25000;

export class LiveLine {
  /** `onMessage(message)`; `onState(state)`: open, polling, waiting, refused. */
  constructor({ url, onMessage, onState, backoff = new Backoff({ mostMs: 10000 }) }) {
    Object.assign(this, { url, onMessage, onState, backoff });
    this.failed = 0;
    this.isOpen = false;
  }

  open() {
    if (this.isOpen) return;
    this.isOpen = true;
    this.connect();
  }

  close() {
    this.isOpen = false;
    clearTimeout(this.timer);
    clearInterval(this.alive);
    this.stopPolling();
    if (!this.socket) return;
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.socket = null;
  }

  connect() {
    clearTimeout(this.timer);
    const address = new URL(this.url, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = (this.socket = new WebSocket(address));
    socket.onmessage = ({ data }) => this.take(JSON.parse(data));
    socket.onclose = ({ code }) => this.lost(code);
    clearInterval(this.alive);
    this.alive = setInterval(() => this.ping(), ALIVE_MS);
  }

  ping() {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send('{"type":"ping"}');
  }

  take(message) {
    if (message.type === "pong") return;
    if (this.failed || !this.heard) {
      this.failed = 0;
      this.backoff.reset();
      this.stopPolling();
    }
    this.heard = true;
    this.onState("open");
    this.onMessage(message);
  }

  lost(code) {
    clearInterval(this.alive);
    this.socket = null;
    this.heard = false;
    if (code === SIGNED_OUT) {
      this.close();
      this.onState("refused");
      return;
    }
    this.failed += 1;
    if (this.failed >= POLL_AFTER) this.startPolling();
    else this.onState("waiting");
    this.timer = setTimeout(() => this.connect(), this.backoff.next());
  }

  startPolling() {
    if (this.poller) return;
    this.poller = setInterval(() => this.poll(), POLL_MS);
    this.poll();
  }

  stopPolling() {
    clearInterval(this.poller);
    this.poller = null;
  }

  async poll() {
    try {
      const signal = AbortSignal.timeout(POLL_MS);
      const answer = await fetch(this.url, { signal, cache: "no-store" });
      if (!this.poller) return; // the line is back, and knows better
      if (answer.status === 403) {
        this.close();
        this.onState("refused");
      } else if (answer.ok) {
        this.onState("polling");
        this.onMessage(await answer.json());
      } else {
        this.onState("waiting");
      }
    } catch {
      if (this.poller) this.onState("waiting");
    }
  }
}
