"""Django's own list of what a production must have: nothing on it is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "PUBLIC_URL": "https://parley.example.org",
    "HSTS_S": "31536000",
    "SECRET_KEY": "a-long-one-of-which-nobody-knows-anything-0123456789-abcdef",
}


def check(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(folder), **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_production_lacks_nothing(tmp_path: Path) -> None:
    checked = check(tmp_path, **PRODUCTION)
    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"HSTS_S": "0"}, "security.W004"),
        ({"PUBLIC_URL": "http://parley.example.org"}, "security.W012"),
        ({"SECRET_KEY": "short"}, "security.W009"),
        ({"DEBUG": "True"}, "security.W018"),
    ],
)
def test_what_is_missing_is_told(
    tmp_path: Path, change: dict[str, str], code: str
) -> None:
    checked = check(tmp_path, **PRODUCTION | change)
    assert checked.returncode != 0
    assert code in checked.stderr
