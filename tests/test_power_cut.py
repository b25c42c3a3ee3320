"""A power cut costs at most a second of sound, and no session its master."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

POWER_CUT = Path(__file__).with_name("power_cut.py")
SPEED = 3


def test_a_power_cut_takes_no_more_than_a_second() -> None:
    done = subprocess.run(
        [sys.executable, str(POWER_CUT), "2", "5", str(SPEED)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(trials) == 2
    for trial in trials:
        assert trial.get("ready"), (trial, done.stderr[-3000:])
        assert trial["lost_s"] <= 1.0, trial
        assert trial["recorded"] > 0, trial
        assert trial["lag"] == 0, trial
        assert trial["snr_db"] > 12, trial
        assert (trial["left"], trial["unstored"]) == (0, 0), trial
    assert any(trial["lost_s"] > 0 for trial in trials), "nothing was ever cut"
