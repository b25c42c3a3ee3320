/** The page of a session: puts the parts together and follows the session's life. */

import { Aliases } from "./aliases.js";
import { Api, ApiError } from "./api.js";
import { Banners } from "./banners.js";
import { position } from "./clock.js";
import { asked, Consent } from "./consent.js";
import { Dock } from "./dock.js";
import { Feed } from "./feed.js";
import { Health } from "./health.js";
import { closeMenus, copyText } from "./menus.js";
import { Notes } from "./notes.js";
import { showOver } from "./over.js";
import { Presence } from "./presence.js";
import { tellSpeech } from "./recogniser.js";
import { Report } from "./report.js";
import { Speakers } from "./speakers.js";
import { Transcript } from "./transcript.js";
import { Voice } from "./voice.js";
import { WakeLock } from "./wakelock.js";

const REFRESH_MS = 30000;
const NOTICE_MS = 12000;
const FORGET_AGAIN_MS = 3000;
const LOST_AFTER_MS = 1200; // shorter breaks are not worth a word
const BANNERS =
  "network recording speech hearing behind storage notice".split(" ");
const ALIVE = ["requested", "waiting", "active"];
const SAID = ["utterance", "utterance.corrected", "partial", "tone"];
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
    this.health = new Health(this.banners);
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
    this.report = new Report({
      button: part("report"),
      api: this.api,
      onTrouble: (message) => this.notice(message),
    });
    this.aliases = new Aliases();
    this.notes = this.makeNotes();
    this.consent = new Consent({
      dialog: part("consent-dialog"),
      session: config.id,
      version: config.consent.version,
    });
    this.voice = this.makeVoice();
    this.dock = this.makeDock();
  }

  makeNotes() {
    const names = ["dialog", "form", "moment", "trouble", "cancel"];
    const found = names.map((name) => [name, part(`note-${name}`)]);
    const parts = Object.fromEntries(found);
    Object.assign(parts, { button: part("note"), input: part("note-text") });
    const url = tokened(`${here}/bookmarks`);
    return new Notes({ parts, url, csrf: config.csrf, now: () => this.lasted() });
  }

  makeVoice() {
    const address = tokened(config.audio_url);
    address.protocol = address.protocol.replace("http", "ws");
    return new Voice({
      audioUrl: address.href,
      workletUrl: config.worklet_url,
      consent: config.consent.version,
      onChange: (voice) => this.showVoice(voice),
      onLevel: (level) => this.dock.level(level),
      onClose: (why, message) => this.voiceClosed(why, message),
    });
  }

  showVoice(voice) {
    this.dock.show(voice);
    part("forget").hidden = !voice.streams.size || !this.isAlive;
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
    this.report.start().catch(() => {}); // the switch stays away
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
    part("forget").addEventListener("click", () => this.forgetMe());
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
    const shown = this.aliases.shown(event);
    if (event.participant) this.speakers.slot(shown.participant, shown.name);
    this.handlers[event.type]?.(SAID.includes(event.type) ? shown : event, live);
    if (this.isComplete && this.feed.last >= this.lastSeq) this.feed.close();
  }

  handlers = {
    utterance: (event) => this.transcript.say(event),
    partial: (event) => {
      this.transcript.say(event);
      this.presence.hear(event.participant);
    },
    "utterance.corrected": (event) => {
      this.transcript.readOut = false; // it was read out as it was heard
      this.transcript.say({ ...event, type: "utterance" });
    },
    "participant.renamed": (event) => {
      this.aliases.rename(event);
      this.transcript.give(event.participant, event);
      this.presence.rename(event.participant, event.name);
    },
    "participant.merged": (event) => {
      this.aliases.merge(event);
      this.transcript.give(event.participant, event);
    },
    note: (event) => this.transcript.note(event),
    "note.gone": (event) => this.transcript.noteGone(event),
    levels: (event) => this.presence.levels(event.levels),
    tone: (event) => this.transcript.tone(event),
    unrecorded: (event) => this.transcript.unrecorded(event),
    erased: (event, live) => live && this.forgetErased(),
    participant: (event, live) => live && this.presence.take(event),
    state: (event, live) => live && this.become(event.state, event.reason),
    speech: (event) => {
      this.speechToldAt = performance.now();
      this.showSpeech(event);
    },
    storage: (event, live) => live && this.showStorage(event.waiting),
    health: (event) => this.health.take(event),
    notice: (event, live) => {
      if (this.isAlive && this.health.notice(event)) return;
      if (live) this.notice(event.message);
    },
  };

  /** Earlier events are gone: read what is left anew. */
  forgetErased() {
    this.transcript.clear();
    this.feed.restart();
  }

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
    this.health.storage(waiting);
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
    this.notes.end();
    part("copy").hidden = true;
    if (this.isComplete) this.banners.set("behind", "");
    this.health.over();
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
    part("elapsed").textContent = position(this.lasted());
  }

  /** How long it has, or had; in ms. */
  lasted() {
    const now = Date.now() + this.skewMs;
    const end = config.ended_at ? Date.parse(config.ended_at) : now;
    return Math.max(end - Date.parse(config.started_at || config.now), 0);
  }

  // --- what one can do --------------------------------------------------------------

  async toggle(speaker) {
    const { state } = this.voice;
    if (state !== "off") {
      await this.voice.stop();
      return;
    }
    if (!(await this.consent.ask()) || !this.isAlive) return;
    try {
      await this.voice.start(speaker);
    } catch (error) {
      this.dock.complain(error.message);
    }
  }

  /** Close the microphone at once, and have what was said over it deleted. */
  async forgetMe() {
    const streams = [...this.voice.streams];
    if (!streams.length || !(await asked(part("forget-dialog"), "forget"))) return;
    this.voice.drop();
    this.consent.withdraw();
    part("forget").hidden = true;
    await this.sendForget(streams);
  }

  /** Not given up: it is asked again until the server has it. */
  async sendForget(streams) {
    try {
      await this.api.forget(streams);
      this.notice("You are not recorded any more. What you said is being deleted.");
    } catch (error) {
      const isRefused = error instanceof ApiError && error.status < 500;
      if (isRefused) this.notice(`That could not be deleted. ${error.message}`);
      else setTimeout(() => this.sendForget(streams), FORGET_AGAIN_MS);
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
