"""Make the demo speech model from nothing: python3 tests/speech/training/make_model.py

Needs espeak-ng (libespeak-ng.so.1) and Python 3.11+. Makes its own virtual environment,
because torch must never be a requirement of the product, and works in a folder outside
the repository.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
SPEECH = HERE.parent


def environment(work: Path) -> Path:
    """The Python of a virtual environment with what training needs."""
    python = work / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(work / "venv", with_pip=True)
    requirements = str(HERE / "requirements.txt")
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "-r", requirements], check=True
    )
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("/tmp/parley-train"))
    parser.add_argument("--out", type=Path, default=SPEECH / "model")
    parser.add_argument("--quick", action="store_true", help="a try; hears nothing")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    python = environment(options.work.absolute())
    recipe: list[str | Path] = [python, "-m", "training.recipe"]
    recipe += ["--work", options.work.absolute(), "--out", options.out.absolute()]
    if options.quick:
        recipe.append("--quick")
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(recipe, cwd=SPEECH, env=environ, check=False)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
