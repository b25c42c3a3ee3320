/** The page of a session: puts the parts together and follows the session's life. */

import { Api, ApiError } from "./api.js";
import { Banners } from "./banners.js";
import { position, seconds } from "./clock.js";
import { Dock } from "./dock.js";
import { Feed } from "./feed.js";
import { recall, remember } from "./memory.js";
import { closeMenus, copyText } from "./menus.js";
import { Presence } from "./presence.js";
import { Speakers } from "./speakers.js";
import { Transcript } from "./transcript.js";
import { Voice } from "./voice.js";
import { WakeLock } from "./wakelock.js";

const REFRESH_MS = 30000;
const BEHIND_S = 3;
const NOTICE_MS = 12000;
const LOST_AFTER_MS = 1200; // shorter breaks are not worth a word
const BANNERS = ["network", "speech", "behind", "notice"];
const ALIVE = ["requested", "waiting", "active"];
const COMPLETE = ["ready", "failed", "deleted"];

const config = JSON.parse(document.getElementById("session-config").textContent);
const part = (name) => document.querySelector(`[data-part="${name}"]`);

const here = new URL(config.api_url, location.href).href;
const tokened = (address) => {
  const url = new URL(address, location.href);
  if (config.token) url.searchParams.set("token", config.token);
  return url;
};

class SessionPage {
  constructor() {
    this.state = config.state;
    this.lastSeq = config.last_seq;
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
    window.addEventListener("pagehide", () => this.leave());
    window.addEventListener("pageshow", (event) => event.persisted && this.show());
    part("copy").addEventListener("click", () => this.copyLink());
    part("copy").hidden = !this.link;
    if (config.token) remember(`link.${config.id}`, config.page_url);
    closeMenus();
    this.listenForEnd();
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
      this.apply(await this.api.read());
    } catch (error) {
      const refused = error instanceof ApiError && [401, 403, 404].includes(error.status);
      if (!refused) throw error;
      this.gone(error.status === 404 ? "idle" : "refused");
      return false;
    }
    return !this.isComplete || this.feed.last < this.lastSeq;
  }

  apply(session) {
    this.showSpeech(session.speech);
    if (session.last_seq < this.feed.last) return; // the stream knows better by now
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
    if (state === "waiting") this.lostTimer = setTimeout(() => this.sayLost(), LOST_AFTER_MS);
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
    speech: (event) => this.showSpeech(event),
    notice: (event, live) => live && this.notice(event.message),
  };

  notice(message) {
    this.banners.set("notice", message);
    clearTimeout(this.noticeTimer);
    this.noticeTimer = setTimeout(() => this.banners.set("notice", ""), NOTICE_MS);
  }

  showSpeech({ state, demo, message, behind_s: behind }) {
    part("demo").hidden = !demo;
    const words = {
      loading: "The speech model is loading. What is said waits for it.",
      missing: `Speech model missing: ${message || "it cannot be loaded."}`,
      waiting: message || "Nobody writes down just now. What is said waits.",
    };
    this.banners.set("speech", words[state] ?? "", {
      tone: state === "loading" ? "calm" : "warning",
    });
    const late = state === "ready" && behind >= BEHIND_S && !this.isComplete;
    const rough = behind < 10 ? behind : 5 * Math.round(behind / 5);
    this.banners.set("behind", late ? `The text is ${seconds(rough)} behind.` : "");
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
    this.showOver(idle ? "idle" : this.state);
  }

  gone(why) {
    this.state = "deleted";
    config.end_reason = why;
    this.feed.close();
    document.body.dataset.state = "over";
    part("state").textContent = "Ended";
    this.showOver(why);
  }

  showOver(why) {
    const [title, text] = OVER[why] ?? OVER.ended;
    part("over-title").textContent = title;
    part("over-text").textContent = text;
    part("over").hidden = false;
    part("dock").hidden = true;
    part("end")?.remove();
    part("copy").hidden = true;
    remember(`link.${config.id}`, "");
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
    const end = config.ended_at ? Date.parse(config.ended_at) : Date.now() + this.skewMs;
    if (!this.isAlive && !config.ended_at) config.ended_at = new Date(end).toISOString();
    part("elapsed").textContent = position(end - Date.parse(config.started_at));
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
    if (why === "refused") this.dock.complain(message || "The server refuses the sound.");
    if (why === "unplugged") this.dock.complain("The microphone has gone.");
    if (why === "replaced") this.dock.complain("You speak in another window now.");
    if (why === "ended") this.refresh().catch(() => {});
  }

  async end() {
    try {
      await this.api.end();
    } catch (error) {
      if (error.code !== "ended") this.notice(`The session could not be ended. ${error.message}`);
    }
    this.refresh().catch(() => {});
  }

  async copyLink() {
    const copied = await copyText(this.link);
    const label = part("copy-label");
    label.textContent = copied ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (label.textContent = "Copy link"), 2000);
  }

  /** The link that opens the session to others; only who came by it knows it. */
  get link() {
    return config.token ? config.page_url : recall(`link.${config.id}`);
  }
}

const OVER = {
  idle: [
    "Session timed out",
    "Nobody was here for a while, so the session ended by itself. What was said is kept.",
  ],
  ended: ["This session has ended", "What was said is kept below."],
  stopping: ["This session is ending", "The last words are being written down."],
  finishing: ["This session has ended", "The last words are being written down."],
  failed: ["This session has ended", "It ended with an error. What was heard is kept."],
  refused: ["This link no longer opens the session", "Ask for a new one, or sign in."],
};

new SessionPage().start();
