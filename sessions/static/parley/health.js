/** How the session is: lines about what is wrong with its recording and its hearing. */

const STANDS_MS = 20000; // it is told again sooner, while it stands

const RECORDING = {
  disk: "Recording degraded: the disk takes nothing just now. The sound is kept in memory.",
  later:
    "Recording degraded: this machine is behind. Nothing is lost: the files are made" +
    " at the end.",
};
const STORAGE = "The storage does not answer. All sound is kept, and sent when it does.";

export class Health {
  constructor(banners) {
    this.banners = banners;
  }

  take({ recording }) {
    clearTimeout(this.timer);
    this.banners.set("recording", RECORDING[recording] ?? "", { tone: "warning" });
    this.timer = setTimeout(() => this.banners.set("recording", ""), STANDS_MS);
  }

  /** A notice that stays true for the whole session; whether it was one. */
  notice({ code, message }) {
    if (code !== "voice_detection") return false;
    this.banners.set("hearing", message, { tone: "warning" });
    return true;
  }

  storage(waiting) {
    this.banners.set("storage", waiting ? STORAGE : "", { tone: "warning" });
  }

  over() {
    clearTimeout(this.timer);
    this.banners.set("recording", "");
    this.banners.set("hearing", "");
  }
}
