"""The API against what its own description allows, and forbids: whatever is sent, no
5xx, nothing it does not describe, no hang, and no memory that grows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import Stack

HANGS_S = 10
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"
ENDLESS = r"/(events|end)$"
"""A stream never ends; and behind the session's end there is less to try."""
GROWTH_KB = 64 * 1024
CASES = re.compile(r"(\d+) generated, (\d+) passed")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(programs=("web",), API_CHANGES_PER_MINUTE="0") as running:
        yield running


@pytest.mark.parametrize(
    ("who", "seconds"), [("an administrator", 16), ("whoever has a link", 6)]
)
def test_whatever_is_sent_is_answered(
    who: str, seconds: int, stack: Stack, tmp_path: Path
) -> None:
    session = stack.new_session()
    token = stack.token if who == "an administrator" else session["token"]
    here = f'[parameters]\n"path.public_id" = "{session["id"]}"\n'
    (tmp_path / "schemathesis.toml").write_text(here)  # else every path is a 404
    before_kb = memory_kb(stack.processes["web"].pid)
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"{stack.url}/api/openapi.json",
            f"--url={stack.url}",
            f"--header=Authorization: Bearer {token}",
            f"--checks={CHECKS}",
            "--phases=coverage,fuzzing",
            f"--exclude-path-regex={ENDLESS}",
            f"--max-time={seconds}",
            f"--request-timeout={HANGS_S}",
            "--generation-database=none",
            "--warnings=off",
            "--continue-on-failure",
            "--no-color",
        ],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    cases = CASES.search(done.stdout)
    assert cases is not None, done.stdout[-2000:]
    print(f"{cases[1]} cases of {who}")
    assert int(cases[1]) > 100
    assert "Traceback" not in stack.log("web")
    assert memory_kb(stack.processes["web"].pid) - before_kb < GROWTH_KB


def memory_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]
