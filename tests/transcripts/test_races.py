"""Several worker processes, and one that takes their claims away: still exactly once.

On SQLite, or on the empty database that RACE_DATABASE_URL names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(90)
def test_whoever_finishes_first_tells_it_and_nobody_else(tmp_path: Path) -> None:
    found = race(tmp_path)
    texts = Counter(found["texts"])
    assert set(texts.values()) == {1}
    assert len(texts) == 80
    assert set(found["states"]) == {"done"}
    assert found["stolen"] > 0


def race(folder: Path) -> dict[str, Any]:
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
        "DATA_DIR": str(folder),
        "DATABASE_URL": os.environ.get("RACE_DATABASE_URL")
        or f"sqlite:///{folder / 'parley.sqlite3'}",
        "REDIS_URL": "",
        "STT_MAX_ATTEMPTS": "1000",
        "LOG_LEVEL": "ERROR",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)]),
    }
    driver = [sys.executable, str(ROOT / "tests" / "race_driver.py")]
    done = subprocess.run(
        driver, env=env, cwd=ROOT, capture_output=True, timeout=80, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
