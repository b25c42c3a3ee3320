"""A fuzzer's run over one target, in a process of its own and bounded: in its time, its
memory, and what a single input may take."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
RUNS = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)
INPUT_S = 5
"""An input that takes longer hangs."""
MEMORY_MB = 256
"""Of the whole process, which begins with some 70: what needs more grows."""
LONGEST = 4096
"""Bytes of an input."""


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What came of it; `found` is the fuzzer's own words, "" if nothing was."""

    executions: int
    found: str


def fuzz(target: str, *, seconds: int) -> Fuzzed:
    """Run one for so long."""
    with tempfile.TemporaryDirectory(prefix="parley-found-") as finds:
        done = subprocess.run(
            [
                # The kernel counts the memory of whoever starts a program as its own:
                # that is to be a shell.
                "/bin/sh",
                "-c",
                '"$@"; exit $?',
                "sh",
                sys.executable,
                "-m",
                "fuzz",
                target,
                f"-max_total_time={seconds}",
                f"-timeout={INPUT_S}",
                f"-rss_limit_mb={MEMORY_MB}",
                f"-artifact_prefix={finds}/",
                "-print_final_stats=1",
                f"-max_len={LONGEST}",
            ],
            cwd=TESTS,
            env={
                name: os.environ[name]
                for name in ("PATH", "HOME")
                if name in os.environ
            },
            capture_output=True,
            text=True,
            timeout=seconds + 120,
            check=False,
        )
    told = RUNS.search(done.stderr)
    runs = int(told[1]) if told else 0
    if not done.returncode:
        return Fuzzed(runs, "")
    return Fuzzed(runs, f"{done.stdout[-3000:]}\n{done.stderr[-1000:]}")
