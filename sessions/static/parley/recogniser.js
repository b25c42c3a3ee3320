/** How speech-to-text is doing, in words for people. */

import { seconds } from "./clock.js";

const BEHIND_S = 3;

/** Show a `speech` event: a demo model, what is missing, how far behind. */
export function tellSpeech(speech, { banners, badge, complete }) {
  const { state, demo, message, behind_s: behind } = speech;
  badge.hidden = !demo;
  const words = {
    loading: "The speech model is loading. What is said waits for it.",
    missing: `Speech model missing: ${message || "it cannot be loaded."}`,
    waiting: message || "Nobody writes down just now. What is said waits.",
  };
  const tone = state === "loading" ? "calm" : "warning";
  banners.set("speech", words[state] ?? "", { tone });
  const late = state === "ready" && behind >= BEHIND_S && !complete;
  const rough = behind < 10 ? behind : 5 * Math.round(behind / 5);
  banners.set("behind", late ? `The text is ${seconds(rough)} behind.` : "");
}
