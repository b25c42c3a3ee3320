/** The card that stands where one spoke, once there is nothing to speak into. */

const OVER = {
  idle: [
    "Session timed out",
    "Nobody was here for a while, so the session ended by itself." +
      " What was said is kept.",
  ],
  ended: ["This session has ended", "What was said is kept below."],
  stopping: ["This session is ending", "The last words are being written down."],
  finishing: ["This session has ended", "The last words are being written down."],
  failed: ["This session has ended", "It ended with an error. What was heard is kept."],
  refused: ["This link no longer opens the session", "Ask for a new one, or sign in."],
};

/** Fill and show the card: `why` is idle, refused or the session's state. */
export function showOver({ card, title, text }, why) {
  [title.textContent, text.textContent] = OVER[why] ?? OVER.ended;
  card.hidden = false;
}
