"""What SIGKILL costs a recording: sound, and places. `--trials 200` is the full size.

Every second trial is killed from outside at a random moment, the others at a random
line of one kind of work, all kinds in turn. Received is what the capture was handed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

RATE = 16_000
CRASH = Path(__file__).resolve().parents[1] / "tests" / "crash.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    command = [sys.executable, str(CRASH), str(asked.trials), str(asked.seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    lost = [max(t["received"] - t.get("recorded", 0), 0) for t in trials]
    stages = Counter(t["stage"] for t in trials)
    work = Counter(one for t in trials for one in t["at_work"])
    print(f"SIGKILL in {len(trials)} trials, while {dict(stages)}")
    print(f"  in the middle of      {dict(work)}")
    print(f"  received sound lost   {1000 * sum(lost) / RATE:.0f} ms")
    print(f"  ready without a hand  {sum(bool(t.get('ready')) for t in trials)}")
    print(f"  spool left behind     {sum(t.get('left', 1) for t in trials)}")
    print(f"  moved                 {sum(t.get('lag', 1) != 0 for t in trials)}")
    print(f"  worst SNR             {min(t.get('snr_db', -99) for t in trials):.1f} dB")
    for trial in trials:
        if trial.get("faults") or trial.get("unstored") or "crashed" in trial:
            print(f"  look at               {trial}")


if __name__ == "__main__":
    main()
