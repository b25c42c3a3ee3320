"""How well the model hears, through faster-whisper as it is.

Owns the counting and the table. Never changes the model.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
from faster_whisper import WhisperModel
from training.trials import CLEAN, CONDITIONS, Trial
from voices import Samples


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over the trials of one condition."""

    trials: int
    words: int
    errors: int
    wrong_trials: int
    cpu_s: float

    @property
    def word_error(self) -> float:
        return self.errors / max(self.words, 1)


def distance(said: list[str], heard: list[str]) -> int:
    """Words to insert, delete or replace (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for index, word in enumerate(said, 1):
        diagonal, row[0] = row[0], index
        for column, other in enumerate(heard, 1):
            best = min(row[column] + 1, row[column - 1] + 1, diagonal + (word != other))
            diagonal, row[column] = row[column], best
    return row[-1]


def errors(trial: Trial, text: str) -> int:
    """Word errors; the last word heard of a cut utterance may be the broken one."""
    said, heard = trial.text.split(), text.lower().split()
    found = distance(said, heard)
    return min(found, distance(said, heard[:-1])) if trial.open_end else found


def hear(model: WhisperModel, samples: Samples, *, beam: int, **options: Any) -> str:
    """The text of one utterance, as the product asks for it."""
    segments, _ = model.transcribe(
        samples.astype(np.float32) / 32768.0,
        language="en",
        beam_size=beam,
        condition_on_previous_text=False,
        **options,
    )
    return " ".join(segment.text.strip() for segment in segments)


def score(
    model: WhisperModel, trials: list[Trial], *, beam: int, verbose: bool = False
) -> Score:
    """Hear all the trials of a condition."""
    began = time.process_time()
    texts = [hear(model, trial.samples, beam=beam) for trial in trials]
    spent = time.process_time() - began
    found = [errors(trial, text) for trial, text in zip(trials, texts, strict=True)]
    if verbose:
        for trial, text, wrong in zip(trials, texts, found, strict=True):
            if wrong:
                print(f"    {wrong}  said: {trial.text}\n       heard: {text}")
    words = sum(len(trial.text.split()) for trial in trials)
    return Score(len(trials), words, sum(found), sum(map(bool, found)), spent)


def table(
    folder: Path, *, beams: tuple[int, ...], verbose: bool = False
) -> list[dict[str, object]]:
    """Print the figures of every condition and return them."""
    model = WhisperModel(
        str(folder),
        device="cpu",
        compute_type="int8",
        cpu_threads=1,
        local_files_only=True,
    )
    rows: list[dict[str, object]] = []
    print("condition                 beam trials words  WER %  wrong  CPU ms each")
    for beam in beams:
        clean = [0, 0]
        for name, make in CONDITIONS.items():
            result = score(model, make(), beam=beam, verbose=verbose)
            if name in CLEAN:
                clean[0] += result.errors
                clean[1] += result.words
            each_ms = 1000 * result.cpu_s / result.trials
            percent = 100 * result.word_error if result.words else float(result.errors)
            print(
                f"{name:<26}{beam:>4}{result.trials:>7}{result.words:>6}"
                f"{percent:>7.1f}{result.wrong_trials:>7}{each_ms:>9.0f}"
            )
            rows.append(
                {
                    "condition": name,
                    "beam": beam,
                    "utterances": result.trials,
                    "words": result.words,
                    "errors": result.errors,
                    "word_error": round(result.word_error, 4) if result.words else None,
                    "cpu_ms_each": round(each_ms),
                }
            )
        print(
            f"all clean, beam {beam}: {100 * clean[0] / clean[1]:.2f} % of {clean[1]}"
        )
        rows.append(
            {
                "condition": "all clean",
                "beam": beam,
                "words": clean[1],
                "errors": clean[0],
                "word_error": round(clean[0] / clean[1], 4),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = table(options.model, beams=tuple(options.beams), verbose=options.verbose)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
