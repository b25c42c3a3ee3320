/** The page of a session that is over: puts its parts together. */

import { position } from "../clock.js";
import { closeMenus } from "../menus.js";
import { Speakers } from "../speakers.js";
import { Bookmarks } from "./bookmarks.js";
import { Controls } from "./controls.js";
import { Desk } from "./desk.js";
import { Editor } from "./editor.js";
import { button } from "./elements.js";
import { Finder } from "./finder.js";
import { Keys } from "./keys.js";
import { Lanes, POINTS } from "./lanes.js";
import { Mixer } from "./mixer.js";
import { People } from "./people.js";
import { Reader } from "./reader.js";
import { Score } from "./score.js";
import { Shares } from "./shares.js";
import { Transport } from "./transport.js";

const LOOK_AGAIN_MS = 5000;
const WAVES_EVERY_MS = 90;

const config = JSON.parse(document.getElementById("session-config").textContent);
const part = (name) => document.querySelector(`[data-part="${name}"]`);

class FinishedPage {
  constructor() {
    const { token, csrf, may_edit: mayEdit, duration_ms: durationMs } = config;
    this.desk = new Desk({ url: config.api_url, token, csrf });
    this.speakers = new Speakers();
    this.score = new Score();
    this.voices = config.voices;
    this.heights = new Map();
    this.isFollowing = true;
    this.drawnAt = 0;
    this.wanted = null;
    this.mixer = new Mixer({ onChange: () => this.transport.isPlaying && this.transport.tick() });
    this.transport = new Transport({
      durationMs,
      pieces: config.pieces,
      master: config.master,
      mixer: this.mixer,
      shelf: part("sounds"),
      onChange: () => this.changed(),
    });
    this.controls = new Controls({
      part,
      transport: this.transport,
      onSeek: (ms) => this.seek(ms),
      onFollow: () => this.follow(!this.isFollowing),
    });
    this.reader = this.makeReader(mayEdit);
    this.editor = new Editor({
      desk: this.desk,
      reader: this.reader,
      onClose: (_, element) => element?.querySelector(".tools button")?.focus(),
    });
    this.makeRooms(mayEdit, durationMs);
  }

  makeReader(mayEdit) {
    return new Reader({
      scroller: part("scroller"),
      list: part("blocks"),
      empty: part("empty"),
      score: this.score,
      slots: (line) => this.speakers.slot(line.participant, line.name),
      mayEdit,
      on: {
        seek: (ms) => {
          this.reader.seek(null);
          this.seek(ms);
        },
        edit: (line) => this.editor.open(line),
        history: (line) => this.editor.history(line),
        away: () => this.transport.hasSound && this.follow(false),
      },
    });
  }

  makeRooms(mayEdit, durationMs) {
    const { desk, score, mixer, voices } = this;
    const time = () => this.transport.time;
    const onSeek = (ms) => this.seek(ms);
    const onRename = (person) => this.renamed(person);
    const onMerge = (from, into) => this.merged(from, into);
    this.people = new People({ desk, part, voices, mixer, mayEdit, onRename, onMerge });
    this.lanes = new Lanes({
      section: part("voices"),
      list: part("lanes"),
      ruler: part("ruler"),
      head: part("playhead"),
      durationMs,
      nonce: config.nonce,
      mixer,
      onSeek,
      menu: (person, canMix) => this.people.menu(person, canMix),
    });
    this.bookmarks = new Bookmarks({ desk, part, durationMs, mayEdit, time, onSeek });
    this.finder = new Finder({
      part,
      score,
      onFound: (index) => this.show(index),
      onClose: () => {},
    });
    if (config.may_share) this.shares = new Shares({ desk, part });
    this.keys = new Keys({
      deeds: this.deeds(mayEdit),
      dialog: part("keys"),
      list: part("keys-list"),
      mayEdit,
    });
  }

  deeds(mayEdit) {
    const line = () => {
      const sought = this.transport.isPlaying ? null : this.reader.sought;
      return this.score.lines[sought ?? this.indexNow()];
    };
    return {
      toggle: () => this.transport.toggle(),
      skip: (seconds) => this.seek(this.transport.time + seconds * 1000),
      beside: (step) => this.beside(step),
      faster: (step) => this.controls.faster(step),
      follow: () => this.follow(!this.isFollowing),
      find: () => this.finder.open(),
      edit: () => mayEdit && line() && this.editor.open(line()),
      bookmark: () => this.bookmarks.begin(),
    };
  }

  start() {
    closeMenus();
    part("keys-open").addEventListener("click", () => this.keys.open());
    part("jump").addEventListener("click", () => this.follow(true));
    window.addEventListener("hashchange", () => this.goToLinked());
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", () => requestAnimationFrame(() => this.lanes.recolour()));
    part("scroller").addEventListener("scroll", () => this.showJump(), { passive: true });
    this.readLink();
    this.drawVoices();
    this.changed();
    this.load();
    if (!config.read_only) this.bookmarks.load();
    if (config.sound === "coming") this.lookAgain();
  }

  // --- what is loaded -----------------------------------------------------------------

  async load() {
    this.loadWaves();
    try {
      for await (const lines of this.desk.lines()) {
        this.score.add(lines);
        this.reader.grow();
        this.goToWanted();
      }
      this.complete();
    } catch (error) {
      part("empty").hidden = false;
      part("empty-text").textContent = `The words could not be loaded. ${error.message ?? ""}`;
    }
  }

  complete() {
    for (const { participant, name } of this.score.lines) {
      if (this.voices.some((one) => one.id === participant)) continue;
      this.voices.push({ id: participant, name });
    }
    this.isComplete = true;
    this.loadTones();
    part("empty-text").textContent = "Nothing was said in this session.";
    this.drawVoices();
    this.goToWanted();
    this.light();
  }

  async loadWaves() {
    try {
      const { lanes } = await this.desk.get(`/waveforms?points=${POINTS}`);
      for (const { participant, points } of lanes) this.heights.set(participant, points);
      this.drawVoices();
    } catch {
      // Lanes show when each of them spoke, instead.
    }
  }

  async loadTones() {
    try {
      const { lines } = await this.desk.get("/tones");
      this.score.sound(lines);
      if (lines.length) this.reader.redraw();
    } catch {
      // Words are read without them.
    }
    this.light();
  }

  drawVoices() {
    const { score } = this;
    const canMix = this.transport.pieces.length > 0;
    const spoken = score.shares();
    const heard = new Set([...spoken.keys(), ...config.pieces.map((piece) => piece.participant)]);
    const shown = this.isComplete ? this.voices.filter((one) => heard.has(one.id)) : this.voices;
    for (const { id, name } of this.voices) this.speakers.slot(id, name);
    const durationMs = Math.max(config.duration_ms, 1);
    this.lanes.draw(this.transport.hasSound ? shown : [], {
      heights: (id) =>
        this.heights.get(id) ?? score.presence(id, { points: 400, durationMs }),
      slots: ({ id, name }) => this.speakers.slot(id, name),
      spoken,
      canMix,
    });
    const people = shown.length === 1 ? "1 voice" : `${shown.length} voices`;
    part("facts").textContent = ` · ${position(config.duration_ms)} · ${people}`;
    this.lanes.show(this.transport.time);
  }

  /** The recording is made while we look: say when it is there. */
  async lookAgain() {
    const { state } = await this.desk.get("").catch(() => ({}));
    if (state && state !== "finishing") {
      const reload = button("Load it", "quiet", () => location.reload());
      part("coming").replaceChildren("The recording is ready. ", reload);
      return;
    }
    setTimeout(() => this.lookAgain(), LOOK_AGAIN_MS);
  }

  // --- where we are ---------------------------------------------------------------------

  /** `#u-…` names a line, `?t=` a second: a search and a bookmark lead there. */
  readLink() {
    const seconds = Number(new URLSearchParams(location.search).get("t"));
    if (seconds > 0) {
      this.wantedMs = seconds * 1000;
      this.transport.setTime(this.wantedMs);
    }
    this.goToLinked();
  }

  goToLinked() {
    const [, id] = location.hash.match(/^#u-([0-9a-f-]{36})$/) ?? [];
    this.wanted = id ?? null;
    this.goToWanted();
  }

  goToWanted() {
    if (this.wanted) {
      const index = this.score.indexOf(this.wanted);
      if (index < 0) return;
      this.wanted = this.wantedMs = null;
      this.show(index, { smooth: false });
      this.transport.seek(this.score.lines[index].start_ms);
    } else if (this.wantedMs) {
      const last = this.score.lines.at(-1);
      if (!last || (last.start_ms < this.wantedMs && !this.isComplete)) return;
      this.reader.bring(Math.max(0, this.score.indexAt(this.wantedMs)), { smooth: false });
      this.wantedMs = null;
    }
  }

  /** Show a line somebody looks for, wherever the sound is. */
  show(index, { smooth = true } = {}) {
    this.follow(false);
    this.reader.seek(index);
    this.reader.bring(index, { smooth });
  }

  indexNow() {
    return Math.max(0, this.score.indexAt(this.transport.time));
  }

  seek(ms) {
    if (this.transport.hasSound) this.transport.seek(ms);
    else this.transport.setTime(ms);
    this.light();
    if (this.isFollowing) this.reader.bring(this.indexNow());
    this.drawTime();
  }

  beside(step) {
    const line = this.score.beside(this.transport.time, step);
    if (!line) return;
    this.reader.seek(this.score.indexOf(line.id));
    this.seek(line.start_ms);
    this.reader.bring(this.score.indexOf(line.id));
  }

  follow(isOn) {
    this.isFollowing = isOn;
    this.controls.showFollow(isOn);
    if (isOn) this.reader.bring(this.indexNow());
    this.showJump();
  }

  showJump() {
    const isAway = !this.isFollowing && this.transport.hasSound;
    part("jump").hidden = !isAway || this.reader.isInView(this.indexNow());
  }

  changed() {
    this.controls.showState();
    this.drawTime();
    if (!this.transport.isPlaying) this.light();
    else if (!this.frame) this.run();
  }

  /** Once per frame, as long as it plays. */
  run() {
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.drawTime();
      if (this.transport.isPlaying) this.run();
    });
  }

  drawTime() {
    const ms = this.transport.time;
    this.controls.showTime(ms);
    const isDue = performance.now() - this.drawnAt > WAVES_EVERY_MS;
    if (!isDue && this.transport.isPlaying) return;
    this.drawnAt = performance.now();
    this.lanes.show(ms);
    this.bookmarks.follow();
    if (this.transport.isPlaying) this.light();
  }

  light() {
    if (!this.score.lines.length || !this.transport.hasSound) return;
    const ms = this.transport.time;
    this.reader.light(ms);
    const said = this.score.saidAt(ms).map((index) => this.score.lines[index]);
    const speaking = said.filter((line) => line.end_ms > ms);
    const isOn = this.transport.isPlaying;
    this.lanes.speaking(new Set(isOn ? speaking.map((line) => line.participant) : []));
    const index = this.indexNow();
    if (index !== this.index && this.isFollowing && isOn && !this.editor.isOpen) {
      this.reader.bring(index);
    }
    if (index !== this.index) this.showJump();
    this.index = index;
  }

  // --- what was changed -----------------------------------------------------------------

  renamed(person) {
    this.score.reassign(person.id, person);
    this.redraw();
  }

  merged(from, into) {
    this.score.reassign(from.id, into);
    this.transport.reassign(from.id, into.id);
    this.mixer.forget(from.id);
    this.voices.splice(this.voices.indexOf(from), 1);
    for (const piece of config.pieces) {
      if (piece.participant === from.id) piece.participant = into.id;
    }
    this.heights.delete(from.id);
    this.redraw();
    this.loadWaves();
  }

  redraw() {
    this.reader.redraw();
    this.drawVoices();
    this.light();
  }
}

const page = new FinishedPage();
window.parley = page; // for a look from the console
page.start();
