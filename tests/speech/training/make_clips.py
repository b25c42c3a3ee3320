"""A small meeting as sound files, for `make demo` and machines without espeak-ng.

Writes FLAC (16 kHz, mono) and clips.json. Checks with the model that every clip is
heard as it was said, and says so in the index.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile
from faster_whisper import WhisperModel
from training.evaluate import distance, hear
from training.trials import PRE_ROLL_S, TAIL_S
from voices import SAMPLE_RATE_HZ, Delivery, silence, speak, trim

SPEECH = Path(__file__).resolve().parent.parent
EDGE_S = 0.05
SPEAKERS = {
    "ada": ("en-us+f2", Delivery(rate_wpm=160, pitch=55)),
    "ben": ("en-us+m3", Delivery(rate_wpm=165, pitch=45)),
    "cleo": ("en-us+linda", Delivery(rate_wpm=155, pitch=50)),
}
SCRIPT: tuple[tuple[str, str], ...] = (
    ("ada", "hello team and thank you"),
    ("ben", "hello"),
    ("cleo", "hello please start the meeting"),
    ("ada", "yes please record the meeting"),
    ("ben", "today we review the project plan"),
    ("cleo", "and the new budget"),
    ("ada", "question one"),
    ("ada", "we need the report today"),
    ("ben", "no we need the report tomorrow"),
    ("cleo", "please send the report monday"),
    ("ben", "yes monday"),
    ("ada", "thank you next question"),
    ("cleo", "we need the new task five"),
    ("ben", "task one done task two done"),
    ("ada", "please open task three"),
    ("cleo", "task three close friday"),
    ("ben", "save the note please"),
    ("ada", "next the budget"),
    ("cleo", "budget up four and down two"),
    ("ben", "right we plan the budget tomorrow"),
    ("ada", "please call the new team"),
    ("cleo", "yes and send the message back"),
    ("ben", "thank you stop the record"),
    ("ada", "meeting done thank you team"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=SPEECH / "model")
    parser.add_argument("--out", type=Path, default=SPEECH / "clips")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model = WhisperModel(
        str(options.model), device="cpu", compute_type="int8", local_files_only=True
    )
    index: list[dict[str, object]] = []
    wrong = words = 0
    for number, (speaker, text) in enumerate(SCRIPT, 1):
        voice, delivery = SPEAKERS[speaker]
        spoken = trim(speak(text, voice=voice, delivery=delivery))
        samples = np.concatenate([silence(EDGE_S), spoken, silence(EDGE_S)])
        name = f"{number:02d}-{speaker}.flac"
        soundfile.write(options.out / name, samples, SAMPLE_RATE_HZ)
        framed = [silence(PRE_ROLL_S), samples, silence(TAIL_S)]
        heard = hear(model, np.concatenate(framed), beam=5)
        missed = distance(text.split(), heard.split())
        wrong, words = wrong + missed, words + len(text.split())
        if missed:
            print(f"{name}: said {text!r}, heard {heard!r}")
        index.append(
            {
                "file": name,
                "speaker": speaker,
                "voice": voice,
                "text": text,
                "duration_s": round(len(samples) / SAMPLE_RATE_HZ, 3),
                "heard": heard,
            }
        )
    (options.out / "clips.json").write_text(json.dumps(index, indent=1) + "\n")
    size = sum(path.stat().st_size for path in options.out.glob("*.flac"))
    print(f"{len(index)} clips, {size} bytes, {wrong} errors in {words} words")


if __name__ == "__main__":
    main()
