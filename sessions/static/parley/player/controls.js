/** The bar below: play, where we are, how fast, and whether the words follow. */

import { position } from "../clock.js";

export class Controls {
  constructor({ part, transport, onSeek, onFollow }) {
    Object.assign(this, { part, transport });
    part("total").textContent = position(transport.durationMs);
    part("play").addEventListener("click", () => transport.toggle());
    part("back").addEventListener("click", () => onSeek(transport.time - 10000));
    part("on").addEventListener("click", () => onSeek(transport.time + 10000));
    part("seek").addEventListener("input", () => onSeek(Number(part("seek").value)));
    part("speed").addEventListener("change", () =>
      transport.setRate(Number(part("speed").value)),
    );
    part("follow").addEventListener("click", onFollow);
    part("player").hidden = !transport.hasSound;
  }

  /** The next speed up or down. */
  faster(step) {
    const { options, selectedIndex } = this.part("speed");
    const index = Math.min(Math.max(selectedIndex + step, 0), options.length - 1);
    this.part("speed").selectedIndex = index;
    this.transport.setRate(Number(options[index].value));
  }

  /** Whether it plays, and what it waits for. */
  showState() {
    const { isPlaying, isVisiblyWaiting } = this.transport;
    const play = this.part("play");
    play.setAttribute("aria-label", isPlaying ? "Pause" : "Play");
    play.classList.toggle("playing", isPlaying);
    play.classList.toggle("waiting", isVisiblyWaiting);
  }

  showTime(ms) {
    const told = position(ms);
    const seek = this.part("seek");
    if (this.part("at").textContent !== told) {
      this.part("at").textContent = told;
      seek.setAttribute("aria-valuetext", told);
    }
    if (!seek.matches(":active")) seek.value = ms;
    seek.style.setProperty("--share", ms / Math.max(this.transport.durationMs, 1));
  }

  showFollow(isOn) {
    this.part("follow").setAttribute("aria-pressed", isOn);
  }
}
