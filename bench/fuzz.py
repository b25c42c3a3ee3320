"""How often each reader of what strangers send was tried, and what was found.

`bench/fuzz.py [seconds]`, of each target; 60 without. Target: nothing found.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).parent.parent),
    str(Path(__file__).parent.parent / "tests"),
]

from fuzz.running import fuzz
from fuzz.targets import TARGETS


def main(seconds: int) -> int:
    finds = 0
    for target in TARGETS:
        fuzzed = fuzz(target, seconds=seconds)
        finds += bool(fuzzed.found)
        print(f"{target:12} {fuzzed.executions:9,} executions in {seconds} s")
        print(fuzzed.found, end="\n" if fuzzed.found else "")
    print(f"found: {finds}")
    return finds


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 60))
