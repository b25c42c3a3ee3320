"""What a power cut costs a recording, in seconds of sound. `--trials 50` is full size.

Sound comes in real time and the disk's syncs take theirs; all that was not synced when
the power went is dropped, in every second trial only some of it. See tests/power_cut.py
for what is taken away. Target: at most 1.0 s, and a master each time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

CUT = Path(__file__).resolve().parents[1] / "tests" / "power_cut.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    command = [sys.executable, str(CUT), str(asked.trials), str(asked.seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    lost = sorted(t["lost_s"] for t in trials)
    stages = Counter(t["stage"] for t in trials)
    heard = [t for t in trials if t.get("recorded")]
    silent = [t["received"] / 16_000 for t in trials if not t.get("recorded")]
    print(f"power cut in {len(trials)} trials, while {dict(stages)}")
    print(f"  lost: worst, median   {lost[-1]:.2f} s, {lost[len(lost) // 2]:.2f} s")
    print(f"  ready without a hand  {sum(bool(t.get('ready')) for t in trials)}")
    print(f"  playable masters      {len(heard)}")
    print(f"  nothing was on disk   {len(silent)}, worst {max([0, *silent]):.2f} s")
    print(f"  moved                 {sum(t['lag'] != 0 for t in heard)}")
    for trial in trials:
        if trial.get("faults") or trial.get("unstored") or "crashed" in trial:
            print(f"  look at               {trial}")


if __name__ == "__main__":
    main()
