/** The page of a session: puts the parts together and follows the session's life. */

import { Api, ApiError } from "./api.js";
import { Banners } from "./banners.js";
import { position } from "./clock.js";
import { Dock } from "./dock.js";
import { Feed } from "./feed.js";
import { closeMenus, copyText } from "./menus.js";
import { showOver } from "./over.js";
import { Presence } from "./presence.js";
import { tellSpeech } from "./recogniser.js";
import { Speakers } from "./speakers.js";
import { Transcript } from "./transcript.js";
import { Voice } from "./voice.js";
import { WakeLock } from "./wakelock.js";

const REFRESH_MS = 30000;
const NOTICE_MS = 12000;
const LOST_AFTER_MS = 1200; // shorter breaks are not worth a word
const BANNERS = ["network", "speech", "behind", "storage", "notice"];
const ALIVE = ["requested", "waiting", "active"];
const COMPLETE = ["ready", "failed", "deleted"];

const config = JSON.parse(document.getElementById("session-config").textContent);
const part = (name) => document.querySelector(`[data-part="${name}"]`);

const here = new URL(config.api_url, location.href).href;
const tokened = (address) => {
  const url = new URL(address, location.href);
  url.searchParams.set("token", config.token);
  return url;
};

class SessionPage {
  constructor() {
    this.state = config.state;
    this.lastSeq = config.last_seq;
    this.speechToldAt = 0;
    this.skewMs = Date.parse(config.now) - Date.now();
    this.api = new Api({ url: here, token: config.token, csrf: config.csrf });
    this.banners = new Banners({ container: part("banners"), order: BANNERS });
    this.wakeLock = new WakeLock();
    const speakers = (this.speakers = new Speakers());
    this.presence = new Presence({
      list: part("people"),
      empty: part("nobody"),
      speakers,
    });
    this.transcript = new Transcript({
      scroller: part("scroller"),
      list: part("lines"),
      empty: part("empty"),
      jump: part("jump"),
      live: part("live"),
      speakers,
    });
    this.feed = new Feed({
      url: tokened(`${here}/events`),
      onEvent: (event) => this.take(event),
      onState: () => this.feedChanged(),
      check: () => this.refresh(),
    });
    this.voice = this.makeVoice();
    this.dock = this.makeDock();
  }

  makeVoice() {
    const address = tokened(config.audio_url);
    address.protocol = address.protocol.replace("http", "ws");
    return new Voice({
      audioUrl: address.href,
      workletUrl: config.worklet_url,
      onChange: (voice) => this.dock.show(voice),
      onLevel: (level) => this.dock.level(level),
      onClose: (why, message) => this.voiceClosed(why, message),
    });
  }

  makeDock() {
    const [form, name, button] = ["dock", "name", "speak"].map(part);
    const [label, hint, meter] = ["speak-label", "hint", "meter"].map(part);
    const onToggle = (speaker) => this.toggle(speaker);
    return new Dock({ form, name, button, label, hint, meter, onToggle });
  }

  start() {
    this.listen();
    this.goToLinked();
    this.drawState();
    this.tick();
    if (!document.hidden && (this.lastSeq || !this.isComplete)) this.feed.open();
    this.refresh().catch(() => {}); // the feed's own attempts tell of a lost network
    setInterval(() => this.tick(), 1000);
    setInterval(() => this.lookAgain(), REFRESH_MS);
  }

  listen() {
    document.addEventListener("visibilitychange", () =>
      document.hidden ? this.hide() : this.show(),
    );
    document.addEventListener("freeze", () => this.hide());
    document.addEventListener("resume", () => this.show());
    window.addEventListener("hashchange", () => this.goToLinked());
    window.addEventListener("pagehide", () => this.leave());
    window.addEventListener("pageshow", (event) => event.persisted && this.show());
    part("copy").addEventListener("click", () => this.copyLink());
    closeMenus();
    this.listenForEnd();
  }

  /** `#u-…` names a line: a search leads there. */
  goToLinked() {
    const [, id] = location.hash.match(/^#u-([0-9a-f-]{36})$/) ?? [];
    if (id) this.transcript.goTo(id);
  }

  listenForEnd() {
    const [ask, dialog] = [part("end"), part("end-dialog")];
    ask?.addEventListener("click", () => dialog.showModal());
    dialog?.addEventListener("close", () => {
      if (dialog.returnValue === "end") this.end();
    });
  }

  get isAlive() {
    return ALIVE.includes(this.state);
  }

  get isComplete() {
    return COMPLETE.includes(this.state);
  }

  // --- seen and unseen ------------------------------------------------------------

  /** The stream is closed; the session, and one's own voice, go on. */
  hide() {
    this.feed.close();
  }

  async show() {
    this.voice.wake();
    if (this.isComplete && this.feed.last >= this.lastSeq) return;
    try {
      if (!(await this.refresh())) return;
    } catch {
      // No network yet: the feed tells so and keeps trying.
    }
    if (!document.hidden) this.feed.open();
  }

  leave() {
    this.feed.close();
    this.wakeLock.release();
    this.voice.abandon();
  }

  lookAgain() {
    if (document.hidden || this.feed.state !== "open") return;
    const before = this.feed.last;
    this.refresh()
      .then(() => {
        // Nothing came although there is something: the stream is dead unnoticed.
        const stuck = this.feed.last === before && before < this.lastSeq;
        if (stuck) this.feed.renew();
      })
      .catch(() => {});
  }

  /** Ask how the session is; whether there is something to follow. Raises without an
   * answer. */
  async refresh() {
    try {
      const asked = performance.now();
      this.apply(await this.api.read(), asked);
    } catch (error) {
      const status = error instanceof ApiError ? error.status : 0;
      if (![401, 403, 404].includes(status)) throw error;
      this.gone(status === 404 ? "idle" : "refused");
      return false;
    }
    return !this.isComplete || this.feed.last < this.lastSeq;
  }

  apply(session, asked) {
    // What the stream has told since the question is newer than the answer.
    if (this.speechToldAt < asked) this.showSpeech(session.speech);
    if (session.last_seq < this.feed.last) return; // the stream knows better by now
    this.showStorage(session.waiting_for_storage);
    this.lastSeq = Math.max(this.lastSeq, session.last_seq);
    this.presence.replace(session.participants);
    this.become(session.state, session.end_reason);
  }

  feedChanged() {
    const { state } = this.feed;
    if (state === "open" && this.isAlive) this.wakeLock.hold();
    else if (state !== "connecting") this.wakeLock.release();
    clearTimeout(this.lostTimer);
    if (state === "open" || state === "closed") this.banners.set("network", "");
    if (state !== "waiting") return;
    this.lostTimer = setTimeout(() => this.sayLost(), LOST_AFTER_MS);
  }

  sayLost() {
    const offline = navigator.onLine ? "" : " You are offline.";
    this.banners.set("network", `Connection lost.${offline} Trying again…`);
  }

  // --- events ---------------------------------------------------------------------

  take(event) {
    // Up to lastSeq it is history, which the last reading of the session includes.
    const live = !event.seq || event.seq > this.lastSeq;
    this.lastSeq = Math.max(this.lastSeq, this.feed.last);
    this.transcript.readOut = live;
    // In the order of the log, so that everybody has the same colour on every screen.
    if (event.participant) this.speakers.slot(event.participant, event.name);
    this.handlers[event.type]?.(event, live);
    if (this.isComplete && this.feed.last >= this.lastSeq) this.feed.close();
  }

  handlers = {
    utterance: (event) => this.transcript.say(event),
    partial: (event) => {
      this.transcript.say(event);
      this.presence.hear(event.participant);
    },
    tone: (event) => this.transcript.tone(event),
    participant: (event, live) => live && this.presence.take(event),
    state: (event, live) => live && this.become(event.state, event.reason),
    speech: (event) => {
      this.speechToldAt = performance.now();
      this.showSpeech(event);
    },
    storage: (event, live) => live && this.showStorage(event.waiting),
    notice: (event, live) => live && this.notice(event.message),
  };

  notice(message) {
    this.banners.set("notice", message);
    clearTimeout(this.noticeTimer);
    this.noticeTimer = setTimeout(() => this.banners.set("notice", ""), NOTICE_MS);
  }

  showSpeech(speech) {
    const badge = part("demo");
    tellSpeech(speech, { banners: this.banners, badge, complete: this.isComplete });
  }

  showStorage(waiting) {
    const told = "The storage does not answer. All sound is kept, and sent when it does.";
    this.banners.set("storage", waiting ? told : "");
  }

  become(state, reason) {
    const changed = state !== this.state;
    this.state = state;
    if (reason) config.end_reason = reason;
    if (changed || !this.isAlive) this.drawState();
  }

  // --- what the page shows of it ----------------------------------------------------

  drawState() {
    document.body.dataset.state = this.isAlive ? "live" : "over";
    part("state").textContent = this.isAlive ? "Live" : "Ended";
    if (this.isAlive) return;
    const idle = config.end_reason === "idle";
    this.close(idle ? "idle" : this.state);
  }

  gone(why) {
    this.state = "deleted";
    config.end_reason = why;
    this.feed.close();
    document.body.dataset.state = "over";
    part("state").textContent = "Ended";
    this.close(why);
  }

  close(why) {
    const [card, title, text] = ["over", "over-title", "over-text"].map(part);
    showOver({ card, title, text }, why);
    part("dock").hidden = true;
    part("end")?.remove();
    part("copy").hidden = true;
    if (this.isComplete) this.banners.set("behind", "");
    this.wakeLock.release();
    if (this.voice.state !== "off") this.voice.stop();
    this.tick();
  }

  tick() {
    if (this.voice.state === "holding" || this.voice.state === "finishing") {
      this.dock.show(this.voice);
    }
    if (!config.started_at) return;
    const now = new Date(Date.now() + this.skewMs).toISOString();
    if (!this.isAlive) config.ended_at ||= now;
    const lasted = Date.parse(config.ended_at || now) - Date.parse(config.started_at);
    part("elapsed").textContent = position(lasted);
  }

  // --- what one can do --------------------------------------------------------------

  async toggle(speaker) {
    const { state } = this.voice;
    if (state !== "off") {
      await this.voice.stop();
      return;
    }
    try {
      await this.voice.start(speaker);
    } catch (error) {
      this.dock.complain(error.message);
    }
  }

  voiceClosed(why, message) {
    const refusal = message || "The server refuses the sound.";
    if (why === "refused") this.dock.complain(refusal);
    if (why === "unplugged") this.dock.complain("The microphone has gone.");
    if (why === "replaced") this.dock.complain("You speak in another window now.");
    if (why === "ended") this.refresh().catch(() => {});
  }

  async end() {
    try {
      await this.api.end();
    } catch (error) {
      const known = error.code === "ended"; // somebody was faster
      if (!known) this.notice(`The session could not be ended. ${error.message}`);
    }
    this.refresh().catch(() => {});
  }

  async copyLink() {
    const copied = await copyText(config.page_url);
    const label = part("copy-label");
    label.textContent = copied ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (label.textContent = "Copy link"), 2000);
  }
}

new SessionPage().start();
