"""What SIGKILL costs a recording, at 200 random moments: sound, and places."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

TRIALS = 200
RATE = 16_000
CRASH = Path(__file__).resolve().parents[1] / "tests" / "crash.py"


def main() -> None:
    command = [sys.executable, str(CRASH), str(TRIALS), "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    lost = [max(t["received"] - t.get("recorded", 0), 0) for t in trials]
    stages = Counter(trial["stage"] for trial in trials)
    print(f"SIGKILL at {len(trials)} random moments ({dict(stages)}):")
    print(f"  received sound lost   {1000 * sum(lost) / RATE:.0f} ms")
    print(f"  ready without a hand  {sum(bool(t.get('ready')) for t in trials)}")
    print(f"  moved                 {sum(t.get('lag', 1) != 0 for t in trials)}")
    print(f"  worst SNR             {min(t.get('snr_db', -99) for t in trials):.1f} dB")


if __name__ == "__main__":
    main()
