"""A process that is killed at any moment costs no sound that it had received."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CRASH = Path(__file__).with_name("crash.py")


def test_killed_at_random_moments_it_loses_nothing() -> None:
    done = subprocess.run(
        [sys.executable, str(CRASH), "10", "7"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(trials) == 10
    for trial in trials:
        assert trial.get("ready"), (trial, done.stderr[-3000:])
        assert trial["recorded"] >= trial["received"], trial
        assert trial["lag"] == 0, trial
        assert trial["snr_db"] > 12, trial
        assert not trial["faults"], trial
        assert (trial["left"], trial["unstored"]) == (0, 0), trial
        if trial["journaled"] is not None:
            assert trial["journaled"] >= trial["received"], trial
    interrupted = {work for trial in trials for work in trial["at_work"]}
    assert len(interrupted) >= 4, "all died at the same work"
