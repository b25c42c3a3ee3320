"""Fuzz one target: `python -m fuzz TARGET [libFuzzer's options]`, from tests/.

atheris watches which lines an input reaches, and keeps what reaches new ones.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

with atheris.instrument_imports(include=["bot", "sessions"]):
    from fuzz.targets import SEEDS, TARGETS, broken

if __name__ == "__main__":
    name, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="parley-fuzz-") as corpus:
        for number, seed in enumerate(SEEDS.get(name, (b"RAFF",))):
            Path(corpus, f"seed{number}").write_bytes(seed)
        target = TARGETS.get(name, broken)
        atheris.Setup([sys.argv[0], *options, corpus], target)
        atheris.Fuzz()
