"""The recipe in one go: speak the corpus, train, export, measure, write the model card.

Owns the sizes of the run. What is already in the work folder is not made again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from dataclasses import replace
from pathlib import Path

from training.corpus import write_shard
from training.evaluate import table
from training.export import export
from training.tokens import CHUNK_LENGTH_S
from training.train import FROM_NOTHING, TO_FINISH, Places, Plan, train
from voices import UNSEEN_VOICES, VOCABULARY

SHARDS = 20
GROUPS_PER_SHARD = 220  # of ten phrases
SEED = 1000
FIRST = Plan(steps=6000, stop_at=3250, stages=FROM_NOTHING)
SECOND = Plan(
    steps=2000,
    stages=TO_FINISH,
    more_sounds=True,
    seed=8,
    peak_rate=1e-3,
    hold=0.2,
)


def speak_corpus(folder: Path, *, shards: int, processes: int) -> None:
    """All shards: 44,000 phrases, about 21 hours of speech, 1.2 GB."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [
        index for index in range(shards) if not (folder / f"{index:02d}.npz").exists()
    ]
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        pool.starmap(_shard, [(folder, index) for index in missing], chunksize=1)


def _shard(folder: Path, index: int) -> None:
    write_shard(folder / f"{index:02d}", groups=GROUPS_PER_SHARD, seed=SEED + index)


def write_card(out: Path, rows: list[dict[str, object]]) -> None:
    """What the product shows about the model, and the figures measured."""
    card = {
        "name": "Parley demo model",
        "demo": True,
        "language": "en",
        "vocabulary": list(VOCABULARY),
        "chunk_length_s": CHUNK_LENGTH_S,
        "trained_on": "espeak-ng speech only; it does not hear people",
        "unseen_voices": list(UNSEEN_VOICES),
        "measured": rows,
    }
    text = json.dumps(card, indent=1) + "\n"
    (out / "model_card.json").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="a try; hears nothing")
    options = parser.parse_args()
    weights = options.work / "weights.pt"
    begun = options.work / "begun.pt"
    first, second = FIRST, SECOND
    if options.quick:
        first, second = replace(FIRST, stop_at=40), replace(SECOND, stop_at=40)
    shards = 1 if options.quick else SHARDS
    began = time.monotonic()
    speak_corpus(options.work / "corpus", shards=shards, processes=FIRST.processes)
    print(f"spoken after {(time.monotonic() - began) / 60:.1f} min", flush=True)
    train(first, Places(options.work / "corpus", begun))
    train(second, Places(options.work / "corpus", weights, start=begun))
    print(f"trained after {(time.monotonic() - began) / 60:.1f} min", flush=True)
    export(weights, options.out)
    rows = [] if options.quick else table(options.out, beams=(1, 5))
    write_card(options.out, rows)


if __name__ == "__main__":
    main()
